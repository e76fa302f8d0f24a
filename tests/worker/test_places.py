"""P9: what waits holds no place, so a provider that is down holds up nobody who does not call it."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import pytest

from recordfirst import Call, Context, effect, inject, workflow
from recordfirst.process.places import _STALLED_S, Admission, Place, Places, ProviderLine, Rank
from tests.starts.harness import Shop
from tests.worker.shared import BANK, greet

MANY = 1_000 if "RECORDFIRST_TEST_ALL" in os.environ else 200


class Provider:
    """Refuses, or does not answer, until it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.callers: set[asyncio.Task[Any] | None] = set()
        self.in_flight = self.most_in_flight = 0
        self.answers = asyncio.Event()

    def refuse(self, key: str) -> str:
        self.calls.append(key)
        self.callers.add(asyncio.current_task())
        if not self.answers.is_set():
            raise ConnectionError("down")
        return "done"

    async def hang(self, key: str) -> str:
        self.calls.append(key)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await self.answers.wait()
        self.in_flight -= 1
        return "done"


@effect(key="order:{id}:charge", provider=BANK, after=None)
async def charge(call: Call, id: str, *, provider: Provider = inject()) -> str:
    return provider.refuse(call.key)


@effect(key="order:{id}:ship", provider=BANK, after=None)
async def ship(call: Call, id: str, *, provider: Provider = inject()) -> str:
    return await provider.hang(call.key)


@workflow
async def order(ctx: Context, id: str) -> str:
    return await charge(ctx, id)


@workflow
async def shipping(ctx: Context, id: str) -> str:
    return await ship(ctx, id)


async def start_many(app: Any, workflow: Any, number: int) -> None:
    async with app.record.write() as w:
        for each in range(number):
            w.start(workflow, str(each), id=f"{workflow.name}:{each}")


async def until(done: Any) -> None:
    while not done():
        await asyncio.sleep(0.02)


async def test_effects_in_doubt_hold_up_nobody(shop: Shop):
    """P9: however many wait for another try, each in place, with room for eight: a workflow that calls nobody ends,
    and no call is made for it to do so.
    """
    provider, pauses, waiting = Provider(), asyncio.Event(), set()

    async def sleeper(seconds: float) -> None:
        task = asyncio.current_task()
        if pauses.is_set() or task not in provider.callers:  # one that has not called waits for the record alone
            await asyncio.sleep(seconds)
        else:
            waiting.add(task)
            await pauses.wait()

    options = {"provide": {Provider: provider}, "sleeper": sleeper, "concurrency": 8}
    async with asyncio.timeout(100), shop.working(order, greet, **options) as app:
        await start_many(app, order, MANY)
        # On a busy machine the time to wait may be over when the doubt is stored: it is called again, and then waits.
        await until(lambda: len(waiting) == MANY)
        before = len(provider.calls)
        assert len(set(provider.calls)) == MANY
        assert await (await app.start(greet, "a", id="healthy")).result() == "hello a"
        assert len(provider.calls) == before
        provider.answers.set()
        pauses.set()
        for each in range(MANY):
            assert await (await app.handle(f"order:{each}")).result() == "done"


async def test_calls_in_flight_hold_up_nobody_and_are_bounded(shop: Shop):
    """P9: of a provider that does not answer so many calls are in flight as there are places, and none of those."""
    provider = Provider()
    async with asyncio.timeout(60), shop.working(shipping, greet, provide={Provider: provider}, concurrency=2) as app:
        await start_many(app, shipping, 12)
        await until(lambda: provider.in_flight == 2)
        try:
            for each in range(5):
                assert await (await app.start(greet, "a", id=f"healthy{each}")).result() == "hello a"
            assert provider.most_in_flight == 2
        finally:
            provider.answers.set()  # or the worker waits for what it has in flight
        for each in range(12):
            assert await (await app.handle(f"shipping:{each}")).result() == "done"
        assert len(set(provider.calls)) == 12


# ── plain functions ─────────────────────────────────────────────────────────

hangs: dict[str, Any] = {}


async def wait_for_it(ctx: Context) -> str:
    hangs["begun"].set()
    await hangs["go on"].wait()
    return "waited"


def block_for_it(ctx: Context) -> str:
    hangs["thread"] = threading.current_thread().name
    hangs["loop"].call_soon_threadsafe(hangs["begun"].set)
    assert hangs["go on in a thread"].wait(30)
    return "waited"


@workflow
async def waits(ctx: Context) -> str:
    return await ctx.run(wait_for_it)


@workflow
async def blocks(ctx: Context) -> str:
    return await ctx.run(block_for_it)


@pytest.mark.parametrize("kind", [waits, blocks])
async def test_plain_functions_hold_no_place(shop: Shop, kind: Any):
    """P9: ``ctx.run`` of a plain function, sync or async, neither stops the loop nor holds the only place."""
    hangs.update({"begun": asyncio.Event(), "go on": asyncio.Event(), "go on in a thread": threading.Event()})
    hangs["loop"] = asyncio.get_running_loop()
    async with asyncio.timeout(40), shop.working(waits, blocks, greet, concurrency=1) as app:
        handle = await app.start(kind, id="w")
        await hangs["begun"].wait()
        try:
            healthy = await app.start(greet, "a", id="healthy")
            assert await asyncio.wait_for(healthy.result(), 15) == "hello a"
        finally:
            hangs["go on"].set()
            hangs["go on in a thread"].set()
        assert await handle.result() == "waited"
    if kind is blocks:
        assert hangs["thread"].startswith("recordfirst-shop")


def both(ctx: Context, id: str, *, twice: bool) -> Any:
    """A sync function that calls steps: on the context that it is given, from its thread."""
    first = charge(ctx, id)
    return asyncio_gather(first, ctx.run(plain, 1)) if twice else first


async def asyncio_gather(*called: Any) -> list[Any]:
    return list(await asyncio.gather(*called))


def plain(ctx: Context, number: int) -> int:
    return number + 1


@workflow
async def through_a_function(ctx: Context, id: str) -> list[Any]:
    return await ctx.run(both, id, twice=True)


@workflow
async def through_a_lambda(ctx: Context, id: str) -> str:
    done: str = await ctx.run(lambda ctx: charge(ctx, id))
    return done


async def test_sync_functions_call_steps(shop: Shop):
    """P3: from a thread, in the order of the calls, with the ids of the calls, as on the loop."""
    provider = Provider()
    provider.answers.set()
    async with (
        asyncio.timeout(40),
        shop.working(through_a_function, through_a_lambda, provide={Provider: provider}) as app,
    ):
        assert await (await app.start(through_a_function, "1", id="a")).result() == ["done", 2]
        assert await (await app.start(through_a_lambda, "2", id="b")).result() == "done"
    assert len(provider.calls) == 2


# ── the rules ───────────────────────────────────────────────────────────────


async def test_who_has_something_in_hand_is_first():
    """P9: then who is new; who tries again has one turn of four, and an eighth of the places at most."""
    places, order = Places(8), list[str]()
    for _ in range(8):
        await places.take(Rank.NEW)

    async def wants(rank: Rank) -> None:
        await places.take(rank)
        order.append(rank.name)
        if rank is not Rank.AGAIN:
            places.give_back(rank)

    tasks = [asyncio.create_task(wants(rank)) for rank in [*[Rank.AGAIN] * 3, *[Rank.NEW] * 9, *[Rank.ON] * 2]]
    await asyncio.sleep(0)
    for _ in range(4):
        places.give_back(Rank.NEW)
    await asyncio.sleep(0.01)
    assert order[:2] == ["ON", "ON"]
    assert "AGAIN" in order[2:5]
    assert order.count("AGAIN") == 1
    assert order.count("NEW") == 9
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_place_that_was_given_to_a_cancelled_task_is_not_lost():
    """P9: cancelled in the very moment."""
    places = Places(1)
    await places.take(Rank.NEW)
    task = asyncio.create_task(places.take(Rank.AGAIN))
    await asyncio.sleep(0)
    places.give_back(Rank.NEW)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.wait_for(places.take(Rank.NEW), 1)
    places.give_back(Rank.NEW)
    assert places.take_now(Rank.AGAIN)


async def test_a_body_keeps_its_place_while_any_of_its_steps_works():
    """P9: it is given back when all wait, and is taken again by the first that goes on."""
    places = Places(1)
    await places.take(Rank.NEW)
    place = Place(places)
    await place.begin_step()
    await place.begin_step()
    async with place.waiting():
        assert not places.take_now(Rank.NEW)
        async with place.waiting():
            assert places.waiting == 1
            assert places.take_now(Rank.NEW)
            places.give_back(Rank.NEW)
        assert places.waiting == 0
        assert not places.take_now(Rank.NEW)
    place.leave()
    assert places.take_now(Rank.NEW)


async def test_a_provider_that_answers_nothing_is_not_waited_for_in_place():
    """P9: behind a full line, who cannot be let on is sent away for longer and longer; an answer ends that."""
    line = ProviderLine(1)
    assert line.take_now()
    assert not await line.take(0.01)
    loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    assert not await line.take()
    assert _STALLED_S - 0.1 <= loop.time() - began < 2 * _STALLED_S
    away = [line.away_s() for _ in range(101)]
    assert away[-1] - away[0] == pytest.approx(2.0)
    turn = asyncio.create_task(line.take())
    await asyncio.sleep(0)
    line.give_back(answered=True)
    assert await turn
    assert line.away_s() == away[0]


async def test_a_turn_is_given_back_once():
    """P9: whatever ends the call."""
    places = Places(1)
    await places.take(Rank.NEW)
    place = Place(places)
    await place.begin_step()
    for error in (None, ValueError, TimeoutError):
        admission = Admission(place, "bank")
        try:
            async with admission:
                assert admission.take_now()
                async with admission.in_flight():
                    assert places.waiting == 1
                    if error is not None:
                        raise error
        except (ValueError, TimeoutError):
            pass
        assert places.line("bank").take_now()
        assert not places.line("bank").take_now()
        places.line("bank").give_back(answered=False)
