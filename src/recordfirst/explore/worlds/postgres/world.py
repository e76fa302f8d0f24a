"""The Postgres world: a record on a real server, the engine in a file, and processes that are forked and really end.

Statements, commits, locks, refusals and lost connections are the server's own. Time is not: as in the fast world, it
passes only when no process has anything to do. The record's clock follows it, because ``clock_timestamp()`` and
``now()`` are found in the schema ``recordfirst_explore`` before the server's own. A server does not wait in virtual
time, so what waits in it for another session takes real seconds. A process that stalls loses its lease as in
production: the server ends its session, another process works on its own host, and then the first one goes on.

Every schedule begins with the rows that the tables had at first, in the same database. The costs are forks, half a
dozen sessions per process, and a round trip for each look. Before the first fork, one run in the world's own process
fills all caches: with it a process of the demo's order takes 61 ms of CPU, and without it 132 (2 cores, PostgreSQL 18,
Python 3.13).
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from recordfirst.errors import Misuse
from recordfirst.explore.case import Case
from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.runs.run import RunOutcome
from recordfirst.explore.runs.schedule import At, Schedule
from recordfirst.explore.worlds.home import home
from recordfirst.explore.worlds.looking import look_into_engine
from recordfirst.explore.worlds.postgres import psycopg_hooks
from recordfirst.explore.worlds.postgres.looking import PostgresLooker, as_url
from recordfirst.explore.worlds.postgres.rows import (
    Looking,
    check_empty,
    keep_engine,
    keep_rows,
    lose_engine,
    put_back,
    set_engine_back,
)
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.clock import EPOCH_MS
from recordfirst.explore.worlds.virtual.forked import Able, ForkedTrial
from recordfirst.explore.worlds.virtual.place import Place, WithFiles
from recordfirst.explore.worlds.virtual.trial import VirtualTrial
from recordfirst.explore.worlds.virtual.world import VirtualWorld
from recordfirst.records.postgres import PostgresRecord
from recordfirst.steps.workflow import Workflow
from recordfirst.testing.outside import Outside

_FIRST = "-c search_path=public,recordfirst_explore,pg_catalog"
_TIME = """
CREATE SCHEMA recordfirst_explore;
CREATE TABLE recordfirst_explore.time (now_ms bigint NOT NULL);
CREATE FUNCTION recordfirst_explore.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT to_timestamp(now_ms / 1000.0) FROM recordfirst_explore.time $$;
CREATE FUNCTION recordfirst_explore.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT recordfirst_explore.clock_timestamp() $$;
"""
_ENGINES_TIME = """
GRANT USAGE ON SCHEMA recordfirst_explore TO PUBLIC;
GRANT SELECT ON recordfirst_explore.time TO PUBLIC;
DO $$
DECLARE each regprocedure;
BEGIN
    FOR each IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'resonate'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = resonate, recordfirst_explore, pg_catalog, pg_temp', each);
    END LOOP;
END $$;
"""
"""For security the engine's functions search only their own schema. Here they also search the world's."""
_LEASES = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'recordfirst % lease %'
"""
_DUE = """
SELECT (extract(epoch FROM least(
    (SELECT min(next_at) FROM recordfirst.receipt WHERE next_at > clock_timestamp()),
    (SELECT min(claim_until) FROM recordfirst.receipt WHERE claim_until > clock_timestamp())
)) * 1000)::bigint
"""
_EVENTS_DUE = """
SELECT (extract(epoch FROM least(
    (SELECT min(next_at) FROM recordfirst.event), (SELECT min(next_at) FROM recordfirst.reversal)
)) * 1000)::bigint
"""


class PostgresWorld(VirtualWorld):
    """Runs one case under schedules on a Postgres; see the module.

    Args:
        case: the case.
        dsn: an empty database, whose role may create schemas and end sessions, on a server for tests.
        resonate_sql: the text of ``resonate.sql``. If it is given, the engine is Resonate in the record's own database,
            and its requests are statements. Default: the embedded engine, in a file.
        seed: the seed of everything random.

    Raises:
        Misuse: if the database is not empty, or the case's tables cannot be created in it.
    """

    def __init__(self, case: Case, dsn: str, *, resonate_sql: str | None = None, seed: int = 1) -> None:
        super().__init__(case, seed=seed, home=home())
        psycopg_hooks.install()
        self.resonate_sql = resonate_sql
        given = conninfo_to_dict(dsn)
        self.dsn = make_conninfo(dsn, options=f"{given.get('options') or ''} {_FIRST}".strip())
        self.errors = psycopg_hooks.PostgresErrors()
        self.trials = _Trial
        self._looker = PostgresLooker(case.ignore)
        self.connection: Looking = self.connect()
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Delete the world's files. The database stays as the last schedule has left it."""
        self.connection.close()
        super().close()

    def connect(self) -> Looking:
        """A connection that only reads, and passes no boundary."""
        return psycopg.connect(self.dsn, autocommit=True, application_name="recordfirst_explore")

    def _prepare(self) -> None:
        connection = self.connection
        check_empty(connection)
        connection.execute(_TIME)
        connection.execute("INSERT INTO recordfirst_explore.time VALUES (%s)", [EPOCH_MS])

        async def make() -> None:
            record = PostgresRecord(self.dsn)
            await record.open(self.case.app)
            await record.migrate()
            await record.close()

        asyncio.run(make())
        try:
            connection.execute(self.case.tables.encode())
        except psycopg.Error as error:
            raise Misuse(f"tables= of the case cannot be created: {error}") from error
        if self.resonate_sql is not None:
            connection.execute("SET client_min_messages = error")  # it warns that there is no pg_cron
            connection.execute(self.resonate_sql.encode())
            connection.execute(_ENGINES_TIME)
        keep_rows(connection)

    # ── for a run ───────────────────────────────────────────────────────────

    def fresh(self) -> Path:
        put_back(self.connection)
        files = self.directory()
        files.mkdir()
        return files

    def copy_of(self, files: Path) -> Path:
        copy = self.directory()
        shutil.copytree(files, copy, ignore=lambda _, names: [n for n in names if n.endswith(("-shm", "-lock"))])
        return copy

    def place(self, files: Path, host: str, process: Process) -> Place:
        return PostgresPlace(self, files, host, process)

    @contextlib.contextmanager
    def looking(self, files: Path) -> Iterator[Looking]:
        del files
        yield self.connection

    def look(self, files: Path) -> Observed:
        seen = self.look_by(self.connection, Outside(files / "outside", lambda: 0))
        return msgspec.structs.replace(seen, engine=look_into_engine(files / "engine"))

    def look_by(self, connection: Any, outside: Outside) -> Observed:
        return self._looker.look(connection, lambda: outside.applied)

    def refer(self) -> RunOutcome:
        """Run without faults. A run in this process comes first, so that forked ones find all caches filled."""
        trial = _Here(self, Schedule(), 0, briefly=True)
        try:
            trial.run()
        finally:
            trial.clean_up()
        return super().refer()

    def take_lease(self) -> None:
        """End the sessions that hold leases, as a server does if it believes that a client is gone."""
        self.connection.execute(_LEASES)


class _Trial(ForkedTrial):
    """One schedule on a Postgres."""

    world: PostgresWorld
    _place: PostgresPlace
    """In a forked process: the place of this process."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._first = None  # the state of a server at a death cannot be copied

    def _inside(self, process: Process, place: Place, version: Workflow[..., Any]) -> Able:
        assert isinstance(place, PostgresPlace)
        self._place = place
        psycopg_hooks.explored = process, place
        return super()._inside(process, place, version)

    def _keep_engine(self) -> None:
        super()._keep_engine()
        if self.world.resonate_sql is not None:
            keep_engine(self._place.looks())

    def _change(self, at: At, older: Path | None) -> None:
        if self.world.resonate_sql is None or at.change not in ("engine-lost", "engine-older"):
            super()._change(at, older)
        elif at.change == "engine-older" and older is not None:
            set_engine_back(self.world.connection)
        else:
            lose_engine(self.world.connection)

    def _stands_still(self) -> None:
        self.world.take_lease()


class _Here(VirtualTrial):
    """A run in this process, which is not judged."""

    def _start(self, process: Process, place: Place, version: Workflow[..., Any]) -> Any:
        assert isinstance(place, PostgresPlace)
        self._place, psycopg_hooks.explored = place, (process, place)
        return super()._start(process, place, version)

    def clean_up(self) -> None:
        psycopg_hooks.explored = None
        self._place.close()
        super().clean_up()


class PostgresPlace(WithFiles):
    """A database, and a directory for everything else."""

    def __init__(self, world: PostgresWorld, files: Path, host: str, process: Process) -> None:
        super().__init__(files, host, process)
        self.record = PostgresRecord(world.dsn)
        if world.resonate_sql is not None:
            self.engine = as_url(world.dsn)
        self._world = world
        self._looking: Looking | None = None
        self._told_ms = -1

    def close(self) -> None:
        """Close the connection that reads."""
        if self._looking is not None:
            self._looking.close()

    def looks(self) -> Looking:
        if self._looking is None:
            self._looking = self._world.connect()
        return self._looking

    def accepted(self, id: str) -> bool:
        return self.looks().execute("SELECT 1 FROM recordfirst.start WHERE id = %s", [id]).fetchone() is not None

    def written(self, key: str) -> bool:
        query = "SELECT 1 FROM recordfirst.receipt WHERE key = %s AND kind = 'write' AND state = 'succeeded'"
        return self.looks().execute(query, [key]).fetchone() is not None

    def next_due_ms(self) -> int | None:
        self.tell_time()
        [due] = self.looks().execute(_DUE).fetchone() or (None,)
        return min([each for each in (due, self._process.next_due()) if each is not None], default=None)

    def events_due_ms(self) -> int | None:
        [due] = self.looks().execute(_EVENTS_DUE).fetchone() or (None,)
        return None if due is None else int(due)

    def tell_time(self) -> None:
        now_ms = self._process.clock.now_ms()
        if now_ms != self._told_ms:
            self._told_ms = now_ms
            self.looks().execute("UPDATE recordfirst_explore.time SET now_ms = %s", [now_ms])
