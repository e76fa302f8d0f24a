"""Searches: pages by id, each with the cursor of the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from recordfirst.engine.embedded import promises, schedules, tasks
from recordfirst.engine.embedded.promises import Data
from recordfirst.engine.embedded.requests import PromiseSearch, ScheduleSearch, TaskSearch
from recordfirst.engine.embedded.transition import Transition


class _Row(Protocol):
    @property
    def id(self) -> str: ...


def _page[T: _Row](name: str, rows: Sequence[T], limit: int, record: Callable[[T], Any]) -> Data:
    """One more row than the limit was asked for, which tells whether there is a next page."""
    page = rows[:limit]
    return {name: [record(row) for row in page], "cursor": page[-1].id if len(rows) > limit else None}


def find_promises(turn: Transition, request: PromiseSearch) -> Data:
    """Carry out a search for promises."""
    limit = request.limit or 100
    return _page("promises", turn.state.promises(request, limit + 1), limit, promises.record)


def find_tasks(turn: Transition, request: TaskSearch) -> Data:
    """Carry out a search for tasks."""
    limit = request.limit or 100
    return _page("tasks", turn.state.tasks(request, limit + 1), limit, tasks.record)


def find_schedules(turn: Transition, request: ScheduleSearch) -> Data:
    """Carry out a search for schedules."""
    limit = request.limit or 10
    return _page("schedules", turn.state.schedules(request, limit + 1), limit, schedules.record)
