"""Find out what became of a call whose outcome is unknown, by the marker that the request left in its metadata.

What the probes can prove rests on two things. The request must carry ``metadata={METADATA_KEY: call.marker}``. And
nothing may be looked for before the provider's ``lag_s`` has passed since the last call; recordfirst sees to that.
Listing is exact. Searching is not: during an outage of Stripe's index it may miss what is an hour old.

A probe answers as the call would have: it raises ``Declined`` for a payment that was declined, and has ``Found`` only
what is final. A payment that is on its way (``requires_action``, ``processing``, and whatever Stripe may add) has not
happened, and may yet: that is ``Pending``, so the effect waits, and is looked at again. Two live
objects under one marker are never chosen between: that is ``CannotTell``, too, and names both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

import msgspec
import stripe

from recordfirst.errors import Declined
from recordfirst.providers.contract import Absent, CannotTell, Found, Pending, Probed

METADATA_KEY = "recordfirst_key"
"""The metadata key under which a request carries its marker."""

MARGIN_S = 60
"""How far the record's clock may be ahead of Stripe's: looked at on top of the time since the intent."""
MAX_PAGES = 100
"""Of a hundred objects each; a probe that would have to read more says that it cannot tell."""
_PAGE = 100


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment intent, as a receipt's result holds it."""

    id: str
    status: str
    amount_minor: int
    currency: str
    charge: str | None
    created_s: int


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund, as a receipt's result holds it."""

    id: str
    status: str
    amount_minor: int
    currency: str
    payment_intent: str | None
    created_s: int


def payment_of(intent: stripe.PaymentIntent, *, authorised: bool = False) -> Payment | Pending:
    """Return what is worth keeping of a payment intent that has succeeded: the money was received.

    One that is on its way, since its customer has yet to confirm it or a bank to answer, is :class:`Pending`, with what
    a browser needs: ``show["client_secret"]`` and, if the customer is to be sent somewhere, ``show["redirect"]``.

    Args:
        intent: what Stripe answered.
        authorised: also take one that waits for its capture (``requires_capture``): for effects that only authorise.

    Raises:
        Declined: if it did not happen: canceled, or its payment method was refused.
    """
    if (declined := refused_payment(intent)) is not None:
        raise declined
    if payment_on_its_way(intent, authorised=authorised) is not None:
        return pending_payment(intent)
    return payment_as_it_is(intent)


def pending_payment(intent: stripe.PaymentIntent) -> Pending:
    """Return a payment intent that is on its way, with what a browser needs to go on with it."""
    redirect = getattr(getattr(intent, "next_action", None), "redirect_to_url", None)
    shown = {
        "status": intent.status,
        "client_secret": getattr(intent, "client_secret", None),
        "redirect": getattr(redirect, "url", None),
    }
    references = {"payment_intent": intent.id, "charge": _id_of(getattr(intent, "latest_charge", None))}
    return Pending(_given(references), show=_given(shown))


def payment_as_it_is(intent: stripe.PaymentIntent) -> Payment:
    """Return a payment intent's fields, whatever its status is: it may not have happened."""
    return Payment(
        id=intent.id,
        status=intent.status,
        amount_minor=intent.amount,
        currency=intent.currency,
        charge=_id_of(getattr(intent, "latest_charge", None)),
        created_s=intent.created,
    )


def refund_of(refund: stripe.Refund, *, accepted: bool = False) -> Refund | Pending:
    """Return what is worth keeping of a refund that has succeeded; one that is on its way is :class:`Pending`.

    Args:
        refund: what Stripe answered.
        accepted: also take one that is ``pending``: Stripe has it, and it may still fail, days later.

    Raises:
        Declined: if it has failed, or was canceled.
    """
    if (declined := refused_refund(refund)) is not None:
        raise declined
    if refund_on_its_way(refund, accepted=accepted) is not None:
        return pending_refund(refund)
    return refund_as_it_is(refund)


def pending_refund(refund: stripe.Refund) -> Pending:
    """Return a refund that is on its way."""
    # Not the payment's id, which the charge's receipt has: what is said of that is not about this refund.
    return Pending({"refund": refund.id}, show={"status": refund.status or "pending"})


def refund_as_it_is(refund: stripe.Refund) -> Refund:
    """Return a refund's fields, whatever its status is: it may not have happened."""
    return Refund(
        id=refund.id,
        status=refund.status or "pending",
        amount_minor=refund.amount,
        currency=refund.currency,
        payment_intent=_id_of(refund.payment_intent),
        created_s=refund.created,
    )


async def find_payment_intent(
    client: stripe.StripeClient,
    *,
    marker: str,
    since_ms: int,
    known: Mapping[str, str] | None = None,
    customer: str | None = None,
    authorised: bool = False,
    read: Callable[[stripe.PaymentIntent], Any] = payment_as_it_is,
    margin_s: float = MARGIN_S,
    max_pages: int = MAX_PAGES,
) -> Probed:
    """Look for a payment intent among all that were created since the effect's intent was stored.

    The cost is one request per hundred payment intents of that time; name the ``customer`` if the request did, and
    only theirs are read. With ``known=call.references`` a pending one is looked at by its id, by one request.
    ``authorised`` as in :func:`payment_of`. ``read`` makes the effect's
    result of what was found.
    Memory is bounded by a page.

    Raises:
        Declined: if it was found, and was declined or canceled.
    """
    created = {"gte": _seconds(since_ms, margin_s)}

    async def page(after: str | None) -> stripe.ListObject[stripe.PaymentIntent]:
        params: dict[str, Any] = {"created": created, "limit": _PAGE, "customer": customer, "starting_after": after}
        return await client.v1.payment_intents.list_async(_given(params))

    verdict = _Verdict(refused_payment, partial(payment_on_its_way, authorised=authorised), pending_payment)
    if (pending := (known or {}).get("payment_intent")) is not None:
        return _alone(await client.v1.payment_intents.retrieve_async(pending), marker, verdict, read)
    return await _scan(page, marker, max_pages, "payment intents", verdict, read)


async def search_payment_intent(
    client: stripe.StripeClient,
    *,
    marker: str,
    authorised: bool = False,
    read: Callable[[stripe.PaymentIntent], Any] = payment_as_it_is,
) -> Probed:
    """Look for a payment intent in Stripe's search index: one request, however many there are.

    For effects whose provider says ``Stripe(lag_s=SEARCH_LAG_S)``, since the index runs up to a minute late.

    Raises:
        Declined: if it was found, and was declined or canceled.
    """
    text = marker.replace("\\", "\\\\").replace('"', '\\"')
    result = await client.v1.payment_intents.search_async(
        {"query": f'metadata["{METADATA_KEY}"]:"{text}"', "limit": _PAGE}
    )
    verdict = _Verdict(refused_payment, partial(payment_on_its_way, authorised=authorised), pending_payment)
    for intent in result.data:
        verdict.consider(intent, marker)
    return verdict.say(read)


async def find_refund(
    client: stripe.StripeClient,
    *,
    marker: str,
    since_ms: int,
    known: Mapping[str, str] | None = None,
    payment_intent: str | None = None,
    accepted: bool = False,
    read: Callable[[stripe.Refund], Any] = refund_as_it_is,
    margin_s: float = MARGIN_S,
    max_pages: int = MAX_PAGES,
) -> Probed:
    """Look for a refund among all that were created since the effect's intent was stored, or those of one payment.

    ``known`` as in :func:`find_payment_intent`. ``accepted`` as in :func:`refund_of`.

    Raises:
        Declined: if it was found, and failed or was canceled.
    """
    created = {"gte": _seconds(since_ms, margin_s)}

    async def page(after: str | None) -> stripe.ListObject[stripe.Refund]:
        params: dict[str, Any] = {
            "created": created,
            "limit": _PAGE,
            "payment_intent": payment_intent,
            "starting_after": after,
        }
        return await client.v1.refunds.list_async(_given(params))

    verdict = _Verdict(refused_refund, partial(refund_on_its_way, accepted=accepted), pending_refund)
    if (pending := (known or {}).get("refund")) is not None:
        return _alone(await client.v1.refunds.retrieve_async(pending), marker, verdict, read)
    return await _scan(page, marker, max_pages, "refunds", verdict, read)


class _Marked(Protocol):
    """What payment intents and refunds have in common."""

    id: str

    @property
    def metadata(self) -> Any: ...


class _Verdict[T: _Marked]:
    """What the objects under one marker add up to."""

    def __init__(
        self,
        refused: Callable[[T], Declined | None],
        on_its_way: Callable[[T], str | None],
        pending: Callable[[T], Pending],
    ) -> None:
        self._refused, self._on_its_way, self._pending = refused, on_its_way, pending
        self._live: list[T] = []
        self._declined: Declined | None = None

    def consider(self, item: T, marker: str) -> None:
        """Take an object into account; newest first."""
        metadata = item.metadata
        if not metadata or METADATA_KEY not in metadata or metadata[METADATA_KEY] != marker:
            return
        declined = self._refused(item)
        if declined is None:
            self._live.append(item)
        else:
            self._declined = self._declined or declined

    def say(self, read: Callable[[T], Any]) -> Probed:
        """Answer, once everything was considered."""
        match self._live:
            case [one]:
                return Found(read(one)) if self._on_its_way(one) is None else self._pending(one)
            case [_, _, *_]:
                return CannotTell(f"it happened more than once: {', '.join(item.id for item in self._live)}")
        if self._declined is not None:
            raise self._declined
        return Absent()


def _alone[T: _Marked](item: T, marker: str, verdict: _Verdict[T], read: Callable[[T], Any]) -> Probed:
    """Judge the one object that is known to be this call's."""
    verdict.consider(item, marker)
    answer = verdict.say(read)
    return CannotTell(f"{item.id} does not have the marker {marker!r}") if isinstance(answer, Absent) else answer


async def _scan[T: _Marked](
    page: Callable[[str | None], Awaitable[Any]],
    marker: str,
    max_pages: int,
    what: str,
    verdict: _Verdict[T],
    read: Callable[[T], Any],
) -> Probed:
    """Read page after page, newest first, to the end: a second object under the marker must not go unseen."""
    after: str | None = None
    for _ in range(max_pages):
        listed = await page(after)
        for item in listed.data:
            verdict.consider(item, marker)
        if not listed.has_more or not listed.data:
            return verdict.say(read)
        after = listed.data[-1].id
    return CannotTell(f"more than {max_pages * _PAGE} {what} since then; narrow the probe, search, or raise max_pages")


def refused_payment(intent: stripe.PaymentIntent) -> Declined | None:
    """Return the decline that a payment intent stands for; ``None`` if it happened, or may yet.

    One that never had a payment method may yet: its customer may still give one, in a browser.
    """
    error = getattr(intent, "last_payment_error", None)
    if intent.status == "requires_payment_method" and error is not None:
        code = _maybe(error, "decline_code") or _maybe(error, "code") or "card_declined"
        return Declined(_maybe(error, "message") or f"payment intent {intent.id} was declined", code)
    if intent.status == "canceled":
        return Declined(f"payment intent {intent.id} was canceled: {_maybe(intent, 'cancellation_reason')}", "canceled")
    return None


def payment_on_its_way(intent: stripe.PaymentIntent, *, authorised: bool) -> str | None:
    """Say why it is not known yet whether this payment happens; ``None`` if it has. What is not listed has not."""
    if intent.status == "succeeded" or (authorised and intent.status == "requires_capture"):
        return None
    return f"payment intent {intent.id} is {intent.status}: {_WAITS.get(intent.status, _WAITS_FOR_STRIPE)}"


def refund_on_its_way(refund: stripe.Refund, *, accepted: bool) -> str | None:
    """Say why it is not known yet whether this refund happens; ``None`` if it has."""
    if refund.status == "succeeded" or (accepted and refund.status in ("pending", None)):
        return None
    return f"refund {refund.id} is {refund.status or 'pending'}, and may still fail"


_WAITS = {
    "requires_payment_method": "its customer has yet to give a payment method",
    "requires_action": "its customer has yet to confirm it",
    "requires_confirmation": "nobody has confirmed it",
    "requires_capture": "it is authorised and not captured; payment_of(..., authorised=True) takes that for done",
    "processing": "its bank has yet to answer",
}
_WAITS_FOR_STRIPE = "it is not final"


def refused_refund(refund: stripe.Refund) -> Declined | None:
    """Return the decline that a refund stands for; ``None`` if it happened, or may yet."""
    if refund.status in ("failed", "canceled"):
        return Declined(f"refund {refund.id}: {refund.status}", _maybe(refund, "failure_reason") or refund.status)
    return None


def _seconds(since_ms: int, margin_s: float) -> int:
    return max(0, int(since_ms / 1000 - margin_s))


def _given(params: dict[str, Any]) -> Any:
    """Leave out what is ``None``: the SDK would send it as empty."""
    return {name: value for name, value in params.items() if value is not None}


def _maybe(item: stripe.StripeObject, name: str) -> str | None:
    """Return a field that Stripe leaves out of the object when it has nothing to say there."""
    value = getattr(item, name, None)
    return None if value is None else str(value)


def _id_of(expandable: Any) -> str | None:
    """Return the id of what may or may not be expanded to the whole object."""
    return expandable if expandable is None or isinstance(expandable, str) else str(expandable.id)
