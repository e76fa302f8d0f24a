"""Two reconcilers at once, and one that is killed at every step of every pass: no harm.

All steps with ``RESTORE_ALL=1``; else some of them, others with each ``RESTORE_SEED``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from recordfirst import Entry
from recordfirst.engine.connect import connect
from recordfirst.engine.shared import Membership
from recordfirst.records.statements import read
from tests.engine.double import Server
from tests.references.program import Mirror
from tests.restores.amiss import CLOSED, OPEN, VISITORS, app_of, make_amiss
from tests.restores.carrier import Books
from tests.restores.copies import DatabaseCopies, FileCopies
from tests.restores.world import ROOT, SEED
from tests.starts.harness import migrated

EVERY = 1 if os.environ.get("RESTORE_ALL") else 29
_STORED = ("promises", "tasks", "p_timeouts", "t_timeouts")


class Crew:
    """Reconcilers in processes of their own."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.restores.reconciler", *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def run(self, *, at: int = 0, accept: bool = False, only: str = "") -> bool:
        """Whether it came to its end."""
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write(f"{at} {'accept' if accept else '-'} {only or '-'}\n")
        self._nursery.stdin.flush()
        status = int(await asyncio.to_thread(self._nursery.stdout.readline))
        assert status in (0, 9), status
        return status == 0

    def end(self) -> None:
        """They are no longer needed."""
        for pipe in (self._nursery.stdin, self._nursery.stdout):
            assert pipe is not None
            pipe.close()
        self._nursery.wait()


class Scene:
    """A record, a server, and books, of which much is amiss, again and again."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.books, self.server = url, Books(folder / "books.db"), Server()
        self.mirror = Mirror(Path(f"{self.books.path}.mirror"))
        self.copies = FileCopies(url) if url.startswith("sqlite") else DatabaseCopies(url)
        self._kept: dict[str, Any] = {}

    @contextlib.asynccontextmanager
    async def open(self, what: str) -> Any:
        """Make it so, and keep a copy of it."""
        await migrated(self.url)
        async with self.server.running() as engine_url:
            app = app_of(self.url, engine_url, self.books.path)
            async with app:
                async with app.runtime.record.session() as session:
                    await session.begin_timeline("r", await session.history_id())
                engine = connect(engine_url, Membership("shop", "shop", 1, None), app.runtime.record)
                await engine.open()
                await make_amiss(app, engine, self.books)
                await engine.stop()
                if what == "restore":
                    async with app.runtime.record.session() as session:
                        await session.hold("RF-RECORD-BEHIND", 0)
            self._make_older()
            for name in _STORED:
                if what == "engine":
                    getattr(self.server.state, name).clear()
                self._kept[name] = getattr(self.server.state, name).copy()
            self._keep()
            crew = Crew(self.url, engine_url, self.books.path)
            try:
                yield crew
            finally:
                crew.end()

    def _make_older(self) -> None:
        """All of it happened an hour ago."""
        times = {
            "start": ["created_at"],
            "receipt": ["created_at", "claim_until", "last_call_at"],
            "projection": ["asked_at"],
        }
        for table, columns in times.items():
            if self.url.startswith("sqlite"):
                older = ", ".join(f"{column}_ms = {column}_ms - 3600000" for column in columns)
            else:
                older = ", ".join(f"{column} = {column} - interval '1 hour'" for column in columns)
            self.rows(f"UPDATE recordfirst.{table} SET {older}")

    def _keep(self) -> None:
        self.copies.take()
        self._shown = self._mirrored()

    def again(self) -> None:
        """As it was; that it was put back is not what this is about."""
        self.copies.put_back()
        if isinstance(self.copies, DatabaseCopies):
            history_id = read("recordfirst.records.postgres", "history_id.sql")
            self.rows(f"UPDATE recordfirst.timeline SET history_id = ({history_id})")
            self.copies.take()
        else:
            Path(f"{self.url.removeprefix('sqlite:///')}.shop.mark").unlink(missing_ok=True)
        for name, value in self._kept.items():
            setattr(self.server.state, name, value.copy())
        self.mirror.empty()
        for entry in self._shown:
            self.mirror.set(entry.id, entry.document, entry.version)

    def _mirrored(self) -> list[Entry]:
        return [entry for who in VISITORS if (entry := self.mirror.now(who)) is not None]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What the record says."""
        if self.url.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), autocommit=True)) as file:
                return file.execute(statement.replace("recordfirst.", "recordfirst_")).fetchall()
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def state(self) -> dict[str, Any]:
        """What reconciling has come to. Not how often an epoch was opened: at each, receipts answer."""
        return {
            "starts": set(self.rows("SELECT id, state, epoch > 1 FROM recordfirst.start")),
            "receipts": set(self.rows("SELECT key, state, calls, doubts FROM recordfirst.receipt")),
            "rows": sorted(self.rows("SELECT who FROM visits")),
            "held": self.rows("SELECT held, restores > 0 FROM recordfirst.timeline"),
            "findings": set(self.rows("SELECT code, subject FROM recordfirst.finding WHERE closed_because IS NULL")),
            "audit": set(self.rows("SELECT who, command, subject, why FROM recordfirst.audit")),
            "books": self.books.counts(),
            "mirror": {entry.id: entry.document for entry in self._mirrored()},
        }


@pytest.mark.timeout(600 if EVERY > 1 else 3_600)
@pytest.mark.parametrize("record_url", ["sqlite", "postgres"] if EVERY == 1 else ["sqlite"], indirect=True)
@pytest.mark.parametrize("what", ["epochs", "engine", "restore", "named"])
def test_killed_at_every_step(record_url, tmp_path, what):
    """P6, P3: wherever it dies, the next comes to the same end; nothing is called, each repair has its audit row."""
    accept, only = what == "restore", "projections,references,providers" if what == "named" else ""

    async def go():
        scene = Scene(record_url, tmp_path)
        async with scene.open(what) as crew:
            charged = scene.books.counts()
            assert await crew.run(accept=accept, only=only)
            assert await crew.run(only=only)
            wanted = scene.state()
            check_named(wanted) if what == "named" else check(what, wanted)
            at, died = 1 + SEED % EVERY, 0
            while True:
                scene.again()
                if await crew.run(at=at, accept=accept, only=only):
                    break
                died += 1
                [(held,)] = scene.rows("SELECT held FROM recordfirst.timeline")
                assert await crew.run(accept=held is not None, only=only)
                if scene.state() != wanted:  # what the dead one's round had seen is closed by a round of its own
                    assert await crew.run(only=only)
                assert scene.state() == wanted, at
                assert scene.books.counts() == charged, at
                at += EVERY
            assert died >= 1
            assert at > EVERY

    asyncio.run(go())


def check(what, state):
    """What an undisturbed reconcile comes to."""
    new_epoch = {
        "epochs": {"lost", "ended", "overdue"},
        "engine": {"lost", "ended", "there", "overdue"},
        "restore": {*OPEN},
    }
    assert {id for id, _, anew in state["starts"] if anew} >= new_epoch[what]
    assert {id for id, _, anew in state["starts"] if anew}.isdisjoint(CLOSED)
    states = {key: said for key, said, *_ in state["receipts"]}
    # After a restore, what was left in doubt may have been called a moment ago: it is asked for later.
    assert states["charged:charge"] == ("intended" if what == "restore" else "succeeded")
    assert states["written:letter"] == ("intended" if what == "restore" else "unknown")
    assert states["not charged:charge"] == "intended"
    assert states["parked:charge"] == "succeeded"
    assert ("parked has paid",) in state["rows"]
    assert state["held"] == [(None, what == "restore")]


def check_named(state):
    """What the passes that run when they are named come to, and what is asked of a mirror that is behind."""
    assert {(code, subject) for code, subject in state["findings"]} == {
        ("RF-ORPHAN-EFFECT", "nobody:charge"),
        ("RF-EFFECT-MISSING", "gone:charge"),
    }
    assert state["mirror"] == {who: {"visits": 1} for who in VISITORS}


def test_two_at_once(record_url, tmp_path):
    """P6, P3: one waits for the other, who has left it nothing to repair."""

    async def go():
        scene = Scene(record_url, tmp_path)
        async with scene.open("epochs") as crew:
            charged = scene.books.counts()
            assert await crew.run()
            assert await crew.run()
            wanted = scene.state()
            other = Crew(*crew.words)
            try:
                scene.again()
                assert all(await asyncio.gather(crew.run(), other.run()))
                assert scene.state() == wanted
                repairs = scene.rows("SELECT subject, detail FROM recordfirst.audit")
                assert len(repairs) == len(set(repairs))
                assert scene.books.counts() == charged
            finally:
                other.end()

    asyncio.run(go())
