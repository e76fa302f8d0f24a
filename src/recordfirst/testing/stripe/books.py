"""The account's books: payments, and what happens to them. Pure state, no I/O; the time is an argument.

The states of a payment intent are those of https://docs.stripe.com/payments/paymentintents/lifecycle. The cost of
every operation grows at most with the logarithm of the number of objects.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import msgspec

from recordfirst.testing.stripe.cards import (
    AUTHENTICATION_REQUIRED,
    BANK_DECLINED,
    GENERIC,
    MAXIMUM_AMOUNT,
    MINIMUM_AMOUNTS,
    NOT_AUTHENTICATED,
    PAYMENT_METHODS,
    Behaviour,
    Decline,
)
from recordfirst.testing.stripe.disputes import Disputes
from recordfirst.testing.stripe.ledger import StoredReply
from recordfirst.testing.stripe.log import Agenda, Delays, EventLog, StripeObject
from recordfirst.testing.stripe.objects import Charge, PaymentIntent, StripeTimeline
from recordfirst.testing.stripe.payouts import Payouts
from recordfirst.testing.stripe.refunds import Refunds
from recordfirst.testing.stripe.wire import Refusal, invalid

_CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_CANCELABLE = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action", "processing")


class Books:
    """One simulator's objects."""

    def __init__(self, delays: Delays | None = None, *, livemode: bool = False) -> None:
        self.intents: dict[str, PaymentIntent] = {}
        self.timeline = StripeTimeline[PaymentIntent]()
        self.by_customer: dict[str, StripeTimeline[PaymentIntent]] = {}
        self.by_metadata: dict[tuple[str, str], list[tuple[int, PaymentIntent]]] = {}
        """The payment intents, each with its time of creation in milliseconds, which says when search finds it."""
        self.charges: dict[str, Charge] = {}
        self.entries: list[StoredReply] = []
        self.events, self.agenda = EventLog(), Agenda()
        self.delays, self.livemode = delays or Delays(), livemode
        self.disputes = Disputes(self)
        self.refunds = Refunds(self)
        self.payouts = Payouts(self)
        self._count = 0

    # ── payments ────────────────────────────────────────────────────────────

    def create_intent(self, draft: dict[str, Any], now_ms: int, account: str = "") -> PaymentIntent:
        """Open a payment intent; no money moves."""
        amount, currency = draft["amount"], draft["currency"]
        if amount < MINIMUM_AMOUNTS[currency]:
            raise invalid(
                f"Amount must be at least {MINIMUM_AMOUNTS[currency]} {currency} in the currency's smallest unit",
                code="amount_too_small",
                param="amount",
            )
        if amount > MAXIMUM_AMOUNT:
            raise invalid(f"Amount must be no more than {MAXIMUM_AMOUNT}", code="amount_too_large", param="amount")
        id = self.new_id("pi")
        intent = PaymentIntent(
            id=id, client_secret=f"{id}_secret_sim", created=now_ms // 1000, livemode=self.livemode, **draft
        )
        if intent.payment_method is not None:
            _known_method(intent.payment_method)
            intent.status = "requires_confirmation"
        if account:
            self.events.accounts[id] = account
        self.intents[id] = intent
        self.timeline.add(intent)
        if intent.customer is not None:
            self.by_customer.setdefault(intent.customer, StripeTimeline()).add(intent)
        for pair in intent.metadata.items():
            self.by_metadata.setdefault(pair, []).append((now_ms, intent))
        self.tell("payment_intent.created", intent, now_ms)
        return intent

    def confirm(
        self,
        intent: PaymentIntent,
        method: str | None,
        *,
        key: str,
        now_ms: int,
        decline: bool,
        refuses_action: bool = False,
        return_url: str | None = None,
    ) -> PaymentIntent:
        """Charge the card, or authorise it, or wait for the customer or a bank, as the payment method says.

        Raises:
            Refusal: 402 if the issuer declines. The intent remains, and waits for another payment method.
        """
        if intent.status not in _CONFIRMABLE:
            raise invalid(
                "You cannot confirm this PaymentIntent because it has already succeeded after being previously "
                "confirmed."
                if intent.status == "succeeded"
                else f"You cannot confirm this PaymentIntent because it has a status of {intent.status}.",
                code="payment_intent_unexpected_state",
            )
        method = method or intent.payment_method
        if method is None:
            raise invalid(
                "You cannot confirm this PaymentIntent because it's missing a payment method.",
                code="payment_intent_unexpected_state",
            )
        behaviour = _known_method(method)
        answer = behaviour.answer or (GENERIC if decline else None)
        if answer == "requires_action" and refuses_action:
            answer = AUTHENTICATION_REQUIRED
        if isinstance(answer, Decline):
            raise self._decline(intent, method, answer, key, now_ms)
        intent.payment_method, intent.last_payment_error = method, None
        intent.payment_method_types = (behaviour.type,)
        if answer is None:
            return self._take(intent, key, now_ms)
        intent.status = answer
        if answer == "requires_action":
            intent.next_action = _next_action(intent, return_url)
            self.tell("payment_intent.requires_action", intent, now_ms)
            return intent
        charge = self._charge(intent, "pending", now_ms)
        self.tell("charge.pending", charge, now_ms)
        self.tell("payment_intent.processing", intent, now_ms)
        if not behaviour.for_ever:
            self.agenda.after(now_ms, self.delays.bank_s, partial(self._bank_answers, intent))
        return intent

    def complete(self, id: str, now_ms: int) -> PaymentIntent:
        """Give an intent what it waits for: its customer confirms, its bank pays, or it is captured.

        If its card is one that declines after the confirmation, it is declined.
        """
        intent = self.find(id)
        match intent.status:
            case "requires_capture":
                return self.capture(intent, None, now_ms=now_ms)
            case "requires_action":
                then = PAYMENT_METHODS[intent.payment_method or ""].then
                return self._take(intent, "", now_ms) if then is None else self._fail(intent, then, now_ms)
            case "processing":
                return self._take(intent, "", now_ms)
        raise invalid(f"This PaymentIntent does not wait for anything: it has a status of {intent.status}.")

    def fail(self, id: str, now_ms: int) -> PaymentIntent:
        """Refuse an intent what it waits for: its customer does not pass 3-D Secure, or its bank declines."""
        intent = self.find(id)
        match intent.status:
            case "requires_action":
                return self._fail(intent, NOT_AUTHENTICATED, now_ms)
            case "processing":
                return self._fail(intent, PAYMENT_METHODS[intent.payment_method or ""].then or BANK_DECLINED, now_ms)
        raise invalid(f"This PaymentIntent cannot fail: it has a status of {intent.status}.")

    def capture(self, intent: PaymentIntent, amount: int | None, *, key: str = "", now_ms: int) -> PaymentIntent:
        """Take the money that is held, or a part of it; the rest is released."""
        if intent.status != "requires_capture":
            raise invalid(
                f"This PaymentIntent could not be captured because it has a status of {intent.status}. Only a "
                "PaymentIntent with one of the following statuses may be captured: requires_capture.",
                code="payment_intent_unexpected_state",
            )
        amount = amount or intent.amount_capturable
        if amount > intent.amount_capturable:
            raise invalid(
                f"The amount could not be captured because it exceeds the remaining amount available to capture: "
                f"{intent.amount_capturable}.",
                code="amount_too_large",
                param="amount_to_capture",
            )
        return self._collect(intent, amount, key, now_ms)

    def cancel(self, intent: PaymentIntent, reason: str | None, now_ms: int) -> PaymentIntent:
        """Cancel a payment before its money has moved; the money that is held is released."""
        if intent.status not in _CANCELABLE:
            raise invalid(
                f"You cannot cancel this PaymentIntent because it has a status of {intent.status}. Only a "
                f"PaymentIntent with one of the following statuses may be canceled: {', '.join(_CANCELABLE)}.",
                code="payment_intent_unexpected_state",
            )
        return self._end(intent, reason, now_ms)

    def expire(self, id: str, now_ms: int) -> PaymentIntent:
        """Let an authorisation expire: Stripe cancels it by itself."""
        intent = self.find(id)
        if intent.status != "requires_capture":
            raise invalid(f"This PaymentIntent holds nothing: it has a status of {intent.status}.")
        self.tell("charge.expired", self.charges[intent.latest_charge or ""], now_ms)
        return self._end(intent, "automatic", now_ms)

    def find(self, id: str, param: str = "intent", status: int = 404) -> PaymentIntent:
        """Look up a payment intent."""
        if id not in self.intents:
            raise invalid(f"No such payment_intent: '{id}'", code="resource_missing", param=param, status=status)
        return self.intents[id]

    def charge_of(self, id: str) -> Charge:
        """Look up a charge."""
        if id not in self.charges:
            raise invalid(f"No such charge: '{id}'", code="resource_missing", param="charge", status=404)
        return self.charges[id]

    def _end(self, intent: PaymentIntent, reason: str | None, now_ms: int) -> PaymentIntent:
        intent.status, intent.next_action, intent.amount_capturable = "canceled", None, 0
        intent.canceled_at, intent.cancellation_reason = now_ms // 1000, reason
        self.tell("payment_intent.canceled", intent, now_ms)
        return intent

    def _bank_answers(self, intent: PaymentIntent, now_ms: int) -> None:
        if intent.status == "processing":
            then = PAYMENT_METHODS[intent.payment_method or ""].then
            if then is None:
                self._take(intent, "", now_ms)
            else:
                self._fail(intent, then, now_ms)

    def _hold_ends(self, intent: PaymentIntent, now_ms: int) -> None:
        if intent.status == "requires_capture":
            self.expire(intent.id, now_ms)

    def _customer_disputes(self, intent: PaymentIntent, how: Behaviour, now_ms: int) -> None:
        reason = how.disputed or "general"
        self.disputes.open(intent, amount=None, reason=reason, now_ms=now_ms, is_inquiry=how.inquiry)

    def _take(self, intent: PaymentIntent, key: str, now_ms: int) -> PaymentIntent:
        """The issuer, or the bank, has approved the payment."""
        was_pending = intent.status == "processing"
        intent.next_action = None
        charge = self.charges[intent.latest_charge or ""] if was_pending else self._charge(intent, "succeeded", now_ms)
        charge.status, charge.paid = "succeeded", True
        if intent.capture_method == "manual":
            intent.status, intent.amount_capturable = "requires_capture", intent.amount
            self.tell("charge.succeeded", charge, now_ms)
            self.tell("payment_intent.amount_capturable_updated", intent, now_ms)
            self.agenda.after(now_ms, self.delays.hold_s, partial(self._hold_ends, intent))
            return intent
        return self._collect(intent, intent.amount, key, now_ms)

    def _collect(self, intent: PaymentIntent, amount: int, key: str, now_ms: int) -> PaymentIntent:
        charge = self.charges[intent.latest_charge or ""]
        held = intent.status == "requires_capture"
        charge.captured, charge.amount_captured = True, amount
        intent.status, intent.amount_capturable, intent.amount_received = "succeeded", 0, amount
        self.enter("charge", intent, key, now_ms, amount=amount)
        self.tell("charge.captured" if held else "charge.succeeded", charge, now_ms)
        self.tell("payment_intent.succeeded", intent, now_ms)
        behaviour = PAYMENT_METHODS[intent.payment_method or ""]
        if behaviour.disputed is not None:
            self.agenda.after(now_ms, self.delays.dispute_s, partial(self._customer_disputes, intent, behaviour))
        return intent

    def _fail(self, intent: PaymentIntent, no: Decline, now_ms: int) -> PaymentIntent:
        """The customer or the bank has refused what the intent waited for."""
        method = intent.payment_method or ""
        charge = self.charges[intent.latest_charge or ""] if intent.status == "processing" else None
        self._refuse(intent, method, no, now_ms, charge)
        return intent

    def _decline(self, intent: PaymentIntent, method: str, no: Decline, key: str, now_ms: int) -> Refusal:
        """Return the 402 that reports a decline."""
        error = self._refuse(intent, method, no, now_ms, None, key)
        return Refusal(402, error | {"payment_intent": msgspec.to_builtins(intent)})

    def _refuse(
        self, intent: PaymentIntent, method: str, no: Decline, now_ms: int, charge: Charge | None, key: str = ""
    ) -> dict[str, Any]:
        """Store a decline in the intent, as Stripe does, and return its error."""
        intent.payment_method = method
        charge = charge or self._charge(intent, "failed", now_ms)
        charge.status, charge.failure_code, charge.failure_message = "failed", no.code, no.message
        intent.status, intent.payment_method, intent.next_action = "requires_payment_method", None, None
        error: dict[str, Any] = {
            "charge": intent.latest_charge,
            "code": no.code,
            "decline_code": no.decline_code,
            "doc_url": f"https://docs.stripe.com/error-codes/{no.code.replace('_', '-')}",
            "message": no.message,
            "payment_method": {"id": method, "object": "payment_method", "type": PAYMENT_METHODS[method].type},
            "type": "card_error",
        }
        intent.last_payment_error = error
        self.enter("decline", intent, key, now_ms, amount=intent.amount, code=no.decline_code)
        self.tell("charge.failed", charge, now_ms)
        self.tell("payment_intent.payment_failed", intent, now_ms)
        return error

    def _charge(self, intent: PaymentIntent, status: Literal["succeeded", "pending", "failed"], now_ms: int) -> Charge:
        charge = Charge(
            id=self.new_id("ch"),
            amount=intent.amount,
            created=now_ms // 1000,
            currency=intent.currency,
            customer=intent.customer,
            livemode=self.livemode,
            metadata=intent.metadata,
            payment_intent=intent.id,
            payment_method=intent.payment_method,
            status=status,
        )
        self.charges[charge.id] = charge
        intent.latest_charge = charge.id
        return charge

    # ── shared by all of the above ──────────────────────────────────────────

    def tell(self, type: str, made: StripeObject, now_ms: int) -> None:
        """Create an event for a change."""
        self.events.tell(type, made, now_ms, livemode=self.livemode)

    def enter(
        self,
        kind: Any,
        intent: PaymentIntent,
        key: str,
        now_ms: int,
        *,
        amount: int,
        id: str | None = None,
        metadata: dict[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        """Add an entry to the ledger: money moved, or was declined."""
        self.entries.append(
            StoredReply(
                kind=kind,
                id=id or intent.latest_charge or "",
                payment_intent=intent.id,
                amount_minor=amount,
                currency=intent.currency,
                metadata=intent.metadata if metadata is None else metadata,
                key=key,
                created_ms=now_ms,
                code=code,
            )
        )

    def new_id(self, prefix: str) -> str:
        """The id of a new object."""
        self._count += 1
        return f"{prefix}_sim{self._count:021d}"


def _next_action(intent: PaymentIntent, return_url: str | None) -> dict[str, Any]:
    """The next action of the browser: go to an address, or let Stripe.js act, with the client secret."""
    if return_url is None:
        return {"type": "use_stripe_sdk"}
    url = f"https://hooks.stripe.com/3d_secure_2/hosted?merchant=acct_sim&payment_intent={intent.id}"
    return {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}}


def _known_method(id: str) -> Behaviour:
    if id not in PAYMENT_METHODS:
        raise invalid(f"No such PaymentMethod: '{id}'", code="resource_missing", param="payment_method")
    return PAYMENT_METHODS[id]
