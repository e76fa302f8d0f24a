"""The real world: one case under schedules, in programs that are killed, stopped and cut off; see the package.

What it judges by is what can be seen from outside: the record, after each commit, by a session of its own; what has
arrived at the providers; who was accepted, and what has ended. A run takes real time, so what a workflow sleeps must be
short, and an effect that waits for its claim to run out waits as long as in life.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
import uuid
from pathlib import Path

import msgspec

from recordfirst.core import identity
from recordfirst.errors import Misuse
from recordfirst.explore.case import Case
from recordfirst.explore.observe import Rows, Seen, look_into_engine
from recordfirst.explore.real.programs import Programs
from recordfirst.explore.real.records import OnSqlite, WorldsRecord
from recordfirst.explore.real.run import RealRun
from recordfirst.explore.real.sending import send
from recordfirst.explore.real.worker import Order, Said
from recordfirst.explore.run import Outcome
from recordfirst.explore.schedule import Schedule
from recordfirst.explore.world import home
from recordfirst.testing.outside import Outside
from recordfirst.testing.reached import ReachedOutside

_TRIES = frozenset({"crash", "crash-after", "fail", "lose", "contend", "stall", "hang", "engine-lost", "deploy"})
"""Not: a second delivery, which an engine in another process does by itself; a clock that is put forward."""


class RealWorld:
    """Runs one case under schedules; see the module.

    Args:
        case: what is explored.
        dsn: an empty database on a Postgres that accepts connections without encryption. ``None``: an SQLite file.
        reference: ``module:name`` of the case, if that is how it was given.
        engine: the URL of a Resonate Server. Default: the embedded engine, in a file of each worker's host.
        resonate_sql: the text of ``resonate.sql``; then the engine is Resonate in the record's own database.
        seed: of whatever chance there is.

    Raises:
        Misuse: if the database is not empty, the tables cannot be made, or the case cannot be found by another program.
    """

    tries = _TRIES
    replays = 5

    def __init__(
        self,
        case: Case,
        dsn: str | None,
        *,
        reference: str | None = None,
        engine: str | None = None,
        resonate_sql: str | None = None,
        seed: int = 1,
    ) -> None:
        if engine is not None and identity.group(case.app) != case.app:
            raise Misuse(
                f"app={case.app!r} of the case: on a Resonate Server, of small letters, digits, '.', '_' and '-'"
            )
        sent = send(case, reference)
        self.case, self.seed, self.engine = case, seed, engine
        self.is_engine_in_record = resonate_sql is not None
        self.home = home()
        self.record: WorldsRecord
        self.record = OnSqlite(case, self.home) if dsn is None else _on_postgres(case, dsn, resonate_sql)
        self.tries = self.tries - self.record.cannot
        if engine is not None:
            self.tries = self.tries - {"engine-lost"}  # it is not ours
        self.known: dict[frozenset[str], dict[str, Rows]] = {}
        self.reference: Seen | None = None
        self.later: Seen | None = None
        self.control = str(self.home / "world")
        self.outside_file = self.home / "outside"
        self._runner = asyncio.Runner()
        self._run: RealRun | None = None
        self._runs, self._unique = 0, uuid.uuid4().hex[:8].encode()
        self._listening: asyncio.Server | None = None
        self.programs = Programs(self.outside_file)
        try:
            self._prepare()
            self.outside_url = self.programs.begin(sent)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all of its programs, and delete its files."""
        self.programs.end()
        if self._listening is not None:
            self._runner.run(self._listens_no_more(self._listening))
            self._listening = None
        self._runner.close()
        self.record.close()
        shutil.rmtree(self.home, ignore_errors=True)

    @staticmethod
    async def _listens_no_more(server: asyncio.Server) -> None:
        server.close()
        await asyncio.sleep(0)  # its sockets are closed by the loop, in its next turn

    def _prepare(self) -> None:
        async def migrate() -> None:
            record = self.record.make()
            await record.open(self.case.app)
            await record.migrate()
            await record.close()

        self._runner.run(migrate())
        self.record.prepared()

    # ── runs ────────────────────────────────────────────────────────────────

    def run(self, schedule: Schedule = Schedule(), *, briefly: bool = False) -> Outcome:  # noqa: B008 - frozen
        """Run the workflow under a schedule, from a fresh record on, and judge what came of it."""
        del briefly  # no two runs are alike: what was not seen in this one cannot be looked at in another
        return self._runner.run(self._go(schedule, 0))

    def refer(self) -> Outcome:
        """Run without faults: what comes of that is what must come of every other run.

        One that took a second worker was disturbed, by a machine with too much to do, say, and is run again.
        """
        outcome = self.run()
        for _ in range(self.replays - 1):
            if len(outcome.points) == 1:
                break
            self.known.clear()
            outcome = self.run()
        self.reference = outcome.seen
        if self.case.versions:
            self.later = self._runner.run(self._go(Schedule(), len(self.case.versions))).seen
        return outcome

    async def _go(self, schedule: Schedule, version: int) -> Outcome:
        if self._listening is None:
            self._listening = await asyncio.start_unix_server(self._hear, self.control)
        self._begin_anew()
        self._run = RealRun(self, schedule, version)
        try:
            return await self._run.outcome()
        finally:
            await self._run.end()

    @property
    def corner(self) -> tuple[bytes, bytes]:
        """How this run's app is called on an engine that is not ours, and has seen other runs."""
        name = identity.group(self.case.app).encode()
        return name, b"%s-%s-%d" % (name, self._unique, self._runs)

    def _begin_anew(self) -> None:
        self._runs += 1
        self.record.begin_anew()
        ReachedOutside(self.outside_url, lambda: 0).forget()
        for file in self.home.glob("engine*"):
            file.unlink()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What a worker says."""
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                if self._run is not None:
                    self._run.hears(msgspec.json.decode(line, type=Said))
        writer.close()

    # ── looking ─────────────────────────────────────────────────────────────

    def outside(self) -> Outside:
        """What has arrived outside, read from its file."""
        return Outside(self.outside_file, lambda: time.time_ns() // 1_000_000)

    def look(self, outside: Outside, host: str | None = None) -> Seen:
        """See what is there, all at one moment of the record."""
        seen = self.record.look(lambda: list(outside.applied))
        if host is None or self.engine is not None or self.is_engine_in_record:
            return seen
        return msgspec.structs.replace(seen, engine=look_into_engine(self.engine_file(host)))

    def fork(self, order: Order) -> int:
        """Begin a worker; return its process id."""
        return self.programs.nursery.tell(msgspec.json.encode(order)).pid

    def lose_engine(self) -> None:
        """Let the engine forget everything; nobody works."""
        self.record.lose_engine()
        for file in self.home.glob("engine*"):
            file.unlink()

    def engine_file(self, host: str) -> Path:
        """Where an embedded engine is: each host has one of its own."""
        return self.home / ("engine" if host == "1" else f"engine-{host}")


def _on_postgres(case: Case, dsn: str, resonate_sql: str | None) -> WorldsRecord:
    from recordfirst.explore.real.on_postgres import OnPostgres  # noqa: PLC0415 - an extra

    return OnPostgres(case, dsn, resonate_sql)
