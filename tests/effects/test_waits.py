"""P5, P9: waiting: briefly in place, long ones durably; threads for what blocks; an end to what never answers."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from resonate.connections import LocalConnection
from resonate.resonate import Resonate

from recordfirst import Call, Context, NotDone, effect, inject, workflow
from recordfirst.testing import SimClock
from tests.effects.harness import Plug, Script, pass_time, receipt, until, until_state
from tests.effects.program import KEYED, PLAIN

HOUR_S = 3600


class Engine:
    """The in-memory engine, with a clock that the test moves."""

    def __init__(self, *, concurrency: int = 64) -> None:
        self.clock = SimClock()
        self.connection = LocalConnection(clock=self.clock.now_ms, tick_interval=0.01)
        self.resonate = Resonate(
            network=self.connection,
            clock=self.clock.now_ms,
            ttl=timedelta(days=3650),
            max_concurrent_tasks=concurrency,
            env={},
            autostart=False,
        )

    async def until_asleep(self, number: int = 1) -> None:
        """Wait until so many durable sleeps have begun."""

        async def look() -> bool:
            timers = [p for p in self.connection.state.promises.values() if p.tags.get("resonate:timer") == "true"]
            return len([p for p in timers if p.state == "pending"]) == number

        await until(look)

    async def pass_time(self, app: Any, seconds: float) -> None:
        """Move the record's clock, then the engine's."""
        await pass_time(app, seconds)
        self.clock.advance(seconds)


@effect(key="call:{name}", provider=PLAIN, after=None)
async def ask(call: Call, name: str, *, script: Script = inject()) -> str:
    return str(script.next(call))


@workflow
async def asking(ctx: Context, name: str) -> str:
    return await ask(ctx, name)


@workflow
async def quick(ctx: Context) -> str:
    return "quick"


async def never(seconds: float) -> None:
    raise AssertionError(f"waited {seconds} s in place")


async def test_long_wait_holds_no_slot(shop):
    """P5: a wait above five seconds is a durable sleep: with room for one workflow, another gets through meanwhile."""
    engine, script = Engine(concurrency=1), Script(NotDone("busy", HOUR_S * 1000))
    options = {"engine": engine.resonate, "concurrency": 1, "sleeper": never}
    async with shop.working(asking, quick, provide={Script: script}, **options) as app:
        waiting = await app.start(asking, "a", id="w")
        await engine.until_asleep()
        assert await (await app.start(quick, id="q")).result() == "quick"
        assert (await waiting.status()).state == "open"
        await engine.pass_time(app, HOUR_S + 1)
        assert await waiting.result() == "done"
    assert len(script.calls) == 2


async def test_long_wait_survives_its_worker(shop):
    """P7: the next time is in the receipt: another worker waits for it on an engine that never heard of it."""
    script = Script(NotDone("busy", HOUR_S * 1000))
    first, second = Engine(), Engine()
    async with shop.working(asking, provide={Script: script}, engine=first.resonate) as app:
        await app.start(asking, "a", id="w")
        await first.until_asleep()
    async with shop.working(asking, provide={Script: script}, engine=second.resonate) as app:
        await second.until_asleep()
        assert len(script.calls) == 1
        await second.pass_time(app, HOUR_S + 1)
        assert await (await app.handle("w")).result() == "done"
    assert [call.number for call in script.calls] == [1, 2]


async def test_engines_clock_is_ahead(shop):
    """P5: the engine wakes a workflow before its time by the record's clock, which decides: it waits on."""
    engine, script = Engine(), Script(NotDone("busy", HOUR_S * 1000))
    waits: list[float] = []

    async def sleeper(seconds: float) -> None:
        waits.append(seconds)
        await pass_time(app, HOUR_S)

    async with shop.working(asking, provide={Script: script}, engine=engine.resonate, sleeper=sleeper) as app:
        handle = await app.start(asking, "a", id="w")
        await engine.until_asleep()
        engine.clock.advance(HOUR_S + 1)
        assert await handle.result() == "done"
    assert waits == [5.0]


async def test_short_wait_is_in_place(shop):
    """P5: up to five seconds are waited for in place, as long as the provider asks; the engine knows nothing of it."""
    engine, script = Engine(), Script(NotDone("busy", 4_000), NotDone("busy"))
    waits: list[float] = []

    async def sleeper(seconds: float) -> None:
        waits.append(seconds)
        await pass_time(app, seconds)

    async with shop.working(
        asking, provide={Script: script}, engine=engine.resonate, sleeper=sleeper, random=lambda: 0.0
    ) as app:
        assert await (await app.start(asking, "a", id="w")).result() == "done"
        assert not [p for p in engine.connection.state.promises.values() if "resonate:timer" in p.tags]
    assert [round(wait, 1) for wait in waits] == [4.0, 0.2]


# ── side by side ────────────────────────────────────────────────────────────


@workflow
async def side_by_side(ctx: Context) -> list[str]:
    return list(await asyncio.gather(*(ask(ctx, name) for name in "abc")))


async def test_side_by_side(shop):
    """P8: steps under gather take one id each, by what they are; after a wait each has its own answer."""
    engine, script = Engine(), Script()
    script.answers = ["x", NotDone("busy", HOUR_S * 1000), "y"]
    async with shop.working(side_by_side, provide={Script: script}, engine=engine.resonate) as app:
        handle = await app.start(side_by_side, id="g")
        await engine.until_asleep()
        late = script.calls[1].key
        await engine.pass_time(app, HOUR_S + 1)
        results = await handle.result()
        mine = sorted(id for id in engine.connection.state.promises if id.count(".") == 0 and ":" in id)
        stored = [(await receipt(app, f"call:{name}")).result for name in "abc"]
    assert [f'"{result}"' for result in results] == stored
    assert sorted(results) == ["done", "x", "y"]
    assert results["abc".index(late[-1])] == "done"
    assert len(mine) == 3


# ── threads ─────────────────────────────────────────────────────────────────


@effect(key="block:{name}", provider=PLAIN, after=None)
def block(call: Call, name: str, *, barrier: threading.Barrier = inject()) -> str:
    barrier.wait(30)
    return f"{name} in {'a thread' if threading.current_thread() is not threading.main_thread() else 'the loop'}"


@workflow
async def blocking(ctx: Context, name: str) -> str:
    return await block(ctx, name)


async def test_blocking_steps(shop):
    """P9: sync effects run in threads, as many as there are; while they block, another workflow gets through."""
    barrier = threading.Barrier(3)
    async with shop.working(blocking, quick, provide={threading.Barrier: barrier}) as app:
        handles = [await app.start(blocking, name, id=name) for name in "ab"]
        await until_state(app, "block:a", "intended")
        await until_state(app, "block:b", "intended")
        assert await (await app.start(quick, id="q")).result() == "quick"
        await asyncio.to_thread(barrier.wait, 30)
        assert [await handle.result() for handle in handles] == ["a in a thread", "b in a thread"]


# ── time-outs ───────────────────────────────────────────────────────────────


@effect(key="hang", provider=PLAIN, after=None, timeout_s=0.05)
async def hang(call: Call, *, plug: Plug = inject()) -> str:
    await asyncio.Event().wait()
    return "never"


@effect(key="hang sync", provider=PLAIN, after=None, timeout_s=0.05)
def hang_sync(call: Call, *, let_go: threading.Event = inject()) -> str:
    let_go.wait(30)
    return "too late"


@effect(key="hang once", provider=KEYED, after=None, timeout_s=0.05)
async def hang_once(call: Call) -> str:
    if call.number == 1:
        await asyncio.Event().wait()
    return f"{call.number} {call.key}"


@workflow
async def hanging(ctx: Context) -> str:
    return await hang(ctx)


@workflow
async def hanging_sync(ctx: Context) -> str:
    return await hang_sync(ctx)


@workflow
async def hanging_once(ctx: Context) -> str:
    return await hang_once(ctx)


@pytest.mark.parametrize(("workflow_", "key"), [(hanging, "hang"), (hanging_sync, "hang sync")])
async def test_no_answer_in_time(shop, workflow_, key):
    """P5: a call that does not come back in timeout_s is unknown, not failed; what comes later is dropped."""
    let_go = threading.Event()
    async with shop.working(workflow_, provide={threading.Event: let_go}, random=lambda: 0.0) as app:
        handle = await app.start(workflow_, id="o")
        parked = await until_state(app, key, "unknown")
        assert "no answer within 0.05 s" in str(parked.error)
        let_go.set()
        await app.resolve(key, outcome="succeeded", result="as an operator saw")
        assert await handle.result() == "as an operator saw"


async def test_no_answer_in_time_with_a_key(shop):
    """P3: a call that was given up is repeated under the same key."""
    async with shop.working(hanging_once, random=lambda: 0.0) as app:
        assert await (await app.start(hanging_once, id="o")).result() == "2 shop/hang%20once"


async def test_a_wish_without_end(shop):
    """P5, P7: a Retry-After that no calendar has is a day; the outcome is stored, and the workflow goes on."""
    script = Script(NotDone("later", 10**19), "done")
    async with shop.working(asking, provide={Script: script}) as app:
        handle = await app.start(asking, "a", id="a")
        waiting = await until(lambda: not_done(app, "call:a"))
        assert 0 <= waiting.next_at_ms - waiting.last_call_at_ms - 24 * HOUR_S * 1000 < 60_000
        assert (await handle.status()).state == "open"


async def not_done(app: Any, key: str) -> Any:
    async with app.runtime.record.session() as session:
        found = (await session.find_receipt(key)).receipt
    return found if found is not None and found.calls == 1 and found.doubts == 0 else None


async def test_an_observer_that_fails(shop):
    """P5, P9: whoever is told of an event decides nothing by raising: the outcome is stored, and the workflow parks."""

    def failing(event: object) -> None:
        raise LookupError(event)

    async with shop.working(
        asking, provide={Script: Script(TimeoutError())}, random=lambda: 0.0, observer=failing
    ) as app:
        await app.start(asking, "a", id="a")
        assert (await until_state(app, "call:a", "unknown")).calls == 1
