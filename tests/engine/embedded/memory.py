"""The state of the machine's turns in plain dictionaries: the machine needs no file."""

from __future__ import annotations

from recordfirst.engine.embedded.requests import PromiseSearch, ScheduleSearch, TaskSearch
from recordfirst.engine.embedded.rows import BRANCH, Promise, Schedule, Task, due_at


class Memory:
    """See ``turn.State``."""

    def __init__(self) -> None:
        self.rows: dict[str, Promise] = {}
        self.task_rows: dict[str, Task] = {}
        self.schedule_rows: dict[str, Schedule] = {}

    def promise(self, id: str) -> Promise | None:
        return self.rows.get(id)

    def task(self, id: str) -> Task | None:
        return self.task_rows.get(id)

    def schedule(self, id: str) -> Schedule | None:
        return self.schedule_rows.get(id)

    def put_promise(self, promise: Promise) -> None:
        self.rows[promise.id] = promise

    def put_task(self, task: Task) -> None:
        self.task_rows[task.id] = task

    def put_schedule(self, schedule: Schedule) -> None:
        self.schedule_rows[schedule.id] = schedule

    def drop_schedule(self, id: str) -> None:
        del self.schedule_rows[id]

    def branch_of(self, promise: Promise) -> list[Promise]:
        branch = promise.tags.get(BRANCH)
        return [p for p in self.rows.values() if branch and p.id != promise.id and p.tags.get(BRANCH) == branch]

    def due(self, now: int, limit: int) -> list[str]:
        when = {id: due_at(promise, self.task_rows.get(id)) for id, promise in self.rows.items()}
        due = [(at, id) for id, at in when.items() if at is not None and at <= now]
        return [id for _, id in sorted(due)[:limit]]

    def due_schedules(self, now: int) -> list[Schedule]:
        return [schedule for schedule in self.schedule_rows.values() if schedule.next_run_at <= now]

    def promises(self, search: PromiseSearch, limit: int) -> list[Promise]:
        wanted = (search.tags or {}).items()
        found = [p for p in self.rows.values() if search.state in (None, p.state) and wanted <= p.tags.items()]
        return sorted((p for p in found if p.id > (search.cursor or "")), key=lambda p: p.id)[:limit]

    def tasks(self, search: TaskSearch, limit: int) -> list[Task]:
        found = [task for task in self.task_rows.values() if search.state in (None, task.state)]
        return sorted((task for task in found if task.id > (search.cursor or "")), key=lambda task: task.id)[:limit]

    def schedules(self, search: ScheduleSearch, limit: int) -> list[Schedule]:
        wanted = (search.tags or {}).items()
        found = [s for s in self.schedule_rows.values() if wanted <= s.promise_tags.items()]
        return sorted((s for s in found if s.id > (search.cursor or "")), key=lambda s: s.id)[:limit]
