"""P5: pending is a state: the provider has it, and will say. The workflow sleeps, and is woken by what it says."""

from __future__ import annotations

from typing import Any

import pytest

from recordfirst import (
    Absent,
    Call,
    CannotTell,
    Context,
    Declined,
    Embedded,
    Found,
    Misuse,
    NotDone,
    Pending,
    Provider,
    Unknown,
    Write,
    effect,
    inject,
    workflow,
)
from recordfirst.providers.contract import Probed
from recordfirst.worker import looker
from recordfirst.worker.looker import PendingLooker
from tests.effects.harness import ORDER, Order, Plug, Script, mark, orders, pass_time, receipt, until
from tests.effects.program import OutOfStockError, insert_order

KEY = "order:1:charge"
BANK = Provider(name="bank", retention_s=24 * 3600, arrives_within_s=0, looks_per_s=1000)
WAITS = Pending({"intent": "pi_1", "charge": "ch_1"}, show={"secret": "s"})


class Asked(Script):
    """What the provider says when it is asked."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(*answers)
        self.last: Any = Absent()

    def say(self, call: Call) -> Any:
        self.calls.append(call)
        self.last = self.answers.pop(0) if self.answers else self.last
        if isinstance(self.last, Exception):
            raise self.last
        return self.last


class Cancels(Script):
    """What the provider says when it is to cancel."""


async def ask(call: Call, order: Order, *, asked: Asked = inject(), plug: Plug = inject()) -> Probed:
    plug("asking")
    found: Probed = asked.say(call)
    plug("asked")
    return found


@effect(key="order:{order.id}:cancel", provider=BANK, after=insert_order)
async def cancel_charge(
    call: Call, order: Order, pending: Pending, *, cancels: Cancels = inject(), plug: Plug = inject()
) -> str:
    plug("cancel calling")
    answer = str(cancels.next(call))
    plug("cancel applied")
    return f"{answer} {pending.references['intent']}"


@effect(key="order:{order.id}:refund", provider=BANK, after=insert_order)
async def refund(call: Call, order: Order, result: str, *, plug: Plug = inject()) -> str:
    plug(f"refund {result}")
    return "refunded"


def _charge(**options: Any) -> Any:
    @effect(key="order:{order.id}:charge", provider=BANK, after=insert_order, probe=ask, name="charge", **options)
    async def charge(call: Call, order: Order, *, script: Script = inject(), plug: Plug = inject()) -> str | Pending:
        plug("calling")
        answer: str | Pending = script.next(call)
        plug("called")
        return answer

    @charge.on_pending
    async def mark_pending(w: Write, order: Order, pending: Pending, *, plug: Plug = inject()) -> None:
        await mark(w, order.id, f"awaits {pending.show['secret']}")
        plug("in on_pending")

    @charge.on_success
    async def mark_paid(w: Write, order: Order, result: str, *, plug: Plug = inject()) -> None:
        await mark(w, order.id, f"paid {result}")
        plug("in on_success")

    @charge.on_decline
    async def mark_declined(w: Write, order: Order, declined: Declined) -> None:
        await mark(w, order.id, f"declined {declined.reason}")

    return charge


def _ordering(charge: Any, *, fails: bool = False) -> Any:
    @workflow(name="ordering", fails=OutOfStockError)
    async def ordering(ctx: Context, order: Order) -> str:
        await insert_order(ctx, order)
        try:
            result = await charge(ctx, order)
        except Declined as declined:
            return f"declined: {declined.reason}"
        if fails:
            raise OutOfStockError("out of stock")
        return str(result)

    return ordering


charge = _charge()
ordering = _ordering(charge)
expiring = _charge(expires_s=3600, on_expiry=cancel_charge)
ordering_for_an_hour = _ordering(expiring)


def given(*answers: Any, calls: Any = (WAITS,), cancels: Any = ()) -> dict[Any, Any]:
    return {Script: Script(*calls), Asked: Asked(*answers), Cancels: Cancels(*cancels)}


async def sleeps(app: Any, work: Any = ordering) -> Any:
    """Start it, and wait until it sleeps."""
    handle = await app.start(work, ORDER, id="order:1")
    await until_asleep(app)
    return handle


async def until_asleep(app: Any) -> None:
    async def parked() -> bool:
        async with app.runtime.record.session() as session:
            found = (await session.find_receipt(KEY)).receipt
        return found is not None and found.state == "pending" and found.parked_on is not None

    await until(parked)


async def looked_at(app: Any, asked: Asked, times: int = 1) -> None:
    """Until the provider was asked so often, and what it said is stored."""

    async def so_often() -> bool:
        if len(asked.calls) < times:
            return False
        async with app.runtime.record.session() as session:
            seen = await session.find_receipt(KEY)
        stored = seen.receipt
        # Who looks has put the next look off by so much, and puts it off by more when it stores what was said.
        return stored.state != "pending" or stored.next_at_ms - seen.now_ms > looker._TAKEN_MS

    await until(so_often)


async def test_it_is_not_paid_before_the_provider_says_so(shop):
    """P5: the order says what it waits for, nothing is called again, and a look brings what came of it."""
    what = given(Found("c1"))
    async with shop.working(ordering, provide=what) as app:
        handle = await sleeps(app)
        assert await orders(app) == [("awaits s", 1)]
        stored = await receipt(app, KEY)
        assert (stored.state, stored.doubts, stored.calls, what[Asked].calls) == ("pending", 0, 1, [])
        async with app.runtime.record.session() as session:
            assert await session.referred_to("ch_1") == [(KEY, 1)]
        await pass_time(app, 301)
        assert await handle.result() == "c1"
        assert await orders(app) == [("paid c1", 2)]
    assert [call.references for call in what[Script].calls] == [{}]
    assert [call.references for call in what[Asked].calls] == [WAITS.references]  # it can be looked at by its id


async def test_it_is_declined_after_all(shop):
    """P5: as a call's decline."""
    async with shop.working(ordering, provide=given(Declined("no"))) as app:
        handle = await sleeps(app)
        await pass_time(app, 301)
        assert await handle.result() == "declined: no"
        assert await orders(app) == [("declined no", 2)]


@pytest.mark.parametrize("answer", [Absent(), CannotTell("hm"), RuntimeError("down"), WAITS])
async def test_a_look_that_brings_nothing(shop, answer):
    """P5: it stays pending, is not called, and is looked at again by the schedule; no news are no row."""
    what = given(answer)
    async with shop.working(ordering, provide=what) as app:
        handle = await sleeps(app)
        await pass_time(app, 301)
        await looked_at(app, what[Asked])

        async def put_off() -> bool:
            found = await receipt(app, KEY)
            return found.next_at_ms is not None and found.next_at_ms - (found.pending_since_ms or 0) > 3_500_000

        await until(put_off)
        stored = await receipt(app, KEY)
        assert (stored.state, stored.calls, (stored.error is None) == (answer is WAITS)) == ("pending", 1, True)
        assert await orders(app) == [("awaits s", 1)]
        what[Asked].answers = [Found("c1")]
        await pass_time(app, 3300)
        assert await handle.result() == "c1"


async def test_news_of_what_is_pending(shop):
    """P5: the order says what it waits for by now."""
    what = given(Pending("pi_1", show={"secret": "t"}))
    async with shop.working(ordering, provide=what) as app:
        await sleeps(app)
        await pass_time(app, 301)

        async def told() -> bool:
            return await orders(app) == [("awaits t", 2)]

        await until(told)
        async with app.runtime.record.session() as session:
            assert await session.references_of(KEY, 1) == {"intent": "pi_1", "charge": "ch_1", "id": "pi_1"}


async def test_a_reference_that_no_index_can_carry(shop):
    """P5: the outcome is stored all the same, and found by its key."""
    async with shop.working(ordering, provide=given(Pending("p" * 5_000))) as app:
        await sleeps(app)
        async with app.runtime.record.session() as session:
            assert "id" not in await session.references_of(KEY, 1)


async def test_a_probe_finds_it_pending(shop):
    """P5: what became of a lost reply."""
    what = given(WAITS, Found("c1"), calls=(Unknown("reset", replayed=True),))
    async with shop.working(ordering, provide=what) as app:
        handle = await sleeps(app)
        assert await orders(app) == [("awaits s", 1)]
        await pass_time(app, 301)
        assert await handle.result() == "c1"
    assert len(what[Script].calls) == 1


@pytest.mark.parametrize(
    ("answer", "result", "calls"),
    [
        ({"outcome": "succeeded", "result": "c2"}, "c2", 1),
        ({"outcome": "declined", "reason": "no"}, "declined: no", 1),
        ({"outcome": "not done"}, "second", 2),
    ],
    ids=["succeeded", "declined", "not-done"],
)
async def test_an_operator_says_what_became_of_it(shop, answer, result, calls):
    """P5: as of what is unknown; if it was not done it is called again, under a new key."""
    what = given(calls=(WAITS, "second"))
    async with shop.working(ordering, provide=what) as app:
        handle = await sleeps(app)
        await app.resolve(KEY, **answer)
        assert await handle.result() == result
    assert len({call.key for call in what[Script].calls}) == calls


@pytest.mark.parametrize("lost", [False, True])
async def test_it_sleeps_through_a_restart(shop, lost):
    """P6, P7: of the worker, with or without its engine: nothing is called, and the order is marked once."""
    engine = Embedded(":memory:") if lost else None
    options: dict[str, Any] = {"engine": engine} if engine is not None else {}
    what = given(Found("c1"))
    async with shop.working(ordering, provide=what, **options) as app:
        await sleeps(app)
        before = (await receipt(app, KEY)).parked_on
    async with shop.working(ordering, provide=what, **options) as app:
        handle = await app.handle("order:1")

        async def anew() -> bool:
            return not lost or (await receipt(app, KEY)).parked_on not in (None, before)

        await until(anew)
        assert await orders(app) == [("awaits s", 1)]
        await pass_time(app, 301)
        assert await handle.result() == "c1"
    assert len(what[Script].calls) == 1


@pytest.mark.parametrize("point", ["in on_pending", "commit reply"])
async def test_on_pending_fails(shop, point):
    """P2, P3: the provider's answer is kept, so nothing is called again; the next version marks the order."""
    what = given(Found("c1"))
    plug = Plug({point: LookupError("a bug")})
    async with shop.working(ordering, provide=what, plug=plug, version="1") as app:
        await app.start(ordering, ORDER, id="order:1")

        async def stopped() -> bool:
            return bool(await app.stopped())

        await until(stopped)
        stored = await receipt(app, KEY)
        assert (stored.state, stored.reply is not None) == ("intended", True)
        assert await orders(app) == [("new", 0)]
        await app.retry("order:1")
        await until_asleep(app)
        assert await orders(app) == [("awaits s", 1)]
        stored = await receipt(app, KEY)
        assert (stored.doubts, stored.calls) == (0, 1)
    assert len(what[Script].calls) == 1


async def test_on_success_fails_after_a_look(shop):
    """P2, P3: the answer is kept, and the workflow stops there, visibly, until it is fixed; nobody is asked again."""
    what, plug = given(Found("c1")), Plug({"in on_success": LookupError("a bug")})
    async with shop.working(ordering, provide=what, plug=plug) as app:
        handle = await sleeps(app)
        await pass_time(app, 301)
        assert await handle.result() == "c1"  # the second try, in the workflow, goes well
        assert await orders(app) == [("paid c1", 2)]
    assert (len(what[Script].calls), len(what[Asked].calls)) == (1, 1)


async def test_an_earlier_doubt_stays_a_doubt(shop):
    """P5: without keys a call in doubt may have had its effect; that another is pending says nothing of it."""
    keyless = Provider(name="plain", arrives_within_s=0, looks_per_s=1000)

    @effect(key="order:{order.id}:charge", provider=keyless, after=insert_order, in_doubt="repeat", name="charge")
    async def repeated(call: Call, order: Order, *, script: Script = inject()) -> str | Pending:
        answer: str | Pending = script.next(call)
        return answer

    work = _ordering(repeated)
    async with shop.working(work, provide=given(calls=(Unknown("reset"), WAITS)), random=lambda: 0.0) as app:
        await sleeps(app, work)
        stored = await receipt(app, KEY)
        assert (stored.state, stored.calls, stored.doubts) == ("pending", 2, 1)
        assert repeated.call_for(app.runtime, stored).references == {}  # what is known need not be all


async def test_a_deploy_that_renames_what_is_pending_is_told(shop):
    """P11: no worker of the new version looks at it, so a finding says so; under its old name it goes on."""

    @effect(key="order:{order.id}:charge", provider=BANK, after=insert_order, probe=ask, name="charge_anew")
    async def renamed(call: Call, order: Order, *, script: Script = inject()) -> str | Pending:
        answer: str | Pending = script.next(call)
        return answer

    async with shop.working(ordering, provide=given()) as app:
        await sleeps(app)
    async with shop.working(_ordering(renamed), provide=given()) as app:
        [found] = (await app.reconcile(apply=True)).found
        assert (found.finding.code, found.finding.subject) == ("RF-EFFECT-PENDING", KEY)
        assert "has no effect of that name" in found.finding.detail
    async with shop.working(ordering, provide=given(Found("c1"))) as app:
        await pass_time(app, 301)
        assert await (await app.handle("order:1")).result() == "c1"
        assert (await app.reconcile(apply=True)).found == []


# ── three times ─────────────────────────────────────────────────────────────


async def test_expiry_cancels_at_the_provider_first(shop):
    """P3: its answer ends the wait, under a receipt of its own."""
    what = given(WAITS, cancels=("cancelled",))
    async with shop.working(ordering_for_an_hour, provide=what) as app:
        handle = await sleeps(app, ordering_for_an_hour)
        await pass_time(app, 3601)
        assert (await handle.result()).startswith("declined: it was pending for too long")
        assert [row[1] for row in await orders(app)] == [2]
        stored = await receipt(app, "order:1:cancel")
        assert (stored.state, stored.calls) == ("succeeded", 1)
    assert len(what[Cancels].calls) == 1


async def test_expiry_that_is_refused_ends_nothing(shop):
    """P3, P5: it was paid in the last moment: the provider is asked, and what it says is so."""
    what = given(WAITS, Found("c1"), cancels=(Declined("already succeeded"),))
    async with shop.working(ordering_for_an_hour, provide=what) as app:
        handle = await sleeps(app, ordering_for_an_hour)
        await pass_time(app, 3601)
        assert await handle.result() == "c1"
        assert await orders(app) == [("paid c1", 2)]


async def test_expiry_that_is_refused_and_still_pending(shop):
    """P5: it is waited for on; that it was to be cancelled is tried once."""
    what = given(WAITS, cancels=(Declined("too busy to cancel"),))
    async with shop.working(ordering_for_an_hour, provide=what) as app:
        handle = await sleeps(app, ordering_for_an_hour)
        await pass_time(app, 3601)

        async def refused() -> bool:
            return "too busy" in ((await receipt(app, KEY)).error or "")

        await until(refused)
        await until_asleep(app)
        assert (await receipt(app, KEY)).state == "pending"
        what[Asked].answers = [Found("c1")]
        await pass_time(app, 24 * 3600)
        assert await handle.result() == "c1"
    assert len(what[Cancels].calls) == 1


async def test_the_answer_to_the_cancelling_is_lost(shop):
    """P3: nothing ends, until it is known what became of that; then it does."""
    what = given(WAITS, cancels=(Unknown("reset"), "cancelled"))
    async with shop.working(ordering_for_an_hour, provide=what, random=lambda: 0.0) as app:
        handle = await sleeps(app, ordering_for_an_hour)
        await pass_time(app, 3601)
        assert (await handle.result()).startswith("declined: it was pending")
    assert len({call.key for call in what[Cancels].calls}) == 1
    assert len(what[Cancels].calls) == 2


async def test_a_deadline_ends_what_is_certainly_not_done(shop):
    """P5: it is declined, as too late, and not called again."""
    late = _charge(deadline_s=60)
    work = _ordering(late)
    what = given(calls=(NotDone("busy", retry_after_ms=3_600_000), "too late"))
    async with shop.working(work, provide=what) as app:
        handle = await app.start(work, ORDER, id="order:1")
        await until_waits(app)
        await pass_time(app, 61)
        async with app.runtime.record.transaction() as tx:
            start = await tx.find_start("order:1")
            await tx.new_epoch([start])
        app.runtime.nudge()
        assert await handle.result() == "declined: too late: not done in 60 s"
    assert len(what[Script].calls) == 1


async def until_waits(app: Any) -> None:
    async def waits() -> bool:
        async with app.runtime.record.session() as session:
            found = (await session.find_receipt(KEY)).receipt
        return found is not None and found.next_at_ms is not None

    await until(waits)


async def test_a_deadline_declines_nothing_that_is_in_doubt(shop):
    """P5: it may have happened: the provider is asked, however late it is."""
    late = _charge(deadline_s=0.001)
    work = _ordering(late)
    what = given(Found("c1"), calls=(Unknown("reset", replayed=True),))
    async with shop.working(work, provide=what, random=lambda: 0.0) as app:
        handle = await app.start(work, ORDER, id="order:1")
        assert await handle.result() == "c1"


# ── undo ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "refunds"), [(Found("c1"), ["refund c1"]), (Declined("no"), [])], ids=["paid", "refused"]
)
async def test_what_is_pending_is_settled_before_it_is_undone(shop, answer, refunds):
    """P3, P5: a workflow that is cancelled has it looked at now, and takes back what came of it."""
    undone = _charge(undo=refund)
    work, what, plug = _ordering(undone), given(answer), Plug()
    async with shop.working(work, provide=what, plug=plug) as app:
        await sleeps(app, work)
        await app.cancel("order:1", undo=True)

        async def ended() -> bool:
            return (await (await app.handle("order:1")).status()).state != "open"

        await until(ended)
    assert [point for point in plug.passed if point.startswith("refund")] == refunds


async def test_an_undo_waits_for_what_is_pending(shop):
    """P5, P7: visibly, and refunds when it is paid."""
    undone = _charge(undo=refund)
    work, what, plug = _ordering(undone), given(WAITS), Plug()
    async with shop.working(work, provide=what, plug=plug) as app:
        await sleeps(app, work)
        await app.cancel("order:1", undo=True)
        await looked_at(app, what[Asked])
        await until_asleep(app)
        assert not [point for point in plug.passed if point.startswith("refund")]
        what[Asked].answers = [Found("c1")]
        await pass_time(app, 3601)

        async def refunded() -> bool:
            return "refund c1" in plug.passed

        await until(refunded)


async def test_an_undo_cancels_what_is_pending(shop):
    """P3: by the effect that expires it, at once; what was never paid is not refunded."""
    undone = _charge(undo=refund, expires_s=3600, on_expiry=cancel_charge)
    work, what, plug = _ordering(undone), given(WAITS, cancels=("cancelled",)), Plug()
    async with shop.working(work, provide=what, plug=plug) as app:
        await sleeps(app, work)
        await app.cancel("order:1", undo=True)

        async def ended() -> bool:
            return (await (await app.handle("order:1")).status()).state != "open"

        await until(ended)
        assert (await receipt(app, KEY)).state == "declined"
    assert len(what[Cancels].calls) == 1
    assert not [point for point in plug.passed if point.startswith("refund")]


# ── what is refused ─────────────────────────────────────────────────────────


def test_what_cannot_be_pending():
    """P8: what nobody could match, and a time that could be any."""
    for given_ in ("", {}, {"intent": ""}):
        with pytest.raises(Misuse, match="give the id"):
            Pending(given_)
    with pytest.raises(Misuse, match="belong together"):
        _charge(expires_s=5)
    with pytest.raises(Misuse, match="deadline_s="):
        _charge(deadline_s=0)
    with pytest.raises(Misuse, match="looks_s="):
        Provider(name="bank", looks_s=())


@pytest.mark.parametrize("kind", ["on_success", "on_decline", "on_pending"])
def test_a_second_one_is_refused(kind):
    """P8: it took the place of the first without a word, whose rows were then missing. The same one again is none."""
    charge = _charge()
    first = {"on_success": charge.success, "on_decline": charge.decline, "on_pending": charge.pending}[kind][0]

    async def second(w: Write[Any], order: Order) -> None: ...

    getattr(charge, kind)(first.fn)
    with pytest.raises(Misuse, match=rf"@{kind} .*second.* has .*{first.name}"):
        getattr(charge, kind)(second)


def test_the_workflow_gets_what_is_final():
    """P12: what the function may return besides is no part of the effect's result."""
    assert charge.function.returns is str


async def test_nothing_is_looked_at_while_a_restore_is_not_accepted(shop):
    """P6: the record may be an old one, and what it has pending may have come to its end."""
    what = given(Found("c1"))
    async with shop.working(ordering, provide=what) as app:
        await sleeps(app)
        looker = PendingLooker(app.runtime, app._dispatcher.engine, {"charge": charge})
    async with shop.app(ordering, provide=what) as app:
        looker._runtime = app.runtime
        async with app.runtime.record.session() as session:
            await session.hold("RF-RECORD-BEHIND", 0)
        await pass_time(app, 301)
        await looker._round()
        assert (looker._asking, what[Asked].calls) == ({}, [])
