"""Stripe's events: verified by the official SDK, read as far as they name what they are about.

An event holds the object as it was (https://docs.stripe.com/api/events/object); events come twice, late and in any
order (https://docs.stripe.com/webhooks#best-practices), so nothing is taken from them but names. Thin events
(``v2.core.event``, https://docs.stripe.com/event-destinations#thin-payload) hold no object, only its id. One that has a
snapshot event, too, is the same event: by that one's id and type, so that it counts once whichever of the two comes
(https://docs.stripe.com/webhooks/migrate-snapshot-to-thin-events).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

import stripe

from recordfirst.core.event import EventNames, NewEvent
from recordfirst.providers.events import MOST_BYTES, TOLERANCE_S, BadSignature, NotAnEvent
from recordfirst.providers.signed import check_secrets, decoded
from recordfirst.providers.stripe.probe import METADATA_KEY

_PAGE = 100
_NAMING = ("payment_intent", "charge", "refund", "latest_charge")
"""Fields of an object that name others which a call of ours may have made."""
_TYPE = re.compile(r"(v2\.)?(?!v\d+\.)[a-z][a-z0-9_]*([.\[][a-z][a-z0-9_]*\]?)+")
"""With parts in brackets: ``v2.core.account[configuration.merchant].updated``."""
_KINDS = ("pi_", "ch_", "py_", "re_", "pyr_", "du_", "dp_", "po_")


class StripeEvents:
    """Events that Stripe sends to an endpoint: ``app.events(StripeEvents(secrets=["whsec_..."]))``.

    Args:
        secrets: signing secrets of the endpoint, ``whsec_...``; several while one replaces another, or if test and live
            mode, or your account and connected ones, send to one URL.
        livemode: which mode's events touch the rows of this app. Those of the other mode are kept, counted, answered
            200, and never applied. Default: live.
        accounts: connected accounts (``acct_...``) whose events count, too. Default: events of all of them.
        tolerance_s: how old a signature may be, in seconds.
        most_bytes: the largest body that is read.
    """

    name = "stripe"
    client = stripe.StripeClient
    """What lists events."""
    lists_s = 30 * 86_400.0
    """Stripe lists the events of 30 days."""

    def __init__(
        self,
        *,
        secrets: Sequence[str],
        livemode: bool = True,
        accounts: Sequence[str] | None = None,
        tolerance_s: int = TOLERANCE_S,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._secrets = check_secrets(secrets, "StripeEvents")
        self._livemode, self._accounts = livemode, accounts
        self._tolerance_s, self.most_bytes = tolerance_s, most_bytes

    def read(self, body: bytes, headers: Mapping[str, str]) -> NewEvent:
        """Verify with the SDK that one of the secrets has signed it, and read it.

        Raises:
            BadSignature: if none has, or the signature is older than ``tolerance_s``.
            NotAnEvent: if the body is no event of Stripe's.
        """
        header, why = headers.get("stripe-signature", ""), ""
        for secret in self._secrets:
            try:
                stripe.WebhookSignature.verify_header(body, header, secret, self._tolerance_s)
                return event_of(decoded(body), body.decode())
            except stripe.SignatureVerificationError as error:
                why = str(error)
            except UnicodeDecodeError as error:
                why = str(error)
        raise BadSignature(why)

    def is_ours(self, event: NewEvent) -> bool:
        """Whether it is of the mode, and of an account, that counts here."""
        return event.livemode == self._livemode and (
            event.account is None or self._accounts is None or event.account in self._accounts
        )

    async def page(
        self, client: stripe.StripeClient, since_ms: int, after: str | None
    ) -> tuple[list[NewEvent], str | None]:
        """A page of https://docs.stripe.com/api/events/list: it goes back 30 days."""
        params: Any = {"limit": _PAGE, "created": {"gte": since_ms // 1000}}
        listed = await client.v1.events.list_async(params | ({"starting_after": after} if after is not None else {}))
        found = [event_of(each.to_dict(), str(each)) for each in listed.data]
        return found, (listed.data[-1].id if listed.has_more and listed.data else None)


def event_of(data: dict[str, Any], body: str) -> NewEvent:
    """Read an event's names."""
    id, kind = data.get("id"), data.get("type")
    if not isinstance(id, str) or not isinstance(kind, str):
        raise NotAnEvent("it has no id or no type")
    if data.get("object") == "v2.core.event":
        return _thin(data, id, kind, body)
    found, request, created = (data.get("data") or {}).get("object"), data.get("request") or {}, data.get("created")
    names = _names(found)
    return NewEvent(
        provider=StripeEvents.name,
        id=id,
        type=kind,
        livemode=bool(data.get("livemode")),
        account=data.get("account"),
        at_ms=created * 1000 if isinstance(created, int) else None,
        keys=_key(request),
        markers=names.markers,
        references=names.references,
        body=body,
    )


def _thin(data: dict[str, Any], id: str, kind: str, body: str) -> NewEvent:
    reason, snapshot, context = data.get("reason") or {}, data.get("snapshot_event"), str(data.get("context") or "")
    accounts = [part for part in context.split("/") if part.startswith("acct_")]
    return NewEvent(
        provider=StripeEvents.name,
        id=snapshot if isinstance(snapshot, str) and snapshot else id,
        type=snapshot_type(kind),
        livemode=bool(data.get("livemode")),
        account=accounts[-1] if accounts else None,
        at_ms=_ms(data.get("created")),
        keys=_key(reason.get("request") if isinstance(reason, dict) else None),
        references=_names(data.get("related_object")).references,
        body=body,
    )


def snapshot_type(kind: str) -> str:
    """Return what a thin event's type is called in snapshot events: ``v1.charge.refunded`` is ``charge.refunded``."""
    return kind.removeprefix("v1.")


def named_type(given: str) -> str:
    """Return the same of a type that somebody has written down.

    Raises:
        ValueError: if it is the name of no event. One that the SDK does not know may be newer than the SDK.
    """
    kind = snapshot_type(given)
    if not _TYPE.fullmatch(kind):
        raise ValueError(
            f"{given!r} is no name of an event of Stripe's, such as 'charge.refunded', 'v1.charge.refunded' or "
            "'v2.core.account.updated'; name each type whole"
        )
    rest = kind.removeprefix("v2.")
    if rest != kind and rest in get_args(stripe.Event.__annotations__.get("type")):
        raise ValueError(f"Stripe has no event {given!r}: did you mean {rest!r}?")
    return kind


def _key(request: Any) -> tuple[str, ...]:
    key = request.get("idempotency_key") if isinstance(request, dict) else None
    return (key,) if isinstance(key, str) and key else ()


def _ms(created: Any) -> int | None:
    try:
        return int(datetime.fromisoformat(created).timestamp() * 1000)
    except (TypeError, ValueError):
        return None


def _names(made: Any) -> EventNames:
    """What an object is known by: the marker that a call of ours left, and Stripe's ids of it and of what it is of."""
    if not isinstance(made, dict):
        return EventNames()
    marker = (made.get("metadata") or {}).get(METADATA_KEY)
    named = [made.get("id"), *(_id(made.get(name)) for name in _NAMING)]
    references = tuple(dict.fromkeys(each for each in named if isinstance(each, str) and each.startswith(_KINDS)))
    return EventNames(markers=(marker,) if marker else (), references=references)


def _id(named: Any) -> Any:
    return named.get("id") if isinstance(named, dict) else named


async def names_under(client: stripe.StripeClient, reference: str) -> EventNames:
    """Return what is known of what Stripe has under a reference; nothing, if it is not there, or another account's."""
    service: Any = None
    match reference.partition("_")[0]:
        case "pi":
            service = client.v1.payment_intents
        case "ch" | "py":
            service = client.v1.charges
        case "re" | "pyr":
            service = client.v1.refunds
        case "du" | "dp":
            service = client.v1.disputes
    if service is None:
        return EventNames()
    try:
        return _names((await service.retrieve_async(reference)).to_dict())
    except stripe.InvalidRequestError:
        return EventNames()
