"""The surroundings of the workers of the real world: a record, the outside, an engine, and files."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import msgspec

from recordfirst.core import identity
from recordfirst.explore.case import Case
from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.worlds.home import home
from recordfirst.explore.worlds.looking import look_into_engine
from recordfirst.explore.worlds.real.programs.begun import Programs
from recordfirst.explore.worlds.real.programs.worker import Order
from recordfirst.explore.worlds.real.records import OnSqlite, WorldsRecord
from recordfirst.testing.outside import Outside
from recordfirst.testing.reached import ReachedOutside

_TRIES = frozenset({"crash", "crash-after", "fail", "lose", "contend", "stall", "hang", "engine-lost", "deploy"})
"""Without a second delivery, which an engine in another process makes by itself, and a clock that is moved forward."""


class Surroundings:
    """The surroundings of one case, the same for all runs.

    Args:
        case: the case.
        dsn: an empty database on a Postgres that accepts connections without encryption. ``None``: an SQLite file.
        engine: the URL of a Resonate Server. Default: the embedded engine, in a file of each worker's host.
        resonate_sql: the text of ``resonate.sql``. If it is given, the engine is Resonate in the record's own database.
    """

    tries = _TRIES
    outside_url: str
    """The URL of the outside, after it has started."""

    def __init__(self, case: Case, dsn: str | None, *, engine: str | None, resonate_sql: str | None) -> None:
        self.case, self.engine = case, engine
        self.is_engine_in_record = resonate_sql is not None
        self.home = home()
        self.record: WorldsRecord
        self.record = OnSqlite(case, self.home) if dsn is None else _on_postgres(case, dsn, resonate_sql)
        self.tries = self.tries - self.record.cannot
        if engine is not None:
            self.tries = self.tries - {"engine-lost"}  # the server is not ours
        self.control = str(self.home / "world")
        self.outside_file = self.home / "outside"
        self._runs, self._unique = 0, uuid.uuid4().hex[:8].encode()
        self.programs = Programs(self.outside_file)

    # ── runs ────────────────────────────────────────────────────────────────

    @property
    def corner(self) -> tuple[bytes, bytes]:
        """The app's name, and its name for this run on an engine that is not ours, and has seen other runs."""
        name = identity.group(self.case.app).encode()
        return name, b"%s-%s-%d" % (name, self._unique, self._runs)

    def begin_anew(self) -> None:
        """Restore the first state, for the next run."""
        self._runs += 1
        self.record.begin_anew()
        ReachedOutside(self.outside_url, lambda: 0).forget()
        for file in self.home.glob("engine*"):
            file.unlink()

    def fork(self, order: Order) -> int:
        """Start a worker; return its process id."""
        return self.programs.fork_server.tell(msgspec.json.encode(order)).pid

    def lose_engine(self) -> None:
        """Delete all data of the engine. No worker runs meanwhile."""
        self.record.lose_engine()
        for file in self.home.glob("engine*"):
            file.unlink()

    def engine_file(self, host: str) -> Path:
        """The file of an embedded engine: each host has its own."""
        return self.home / ("engine" if host == "1" else f"engine-{host}")

    # ── observing ───────────────────────────────────────────────────────────

    def outside(self) -> Outside:
        """The requests that have arrived outside, read from its file."""
        return Outside(self.outside_file, lambda: time.time_ns() // 1_000_000)

    def look(self, outside: Outside, host: str | None = None) -> Observed:
        """Read the state, at one moment of the record."""
        seen = self.record.look(lambda: list(outside.applied))
        if host is None or self.engine is not None or self.is_engine_in_record:
            return seen
        return msgspec.structs.replace(seen, engine=look_into_engine(self.engine_file(host)))


def _on_postgres(case: Case, dsn: str, resonate_sql: str | None) -> WorldsRecord:
    from recordfirst.explore.worlds.real.on_postgres import OnPostgres  # noqa: PLC0415 - an extra

    return OnPostgres(case, dsn, resonate_sql)
