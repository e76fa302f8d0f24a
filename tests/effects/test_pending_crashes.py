"""P3, P5: a process dies around everything that makes an effect pending, looks at it, or ends it; one call, one row."""

from __future__ import annotations

from typing import Any

import pytest

from tests.effects.harness import ORDER, orders, pass_time, receipt, until
from tests.effects.program import KEYED, dies_at, held

KEY = "order:1:charge-held"


async def asleep(app: Any) -> bool:
    async with app.runtime.record.session() as session:
        found = (await session.find_receipt(KEY)).receipt
    return found is not None and found.state == "pending" and found.parked_on is not None


async def until_asleep(app: Any) -> None:
    await until(lambda: asleep(app))


@pytest.mark.parametrize(
    "point",
    ["charge calling", "charge applied", "in on_pending", "commit reply", "after reply", "before park", "after park"],
)
async def test_dies_while_it_becomes_pending(shop, point):
    """P3: its next process goes on; the bank has it once, and the order is marked once for each outcome."""
    await dies_at(shop, "held", point)
    async with shop.working(held) as app:
        await until_asleep(app)
        assert await orders(app) == [("held", 1)]
        (shop.bank.path.parent / "money").touch()
        await pass_time(app, 301)
        assert await (await app.handle("order:1")).result() == "paid"
        assert await orders(app) == [("paid", 2)]
    assert [kind for kind, *_ in shop.bank.applied] == ["charge"]
    assert len({key for _, key, _ in shop.bank.requests}) == 1


async def put_to_sleep(shop: Any, seconds: float) -> None:
    async with shop.working(held) as app:
        await app.start(held, ORDER, id="order:1")
        await until_asleep(app)
        await pass_time(app, seconds - KEYED.looks_s[0])
    async with shop.app(held) as app:
        await pass_time(app, KEYED.looks_s[0])


@pytest.mark.parametrize("point", ["asking", "in on_success", "commit succeeded", "after succeeded"])
async def test_dies_while_it_is_looked_at(shop, point):
    """P2, P5: what the look has brought is stored with its row, or asked for again."""
    await put_to_sleep(shop, 301)
    (shop.bank.path.parent / "money").touch()
    await dies_at(shop, "held", point)
    async with shop.working(held) as app:
        await pass_time(app, 61)  # a look that has begun is left for a minute to who has begun it
        assert await (await app.handle("order:1")).result() == "paid"
        assert await orders(app) == [("paid", 2)]
    assert [kind for kind, *_ in shop.bank.applied] == ["charge"]


@pytest.mark.parametrize(
    "point", ["cancel calling", "cancel applied", "after succeeded", "in on_decline", "after declined"]
)
async def test_dies_while_it_expires(shop, point):
    """P3: it is cancelled once, and declined when the bank has said so."""
    await put_to_sleep(shop, 7201)
    await dies_at(shop, "held", point)
    async with shop.working(held) as app:
        await pass_time(app, 61)
        assert await (await app.handle("order:1")).result() == "expired"
        assert await orders(app) == [("declined", 2)]
        assert (await receipt(app, "order:1:cancel")).state == "succeeded"
    assert [kind for kind, *_ in shop.bank.applied] == ["charge", "cancel"]
