"""The real world: one case under schedules, in programs that are killed, stopped and cut off; see the package.

What it judges by is what can be seen from outside: the record, after each commit, by a session of its own; what has
arrived at the providers; who was accepted, and what has ended. A run takes real time, so what a workflow sleeps must be
short, and an effect that waits for its claim to run out waits as long as in life.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil

import msgspec

from recordfirst.core import identity
from recordfirst.errors import Misuse
from recordfirst.explore.case import Case
from recordfirst.explore.runs.outcome import RunOutcome
from recordfirst.explore.runs.schedule import Schedule
from recordfirst.explore.worlds.real.programs.sending import send
from recordfirst.explore.worlds.real.programs.worker import Said
from recordfirst.explore.worlds.real.run import RealRun
from recordfirst.explore.worlds.real.surroundings import Surroundings


class RealWorld(Surroundings):
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
        super().__init__(case, dsn, engine=engine, resonate_sql=resonate_sql)
        self.seed = seed
        self._runner = asyncio.Runner()
        self._run: RealRun | None = None
        self._listening: asyncio.Server | None = None
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

    def run(self, schedule: Schedule = Schedule(), *, briefly: bool = False) -> RunOutcome:  # noqa: B008 - frozen
        """Run the workflow under a schedule, from a fresh record on, and judge what came of it."""
        del briefly  # no two runs are alike: what was not seen in this one cannot be looked at in another
        return self._runner.run(self._go(schedule, 0))

    def refer(self) -> RunOutcome:
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

    async def _go(self, schedule: Schedule, version: int) -> RunOutcome:
        if self._listening is None:
            self._listening = await asyncio.start_unix_server(self._hear, self.control)
        self.begin_anew()
        self._run = RealRun(self, schedule, version)
        try:
            return await self._run.outcome()
        finally:
            await self._run.end()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What a worker says."""
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                if self._run is not None:
                    self._run.hears(msgspec.json.decode(line, type=Said))
        writer.close()
