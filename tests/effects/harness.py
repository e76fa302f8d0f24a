"""What the tests of effects share: a bank that outlives every process, a shop on any record, a plug to pull."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from recordfirst import App, Call
from recordfirst.core.receipt import Change, Receipt
from recordfirst.records.contract import Record
from recordfirst.records.open import record_from_url
from tests.engines import engine_for

TABLE = """CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY, amount INTEGER NOT NULL, state TEXT NOT NULL, marks INTEGER NOT NULL DEFAULT 0
)"""
"""``marks`` counts how often a follow-up of an effect has marked the order."""


class Order(msgspec.Struct, frozen=True):
    id: str
    amount_minor: int


ORDER = Order("1", 1999)


def sql(tx: Any, text: str) -> str:
    """Bound values as this connection's driver marks them."""
    return text if "aiosqlite" in type(tx).__module__ else text.replace("?", "%s")


async def mark(w: Any, order_id: str, state: str) -> None:
    """Move an order on, and count it."""
    await w.tx.execute(sql(w.tx, "UPDATE orders SET state = ?, marks = marks + 1 WHERE id = ?"), (state, order_id))


# ── a plug to pull ──────────────────────────────────────────────────────────


def die() -> None:
    """SIGKILL: no handler runs, nothing is flushed, closed or said good-bye to."""
    os.kill(os.getpid(), signal.SIGKILL)


class Plug:
    """Named points that are passed; at some of them something happens, once: a death, or an error."""

    def __init__(self, at: Mapping[str, Callable[[], Any] | Exception] | None = None) -> None:
        self.at = dict(at or {})
        self.passed: list[str] = []

    def __call__(self, point: str) -> Any:
        self.passed.append(point)
        what = self.at.pop(point, None)
        if isinstance(what, Exception):
            raise what
        return what() if what is not None else None


class Watched:
    """A record whose changes pass points: ``before begin``, say, and ``after begin`` once it is durable."""

    def __init__(self, record: Record[Any], plug: Plug) -> None:
        self._record, self._plug = record, plug

    def __getattr__(self, name: str) -> Any:
        return getattr(self._record, name)

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        self._plug("session")
        async with self._record.session() as session:
            yield _WatchedSession(session, self._plug, None)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self._plug("transaction")
        done: list[str] = []
        async with self._record.transaction() as session:
            yield _WatchedSession(session, self._plug, done)
            for what in done:
                self._plug(f"commit {what}")
        for what in done:
            self._plug(f"after {what}")

    async def notify(self, session: Any) -> None:
        await self._record.notify(session.session)


class _WatchedSession:
    def __init__(self, session: Any, plug: Plug, done: list[str] | None) -> None:
        self.session, self._plug, self._done = session, plug, done

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.session, name)
        if name not in {"intend", "change_receipt", "add_receipts", "finish", "next_version", "projected"}:
            return value

        async def watched(*args: Any, **kwargs: Any) -> Any:
            what = _change_name(*args) if name == "change_receipt" else name
            self._plug(f"before {what}")
            result = await value(*args, **kwargs)
            if self._done is None:
                self._plug(f"after {what}")
            else:
                self._done.append(what)
            return result

        return watched


def _change_name(seen: Receipt, change: Change) -> str:
    if change.begins_call:
        return "begin"
    for name in ("undone_by", "parked_on", "reply"):
        if getattr(change, name) != getattr(seen, name) and getattr(change, name) is not None:
            return {"undone_by": "undone", "parked_on": "park", "reply": "reply"}[name]
    if change.state != "intended":
        return change.state
    return "not done" if change.doubts < seen.doubts else "in doubt"


def disconnected(url: str) -> Exception:
    """What a driver raises when its connection, or its disk, is gone."""
    if url.startswith("postgresql"):
        return psycopg.OperationalError("server closed the connection unexpectedly")
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


def contended(url: str) -> Exception:
    """What a driver raises for a deadlock's victim, or a busy file."""
    if url.startswith("postgresql"):
        return psycopg.errors.DeadlockDetected("deadlock detected")
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


# ── a provider ──────────────────────────────────────────────────────────────


class Refused(Exception):  # noqa: N818 - the bank's own word
    """The bank says no, for good."""


class Bank:
    """Somebody else's books, in a file of their own: what was applied stays applied, whoever dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._books() as books:
            books.execute("CREATE TABLE IF NOT EXISTS request (kind, key, marker, id, amount)")
            books.execute("CREATE TABLE IF NOT EXISTS applied (kind, key UNIQUE, marker, id, amount)")

    @contextlib.contextmanager
    def _books(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.path, autocommit=True, timeout=30)) as books:
            books.execute("PRAGMA synchronous = OFF")
            yield books

    def post(self, kind: str, order: Order, *, key: str | None, marker: str) -> str:
        """Do it, once per key; without a key, once more."""
        row = (kind, key, marker, order.id, order.amount_minor)
        with self._books() as books:
            books.execute("INSERT INTO request VALUES (?, ?, ?, ?, ?)", row)
            books.execute("INSERT OR IGNORE INTO applied VALUES (?, ?, ?, ?, ?)", row)
        return f"{kind} of {order.id}"

    def find(self, kind: str, marker: str) -> str | None:
        """What a probe asks."""
        with self._books() as books:
            found = books.execute("SELECT id FROM applied WHERE kind = ? AND marker = ?", (kind, marker)).fetchone()
        return f"{kind} of {found[0]}" if found else None

    @property
    def requests(self) -> list[tuple[Any, ...]]:
        """All that ever came in: kind, key, amount."""
        with self._books() as books:
            return books.execute("SELECT kind, key, amount FROM request ORDER BY rowid").fetchall()

    @property
    def applied(self) -> list[tuple[Any, ...]]:
        """What it did: kind, order, amount."""
        with self._books() as books:
            return books.execute("SELECT kind, id, amount FROM applied ORDER BY rowid").fetchall()


class Script:
    """What a provider answers, call by call; then it does what it is asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[Call] = []

    def next(self, call: Call) -> Any:
        self.calls.append(call)
        answer = self.answers.pop(0) if self.answers else "done"
        if isinstance(answer, Exception):
            raise answer
        return answer


# ── a shop ──────────────────────────────────────────────────────────────────


class Shop:
    """Makes apps on one record, with a bank, and looks at what they left."""

    def __init__(self, url: str, bank: Bank) -> None:
        self.url, self.bank = url, bank
        self.events: list[Any] = []
        """What the apps' observers were told."""

    @contextlib.asynccontextmanager
    async def app(
        self,
        *workflows: Any,
        plug: Plug | None = None,
        provide: Mapping[Any, Any] | None = None,
        factories: Mapping[Any, Any] | None = None,
        **options: Any,
    ) -> AsyncIterator[App]:
        """An app, open, whose record has all tables."""
        plug = plug or Plug()
        await self.prepare()
        record = Watched(record_from_url(self.url), plug)
        options = {"observer": self.events.append, "engine": engine_for(self.url)} | options
        app = App("shop", record=record, workflows=workflows, **options)  # type: ignore[arg-type]
        for key, value in ({Bank: self.bank, Plug: plug} | dict(provide or {})).items():
            app.provide(value, as_=key)
        for key, factory in (factories or {}).items():
            app.provide_factory(key, factory)
        async with app:
            yield app

    @contextlib.asynccontextmanager
    async def working(self, *workflows: Any, **options: Any) -> AsyncIterator[App]:
        """An app with a worker."""
        async with self.app(*workflows, **options) as app, app.worker():
            yield app

    async def prepare(self) -> None:
        store = record_from_url(self.url)
        await store.open("shop")
        try:
            await store.migrate()
            async with store.transaction() as tx:
                await tx.connection.execute(TABLE)
        finally:
            await store.close()

    def seen(self, kind: type) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


async def rows(app: App, query: str) -> list[tuple[Any, ...]]:
    """What a query finds."""
    async with app.record.read() as connection:
        return [tuple(row) for row in await (await connection.execute(query)).fetchall()]


async def orders(app: App) -> list[tuple[Any, ...]]:
    """Every order's state, and how often it was marked."""
    return await rows(app, "SELECT state, marks FROM orders ORDER BY id")


async def receipt(app: App, key: str, attempt: int = 1) -> Receipt:
    """The receipt of an effect."""
    async with app.runtime.record.session() as session:
        found = (await session.find_receipt(key, attempt)).receipt
    assert found is not None, f"no receipt {key!r}"
    return found  # type: ignore[no-any-return]


async def pass_time(app: App, seconds: float) -> None:
    """Let the record's clock go forward, as every receipt sees it: move all their times back."""
    names = ("created_at", "key_since", "last_call_at", "next_at", "claim_until", "pending_since", "until_at")
    async with app.record.write() as w:
        if "aiosqlite" in type(w.tx).__module__:
            moved = ", ".join(f"{name}_ms = {name}_ms - {int(seconds * 1000)}" for name in names)
            await w.tx.execute(f"UPDATE recordfirst_receipt SET {moved}")
        else:
            moved = ", ".join(f"{name} = {name} - interval '{seconds} seconds'" for name in names)
            await w.tx.execute(f"UPDATE recordfirst.receipt SET {moved}")


async def until[T](look: Callable[[], Awaitable[T]]) -> T:
    """Wait for a condition, by looking."""
    while not (found := await look()):
        await asyncio.sleep(0.01)
    return found


async def until_state(app: App, key: str, state: str, attempt: int = 1) -> Receipt:
    """Wait until an effect's receipt is there, in this state; if it is unknown, until its workflow is parked."""

    async def look() -> Receipt | None:
        async with app.runtime.record.session() as session:
            found: Receipt | None = (await session.find_receipt(key, attempt)).receipt
        there = found is not None and found.state == state and (state != "unknown" or found.parked_on is not None)
        return found if there else None

    found = await until(look)
    assert found is not None
    return found
