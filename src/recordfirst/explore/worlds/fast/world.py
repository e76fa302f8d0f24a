"""The fast world: a record, an engine and an outside, in files of their own directory, and processes that die.

A process that dies leaves its files as they were at that instant, in the middle of what it was doing. Its successor
gets those files and nothing else. With ``deaths="forked"`` each is a real process: forked, and ended by ``os._exit``.
With ``deaths="abandoned"`` the files are copied at that instant, and the process, which could only touch the originals,
is never resumed: the result is the same, without the cost of a fork. ``tests/explore/worlds/test_forked.py`` checks
that both agree.
"""

from __future__ import annotations

import asyncio
import contextlib
import filecmp
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from recordfirst.engine.embedded.store import Store
from recordfirst.errors import Misuse
from recordfirst.explore.case import Case
from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.runs.schedule import At, Schedule
from recordfirst.explore.worlds.fast.place import SqlitePlace
from recordfirst.explore.worlds.fast.record import SqliteErrors
from recordfirst.explore.worlds.home import home
from recordfirst.explore.worlds.looking import Looker, look_into_engine
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.clock import EPOCH_MS, Chance, Time
from recordfirst.explore.worlds.virtual.forked import ForkedTrial
from recordfirst.explore.worlds.virtual.kept import KeptConnection, Role, Slots
from recordfirst.explore.worlds.virtual.place import OwnOutside, Place
from recordfirst.explore.worlds.virtual.seams import WorldSeams
from recordfirst.explore.worlds.virtual.snapshot import CrashSnapshot
from recordfirst.explore.worlds.virtual.trial import VirtualTrial
from recordfirst.explore.worlds.virtual.world import VirtualWorld
from recordfirst.records.sqlite import SqliteRecord
from recordfirst.testing.outside import Outside

type Deaths = Literal["abandoned", "forked"]


class FastWorld(VirtualWorld):
    """Runs one case under schedules; see the module.

    Args:
        case: the case.
        deaths: how processes die.
        seed: the seed of everything random.
    """

    errors = SqliteErrors()
    trials: type[VirtualTrial]

    def __init__(self, case: Case, *, deaths: Deaths = "forked", seed: int = 1) -> None:
        super().__init__(case, seed=seed, home=home())
        self._template = self._home / "template"
        self._looker = Looker(case.ignore)
        self.trials = VirtualTrial
        self._slots = Slots(self.directory) if deaths == "abandoned" else None  # no connection outlives a fork
        if deaths == "forked":
            self.trials = ForkedTrial
        self._prepare()

    def _prepare(self) -> None:
        self._template.mkdir()

        async def make() -> None:
            record = SqliteRecord(self._template / "record.db")
            await record.open(self.case.app)
            await record.migrate()
            await record.close()

        asyncio.run(make())
        connection = sqlite3.connect(self._template / "record.db")
        try:
            connection.executescript(self.case.tables)
        except sqlite3.Error as error:
            raise Misuse(f"tables= of the case cannot be created: {error}") from error
        finally:
            connection.close()
        Store(str(self._template / "engine"), "record", WorldSeams(Time(EPOCH_MS), Chance(self.seed))).close()

    # ── for a run ───────────────────────────────────────────────────────────

    def fresh(self) -> Path:
        return self.resume(self._template)

    def snapshot(self, first: At | None, *, briefly: bool) -> CrashSnapshot | None:
        if first is None or not briefly or self._slots is None:
            return super().snapshot(first, briefly=briefly)
        if not self.snapshots:
            trial = self.trials(self, Schedule(), 0, briefly=True)
            trial.keeps_corpses = True
            try:
                trial.run()
            finally:
                trial.clean_up()
        if first.since is None:
            return self.snapshots.get(first)
        there = self.snapshots.get(At(1, first.point, first.fault))
        then = self.snapshots.get(At(1, first.since, "crash"))
        return there and then and msgspec.structs.replace(there, older=then.files)

    def keep(self, files: Path) -> Path:
        kept = self.copy_of(files)
        for file in self._template.iterdir():  # most of a file in memory is unchanged
            copy = kept / file.name
            if copy.exists() and filecmp.cmp(file, copy, shallow=False):
                copy.unlink()
                copy.hardlink_to(file)
        return kept

    def resume(self, files: Path) -> Path:
        return super().resume(files) if self._slots is None else self._slots.take(files)

    def discard(self, files: Path) -> None:
        if self._slots is None or not self._slots.give_back(files):
            super().discard(files)

    def forget_engine(self, files: Path) -> None:
        for file in files.glob("engine*"):
            if self._slots is not None:
                self._slots.forget(file)
            file.unlink(missing_ok=True)  # SQLite may have deleted it when a connection was closed

    def connect_to(self, path: Path, role: Role, options: dict[str, Any]) -> KeptConnection:
        return super().connect_to(path, role, options) if self._slots is None else self._slots.open(path, role, options)

    def close(self) -> None:
        if self._slots is not None:
            self._slots.close()
        super().close()

    def copy_of(self, files: Path) -> Path:
        copy = self.directory()
        copy.mkdir()
        for file in os.scandir(files):
            if not file.name.endswith(("-shm", "-lock", ".lease")):  # these vanish with the process
                shutil.copyfile(file.path, copy / file.name)
        return copy

    def place(self, files: Path, host: str, process: Process) -> Place:
        return SqlitePlace(files, host, process, Outside if self._slots is None else OwnOutside)

    @contextlib.contextmanager
    def looking(self, files: Path) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(self.connect_to(files / "record.db", "looker", {})) as connection:
            yield connection

    def look(self, files: Path) -> Observed:
        with self.looking(files) as connection:
            seen = self.look_by(connection, Outside(files / "outside", lambda: 0))
        return msgspec.structs.replace(seen, engine=look_into_engine(files / "engine"))

    def look_by(self, connection: Any, outside: Outside) -> Observed:
        return self._looker.look(connection, lambda: outside.applied)
