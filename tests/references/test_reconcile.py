"""P6: mirrors that are behind, and whatever else a reference shows than the record says, found and put right."""

from __future__ import annotations

import pytest

from recordfirst.reconcile.reconciler import OPEN, PASSES
from tests.effects.harness import ORDER, Order, sql
from tests.references import program
from tests.references.program import dies_at


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Nothing else is under way here, so that a second look may come at once, and what is behind is so for long."""
    monkeypatch.setattr("recordfirst.reconcile.passes.references._SETTLING_S", 0.01)
    monkeypatch.setattr("recordfirst.reconcile.passes.references._BEHIND_MS", -1)


def codes(report):
    return [(found.finding.code, found.finding.subject) for found in report.found]


def details(report):
    return [found.finding.detail for found in report.found]


async def placed(desk, *numbers):
    async with desk.working() as app:
        for number in numbers:
            await (await app.start(program.place, Order(f"{number}", 100), id=f"order:{number}")).result()


async def change(app, text, *args):
    """The record, by a way that projects nothing."""
    async with app.record.write() as w:
        await w.tx.execute(sql(w.tx, text), args)


async def test_in_order(desk):
    """Nothing is found, nothing is sent, and everything was looked at: listed, projected, staged."""
    await placed(desk, *range(5))
    async with desk.app() as app:
        for apply in (False, True):
            report = await app.reconcile(only=["references", "projections"], apply=apply)
            assert (codes(report), report.looked) == ([], {"references": 15})
    assert [desk.mirror.puts(f"{number}") for number in range(5)] == [1] * 5


async def test_a_mirror_that_is_behind_is_brought_there(desk):
    """P7: who projected has died and is not coming back; a reconcile, of a worker too, finds it among what is open."""
    await placed(desk, 1)
    await dies_at(desk, "move", (Order("1", 100), "paid"), "2", "mirror calling")
    async with desk.app() as app:
        report = await app.reconcile()
        assert codes(report) == [("RF-MIRROR-BEHIND", "order:1:shown")]
        assert details(report) == ["show_order has version 2, its mirror 1, after 0 tries"]
        assert desk.mirror.now("1").document["state"] == "new"
        report = await app.reconcile(apply=True)
        assert [found.repaired for found in report.found] == ["brought to the record's state"]
        assert desk.mirror.now("1").document == {"state": "paid", "marks": 1}
        assert codes(await app.reconcile()) == []


async def test_a_mirror_out_of_reach_stays_a_finding(desk, monkeypatch):
    """What cannot be repaired now is kept, with the cause, and closed when it is seen no more."""
    await placed(desk, 1)
    await dies_at(desk, "move", (Order("1", 100), "paid"), "2", "mirror calling")

    def refuse(entry):
        raise ConnectionRefusedError("away")

    async with desk.app() as app:
        with monkeypatch.context() as patched:
            patched.setattr(desk.mirror, "put_now", refuse)
            first, second = [await app.reconcile(apply=True) for _ in range(2)]
        assert [found.repaired for found in (*first.found, *second.found)] == [None, None]
        assert "its mirror 1, after 0 tries" in first.found[0].finding.detail
        assert "its mirror 1, after 1 tries: ConnectionRefusedError: away" in second.found[0].finding.detail
        await app.reconcile(apply=True)
        async with app.runtime.record.session() as session:
            assert await session.findings(10) == []


DRIFTS = {
    "lost": (lambda desk: desk.mirror.empty(), "show_order: mirror does not have it"),
    "changed": (
        lambda desk: desk.mirror.set("1", {"state": "mine", "marks": 0}, 1), "show_order: mirror has another state",
    ),
    "from a lost time": (
        lambda desk: desk.mirror.set("1", {"state": "new", "marks": 7}, 90), "show_order: mirror has another marks",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", DRIFTS)
async def test_a_mirror_that_drifted(desk, how):
    """Found by comparing, said without values, and projected anew."""
    await placed(desk, 1)
    drift, said = DRIFTS[how]
    drift(desk)
    async with desk.app() as app:
        assert codes(await app.reconcile()) == []
        report = await app.reconcile(only=["references"])
        assert codes(report) == [("RF-MIRROR-DRIFT", "order:1:shown")]
        assert details(report) == [said]
        await app.reconcile(only=["references"], apply=True)
        assert desk.mirror.now("1").document == {"state": "new", "marks": 0}
        assert codes(await app.reconcile(only=["references"])) == []


async def test_a_record_that_changed_without_projecting(desk):
    """Rows that were changed, made or deleted by another way: listed by every(), or known from before."""
    await placed(desk, 1, 2)
    async with desk.app() as app:
        await change(app, "UPDATE orders SET state = 'paid' WHERE id = ?", "1")
        await change(app, "DELETE FROM orders WHERE id = ?", "2")
        for id in ("3", "4", "5", "6"):
            await change(app, "INSERT INTO orders (id, amount, state) VALUES (?, 1, 'new')", id)
        report = await app.reconcile(only=["references"])
        said = [(found.finding.subject, found.finding.detail) for found in report.found]
        assert said == [
            ("order:1:shown", "show_order: mirror has another state"),
            *((f"order:{id}:shown", "show_order: mirror does not have it") for id in "3456"),
            ("order:2:shown", "show_order: mirror has it, and the record does not"),
        ]
        await app.reconcile(only=["references"], apply=True)
        assert [desk.mirror.now(f"{n}").document for n in range(1, 4)] == [
            {"state": "paid", "marks": 0}, None, {"state": "new", "marks": 0},
        ]  # fmt: skip
        assert codes(await app.reconcile(only=["references"])) == []


async def test_what_was_staged_and_is_gone_is_staged_again(desk):
    """As it was said at first; the record needs it."""
    await placed(desk, 1)
    desk.archive.empty()
    async with desk.app() as app:
        report = await app.reconcile(only=["references"])
        assert codes(report) == [("RF-STAGE-DRIFT", "order:1:paper")]
        assert details(report) == ["stage_paper: archive does not have it"]
        report = await app.reconcile(only=["references"], apply=True)
        assert [found.repaired for found in report.found] == ["staged again, as it was"]
        assert desk.archive.now("paper-1").document == {"order": "1", "amount": 100}


async def test_what_was_staged_and_is_something_else_is_a_persons(desk):
    """P8: it is never written over."""
    await placed(desk, 1)
    desk.archive.set("paper-1", {"order": "1", "amount": 7})
    async with desk.app() as app:
        await app.reconcile(only=["references"], apply=True)
        report = await app.reconcile(only=["references"], apply=True)
        assert codes(report) == [("RF-STAGE-DRIFT", "order:1:paper")]
        assert [found.repaired for found in report.found] == [None]
        assert details(report) == ["stage_paper: archive has another amount"]
        assert desk.archive.now("paper-1").document["amount"] == 7


@pytest.mark.parametrize(("shelf", "stops_at", "left"), [("mirror", 4, 12), ("mirror", 6, 10), ("archive", 1, 5)])
async def test_a_pass_over_everything_goes_on_where_it_was(desk, monkeypatch, shelf, stops_at, left):
    """Ended in the middle of a page, of whatever part of it, the next one begins behind the last that was kept."""
    await placed(desk, *range(1, 6))
    place, looks = getattr(desk, shelf), 0
    find = place.find

    async def dying(id):
        nonlocal looks
        looks += 1
        if looks == stops_at:
            raise RuntimeError("stopped")
        return await find(id)

    async with desk.app() as app:
        with monkeypatch.context() as patched:
            patched.setattr(place, "find", dying)
            with pytest.raises(RuntimeError, match="stopped"):
                await app.reconcile(only=["references"], apply=True)
        assert (await app.reconcile(only=["references"], apply=True)).looked == {"references": left}
        assert (await app.reconcile(only=["references"], apply=True)).looked == {"references": 15}


def test_what_looks_at_everything_runs_when_it_is_named():
    """A worker's round costs what is open."""
    assert "references" in {each.name for each in PASSES}
    assert "references" not in {each.name for each in OPEN}
    assert "projections" in {each.name for each in OPEN}


async def test_a_projection_that_the_app_has_no_more(desk):
    """It is said, and nothing is done."""
    await dies_at(desk, "place", (ORDER,), "order:1", "mirror calling")
    async with desk.shop.app(program.unstaged, provide={program.Archive: desk.archive}) as app:
        report = await app.reconcile(apply=True, only=["projections", "references"])
        assert [(found.finding.code, found.repaired) for found in report.found] == [("RF-MIRROR-BEHIND", None)]
