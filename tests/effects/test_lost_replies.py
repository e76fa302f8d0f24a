"""P3 and P9 when the record's replies are lost, when it is away for a while, and when it chooses a victim."""

from __future__ import annotations

import pytest

from recordfirst.observe import Released, Repeated
from tests.effects import program
from tests.effects.harness import ORDER, Plug, contended, disconnected, orders, receipt

WORKFLOWS = (program.keyed, program.announced, program.probed, program.blind)


async def quick(seconds: float) -> None:
    """Waits between tries, passed over."""


async def run_with(shop, name, at, **options):
    """Run a workflow with these things happening at points; return what it came to and the charge's receipt."""
    plug = Plug(at)
    async with shop.working(*WORKFLOWS, plug=plug, random=lambda: 0.0, **options) as app:
        result = await (await app.start(getattr(program, name), ORDER, id="order:1")).result()
        assert not plug.at, "it never came to that point"
        key = {"keyed": "charge", "announced": "charge-announced", "probed": "charge-probed", "blind": "charge-blind"}
        return result, await orders(app), await receipt(app, f"order:1:{key[name]}")


REPLIES = [
    ("keyed", "after intend"),
    ("keyed", "after succeeded"),
    ("announced", "after intend"),
    ("announced", "after succeeded"),
    ("probed", "after intend"),
    ("probed", "after succeeded"),
    ("blind", "after intend"),
    ("blind", "after succeeded"),
]


@pytest.mark.parametrize(("name", "point"), REPLIES)
async def test_reply_lost(shop, name, point):
    """P3, P9: the statement was committed and its reply lost: it is found in the record, and there is one call."""
    result, marks, stored = await run_with(shop, name, {point: disconnected(shop.url)})
    assert (result, marks, stored.state) == ("charge of 1", [("paid", 1)], "succeeded")
    assert len(shop.bank.requests) == 1


@pytest.mark.parametrize("name", ["keyed", "probed", "blind"])
async def test_reply_lost_to_the_beginning_of_a_call(shop, name):
    """P3, P9: a call whose announcement was committed and the reply lost is made all the same, at once and once."""
    at: dict[str, Exception] = {"charge calling": ConnectionRefusedError("closed")}
    at["after begin"] = disconnected(shop.url)
    result, marks, stored = await run_with(shop, name, at)
    assert (result, marks, stored.calls) == ("charge of 1", [("paid", 1)], 2)
    assert len(shop.bank.requests) == 1


@pytest.mark.parametrize("name", ["keyed", "probed", "blind"])
@pytest.mark.parametrize("point", ["before intend", "before succeeded", "in on_success", "commit succeeded"])
async def test_statement_lost(shop, name, point):
    """P3, P9: what never reached the record is said again; the call is not."""
    result, marks, _ = await run_with(shop, name, {point: disconnected(shop.url)})
    assert (result, marks) == ("charge of 1", [("paid", 1)])
    assert len(shop.bank.requests) == 1


@pytest.mark.parametrize("point", ["in on_success", "commit succeeded", "before succeeded"])
async def test_deadlock_in_on_success(shop, point):
    """P9: a deadlock's victim, or a busy file, is tried again: the rows of on_success are there once, one call."""
    result, marks, stored = await run_with(shop, "keyed", {point: contended(shop.url)})
    assert (result, marks, stored.calls) == ("charge of 1", [("paid", 1)], 1)
    assert [event.fault for event in shop.seen(Repeated)] == ["contention"]


class Outage(dict):
    """From a point on the record is away, for so many statements."""

    def __init__(self, url, begins, statements):
        super().__init__()
        self.url, self.begins, self.left = url, begins, statements

    def pop(self, point, default=None):
        self.begins = None if point == self.begins else self.begins
        if self.begins is None and self.left and point in ("session", "transaction"):
            self.left -= 1
            raise disconnected(self.url)
        return default


def away(shop, begins, statements):
    plug = Plug()
    plug.at = Outage(shop.url, begins, statements)
    return plug


@pytest.mark.parametrize("begins", ["before add_receipts", "charge calling", "charge applied", "before finish"])
async def test_record_away_for_a_while(shop, begins):
    """P9: while the record is out of reach a workflow waits where it is; nothing of it becomes an outcome."""
    plug = away(shop, begins, 7)
    async with shop.working(program.keyed, plug=plug, sleeper=quick) as app:
        assert await (await app.start(program.keyed, ORDER, id="order:1")).result() == "charge of 1"
        assert await orders(app) == [("paid", 1)]
        assert (await receipt(app, "order:1:charge")).doubts == 0
    assert len(shop.bank.requests) == 1
    assert plug.at.left == 0


async def test_record_away_for_long(shop):
    """P9: a step that has waited its time gives its task back; the call is repeated under its key, done once."""
    plug = away(shop, "charge applied", 40)
    async with shop.working(program.keyed, plug=plug, sleeper=quick, random=lambda: 0.0) as app:
        assert await (await app.start(program.keyed, ORDER, id="order:1")).result() == "charge of 1"
        assert await orders(app) == [("paid", 1)]
        assert (await receipt(app, "order:1:charge")).state == "succeeded"
    assert shop.bank.applied == [("charge", "1", 1999)]
    assert set(shop.bank.requests) == {("charge", "shop/order:1:charge", 1999)}
    assert shop.seen(Released)
