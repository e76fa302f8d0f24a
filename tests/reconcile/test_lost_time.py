"""What was called in the time that a restored record has lost: asked for as far back as the copy."""

from __future__ import annotations

import asyncio

from recordfirst import Absent, Call, Context, Found, Provider, effect, inject, workflow, write
from recordfirst.conformance.record import run
from recordfirst.providers.contract import Probed


class Charges:
    """What the bank did, and when."""

    at_ms: int


@write
async def visit(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


async def find(call: Call, who: str, *, charges: Charges = inject()) -> Probed:
    return Found("found") if call.since_ms <= charges.at_ms else Absent()


@effect(key="{who}:charge", provider=Provider(name="bank", arrives_within_s=0), after=visit, probe=find)
async def charge(call: Call, who: str) -> str:
    raise AssertionError("it was charged already")


@workflow
async def order(ctx: Context, who: str) -> str:
    await visit(ctx, who)
    return await charge(ctx, who)


def test_a_probe_looks_back_to_the_copy(shop):
    """P3: the intent is stored anew, and what it stands for may have been called ever since the copy was taken."""

    async def go():
        charges = Charges()
        async with shop.app(order, provide={Charges: charges}) as app:
            await app.start(order, "ann", id="ann")
            async with app.runtime.record.session() as session:
                await session.begin_timeline("r", await session.history_id())
                await session.alive()
                charges.at_ms = await session.now_ms()
                await asyncio.sleep(0.02)
                await session.hold("RF-RECORD-BEHIND", 0)
            await app.reconcile(apply=True, accept_restore=True)
        async with shop.working(order, provide={Charges: charges}) as app:
            assert await (await app.handle("ann")).result() == "found"

    run(go())


def test_a_person_may_know_of_a_restore_that_nobody_noticed(shop):
    """P6, P3: a file put back on another machine, without its engine: said by an operator, it counts as noticed."""

    async def go():
        charges = Charges()
        async with shop.app(order, provide={Charges: charges}) as app:
            await app.start(order, "ann", id="ann")
            async with app.runtime.record.session() as session:
                charges.at_ms = await session.now_ms()
            await app.reconcile(apply=True, accept_restore=True, who="ben", why="from last night")
            async with app.runtime.record.session() as session:
                line = await session.find_timeline()
                [audit] = await session.audits(None, 10)
            assert (line.held, line.restores) == (None, 1)
            assert (audit.who, audit.command, audit.why) == ("ben", "accept restore", "from last night")
