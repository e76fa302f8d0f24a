"""More starts than a worker can take, or starts that it cannot take: nothing is lost, nothing is in the way."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from recordfirst import Context, inject, workflow, write
from recordfirst.conformance.record import run
from recordfirst.observe import DispatchFailed

CONCURRENCY = 2


class Crowd:
    """How many bodies run at this moment, and did at most."""

    def __init__(self) -> None:
        self.now = self.most = 0


@write
async def visit(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


@write(key="crowded:{who}")
async def crowded(w, who: str, *, crowd: Crowd = inject()) -> None:
    crowd.now += 1
    crowd.most = max(crowd.most, crowd.now)
    await asyncio.sleep(0)
    crowd.now -= 1


@workflow
async def order(ctx: Context, who: str) -> str:
    await crowded(ctx, who)
    await visit(ctx, who)
    return who


@workflow
async def sleeping(ctx: Context) -> None:
    await ctx.sleep(timedelta(days=400))


@workflow
async def of_another_version(ctx: Context) -> None:
    """No worker of these tests knows it."""


@workflow(name="changed")
async def before(ctx: Context, who: str) -> str:
    return who


@workflow(name="changed")
async def after(ctx: Context, who: int) -> int:
    return who


def test_backlog_larger_than_concurrency(shop):
    """P7: sixty workflows with room for two: all end, two run at a time, each writes once."""

    async def go():
        crowd, ids = Crowd(), [f"o{number}" for number in range(60)]
        async with shop.app(order, provide={Crowd: crowd}) as client:
            async with client.record.write() as w:
                for id in ids[:30]:
                    w.start(order, id, id=id)
            async with shop.working(order, provide={Crowd: crowd}, concurrency=CONCURRENCY) as app:
                handles = [await app.start(order, id, id=id) for id in ids[30:]]
                handles += [await app.handle(id) for id in ids[:30]]
                assert sorted(await asyncio.gather(*(handle.result() for handle in handles))) == sorted(ids)
                assert await shop.rows(app, "SELECT count(*), count(DISTINCT who) FROM visits") == [(60, 60)]
        assert 1 <= crowd.most <= CONCURRENCY

    run(go())


def test_sleepers_take_no_room(shop):
    """P7: workflows that wait hold nothing: thirty are suspended, with room for two, and others run."""

    async def go():
        async with shop.working(sleeping, order, provide={Crowd: Crowd()}, concurrency=CONCURRENCY) as app:
            for number in range(30):
                await app.start(sleeping, id=f"s{number}")
            assert await (await app.start(order, "ann", id="o")).result() == "ann"
            async with app.runtime.record.session() as session:
                assert (await session.counts())["start.open"] == 30

    run(go())


def test_strangers_stay_open_and_block_nobody(shop):
    """P7: starts of a workflow that this version does not know wait visibly, however many and however old."""

    async def go():
        async with shop.app(of_another_version) as other:
            for number in range(5 * CONCURRENCY):
                await other.start(of_another_version, id=f"x{number}")
        async with shop.app(order, provide={Crowd: Crowd()}) as client:
            handle = await client.start(order, "ann", id="o")
            async with shop.working(order, provide={Crowd: Crowd()}, concurrency=CONCURRENCY):
                assert await asyncio.wait_for(handle.result(), 10) == "ann"
            async with client.runtime.record.session() as session:
                assert [start.workflow for start in await session.starts("open", 100)] == [
                    "of_another_version"
                ] * 5 * CONCURRENCY
        async with shop.working(of_another_version) as other:
            await (await other.handle("x0")).result()

    run(go())


def spoil(text):
    """Arguments that are no longer JSON's: what a lost encryption key makes of them."""

    class Encryptor:
        def encrypt(self, data: bytes) -> bytes:
            return data

        def decrypt(self, data: bytes) -> bytes:
            if text.encode() in data:
                raise ValueError("wrong key")
            return data

    return Encryptor()


def test_unreadable_start_stays_open_and_blocks_nobody(shop):
    """P7: a start whose arguments cannot be read is said, stays visible, and the others run."""

    async def go():
        given = {"provide": {Crowd: Crowd()}, "encryptor": spoil("secret")}
        async with shop.app(order, **given) as client:
            for number in range(5 * CONCURRENCY):
                await client.start(order, f"secret {number}", id=f"s{number}")
            handle = await client.start(order, "ann", id="o")
            async with shop.working(order, concurrency=CONCURRENCY, **given):
                assert await asyncio.wait_for(handle.result(), 10) == "ann"
            async with client.runtime.record.session() as session:
                assert (await session.counts())["start.open"] == 5 * CONCURRENCY
        # Which error the cipher raised is told, and not its text, which may hold what it could not read.
        told = "cannot be decrypted by encryptor= (ValueError)"
        assert any("'s0'" in event.cause and told in event.cause for event in shop.seen(DispatchFailed))
        assert not any("wrong key" in event.cause for event in shop.seen(DispatchFailed))

    run(go())


def test_start_whose_arguments_no_longer_fit_waits_for_a_version_that_takes_them(shop):
    """P7: a deploy changed a parameter's type: the start is not lost, takes no room, and ends once code fits again."""

    async def go():
        async with shop.app(before) as client:
            for number in range(3 * CONCURRENCY):
                await client.start(before, "ann", id=f"c{number}")
        async with shop.working(after, order, provide={Crowd: Crowd()}, concurrency=CONCURRENCY) as app:
            assert await asyncio.wait_for((await app.start(order, "ben", id="o")).result(), 10) == "ben"
            async with app.runtime.record.session() as session:
                assert (await session.counts())["start.open"] == 3 * CONCURRENCY
        assert any("'c0'" in event.cause and "who" in event.cause for event in shop.seen(DispatchFailed))
        async with shop.working(before) as app:
            assert await (await app.handle("c0")).result() == "ann"

    run(go())


@pytest.mark.parametrize("count", [300])
def test_one_transaction_can_start_many(shop, count):
    """P7: what a transaction starts is all there, or nothing is."""

    async def go():
        async with shop.app(of_another_version) as app:

            async def start_all(fails):
                async with app.record.write() as w:
                    for number in range(count):
                        w.start(of_another_version, id=f"x{number}")
                    if fails:
                        raise LookupError

            for fails in (True, False):
                try:
                    await start_all(fails)
                except LookupError:
                    assert fails
                async with app.runtime.record.session() as session:
                    assert (await session.counts())["start.open"] == (0 if fails else count)

    run(go())
