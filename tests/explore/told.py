"""Workflows whose bank tells by itself what it has decided, and takes back what had succeeded.

Whatever it tells comes twice, late, never, in another order or before the reply of the call, and each story ends the
same way: one row for each event, and one for each reversal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from recordfirst import (
    Absent,
    Call,
    Context,
    Declined,
    Found,
    Pending,
    ProviderEvent,
    Reversal,
    TakenBack,
    Write,
    effect,
    inject,
    on_event,
    workflow,
    write,
)
from recordfirst.demo.shop import sql
from recordfirst.explore import Case, NewEvent
from recordfirst.testing import Asked, Outside
from tests.explore import stories
from tests.explore.stories import ORDER, Bank, Order, Others, close_order, insert_order

TABLES = f"""
{stories.TABLES}
CREATE TABLE notes (event TEXT NOT NULL, type TEXT NOT NULL);
CREATE TABLE taken_back (order_id TEXT NOT NULL, kind TEXT NOT NULL, amount INTEGER NOT NULL);
CREATE TABLE givings (order_id TEXT NOT NULL, outcome TEXT NOT NULL);
"""
_SECOND_MS = 1_000
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_YEAR_S = 365 * 24 * 3_600.0


class TellingBank(Bank, frozen=True, kw_only=True):
    """Tells what it decides, and says what takes back what had succeeded."""

    name: str = "telling"
    decides_ms: int | None = 3 * _HOUR_MS
    """How long it takes to decide; ``None``: for ever."""
    takes_back: tuple[tuple[str, int], ...] = ()
    """What others do behind that: a type of event, and how long after the call."""

    def decided_ms(self, asked: Asked) -> int | None:
        """When it has decided about a debit."""
        return None if self.decides_ms is None else asked.at_ms + self.decides_ms

    def references(self, result: Any) -> Mapping[str, str]:
        """A debit is known by its result."""
        return {"debit": str(result)}

    async def taken_back(self, get: Any, references: Mapping[str, str]) -> list[TakenBack]:
        """What takes back one debit: refunds of ours, too."""
        outside: Outside = await get(Outside)
        ids = set(references.values())
        debit = next((asked for asked in outside.applied if asked.kind == "debit" and asked.result in ids), None)
        if debit is None:
            return []
        since = {what: debit.at_ms + after_ms for what, after_ms in self.takes_back}
        since = {what: at_ms for what, at_ms in since.items() if at_ms <= outside.now_ms()}
        found = []
        if "debit.returned" in since:
            found.append(_taken("return", "stands", debit.request, since["debit.returned"]))
        if "refund.made" in since:
            found.append(_taken("refund", "stands", 100, since["refund.made"]))
        if "dispute.opened" in since:
            state = "ended" if "dispute.won" in since else "stands"
            found.append(_taken("dispute", state, debit.request, since["dispute.opened"]))
        return found + [
            msgspec.structs.replace(_taken("refund", "stands", 50, asked.at_ms), id=asked.result, marker=asked.marker)
            for asked in outside.applied
            if asked.kind == "give"
        ]


def _taken(how: Any, state: Any, amount_minor: int, at_ms: int) -> TakenBack:
    return TakenBack(how=how, state=state, id=f"its {how}", amount_minor=amount_minor, currency="eur", at_ms=at_ms)


def events_of(bank: TellingBank, outside: Outside) -> Iterator[NewEvent]:
    """What it tells, and when."""
    for asked in outside.applied:
        if asked.kind == "debit":
            yield _event(bank, asked, "debit.accepted", asked.at_ms)
            decided_ms = bank.decided_ms(asked)
            if decided_ms is not None:
                yield _event(bank, asked, "debit.succeeded", decided_ms)
            for what, after_ms in bank.takes_back:
                yield _event(bank, asked, what, asked.at_ms + after_ms)
        else:
            yield _event(bank, asked, f"{asked.kind}.made", asked.at_ms)


def _event(bank: TellingBank, asked: Asked, type: str, at_ms: int) -> NewEvent:
    assert asked.marker is not None
    return NewEvent(
        provider=bank.name,
        id=f"{type} {asked.result}",
        type=type,
        at_ms=at_ms,
        markers=(asked.marker,),
        body=msgspec.json.encode({"type": type, "marker": asked.marker}).decode(),
    )


def said_of(bank: TellingBank, others: Others, call: Call) -> Found[str] | Absent | Pending:
    """What the bank says of a debit now."""
    outside = others.outside
    asked = outside.find("debit", call.marker)
    if asked is None:
        return Absent()
    if any(each.kind == "cancel" and each.request == call.marker for each in outside.applied):
        raise Declined("cancelled")
    decided_ms = bank.decided_ms(asked)
    if decided_ms is None or outside.now_ms() < decided_ms:
        return Pending({"debit": asked.result})
    return Found(asked.result)


# ── steps ───────────────────────────────────────────────────────────────────


def _debit(name: str, bank: TellingBank, **options: Any) -> Any:
    async def find(call: Call, order: Order, *, others: Others = inject()) -> Found[str] | Absent | Pending:
        del order
        return said_of(bank, others, call)

    @effect(key="order:{order.id}:" + name, name=name, provider=bank, after=insert_order, probe=find, **options)
    async def debit(call: Call, order: Order, *, others: Others = inject()) -> str | Pending:
        done = others.ask("debit", call, order.amount_minor, by=bank)
        seen = said_of(bank, others, call)
        return seen if isinstance(seen, Pending) else done

    @debit.on_success
    async def mark_debited(w: Write[Any], order: Order) -> None:
        await stories.mark(w, order, "paid")

    return debit


def _noting(bank: TellingBank) -> Any:
    @on_event(bank.name, "debit.accepted", "debit.succeeded", "debit.returned", "cancel.made", name=f"note_{bank.name}")
    async def note(w: Write[Any], event: ProviderEvent) -> None:
        # Nothing here is unique: only the handler's receipt keeps an event from being noted twice.
        await w.tx.execute(sql(w.tx, "INSERT INTO notes VALUES (?, ?)"), (event.id, event.type))

    return note


def _taking_back(debit: Any) -> None:
    @debit.on_reversal
    async def note_reversal(w: Write[Any], order: Order, reversal: Reversal) -> None:
        row = order.id, reversal.kind, reversal.amount_minor
        await w.tx.execute(sql(w.tx, "INSERT INTO taken_back VALUES (?, ?, ?)"), row)


QUICK = TellingBank(name="quick", decides_ms=_SECOND_MS, looks_s=(10 * _YEAR_S,))
"""Decides at once, and nobody asks it for years: its events are what settles."""
SLOW = TellingBank(name="slow")
RETURNING = TellingBank(name="returning", takes_back=(("debit.returned", 5 * _DAY_MS),))
DISPUTING = TellingBank(
    name="disputing",
    decides_ms=_SECOND_MS,
    takes_back=(("refund.made", _DAY_MS), ("dispute.opened", 2 * _DAY_MS), ("dispute.won", 9 * _DAY_MS)),
)
UNDECIDED = TellingBank(name="undecided", decides_ms=None)

debit_quickly = _debit("debit_quickly", QUICK)
debit_slowly = _debit("debit_slowly", SLOW)
debit_returned = _debit("debit_returned", RETURNING)
debit_disputed = _debit("debit_disputed", DISPUTING)
_taking_back(debit_returned)
_taking_back(debit_disputed)


@effect(key="order:{order.id}:cancel", provider=UNDECIDED, after=None)
async def cancel(call: Call, order: Order, pending: Pending, *, others: Others = inject()) -> str:
    """Have the bank give up what is pending."""
    del order
    marker = pending.references["debit"].removeprefix("debit ")
    return others.ask("cancel", call, marker, by=UNDECIDED)


debit_in_vain = _debit("debit_in_vain", UNDECIDED, expires_s=2 * 3_600, on_expiry=cancel)


@debit_in_vain.on_decline
async def mark_declined(w: Write[Any], order: Order, declined: Declined) -> None:
    """With the receipt, whoever has heard of it."""
    del declined
    await stories.mark(w, order, "declined")


@effect(key="order:{order.id}:give", provider=DISPUTING, after=None)
async def give(call: Call, order: Order, *, others: Others = inject()) -> str:
    """Give a part back: our own refund, which is no reversal."""
    del order
    return others.ask("give", call, 50, by=DISPUTING)


@write
async def note_giving(w: Write[Any], order: Order, outcome: str) -> None:
    """Say what was given back."""
    await w.tx.execute(sql(w.tx, "INSERT INTO givings VALUES (?, ?)"), (order.id, outcome))


# ── workflows ───────────────────────────────────────────────────────────────


def _paying(name: str, debit: Any) -> Any:
    @workflow(name=name)
    async def pays(ctx: Context, order: Order) -> str:
        await insert_order(ctx, order)
        paid: str = await debit(ctx, order)
        await close_order(ctx, order)
        return paid

    return pays


notified = _paying("notified", debit_quickly)
"""Debit at a bank that nobody asks for years: its event is what settles."""
informed = _paying("informed", debit_slowly)
"""Debit at a bank that is asked, too: whichever comes first settles, and the event may find all ended."""
returned = _paying("returned", debit_returned)
"""The money goes back when the workflow has ended long ago."""


@workflow
async def disputed(ctx: Context, order: Order) -> str:
    """A refund of ours, one of somebody else's, and a dispute that is won: three facts, and ours is none of them."""
    await insert_order(ctx, order)
    paid: str = await debit_disputed(ctx, order)
    await note_giving(ctx, order, await give(ctx, order))
    await close_order(ctx, order)
    return paid


@workflow
async def expired(ctx: Context, order: Order) -> str:
    """The bank never decides, so what is pending is cancelled there."""
    await insert_order(ctx, order)
    try:
        return str(await debit_in_vain(ctx, order))
    except Declined:
        await close_order(ctx, order)
        return "expired"


# ── cases ───────────────────────────────────────────────────────────────────


_TWICE = (
    "SELECT event FROM notes GROUP BY event HAVING count(*) > 1",
    "SELECT kind FROM taken_back GROUP BY order_id, kind HAVING count(*) > 1",
)
_NOT_SETTLED_BY_ITS_EVENT = """
SELECT receipt.key FROM recordfirst_receipt AS receipt JOIN recordfirst_event AS event
ON event.type = 'debit.succeeded' AND receipt.settled_at_ms > event.received_at_ms + 31536000000
WHERE receipt.function = 'debit_quickly'
"""


def _case(workflow: Any, bank: TellingBank, *invariants: Any) -> Case:
    def paid_too_early(record: Any, outside: Outside) -> Iterable[str]:
        """P5: paid before the bank has the money."""
        paid = record.execute("SELECT id FROM orders WHERE state IN ('paid', 'closed') AND marks > 0").fetchall()
        debits = [asked for asked in outside.applied if asked.kind == "debit"]
        times = [bank.decided_ms(asked) for asked in debits]
        if paid and bank.decides_ms is not None and not any(t is not None and t <= outside.now_ms() for t in times):
            yield "the bank has not decided"

    def taken_back_untold(record: Any, outside: Outside) -> Iterable[str]:
        """P11: each fact of the bank's, once, has its row."""
        del outside
        told = sorted(kind for (kind,) in record.execute("SELECT kind FROM taken_back").fetchall())
        wanted = sorted(_FACTS[what] for what, _ in bank.takes_back)
        if told != wanted:
            yield f"{told} instead of {wanted}"

    return Case(
        workflow=workflow,
        args=(ORDER,),
        id="order:1",
        tables=TABLES,
        provide=lambda outside: {Others: Others(outside), Outside: outside},
        events=lambda outside: events_of(bank, outside),
        event_handlers=(_noting(bank),),
        invariants=(*_TWICE, taken_back_untold, *invariants),
        always=(paid_too_early, *_TWICE),
    )


_FACTS = {
    "debit.returned": "returned",
    "refund.made": "refunded",
    "dispute.opened": "disputed",
    "dispute.won": "dispute_won",
}

CASES: dict[str, Case] = {
    "notified": _case(notified, QUICK, _NOT_SETTLED_BY_ITS_EVENT),
    "informed": _case(informed, SLOW),
    "returned": _case(returned, RETURNING),
    "disputed": _case(disputed, DISPUTING),
    "expired": _case(expired, UNDECIDED),
}
