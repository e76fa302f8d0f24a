"""Each private use of the SDK, held against the SDK that is installed: an upgrade that moves one fails here first."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from resonate.connections import HttpConnection, LocalConnection
from resonate.resonate import Resonate
from resonate.retry import Constant
from resonate.types import Value

from recordfirst.conformance.record import run
from recordfirst.engine.sdk import steps as sdk


@contextlib.asynccontextmanager
async def resonating(*functions):
    """A Resonate in memory that would run a failed leaf ten times, at once."""
    connection = LocalConnection(tick_interval=0.01)
    resonate = Resonate(
        network=connection,
        retry_policy=Constant(delay=0, max_retries=10),
        subscription_refresh_secs=0,
        env={},
        autostart=False,
    )
    for function in functions:
        resonate.register(function)
    resonate.start()
    try:
        yield resonate, connection.state
    finally:
        await resonate.stop()


async def settled(resonate, id):
    """Wait for a promise's end."""
    while (record := await resonate.promises.get(id)).state == "pending":
        await asyncio.sleep(0.005)
    return record


@pytest.mark.parametrize(("marked", "runs"), [(True, 1), (False, 11)])
def test_never_retried(marked, runs):
    """P5: a leaf that is marked runs once when it raises; the SDK's own policy would run it eleven times."""
    seen: list[int] = []

    async def step(ctx) -> None:
        seen.append(1)
        if marked:
            sdk.never_retried(ctx)
        raise LookupError

    async def body(ctx) -> None:
        await ctx.run(step)

    async def go():
        async with resonating(body) as (resonate, _):
            with pytest.raises(LookupError):
                await resonate.run("w", body).result()
        assert len(seen) == runs

    run(go())


def test_sleep_is_numbered_by_the_caller():
    """P3: the leaf's sleep has the id of its number, suspends the workflow, and is over when the leaf runs again."""
    runs: list[str] = []

    async def step(ctx) -> str:
        runs.append(sdk.wait_id(ctx, 7))
        await sdk.sleep(ctx, 7, 0.05)
        return "slept"

    async def body(ctx) -> str:
        return await ctx.run(step)

    async def go():
        async with resonating(body) as (resonate, state):
            assert await resonate.run("w", body).result() == "slept"
            assert runs == ["w:1.7", "w:1.7"]
            assert state.promises["w:1.7"].tags["resonate:timer"] == "true"

    run(go())


def test_park_waits_for_the_promise_of_its_number():
    """P5: the leaf's park suspends until somebody settles its promise, by the id that the receipt stores."""

    async def step(ctx) -> str:
        await sdk.park(ctx, 12)
        return "woken"

    async def body(ctx) -> str:
        return await ctx.run(step)

    async def go():
        async with resonating(body) as (resonate, state):
            handle = resonate.run("w", body)
            while state.tasks.get("w") is None or state.tasks["w"].state != "suspended":
                await asyncio.sleep(0.005)
            ten_years = timedelta(days=3649) / timedelta(milliseconds=1)
            assert state.promises["w"].timeout_at >= state.promises["w:1.12"].timeout_at
            assert sdk.FAR / timedelta(milliseconds=1) > ten_years
            await resonate.promises.resolve("w:1.12", Value())
            assert await handle.result() == "woken"

    run(go())


def test_wait_number_reads_what_wait_id_wrote():
    """P6: and calls another epoch's wait a stranger."""
    found: list[object] = []

    async def step(ctx) -> None:
        ids = [sdk.wait_id(ctx, 3), "w~2:1.3", "w:1", "w:10.3", "w:1.3.4"]
        found.extend(sdk.wait_number(ctx, id) for id in ids)

    async def body(ctx) -> None:
        await ctx.run(step)

    async def go():
        async with resonating(body) as (resonate, _):
            await resonate.run("w", body).result()
        assert found == [3, None, None, None, None]

    run(go())


def test_waits_for_others():
    """P7: a body that returned has not ended while a promise elsewhere is pending."""
    seen: list[bool] = []

    async def body(ctx) -> str:
        waiting = ctx.promise()
        await ctx.flush_local_work()
        seen.append(sdk.waits_for_others(ctx))
        del waiting
        return "ended"

    async def go():
        async with resonating(body) as (resonate, _):
            handle = resonate.run("w", body)
            while not seen:
                await asyncio.sleep(0.005)
            await resonate.promises.resolve("w:1", Value())
            assert await handle.result() == "ended"
        assert seen == [True, False]

    run(go())


def test_release_gives_the_task_back(caplog):
    """P9: nothing is recorded of the step, and the task is delivered again."""
    caplog.set_level(logging.CRITICAL, logger="resonate")
    runs: list[int] = []

    async def step(ctx) -> str:
        runs.append(1)
        if len(runs) == 1:
            raise sdk.release(ConnectionError("the record is away"))
        return "done"

    async def body(ctx) -> str:
        return await ctx.run(step)

    async def go():
        async with resonating(body) as (resonate, state):
            assert await resonate.run("w", body).result() == "done"
            assert len(runs) == 2
            assert state.tasks["w"].version == 1

    run(go())


def test_address_and_clock():
    """P7: a promise for our own group, with a deadline ten years on."""

    async def go():
        async with resonating() as (resonate, _):
            assert sdk.address_of(resonate) == "local://any@default"
            assert sdk.far_from_now_ms(resonate) - 3650 * 86_400_000 == pytest.approx(resonate._clock(), abs=5_000)
        served = Resonate(url="http://127.0.0.1:9", autostart=False, env={})
        assert sdk.address_of(served) == "poll://any@default"

    run(go())


def test_register_replaces_and_knows_the_alias():
    """P7: an app that is opened again replaces its old bodies; ``rpc`` finds them by the user's object."""
    alias = object()

    async def child_before(ctx) -> str:
        return "before"

    async def child_after(ctx) -> str:
        return "after"

    async def body(ctx) -> str:
        return await ctx.rpc(alias)

    async def go():
        async with resonating(body) as (resonate, _):
            sdk.register(resonate, "child", child_before, alias)
            sdk.register(resonate, "child", child_after, alias)
            assert await resonate.run("w", body).result() == "after"

    run(go())


def test_what_is_not_registered_is_made_by_its_name():
    """P9: what is registered later is found as such, by its object and by its name."""
    alias = object()

    def made(name: str):
        async def standing_in(ctx) -> str:
            return f"for {name}"

        return standing_in

    async def known(ctx) -> str:
        return "known"

    async def body(ctx) -> list:
        return [await ctx.rpc("gone"), await ctx.rpc("known"), await ctx.rpc(alias)]

    async def go():
        async with resonating(body) as (resonate, _):
            sdk.register_unknown(resonate, made)
            sdk.register(resonate, "known", known, alias)
            assert await resonate.run("w", body).result() == ["for gone", "known", "known"]

    run(go())


def test_kind_of_connection():
    """P6: what is in memory is told from what outlives the process."""
    assert sdk.is_local(Resonate(network=LocalConnection(), autostart=False, env={}))
    assert not sdk.is_local(Resonate(network=HttpConnection("http://127.0.0.1:9"), autostart=False, env={}))


def test_stopped():
    """P7: a Resonate that was stopped is known, since it would take work and run nothing."""

    async def go():
        async with resonating() as (resonate, _):
            assert not sdk.was_stopped(resonate)
        assert sdk.was_stopped(resonate)

    run(go())


def test_a_shut_gate_lets_no_step_begin():
    """P9: behind it the step that runs ends and is settled, the next is not begun, and the task is given back."""
    went: list[str] = []
    shut_now: list[Callable[[], None]] = []

    async def step(ctx, name: str) -> str:
        went.append(name)
        if name == "first":
            shut_now[0]()
        return name

    async def body(ctx) -> list[str]:
        return [await ctx.run(step, "first"), await ctx.run(step, "second")]

    async def go():
        connection = LocalConnection(tick_interval=60)
        resonate = Resonate(network=connection, subscription_refresh_secs=0, env={}, autostart=False)
        resonate.register(body)
        shut_now.append(sdk.gate(resonate))
        resonate.start()
        resonate.run("w", body)
        while "w:1" not in connection.state.promises or connection.state.promises["w:1"].state == "pending":
            await asyncio.sleep(0.005)
        await sdk.finish_tasks(resonate)
        assert went == ["first"]
        assert connection.state.tasks["w"].state == "pending"  # given back, and not taken again
        await resonate.stop()

    run(go())


def test_draining_waits_for_what_runs_and_for_what_that_starts():
    """P9: also for a task that a task of the SDK's leaves behind."""
    went = []

    async def later():
        await asyncio.sleep(0.02)
        went.append("later")

    async def go():
        async with resonating() as (resonate, _):

            async def sooner():
                await asyncio.sleep(0.01)
                resonate._spawn(later())
                went.append("sooner")

            resonate._spawn(sooner())
            await sdk.finish_tasks(resonate)
            assert went == ["sooner", "later"]

    run(go())


def test_a_leaf_is_settled_by_a_request_of_our_own():
    """P2: fenced by its task's version; afterwards the SDK takes it as settled, and does not ask again."""
    replies = []

    async def step(ctx) -> str:
        connection = ctx._state.effects.sender.transport._network
        reply = await connection.send(sdk.settling(ctx, "ours"))
        promise = sdk.settled(reply)
        assert promise is not None
        replies.append(promise.id)
        sdk.take_as_settled(ctx, promise)
        return "the SDK's"

    async def body(ctx) -> str:
        return await ctx.run(step)

    async def go():
        async with resonating(body) as (resonate, _):
            assert await resonate.run("w", body).result() == "ours"
            assert replies == ["w:1"]

    run(go())


@pytest.mark.parametrize(
    ("status", "inner", "state", "is_settled"),
    [
        (200, 200, "resolved", True),
        (409, 200, "resolved", False),
        (200, 404, "", False),
        (200, 200, "rejected_timedout", False),
    ],
)
def test_what_counts_as_settled(status, inner, state, is_settled):
    """P2: only "yours, and done": a stale version is a status, an expired leaf is answered with success."""
    promise = {"id": "w:1", "state": state, "timeoutAt": 1}
    action = {
        "kind": "promise.settle",
        "head": {"status": inner},
        "data": {"promise": promise} if state else "not found",
    }
    reply = {"kind": "task.fence", "head": {"status": status}, "data": {"action": action} if status == 200 else "stale"}
    assert (sdk.settled(json.dumps(reply)) is not None) == is_settled
