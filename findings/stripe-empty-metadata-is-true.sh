#!/usr/bin/env bash
# A payment without metadata has metadata, and what it has equals nothing that one compares it with.
#
# Packages: stripe 16.1.0.
# Expected: an event's objects behave like the dicts that they came from, as they did when StripeObject was a dict:
# metadata of {} is false and equal to {}, and one with an order is equal to {"order": "1"}.
# Seen: a StripeObject has no length, so that it is always true, and == with a dict is False, in silence (dict(),
# len() and json.dumps raise). == with another StripeObject of the same type compares the values.
# Source: stripe/_stripe_object.py: __eq__ leaves dicts to Python, which then compares by identity; no __len__ and no
# __bool__.
# Means: "if not intent.metadata: it is not ours" lets every payment through, and "if stored != intent.metadata" finds
# a difference in each. Call to_dict() first, on the event as a whole.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check stripe==16.1.0
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import hashlib
import hmac
import importlib.metadata
import json
import time

import stripe

SECRET = "whsec_test"


def event(metadata):
    intent = {"id": "pi_1", "object": "payment_intent", "amount": 1000, "metadata": metadata}
    data = {"object": intent}
    body = json.dumps({"id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "data": data})
    now = int(time.time())
    signature = hmac.new(SECRET.encode(), f"{now}.{body}".encode(), hashlib.sha256).hexdigest()
    return stripe.Webhook.construct_event(body, f"t={now},v1={signature}", SECRET)


none, order = event({}).data.object.metadata, event({"order": "1"}).data.object.metadata
seen = {
    "not {}": not none,
    "{} == {}": none == {},
    "order == order": order == {"order": "1"},
    "to_dict() == order": order.to_dict() == {"order": "1"},
    "order == another's": order == event({"order": "1"}).data.object.metadata,
}
print("stripe", importlib.metadata.version("stripe"))
print("expected:", dict.fromkeys(seen, True))
print("seen:    ", seen)
assert list(seen.values()) == [False, False, False, True, True]
PYTHON
