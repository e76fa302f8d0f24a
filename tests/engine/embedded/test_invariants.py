"""What holds in the machine after every request and every tick, whatever came before."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from recordfirst.engine.embedded.rows import Promise, Task
from recordfirst.engine.embedded.transition import Execute
from tests.engine.embedded.memory import Memory
from tests.engine.embedded.operations import Op, request, sequences
from tests.engine.embedded.peers import Ours

run_many = settings(
    max_examples=150, derandomize=True, deadline=None, database=None, suppress_health_check=[*HealthCheck]
)
FENCED = {"task.release", "task.fulfill", "task.suspend", "task.fence"}


class World:
    """A machine, its time, and what a worker may be told of."""

    def __init__(self) -> None:
        self.ours, self.now = Ours(Memory(), 5_000), 1_000_000
        self.told: set[tuple[str, int]] = set()
        """Tasks that a message named, in its version."""

    def step(self, op: Op) -> tuple[int, dict[str, Promise], dict[str, Task]]:
        """Carry one request out; return its status, and the rows as they were."""
        state = self.ours.state
        promises, tasks = dict(state.rows), dict(state.task_rows)
        self.now += op.wait_ms
        status = 200
        if op.kind == "tick":
            self.ours.tick(self.now)
        else:
            data = request(op, self.now, self.ours.version(op.id, self.now))
            status, _ = self.ours.apply(self.now, op.kind, data)
        self.told |= {(m.id, m.version) for m in self.ours.messages if isinstance(m, Execute)}
        return status, promises, tasks


@run_many
@given(sequences)
def test_after_every_step(sequence):
    """P9, trap 15: fencing, finality and wakes hold, one by one, after each request and tick."""
    world = World()
    state = world.ours.state
    for op in sequence:
        status, promises, tasks = world.step(op)
        settled_stays(promises, state)
        versions_only_grow(tasks, state)
        if op.kind in FENCED and op.offset != 0:
            nobody_stale_acts(op, status)
        for task in state.task_rows.values():
            promise = state.rows[task.id]
            a_task_ends_with_its_promise(promise, task)
            what_is_pending_was_said_or_is_due(world, promise, task)
            who_is_suspended_will_be_woken(state, promise, task)
        both_sides_know_who_waits(state)


def settled_stays(before: dict[str, Promise], state: Memory) -> None:
    for id, promise in before.items():
        if promise.state != "pending":
            now = state.rows[id]
            assert (now.state, now.value, now.settled_at) == (promise.state, promise.value, promise.settled_at)


def versions_only_grow(before: dict[str, Task], state: Memory) -> None:
    for id, task in before.items():
        now = state.task_rows[id]
        assert now.version >= task.version
        if task.state == "fulfilled":
            assert now == task
        if now.state == "acquired" and task.state != "acquired":
            assert now.version == task.version + 1


def nobody_stale_acts(op: Op, status: int) -> None:
    """The version was not the task's, so whatever was asked for did not happen."""
    assert status >= 400, op


def a_task_ends_with_its_promise(promise: Promise, task: Task) -> None:
    assert (task.state == "fulfilled") == (promise.state != "pending")


def what_is_pending_was_said_or_is_due(world: World, promise: Promise, task: Task) -> None:
    if task.state == "pending" and not promise.timer:
        assert task.due_at is not None
        assert (task.id, task.version) in world.told or promise.tags.get("resonate:delay")
    if task.state == "acquired":
        assert task.due_at is not None
        assert task.pid is not None


def who_is_suspended_will_be_woken(state: Memory, promise: Promise, task: Task) -> None:
    if task.state == "suspended" and promise.state == "pending":
        assert task.awaits
        assert all(state.rows[id].state == "pending" and state.rows[id].awaitable for id in task.awaits)


def both_sides_know_who_waits(state: Memory) -> None:
    awaited = {(task.id, id) for task in state.task_rows.values() for id in task.awaits}
    awaiting = {(awaiter, promise.id) for promise in state.rows.values() for awaiter in promise.awaiters}
    assert awaited == awaiting
