#!/usr/bin/env bash
# A webhook that is signed at an aware time of another zone than UTC is refused by the same library.
#
# Packages: standardwebhooks 1.1.0, svix 2.9.1 (its Webhook wraps the former).
# Expected: sign(id, timestamp, data) takes a datetime, so that one moment has one signature, in whichever zone it is.
# Seen: the zone is replaced, not converted. 12:00 in Berlin is signed as 12:00 UTC, an hour after the moment that the
# header webhook-timestamp says, and verify() finds no matching signature. A naive local time passes on a server whose
# clock is on UTC, and fails on a laptop.
# Source: standardwebhooks/webhooks.py, Webhook.sign: timestamp.replace(tzinfo=timezone.utc).
# Means: tests and staging pass, and each event of a sender in another zone is refused, with an error that names the
# signature and not the time. Give datetime.now(timezone.utc), and verify one's own signature before it is sent.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check standardwebhooks==1.1.0 svix==2.9.1
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import importlib.metadata
import json
import os
import time
from datetime import UTC, datetime, timedelta, timezone

import standardwebhooks
import svix.webhooks

SECRET, BODY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLjSw", json.dumps({"type": "payment.succeeded", "amount": 1000})
now = datetime.now(UTC)
moments = {"UTC": now, "+01:00": now.astimezone(timezone(timedelta(hours=1)))}


def accepted(webhook, moment):
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": webhook.sign("msg_1", moment, BODY),
    }
    try:
        webhook.verify(BODY, headers)
    except standardwebhooks.WebhookVerificationError as error:
        return str(error)
    return "accepted"


def without_zone(webhook, zone):
    os.environ["TZ"] = zone
    time.tzset()
    return accepted(webhook, datetime.now())


libraries = {"standardwebhooks": standardwebhooks.Webhook(SECRET), "svix": svix.webhooks.Webhook(SECRET)}
seen = {name: {zone: accepted(each, at) for zone, at in moments.items()} for name, each in libraries.items()}
naive = {zone: without_zone(libraries["standardwebhooks"], zone) for zone in ("UTC0", "EST5")}
print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in libraries))
print("expected: accepted, each time")
print("seen:    ", seen, "- naive, where the clock is on", naive)
assert moments["UTC"] == moments["+01:00"]
assert seen == dict.fromkeys(libraries, {"UTC": "accepted", "+01:00": "No matching signature found"})
assert naive == {"UTC0": "accepted", "EST5": "No matching signature found"}
PYTHON
