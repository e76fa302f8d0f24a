"""The real world: one case under schedules, in programs that are killed, stopped and cut off; see the package.

It is judged by what can be seen from outside: the record after each commit, in a separate session; the requests that
have arrived at the providers; the workflows that were accepted, and those that have ended. A run takes real time, so
the sleeps of a workflow must be short, and an effect that waits for its claim to expire waits as long as in production.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil

import msgspec

from recordfirst.core import identity
from recordfirst.errors import Misuse
from recordfirst.explore.case import Case
from recordfirst.explore.runs.run import Run
from recordfirst.explore.runs.schedule import Schedule
from recordfirst.explore.worlds.real.programs.sending import send
from recordfirst.explore.worlds.real.programs.worker import Said
from recordfirst.explore.worlds.real.surroundings import Surroundings
from recordfirst.explore.worlds.real.trial import RealTrial
from recordfirst.explore.worlds.world import World


class RealWorld(World):
    """Runs one case under schedules; see the module.

    Args:
        case: the case.
        dsn: an empty database on a Postgres that accepts connections without encryption. ``None``: an SQLite file.
        reference: ``module:name`` of the case, if it was given so.
        engine: the URL of a Resonate Server. Default: the embedded engine, in a file of each worker's host.
        resonate_sql: the text of ``resonate.sql``. If it is given, the engine is Resonate in the record's own database.
        seed: the seed of everything random.

    Raises:
        Misuse: if the database is not empty, the tables cannot be created, or another program cannot find the case.
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
                f"app={case.app!r} of the case: a Resonate Server takes only small letters, digits, '.', '_' and '-'"
            )
        sent = send(case, reference)
        super().__init__(case, seed=seed)
        self.around = Surroundings(case, dsn, engine=engine, resonate_sql=resonate_sql)
        self.tries = self.around.tries
        self._runner = asyncio.Runner()
        self._trial: RealTrial | None = None
        self._listening: asyncio.Server | None = None
        try:
            self._prepare()
            self.around.outside_url = self.around.programs.begin(sent)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all programs of this world, and delete its files."""
        self.around.programs.end()
        if self._listening is not None:
            self._runner.run(self._listens_no_more(self._listening))
            self._listening = None
        self._runner.close()
        self.around.record.close()
        shutil.rmtree(self.around.home, ignore_errors=True)

    @staticmethod
    async def _listens_no_more(server: asyncio.Server) -> None:
        server.close()
        await asyncio.sleep(0)  # the loop closes its sockets in its next iteration

    def _prepare(self) -> None:
        async def migrate() -> None:
            record = self.around.record.make()
            await record.open(self.case.app)
            await record.migrate()
            await record.close()

        self._runner.run(migrate())
        self.around.record.prepared()

    # ── runs ────────────────────────────────────────────────────────────────

    def play(self, schedule: Schedule, version: int = 0, *, briefly: bool = False) -> Run:
        del briefly  # no two runs are alike: details that this one leaves out cannot be read in another
        return self._runner.run(self._go(schedule, version))

    async def _go(self, schedule: Schedule, version: int) -> Run:
        if self._listening is None:
            self._listening = await asyncio.start_unix_server(self._hear, self.around.control)
        self.around.begin_anew()
        self._trial = RealTrial(self.around, schedule, version)
        try:
            return await self._trial.run()
        finally:
            await self._trial.end()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Receive the messages of a worker."""
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                if self._trial is not None:
                    self._trial.hears(msgspec.json.decode(line, type=Said))
        writer.close()
