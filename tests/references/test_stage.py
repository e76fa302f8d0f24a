"""P1, P3, P8: what is staged is there before the record, once, whoever dies; and what else is there is a conflict."""

from __future__ import annotations

import pytest

from recordfirst import Misuse, WorkflowStopped, effect, stage, write
from recordfirst.observe import StagedBefore, Suspected
from recordfirst.providers.contract import Provider
from tests.effects.harness import ORDER, Order, Plug, orders, pass_time, receipt
from tests.references import program
from tests.references.program import Archive, dies_at

PAPER = {"order": "1", "amount": 1999}


async def placed(desk, **options):
    async with desk.working(**options) as app:
        return await (await app.start(program.place, ORDER, id="order:1")).result(if_stopped="raise")


async def test_p1_staged_committed_shown(desk):
    """The three stores have it, in this order, and the step returns what was staged."""
    plug = Plug()
    assert await placed(desk, plug=plug) == PAPER
    assert desk.archive.changes("paper-1") == [(PAPER, 0)]
    assert desk.mirror.changes("1") == [({"state": "new", "marks": 0}, 1)]
    passed = [point for point in plug.passed if point in ("archive stored", "after add_receipts", "mirror stored")]
    assert passed == ["archive stored", "after add_receipts", "mirror stored"]
    assert await placed(desk) == PAPER
    assert desk.archive.puts("paper-1") == 1


STAGED = ["before intend", "after intend", "archive calling", "archive stored", "before succeeded", "after succeeded",
          "before add_receipts", "commit add_receipts", "after add_receipts"]  # fmt: skip


@pytest.mark.parametrize("point", STAGED)
async def test_p3_killed_at_any_point(desk, point):
    """Whoever takes over finds it staged, or stages the same: there is one entry, and never a row without it."""
    await dies_at(desk, "place", (ORDER,), "order:1", point)
    async with desk.app() as app:
        assert desk.archive.changes("paper-1") or await orders(app) == []
        await pass_time(app, 100)
    assert await placed(desk) == PAPER
    assert desk.archive.changes("paper-1") == [(PAPER, 0)]
    async with desk.app() as app:
        assert await orders(app) == [("new", 0)]


async def test_p3_a_lost_answer(desk):
    """It is sent again, found, and that is said; the outcome is the same."""
    assert await placed(desk, plug=Plug({"archive stored": TimeoutError("no answer")})) == PAPER
    assert desk.archive.puts("paper-1") == 2
    assert desk.archive.changes("paper-1") == [(PAPER, 0)]
    assert [event.key for event in desk.shop.seen(Suspected)] == ["order:1:paper"]
    assert desk.shop.seen(StagedBefore) == [StagedBefore("order:1:paper", "paper-1")]


async def test_p8_the_same_is_success_whoever_put_it_there(desk):
    """Exists the same."""
    desk.archive.set("paper-1", PAPER)
    assert await placed(desk) == PAPER
    assert desk.shop.seen(StagedBefore) == [StagedBefore("order:1:paper", "paper-1")]


async def test_p8_something_else_is_a_conflict(desk):
    """Exists differently: both sides are named, nothing is changed, and no row is written."""
    desk.archive.set("paper-1", {"order": "1", "amount": 5})
    with pytest.raises(WorkflowStopped, match=r"DifferentEntry: entry 'paper-1' of archive .* amount=5, not .*=1999"):
        await placed(desk)
    assert desk.archive.now("paper-1").document["amount"] == 5
    async with desk.app() as app:
        assert await orders(app) == []
        stored = await receipt(app, "order:1:paper")
        assert (stored.state, stored.doubts) == ("intended", 0)


async def test_p6_what_was_projected_is_the_records(desk):
    """The record has been here, and was restored: the stage does not argue with what it has shown."""
    desk.archive.set("paper-1", {"order": "1", "amount": 5}, version=3)
    assert await placed(desk) == PAPER
    assert desk.archive.now("paper-1").version == 3


async def test_p4_what_was_first_said_is_staged(desk, monkeypatch):
    """The function runs once; what a deploy makes of it meanwhile is not sent."""
    await dies_at(desk, "place", (ORDER,), "order:1", "archive calling")
    monkeypatch.setattr(program.stage_paper.function, "fn", lambda order: {"order": order.id, "amount": 0})
    async with desk.app() as app:
        await pass_time(app, 100)
    assert await placed(desk) == PAPER


async def test_p1_a_write_waits_for_its_stage(desk):
    """Side by side in one run, the row is committed behind the entry, and projected behind the row."""
    async with desk.working() as app:
        await (await app.start(program.hasty, ORDER, id="order:1")).result()
    assert desk.mirror.changes("1") == [({"state": "new", "marks": 0}, 1)]


async def test_p1_a_write_without_its_stage_is_refused(desk):
    """Nothing is written."""
    async with desk.working() as app:
        with pytest.raises(WorkflowStopped, match=r"AfterMissing: write insert_order runs after stage_paper"):
            await (await app.start(program.unstaged, ORDER, id="order:1")).result(if_stopped="raise")
        assert await orders(app) == []


def test_what_a_stage_must_say():
    """Mistakes are named where they are made."""
    with pytest.raises(Misuse, match="it only says what is to be staged"):
        from recordfirst import inject  # noqa: PLC0415 - beside its only use

        @stage(key="a:{a}", into=Archive)
        def wants(a: int, *, shelf: Archive = inject()) -> int:
            return a

    with pytest.raises(Misuse, match=r"after= takes a @write or a @stage \(or None\)"):

        @effect(key="order:{order.id}:x", provider=Provider(name="p"), after=program.show_order)  # type: ignore[arg-type]
        async def after_a_projection(call, order: Order) -> None: ...

    with pytest.raises(Misuse, match="whose key needs order"):

        @write(after=program.stage_paper)
        async def without_order(w, id: str) -> None: ...
