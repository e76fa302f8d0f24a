"""Signed events of any provider: HMAC in a header, and Standard Webhooks."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import pytest

from recordfirst import Misuse, SignedEvents, StandardWebhooks
from recordfirst.providers.events import BadSignature, NotAnEvent

KEY = base64.b64encode(b"a secret of twenty-four b").decode()


def body(id: str = "p1", type: str = "parcel.delivered", **more: Any) -> bytes:
    return json.dumps({"id": id, "type": type, **more}).encode()


def hmac_of(text: bytes, secret: str = "s") -> str:
    return hmac.digest(secret.encode(), text, "sha256").hex()


def standard(text: bytes, *, id: str = "msg_1", at: int | None = None, key: str = KEY) -> dict[str, str]:
    at = int(time.time()) if at is None else at
    signed = hmac.digest(base64.b64decode(key), f"{id}.{at}.".encode() + text, "sha256")
    signature = "v1," + base64.b64encode(signed).decode()
    return {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": f"v1,AAAA {signature}"}


def test_an_hmac_of_the_body_by_any_secret():
    """P11: by hex or base64, behind a prefix; of another body or secret it is refused."""
    source = SignedEvents(
        "warehouse",
        secrets=["new", "s"],
        header="X-Signature",
        prefix="sha256=",
        markers=lambda event: [event["our_key"]],
        references=lambda event: [event["parcel"]],
    )
    text = body(our_key="shop/order:1:ship", parcel="P7")
    event = source.read(text, {"x-signature": f"sha256={hmac_of(text)}"})
    assert (event.provider, event.id, event.type) == ("warehouse", "p1", "parcel.delivered")
    assert (event.markers, event.references, event.livemode) == (("shop/order:1:ship",), ("P7",), None)
    for wrong in ("", "sha256=", hmac_of(text, "other"), f"sha256={hmac_of(text + b' ')}"):
        with pytest.raises(BadSignature):
            source.read(text, {"x-signature": wrong})
    with pytest.raises(BadSignature):
        source.read(text, {})
    plain = SignedEvents("w", secrets=["s"], header="h", encoding="base64", id="event.id", type="event.kind")
    nested = json.dumps({"event": {"id": 7, "kind": "k"}}).encode()
    header = base64.b64encode(hmac.digest(b"s", nested, "sha256")).decode()
    assert plain.read(nested, {"h": header}).id == "7"


@pytest.mark.parametrize("text", [b"[]", b"no", b"{}", body(id=""), body()])
def test_what_is_signed_and_no_event_is_refused(text):
    """P11: no id, no type, nothing of what it is about: nothing is stored."""
    source = SignedEvents("w", secrets=["s"], header="h", markers=lambda event: [event["our_key"]])
    with pytest.raises(NotAnEvent):
        source.read(text, {"h": hmac_of(text)})


def test_standard_webhooks():
    """P11: one signature of several counts; another key, id or time does not."""
    source = StandardWebhooks("mailer", secrets=[f"whsec_{KEY}"])
    text = body()
    assert source.read(text, standard(text)).id == "msg_1"
    other = base64.b64encode(b"another secret of that l").decode()
    assert StandardWebhooks("m", secrets=[f"whsec_{other}", KEY]).read(text, standard(text)).type == "parcel.delivered"
    for wrong in (
        standard(text, key=other),
        standard(text) | {"webhook-id": "msg_2"},
        standard(text, at=int(time.time()) - 301),
        standard(text, at=int(time.time()) + 301),
        standard(text) | {"webhook-timestamp": "now"},
        {},
    ):
        with pytest.raises(BadSignature):
            source.read(text, wrong)


def test_secrets_that_are_none_are_refused():
    """P8: a secret that is not base64, or none at all."""
    for secrets in ([], ["whsec_?"], [" "]):
        with pytest.raises(Misuse, match="secret"):
            StandardWebhooks("m", secrets=secrets)
