"""Connections that outlive a process of the fast world: the next one finds its own files, and nothing of the last."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordfirst.explore import At, FastWorld, Schedule
from recordfirst.explore.worlds.fast.record import SimRecord, SqliteErrors
from recordfirst.explore.worlds.home import home
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.clock import EPOCH_MS, Time
from recordfirst.explore.worlds.virtual.kept import Slots
from recordfirst.records.sqlite.guard import Guard
from tests.explore.conftest import at

OPTIONS: dict[str, Any] = {"isolation_level": None, "timeout": 0.0}


@contextlib.contextmanager
def folders() -> Iterator[tuple[Slots, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        names = iter(range(1_000))
        slots = Slots(lambda: Path(folder, f"slot-{next(names)}"))
        yield slots, Path(folder)
        slots.close()


def world_of(folder: Path, rows: list[int], *, logged: bool) -> Path:
    """A directory with a file in it, as a process left it: what it committed last may be in the log alone."""
    files = Path(tempfile.mkdtemp(dir=folder))
    connection = sqlite3.connect(files / "record.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE row (n INTEGER)")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.executemany("INSERT INTO row VALUES (?)", [(n,) for n in rows])
    if logged:
        left = Path(tempfile.mkdtemp(dir=folder))
        for name in ("record.db", "record.db-wal"):
            shutil.copyfile(files / name, left / name)
        files = left
    connection.close()
    return files


def rows_of(connection: sqlite3.Connection) -> list[int]:
    return [n for (n,) in connection.execute("SELECT n FROM row ORDER BY n")]


worlds = st.lists(st.integers(0, 9), max_size=5)


@given(st.lists(st.tuples(worlds, st.booleans(), worlds, st.booleans(), st.booleans()), min_size=2, max_size=6))
@settings(max_examples=40, deadline=None)
def test_a_kept_connection_sees_the_files_of_its_directory(steps) -> None:
    """P9: whatever was in them before, was written, left open, or put from the log into the file."""
    with folders() as (slots, folder):
        for rows, logged, written, ends, checkpoints in steps:
            path = slots.take(world_of(folder, rows, logged=logged)) / "record.db"
            writer, reader = slots.open(path, "writer", OPTIONS), slots.open(path, "reader", OPTIONS)
            assert rows_of(reader) == rows_of(writer) == sorted(rows)
            writer.execute("BEGIN IMMEDIATE")
            writer.executemany("INSERT INTO row VALUES (?)", [(n,) for n in written])
            if ends:
                writer.execute("COMMIT")
            assert rows_of(reader) == sorted(rows + written * ends)
            if checkpoints and ends:
                writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            writer.close()
            reader.close()
            assert slots.give_back(path.parent)


def test_what_somebody_has_still_to_read_is_not_written_over() -> None:
    """P9: that connection is closed, and its directory used no more."""
    with folders() as (slots, folder):
        place = slots.take(world_of(folder, [1, 2, 3], logged=True))
        connection = slots.open(place / "record.db", "writer", OPTIONS)
        unread = connection.execute("SELECT n FROM row")
        assert unread.fetchone() == (1,)
        connection.close()
        assert not slots.give_back(place)
        assert slots.take(world_of(folder, [4], logged=True)) != place


def test_a_process_that_was_never_closed_keeps_its_directory() -> None:
    """P9: it stalls in it, for all that is known."""
    with folders() as (slots, folder):
        place = slots.take(world_of(folder, [1], logged=True))
        connection = slots.open(place / "record.db", "writer", OPTIONS)
        assert not slots.give_back(place)
        connection.close()


@pytest.mark.parametrize(
    "odd",
    [
        "PRAGMA foreign_keys = OFF",
        "CREATE TEMP TABLE mine (n)",
        "ATTACH ':memory:' AS other",
        "/* a comment first */ SELECT 1",
    ],
)
def test_what_a_step_did_to_its_connection_is_not_there_for_the_next_process(
    odd: str,
) -> None:
    """P9: such a connection is closed; one that only read and wrote is kept."""

    async def use(record: SimRecord, sql: str) -> None:
        connection = await record._connect(Guard(), "PRAGMA synchronous = FULL")
        await connection.execute_fetchall(sql)
        await connection.close()

    with folders() as (slots, folder):
        for sql in ("SELECT 1", odd):
            place = slots.take(world_of(folder, [1], logged=True))
            process = Process(1, [], Time(EPOCH_MS), SqliteErrors(), die=lambda _: None, points_most=99)
            process.connect = slots.open
            asyncio.run(use(SimRecord(place / "record.db", "1", process), sql))
            for close in process.opened:
                close()
            assert slots.give_back(place) is (sql != odd)


def test_a_schedule_is_the_same_whatever_ran_before(world: FastWorld) -> None:
    """P9: directories are used again; what comes of a schedule does not tell."""
    reference = world.run()
    schedules = [
        Schedule((at(reference, 1, "call charge_card", fault, change=change),))
        for fault, change in (
            ("crash-after", "engine-lost"), ("stall", None), ("lose", None), ("redeliver", None), ("crash", None),
        )
    ]  # fmt: skip
    first = [world.run(schedule, briefly=True) for schedule in schedules]
    assert [world.run(schedule, briefly=True) for schedule in reversed(schedules)] == [*reversed(first)]
    assert world.run(Schedule((At(1, 1, "crash"),)), briefly=True).violations == ()


@pytest.mark.parametrize(("free_bytes", "is_in_memory"), [(64 << 20, False), (1 << 30, True)])
def test_a_world_is_in_memory_only_where_there_is_enough_of_it(
    free_bytes: int, is_in_memory: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A container has 64 MiB of it unless it is told otherwise, which what deaths leave would fill."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_bytes))
    monkeypatch.setattr(tempfile, "tempdir", f"{tmp_path}")
    place = home()
    place.rmdir()
    assert (place.parent == Path("/dev/shm")) is (is_in_memory and Path("/dev/shm").is_dir())
