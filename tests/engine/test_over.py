"""When a run of a body is over: the event loop turns for branches that are there, and not otherwise."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest

from recordfirst.engine.sdk.over import Over
from recordfirst.steps.step import caller

FEW, MANY = 5, 100


class Run:
    """Whose context the tasks of a run have."""

    def call(self, *_: Any) -> Awaitable[Any]:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _in_a_run() -> Iterator[None]:
    token = caller.set(Run())
    yield
    caller.reset(token)


async def turns(work: Awaitable[Any]) -> int:
    """How often the event loop turns until this is done."""
    count, done = 0, False

    def turn() -> None:
        nonlocal count
        if not done:
            count += 1
            asyncio.get_running_loop().call_soon(turn)

    turn()
    await work
    done = True
    return count


async def a_call(over: Over, seconds: float = 0.01) -> None:
    call = asyncio.create_task(asyncio.sleep(seconds))
    over.add(call)
    await call


def called_later(over: Over, calls: list[str], after_turns: int) -> asyncio.Task[None]:
    async def branch() -> None:
        for _ in range(after_turns):
            await asyncio.sleep(0)
        calls.append("begun")
        await a_call(over)
        calls.append("done")

    return asyncio.create_task(branch())


async def test_a_body_without_branches_costs_no_turns() -> None:
    """P9: its calls have ended, and no task has its context but its own."""
    assert isinstance(caller.get(), Run)
    over = Over()
    await a_call(over)
    assert await turns(over.until_alone()) <= FEW


async def test_what_the_loop_calls_by_itself_is_waited_for() -> None:
    """P9: a callback has no task; what it calls is under way after a turn."""
    over = Over()
    tasks = []
    asyncio.get_running_loop().call_soon(lambda: tasks.append(asyncio.create_task(a_call(over))))
    await over.until_alone()
    assert [task.done() for task in tasks] == [True]


@pytest.mark.parametrize("after_turns", [0, 1, 50, 90])
async def test_a_branch_that_has_called_nothing_is_given_its_turns(after_turns: int) -> None:
    """P9: it may be about to call, for a result that comes to it through groups of tasks."""
    over, calls = Over(), list[str]()
    branch = called_later(over, calls, after_turns)
    assert await turns(over.until_alone()) >= MANY
    await branch
    assert calls == ["begun", "done"]


async def test_a_branch_goes_on_behind_its_call() -> None:
    """P9: the call of a branch ends, and the branch makes the next one."""
    over, calls = Over(), list[str]()

    async def branch() -> None:
        for name in ("first", "second", "third"):
            await a_call(over)
            calls.append(name)

    task = asyncio.create_task(branch())
    await over.until_alone()
    await task
    assert calls == ["first", "second", "third"]


async def test_the_tasks_of_others_cost_no_turns() -> None:
    """P9: another run's, or one that was begun outside of any."""
    over = Over()
    others = [
        asyncio.create_task(asyncio.sleep(60), context=contextvars.Context()),
        contextvars.copy_context().run(lambda: (caller.set(Run()), asyncio.create_task(asyncio.sleep(60)))[1]),
    ]
    await a_call(over)
    assert await turns(over.until_alone()) <= FEW
    for task in others:
        task.cancel()


async def test_a_call_from_another_context_is_a_branch() -> None:
    """P9: what calls may have a context of its own; then no context tells what is still to come."""
    over = Over()
    await asyncio.create_task(a_call(over), context=contextvars.Context())
    await a_call(over)
    assert await turns(over.until_alone()) >= MANY


async def test_where_many_run_the_loop_turns() -> None:
    """P9: to look through all tasks would cost more."""
    over = Over()
    over.crowded = lambda: True
    assert await turns(over.until_alone()) >= MANY


async def test_a_body_whose_only_branch_rests_is_quiet_at_once() -> None:
    """P7: a sleep of a body without branches suspends it without a turn too many."""
    over = Over()
    assert await turns(over.rest(())) <= FEW
    assert over.is_quiet


async def test_a_body_that_waits_beside_a_branch_is_given_its_turns() -> None:
    """P9: it rests in one branch, and the other one has something to do."""
    over, calls = Over(), list[str]()
    branch = called_later(over, calls, 50)
    assert await turns(over.rest(())) >= MANY
    await branch
    assert (over.is_quiet, calls) == (True, ["begun", "done"])
