"""A small model of the world, for tests: a provider, a record's receipt, executors, and the history of what happened.

Pure: the time is an argument, and what a provider does with a call is said by the caller. The property tests drive
``decide`` against it and judge the history by ``invariants``; the record's own ``change_receipt`` is compared with
:func:`changed`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import msgspec

from recordfirst.core import decide as d
from recordfirst.core.receipt import Change, NewReceipt, Receipt

# ── history ─────────────────────────────────────────────────────────────────


class Written(msgspec.Struct, frozen=True):
    """The write's receipt ``key`` was committed."""

    key: str


class Stored(msgspec.Struct, frozen=True):
    """A receipt became this."""

    receipt: Receipt


class Resolved(msgspec.Struct, frozen=True):
    """An operator said what became of an effect; the next ``Stored`` of it is their word."""

    key: str
    attempt: int


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """A call went out. ``after`` is the write that it depends on."""

    key: str
    attempt: int
    request: str
    after: str | None = None


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """A call had its effect."""

    key: str
    attempt: int


type ModelEvent = Written | Stored | Resolved | Called | Applied


# ── the provider ────────────────────────────────────────────────────────────


type Deed = Literal["apply", "decline", "fail", "apply and fail", "refuse"]
"""What a provider does with a call, unless it knows the key. To refuse (429) comes before that, and stores nothing."""

type Final = Literal["succeeded", "declined"]
type Answer = Literal["succeeded", "declined", "failed", "refused"]


class _Kept(msgspec.Struct, frozen=True):
    answer: Answer
    request: str
    since_ms: int


class ModelProvider:
    """Applies calls; keeps each answer, 500s too, under the call's key for ``retention_ms`` of its own clock.

    ``retention_ms=None``: it takes no keys, so each call is another effect. :meth:`find` sees what a call did
    ``lag_ms`` later.
    """

    def __init__(self, *, retention_ms: int | None, lag_ms: int = 0) -> None:
        self.retention_ms, self.lag_ms = retention_ms, lag_ms
        self.applied: list[tuple[str, int]] = []
        """Marker and time of each effect."""
        self._kept: dict[str, _Kept] = {}

    def call(self, *, key: str, marker: str, request: str, now_ms: int, deed: Deed) -> tuple[Answer, bool]:
        """Take one call; return the answer, and whether it is one that the key repeats from now on."""
        if deed == "refuse":
            return "refused", False
        kept = self._kept.get(key)
        if self.retention_ms is not None and kept is not None and now_ms < kept.since_ms + self.retention_ms:
            return ("declined" if kept.request != request else kept.answer), True
        answer: Answer
        match deed:
            case "decline":
                answer = "declined"
            case "fail":
                answer = "failed"
            case "apply":
                answer = "succeeded"
            case "apply and fail":
                answer = "failed"
        if deed in ("apply", "apply and fail"):
            self.applied.append((marker, now_ms))
        if self.retention_ms is not None:
            self._kept[key] = _Kept(answer, request, now_ms)
        return answer, self.retention_ms is not None

    def find(self, marker: str, now_ms: int) -> bool:
        """Tell whether a call that left ``marker`` is seen to have had its effect."""
        return any(left == marker and now_ms >= at_ms + self.lag_ms for left, at_ms in self.applied)


# ── the record ──────────────────────────────────────────────────────────────


def intended(intent: NewReceipt, *, claim: str, claim_ms: int, now_ms: int) -> Receipt:
    """The receipt of a new intent, with its first call begun, as ``Session.intend`` stores it."""
    return Receipt(
        **{name: getattr(intent, name) for name in NewReceipt.__struct_fields__},
        revision=1,
        created_at_ms=now_ms,
        calls=1,
        doubts=1,
        claim=claim,
        claim_until_ms=now_ms + claim_ms,
        key_since_ms=now_ms,
        last_call_at_ms=now_ms,
    )


def changed(stored: Receipt, seen: Receipt, change: Change, now_ms: int) -> Receipt | None:
    """The receipt after ``Session.change_receipt(seen, change)``; ``None`` if ``stored`` is another revision by now."""
    if stored.revision != seen.revision:
        return None
    if change.claim is None:
        claim_until_ms = None
    elif change.claim_for_ms is None:
        claim_until_ms = stored.claim_until_ms
    else:
        claim_until_ms = now_ms + change.claim_for_ms
    final = change.state in ("declined", "succeeded")
    return msgspec.structs.replace(
        stored,
        revision=stored.revision + 1,
        state=change.state,
        calls=change.calls,
        doubts=change.doubts,
        replayed=change.replayed,
        reissue=change.reissue,
        claim=change.claim,
        claim_until_ms=claim_until_ms,
        key_since_ms=now_ms if change.restart_key_age else stored.key_since_ms,
        last_call_at_ms=now_ms if change.begins_call else stored.last_call_at_ms,
        next_at_ms=_next_at_ms(stored, change, now_ms),
        settled_at_ms=(stored.settled_at_ms or now_ms) if final else None,
        result=change.result,
        reply=change.reply,
        error=change.error,
        parked_on=change.parked_on,
        undone_by=change.undone_by,
        pending_since_ms=_pending_since_ms(stored, change, now_ms),
        until_at_ms=change.until_at_ms,
    )


def _next_at_ms(stored: Receipt, change: Change, now_ms: int) -> int | None:
    if change.wait_ms is not None:
        return now_ms + change.wait_ms
    return stored.next_at_ms if change.state == "pending" else None


def _pending_since_ms(stored: Receipt, change: Change, now_ms: int) -> int | None:
    if change.state == "pending":
        return stored.pending_since_ms or now_ms
    return None if change.state == "intended" else stored.pending_since_ms


# ── executors ───────────────────────────────────────────────────────────────


class Flight(msgspec.Struct, kw_only=True, eq=False):
    """A call that went out and has not arrived."""

    key: str
    marker: str
    request: str
    until_ms: int
    """It cannot arrive later."""


class Executor(msgspec.Struct, kw_only=True, eq=False):
    """One run of the loop in ``execution/effect_runner.py``, stopped between two of its lines."""

    stage: Literal["idle", "decided", "begun", "waiting", "answered", "probed"] = "idle"
    seen: Receipt | None = None
    looked_at_ms: int = 0
    action: d.Action | None = None
    claim: str = ""
    flight: Flight | None = None
    answer: Answer | Literal["unknown"] = "unknown"
    repeats: bool = False
    found: bool = False


class ModelWorld:
    """One effect, its receipt, its provider, and executors that know of each other only through the receipt.

    Each method is one step, and any may be the last of its executor (:meth:`crash`). Assumed, as by ``decide``: a call
    is sent before its claim runs out, and arrives within ``arrives_ms`` after that; the margin is longer than both and
    the clocks' difference together.
    """

    def __init__(self, guarantee: d.Guarantee, provider: ModelProvider, *, executors: int = 3, claim_ms: int) -> None:
        self.guarantee, self.provider, self.claim_ms = guarantee, provider, claim_ms
        self.executors = [Executor() for _ in range(executors)]
        self.now_ms = 1_000_000
        self.ahead_ms = 0
        """By how much the provider's clock is ahead of the record's."""
        self.receipt: Receipt | None = None
        self.flights: list[Flight] = []
        self.history: list[ModelEvent] = []
        self._claims = 0

    def write(self) -> None:
        """Commit the write that the effect depends on."""
        self.history.append(Written("order:1/insert"))

    def advance(self, ms: int) -> None:
        """Let time pass; calls whose time runs out have not arrived."""
        self.now_ms += ms
        self.flights = [flight for flight in self.flights if self.now_ms < flight.until_ms]

    def step(self, who: Executor, *, deed: Deed = "apply", reply: bool = True, hook: bool = True) -> None:
        """Let an executor take its next step: what the provider does, whether its reply comes, and ``on_success``."""
        match who.stage:
            case "idle":
                self._look(who)
            case "decided":
                self._act(who)
            case "begun":
                self._send(who)
            case "waiting" if who.flight in self.flights:
                self.arrive(who.flight, deed, reply=reply)
            case "waiting":
                who.answer, who.repeats, who.stage = "unknown", False, "answered"
            case "answered":
                self._store_answer(who, hook=hook)
            case "probed":
                self._store_probe(who)

    def give_up_waiting(self, who: Executor) -> None:
        """The connection breaks or the time is up; what was sent may still arrive."""
        if who.stage == "waiting":
            who.answer, who.repeats, who.stage = "unknown", False, "answered"

    def crash(self, who: Executor) -> None:
        """Forget all that an executor has not stored."""
        who.stage, who.flight, who.seen, who.action = "idle", None, None, None

    def resolve(self) -> None:
        """An operator who knows the truth answers, once nothing is on its way."""
        assert self.receipt is not None
        if self.receipt.state == "unknown" and not self.flights:
            self.history.append(Resolved(self.receipt.key, self.receipt.attempt))
            change = d.succeeded(self.receipt, "1") if self.provider.applied else d.resolved_not_done(self.receipt)
            self._change(self.receipt, change)

    def arrive(self, flight: Flight, deed: Deed, *, reply: bool) -> None:
        """A call reaches the provider; its reply comes back, or is lost."""
        self.flights.remove(flight)
        before = len(self.provider.applied)
        answer, repeats = self.provider.call(
            key=flight.key,
            marker=flight.marker,
            request=flight.request,
            now_ms=self.now_ms + self.ahead_ms,
            deed=deed,
        )
        if len(self.provider.applied) > before:
            self.history.append(Applied(key="order:1:charge", attempt=1))
        for who in self.executors:
            if who.flight is flight and who.stage == "waiting" and reply:
                who.answer, who.repeats, who.stage = answer, repeats, "answered"

    # ── the loop of effect_runner.py ────────────────────────────────────────────────

    def _look(self, who: Executor) -> None:
        if self.receipt is None:
            if Written("order:1/insert") in self.history:
                who.claim = self._new_claim()
                self._now_is(intended(_INTENT, claim=who.claim, claim_ms=self.claim_ms, now_ms=self.now_ms))
                who.seen, who.stage = self.receipt, "begun"
            return
        who.seen, who.looked_at_ms = self.receipt, self.now_ms
        who.action = d.decide(who.seen, who.looked_at_ms, self.guarantee)
        if isinstance(who.action, (d.MakeCall, d.Probe, d.Settle, d.GiveUp)):
            who.stage = "decided"

    def _act(self, who: Executor) -> None:
        assert who.seen is not None
        who.stage = "idle"
        match who.action:
            case d.MakeCall():
                who.claim = self._new_claim()
                begun = self._change(who.seen, d.begin_call(who.seen, claim=who.claim, claim_ms=self.claim_ms))
                if begun is not None and d.may_send(begun, self.guarantee):
                    who.seen, who.stage = begun, "begun"
                elif begun is not None:
                    self._change(begun, d.not_done(begun, "slept", 0, claim=who.claim))
            case d.Probe():
                who.found, who.stage = self.provider.find("marker", self.now_ms + self.ahead_ms), "probed"
            case d.Settle():
                answer: Final = "declined" if who.seen.reply == "declined" else "succeeded"
                self._store_final(who.seen, answer, hook=True, claim=None)
            case d.GiveUp():
                self._change(who.seen, d.unknown(who.seen, "nothing tells"))

    def _send(self, who: Executor) -> None:
        assert who.seen is not None
        receipt, claimed_until_ms = who.seen, (who.seen.last_call_at_ms or 0) + self.claim_ms
        if self.now_ms >= claimed_until_ms:
            return self.crash(who)
        until_ms = claimed_until_ms + self.guarantee.arrives_ms
        who.flight = Flight(key=f"key~{receipt.reissue}", marker="marker", request=receipt.request, until_ms=until_ms)
        who.stage = "waiting"
        self.flights.append(who.flight)
        self.history.append(
            Called(key=receipt.key, attempt=receipt.attempt, request=receipt.request, after="order:1/insert")
        )
        return None

    def _store_answer(self, who: Executor, *, hook: bool) -> None:
        assert who.seen is not None
        claim, repeats, who.stage = who.claim, who.repeats, "idle"
        match who.answer:
            case "declined" if not d.speaks_for_all(who.seen, self.guarantee):
                alone = partial(d.declined_alone, error="no", wait_ms=10, guarantee=self.guarantee, claim=claim)
                self._store(who.seen, "declined", alone)
            case "succeeded" | "declined":
                self._store_final(who.seen, who.answer, hook=hook, claim=claim)
            case "refused":
                self._store(who.seen, "not done", lambda r: d.not_done(r, "429", 10, claim=claim))
            case "failed" | "unknown":
                self._store(who.seen, "unknown", lambda r: d.in_doubt(r, "5xx", 10, claim=claim, replayed=repeats))

    def _store_probe(self, who: Executor) -> None:
        assert who.seen is not None
        who.stage = "idle"
        if who.found:
            self._store(who.seen, "succeeded", lambda r: d.succeeded(r, "1"))
        else:
            self._change(who.seen, d.absent(who.seen, who.looked_at_ms, self.guarantee))

    def _store_final(self, asked: Receipt, answer: Final, *, hook: bool, claim: str | None) -> None:
        if not hook:
            self._store(asked, answer, lambda r: d.replied(r, answer, "on_success failed"))
        elif answer == "succeeded":
            self._store(
                asked, answer, lambda r: d.succeeded(r, "1", doubts=d.others_in_doubt(r, self.guarantee, claim))
            )
        else:
            self._store(asked, answer, lambda r: d.declined(r, "no"))

    def _store(self, asked: Receipt, outcome: d.OutcomeState, change_of: Callable[[Receipt], Change]) -> None:
        if self._change(asked, change_of(asked)) is None:
            assert self.receipt is not None
            if d.still_counts(outcome, asked, self.receipt):
                self._change(self.receipt, change_of(self.receipt))

    def _change(self, seen: Receipt, change: Change) -> Receipt | None:
        assert self.receipt is not None
        after = changed(self.receipt, seen, change, self.now_ms)
        if after is not None:
            self._now_is(after)
        return after

    def _now_is(self, receipt: Receipt) -> None:
        self.receipt = receipt
        self.history.append(Stored(receipt))

    def _new_claim(self) -> str:
        self._claims += 1
        return f"worker/{self._claims}"


_INTENT = NewReceipt(
    key="order:1:charge",
    kind="effect",
    function="charge",
    workflow="order:1",
    state="intended",
    fingerprint="f",
    request='{"amount":1999}',
)
