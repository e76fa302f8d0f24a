"""The embedded engine's file: one SQLite database, one row for each promise, written in one transaction per batch.

What a lineage needs is read once and kept for as long as something in it may run; what sleeps or has ended is on disk
alone. Changes of a batch stand aside until they are committed: if that fails, they are as if they had not been.

Promised, with ``durability="record"``: what was committed survives the end of the process, however it ends, and the
file is never torn; a power cut or a crash of the operating system may take back the last moments (WAL,
``synchronous=NORMAL``). With ``"disk"`` (``synchronous=FULL``) it takes back nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import msgspec

from recordfirst.engine.embedded.lineage import Lineage
from recordfirst.engine.embedded.requests import PromiseSearch, ScheduleSearch, TaskSearch
from recordfirst.engine.embedded.rows import BRANCH, Promise, Schedule, Task, due_at, origin_of
from recordfirst.engine.options import Durability
from recordfirst.process.seams import NO_SEAMS, Seams
from recordfirst.records.statements import migrations, read

_VERSION = 1
_CHECKPOINT_PAGES = 4_000
"""Of 4 KiB: how much the log may grow before it goes into the file, which waits for the disk."""

_WAITING_MOST = 2_000
"""Lineages of which as much as waits for a worker stays in memory; those of more are read again when one takes them."""

_SYNCHRONOUS = {"record": "NORMAL", "disk": "FULL"}


@cache
def _sql(name: str) -> str:
    return read(__package__ or "", f"{name}.sql")


class _Row(msgspec.Struct, frozen=True, array_like=True):
    promise: Promise
    task: Task | None


_row = msgspec.json.Decoder(_Row)
_schedule = msgspec.json.Decoder(Schedule)
_encode = msgspec.json.Encoder().encode


class Store:
    """The file, open; the state of the turns that are applied to it. See :class:`turn.State` for its methods."""

    def __init__(self, path: str, durability: Durability, seams: Seams = NO_SEAMS) -> None:
        connect = seams.connect or sqlite3.connect
        self._sql: sqlite3.Connection = connect(path, isolation_level=None, check_same_thread=False)
        self._new_id = seams.new_id
        try:
            self._sql.execute("PRAGMA journal_mode = WAL")
            self._sql.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
            self._sql.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            for step in migrations(__package__ or ""):
                self._sql.executescript(step.sql)
            self.identity = self._identify()
        except BaseException:
            self._sql.close()
            raise
        self._lineages: dict[str, Lineage] = {}
        self._visited: set[str] = set()
        """Lineages read since the last batch was settled."""
        self._promises: dict[str, Promise] = {}
        """Of the batch that is not committed yet; so are the next three."""
        self._tasks: dict[str, Task] = {}
        self._schedules: dict[str, Schedule | None] = {}
        self._dropped: set[str] = set()

    def _identify(self) -> str:
        row = self._sql.execute(_sql("identify")).fetchone()
        if row is None:
            row = (self._new_id(), _VERSION)
            self._sql.execute(_sql("name_it"), row)
        identity, version = row
        if version != _VERSION:
            raise sqlite3.DatabaseError(f"its format is {version}, this version of recordfirst knows {_VERSION}")
        return str(identity)

    def close(self) -> None:
        self._sql.close()

    # ── the state of a turn ─────────────────────────────────────────────────

    def promise(self, id: str) -> Promise | None:
        return self._promises.get(id) or self._lineage(id).promises.get(id)

    def task(self, id: str) -> Task | None:
        return self._tasks.get(id) or self._lineage(id).tasks.get(id)

    def branch_of(self, promise: Promise) -> Iterator[Promise]:
        branch = promise.tags.get(BRANCH)
        if not branch:
            return
        stored = self._lineage(promise.id).branches.get(branch, [])
        new = [id for id, other in self._promises.items() if other.tags.get(BRANCH) == branch]
        for id in dict.fromkeys((*stored, *new)):
            other = self.promise(id)
            if other is not None and id != promise.id:
                yield other

    def put_promise(self, promise: Promise) -> None:
        self._promises[promise.id] = promise

    def put_task(self, task: Task) -> None:
        self._tasks[task.id] = task

    def schedule(self, id: str) -> Schedule | None:
        if id in self._schedules:
            return self._schedules[id]
        row = self._sql.execute(_sql("schedule"), (id,)).fetchone()
        return None if row is None else _schedule.decode(row[0])

    def put_schedule(self, schedule: Schedule) -> None:
        self._schedules[schedule.id] = schedule

    def drop_schedule(self, id: str) -> None:
        self._schedules[id] = None

    def ended(self, origin: str) -> bool:
        """Whether nothing in a lineage can ever run again, by what was committed."""
        return self._lineage(origin).ended

    def drop(self, origin: str) -> None:
        """Delete a lineage, whatever its state."""
        self._dropped.add(origin)
        self._lineages[origin] = Lineage()
        self._promises = {id: promise for id, promise in self._promises.items() if origin_of(id) != origin}
        self._tasks = {id: task for id, task in self._tasks.items() if origin_of(id) != origin}

    def _lineage(self, id: str) -> Lineage:
        origin = origin_of(id)
        lineage = self._lineages.get(origin)
        if lineage is None:
            lineage = self._lineages[origin] = Lineage()
            self._visited.add(origin)
            for (body,) in self._sql.execute(_sql("lineage"), {"origin": origin}):
                row = _row.decode(body)
                lineage.add_promise(row.promise)
                if row.task is not None:
                    lineage.add_task(row.task)
        return lineage

    # ── what is asked of the file as a whole ────────────────────────────────

    def _rows(self, name: str, *values: Any) -> Iterable[Any]:
        """Query the file, with the batch that is not committed yet."""
        self._write()
        return self._sql.execute(_sql(name), values)

    def due(self, now: int, limit: int) -> Sequence[str]:
        return [id for (id,) in self._rows("due", now, limit)]

    def due_schedules(self, now: int) -> Sequence[Schedule]:
        return [_schedule.decode(body) for (body,) in self._rows("due_schedules", now)]

    def next_due(self) -> int | None:
        """Return when the next thing happens by itself."""
        [(promises,)] = self._rows("next_due")
        [(schedules,)] = self._rows("next_schedule")
        return min((at for at in (promises, schedules) if at is not None), default=None)

    def live(self, after: str, limit: int) -> list[str]:
        """Return the ids, behind ``after``, of tasks that are with a worker, or wait for one."""
        return [id for (id,) in self._rows("live", after, limit)]

    def waiting(self, limit: int) -> list[str]:
        """Return the ids of tasks that wait for a worker, longest first."""
        return [id for (id,) in self._rows("waiting", limit)]

    def roots(self, after: str, limit: int) -> list[str]:
        """Return the ids of lineages behind ``after``, in order.

        Between a root and what is below it lie the roots whose ids go on from its own: ``o1``, ``o10``, ``o1:step``.
        """
        found: list[str] = []
        while len(found) < limit:
            [row] = [*self._rows("next_id", after)] or [None]
            if row is None:
                break
            origin = origin_of(row[0])
            if origin == row[0]:
                found.append(origin)
                after = origin
            else:
                after = origin + ";"
        return found

    def ended_roots(self, after: str, limit: int) -> list[str]:
        """Return the ids of lineages behind ``after`` whose root has settled, in order."""
        return [id for (id,) in self._rows("ended", after, limit)]

    def promises(self, search: PromiseSearch, limit: int) -> list[Promise]:
        rows = self._rows("find_promises", search.cursor or "", search.state)
        wanted = (search.tags or {}).items()
        found = (_row.decode(body).promise for (body,) in rows)
        return _first(limit, (promise for promise in found if wanted <= promise.tags.items()))

    def tasks(self, search: TaskSearch, limit: int) -> list[Task]:
        rows = self._rows("find_tasks", search.cursor or "", search.state, limit)
        return [task for (body,) in rows if (task := _row.decode(body).task) is not None]

    def schedules(self, search: ScheduleSearch, limit: int) -> list[Schedule]:
        rows = self._rows("find_schedules", search.cursor or "")
        wanted = (search.tags or {}).items()
        found = (_schedule.decode(body) for (body,) in rows)
        return _first(limit, (schedule for schedule in found if wanted <= schedule.promise_tags.items()))

    # ── batches ─────────────────────────────────────────────────────────────

    @property
    def changed(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._promises or self._tasks or self._schedules or self._dropped)

    def commit(self) -> None:
        """Commit the batch; then :meth:`settle` it. If this raises, nothing of it has happened: :meth:`discard` it."""
        if self.changed:
            self._write()
            self._sql.execute("COMMIT")

    def _write(self) -> None:
        """Write the batch, so that queries see it. May be repeated."""
        if not self.changed:
            return
        if not self._sql.in_transaction:
            self._sql.execute("BEGIN IMMEDIATE")
        for origin in self._dropped:
            self._sql.execute(_sql("drop_lineage"), {"origin": origin})
        rows = [self._stored(id) for id in dict.fromkeys((*self._promises, *self._tasks))]
        self._sql.executemany(_sql("put_promise"), rows)
        for id, schedule in self._schedules.items():
            if schedule is None:
                self._sql.execute(_sql("drop_schedule"), (id,))
            else:
                values = (id, schedule.next_run_at, _encode(schedule).decode())
                self._sql.execute(_sql("put_schedule"), values)

    def _stored(self, id: str) -> tuple[Any, ...]:
        promise, task = self.promise(id), self.task(id)
        assert promise is not None, id  # a task never comes without its promise
        state, live = (None, None) if task is None else (task.state, task.live or None)
        return id, promise.state, state, live, due_at(promise, task), _encode(_Row(promise, task)).decode()

    def soonest(self) -> int | None:
        """Return when the first thing of the batch happens by itself."""
        dues = [task.due_at for task in self._tasks.values()]
        dues += [due_at(promise, None) for promise in self._promises.values()]
        dues += [schedule.next_run_at for schedule in self._schedules.values() if schedule is not None]
        return min((at for at in dues if at is not None), default=None)

    def taken(self) -> list[str]:
        """Return the ids of the batch's tasks that no worker is to be told of."""
        return [task.id for task in self._tasks.values() if task.state != "pending"]

    def settle(self) -> list[str]:
        """Let the committed batch be what the file says; forget lineages in which nothing runs.

        Returns those of them that it has changed: to look at one again for having looked at it would have no end.

        It forgets those in which tasks only wait, too, if there are very many: a million sleeps may end in one moment.
        """
        changed = set(self._dropped)
        for promise in self._promises.values():
            self._lineage(promise.id).add_promise(promise)
            changed.add(origin_of(promise.id))
        for task in self._tasks.values():
            self._lineage(task.id).add_task(task)
            changed.add(origin_of(task.id))
        origins = changed | self._visited
        self._clear()
        idle = [origin for origin in origins if not self._lineages[origin].live]
        for origin in idle:
            del self._lineages[origin]
        for origin in origins - set(idle) if len(self._lineages) > _WAITING_MOST else ():
            if not self._lineages[origin].acquired:
                del self._lineages[origin]
        return [origin for origin in idle if origin in changed]

    def discard(self) -> None:
        """Let the batch be as if it had not been."""
        for origin in self._dropped | self._visited:
            self._lineages.pop(origin, None)
        self._clear()
        if self._sql.in_transaction:
            self._sql.execute("ROLLBACK")

    def _clear(self) -> None:
        self._promises, self._tasks, self._schedules = {}, {}, {}
        self._dropped, self._visited = set(), set()


def _first[T](limit: int, found: Iterable[T]) -> list[T]:
    return [each for _, each in zip(range(limit), found, strict=False)]
