"""Requests on schedules, and what a schedule does when its time comes."""

from __future__ import annotations

from typing import Any

import msgspec

from recordfirst.engine.embedded import cron, promises
from recordfirst.engine.embedded.promises import Data
from recordfirst.engine.embedded.requests import BadRequest, ById, PromiseCreate, RequestRefused, ScheduleCreate
from recordfirst.engine.embedded.rows import TARGET, Schedule, Value
from recordfirst.engine.embedded.transition import Transition, replace

_MOST_RUNS = 100
"""Promises of one schedule in one turn: after a long time without a process, others get their turn too."""


def record(schedule: Schedule) -> Any:
    """Return a schedule as it goes over the wire."""
    return msgspec.to_builtins(schedule)


def _found(turn: Transition, id: str) -> Schedule:
    schedule = turn.state.schedule(id)
    if schedule is None:
        raise RequestRefused(404, "Schedule not found")
    return schedule


def get(turn: Transition, request: ById) -> Data:
    """Look at a schedule."""
    return {"schedule": record(_found(turn, request.id))}


def create(turn: Transition, request: ScheduleCreate) -> Data:
    """Create a schedule; the same id again changes nothing."""
    tags = request.promise_tags or {}
    promises.check_address(tags.get(TARGET), "resonate:target")
    schedule = turn.state.schedule(request.id)
    if schedule is None:
        schedule = Schedule(
            id=request.id,
            cron=request.cron,
            promise_id=request.promise_id,
            promise_timeout=request.promise_timeout,
            promise_param=request.promise_param or Value(),
            promise_tags=tags,
            created_at=turn.now,
            next_run_at=_next(request.cron, turn.now),
        )
        turn.state.put_schedule(schedule)
    return {"schedule": record(schedule)}


def _next(expression: str, after_ms: int) -> int:
    try:
        return cron.next_ms(expression, after_ms)
    except ValueError as error:
        raise BadRequest(f"Invalid cron expression: {error}") from error


def delete(turn: Transition, request: ById) -> Data:
    """Delete a schedule; what it made goes on."""
    _found(turn, request.id)
    turn.state.drop_schedule(request.id)
    return {}


def run(turn: Transition, schedule: Schedule) -> None:
    """Create the promise of every time that has come since the schedule last ran, each once: none is left out.

    Not all at once, if there are many: the schedule stays due.
    """
    for _ in range(_MOST_RUNS):
        at = schedule.next_run_at
        if at > turn.now:
            break
        id = schedule.promise_id.replace("{{.id}}", schedule.id).replace("{{.timestamp}}", str(at))
        if turn.look(id) is None:
            lineage = dict.fromkeys(("resonate:origin", "resonate:branch", "resonate:parent", "resonate:prefix"), id)
            tags = schedule.promise_tags | {"resonate:schedule": schedule.id} | lineage
            timeout_at = at + schedule.promise_timeout
            promises.new(turn, PromiseCreate(id, timeout_at, schedule.promise_param, tags), created_at=at)
        schedule = replace(schedule, last_run_at=at, next_run_at=_next(schedule.cron, at))
    turn.state.put_schedule(schedule)
