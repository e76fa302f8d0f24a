"""Trap 13: a connection lost while COMMIT was on its way. What the record holds decides."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from recordfirst import CommitUnknown, Context, RecordUnavailable, inject, read, workflow, write
from recordfirst.client.transaction import AppRecord
from recordfirst.conformance.record import run
from recordfirst.observe import CommitFound, Stopped
from recordfirst.records.contract import Session
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.sqlite import SqliteRecord

ARRIVED = pytest.mark.parametrize("arrives", [True, False], ids=["committed", "not committed"])


class Wire:
    """What carries the next COMMIT, and loses it or its reply when it is told to."""

    def __init__(self) -> None:
        self.armed = False
        self.arrives = False
        self.cuts = 0

    def arm(self, *, arrives: bool) -> None:
        self.armed, self.arrives = True, arrives

    def takes(self) -> bool:
        """Whether this COMMIT is the one."""
        armed, self.armed = self.armed, False
        self.cuts += armed
        return armed


class Proxy(Wire):
    """Stands between the record and its PostgreSQL, and cuts a connection at COMMIT."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self._server = conninfo_to_dict(dsn)
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        user, name = self._server["user"], self._server["dbname"]
        try:
            yield f"postgresql://{user}:any@127.0.0.1:{port}/{name}?sslmode=disable&gssencmode=disable"
        finally:
            server.close()
            for writer in list(self._open):
                writer.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        path = f"{self._server['host']}/.s.PGSQL.{self._server.get('port', 5432)}"
        from_server, to_server = await asyncio.open_unix_connection(path)
        self._open |= {writer, to_server}
        lost = asyncio.Event()
        answers = asyncio.create_task(self._answer(from_server, writer, lost))
        try:
            while data := await reader.read(65536):
                if b"COMMIT" in data and self.takes():
                    lost.set()
                    if self.arrives:
                        to_server.write(data)
                        await answers  # the server has done it, and nobody hears of it
                    break
                to_server.write(data)
        finally:
            answers.cancel()
            for end in (writer, to_server):
                end.close()
                self._open.discard(end)
            self._tasks.discard(task)

    async def _answer(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, lost: asyncio.Event) -> None:
        while (data := await source.read(65536)) and not lost.is_set():
            to.write(data)
        to.close()


class Faulty(SqliteRecord):
    """SQLite has no wire: the disk fails at COMMIT, before or after it took effect."""

    def __init__(self, path: Any, wire: Wire) -> None:
        super().__init__(path)
        self.wire = wire

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session[Any]]:
        lost = sqlite3.OperationalError("disk I/O error")
        lost.sqlite_errorcode = sqlite3.SQLITE_IOERR
        async with super().transaction() as session:
            yield session
            cut = self.wire.takes()
            if cut and not self.wire.arrives:
                raise lost
        if cut:
            raise lost


@pytest.fixture(params=["sqlite", "postgres"])
def broken(request, make_shop):
    """Opens an app whose commits go over a wire that a test can break."""

    @contextlib.asynccontextmanager
    async def opened(workflow, *, wired=False):
        if request.param == "sqlite":
            path = request.getfixturevalue("sqlite_path")
            wire, shop = Wire(), make_shop(f"sqlite:///{path}")
            given = {Wire: wire} if wired else {}
            async with shop.app(workflow, record=Faulty(path, wire), provide=given) as app:
                yield shop, app, wire
            return
        dsn = request.getfixturevalue("postgres_dsn")
        wire, shop = Proxy(dsn), make_shop(dsn)
        given = {Wire: wire} if wired else {}
        async with wire.listening() as url, shop.app(workflow, record=PostgresRecord(url), provide=given) as app:
            yield shop, app, wire

    return opened


@write
async def visit(w, who: str, *, wire: Wire = inject()) -> str:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")
    if wire.cuts == 0:
        wire.armed = True
    return who


@workflow
async def visiting(ctx: Context, who: str) -> str:
    return await visit(ctx, who)


@workflow
async def idle(ctx: Context) -> str:
    return "done"


@read
async def arm(r, *, wire: Wire = inject()) -> None:
    wire.armed = wire.cuts == 0


@workflow
async def stopping(ctx: Context) -> None:
    await arm(ctx)
    raise KeyError("sku")


@ARRIVED
def test_receipt_decides(broken, arrives):
    """P2: the receipt is there, or it is not, and either way the rows are there once."""

    async def go():
        async with broken(visiting, wired=True) as (shop, app, wire):
            wire.arrives = arrives
            async with app.worker():
                assert await (await app.start(visiting, "ann", id="v")).result() == "ann"
            assert wire.cuts == 1
            assert await shop.rows(app, "SELECT who FROM visits") == [("ann",)]
            assert [event.what for event in shop.seen(CommitFound)] == ["v/visit"] * arrives

    run(go())


@ARRIVED
def test_start_of_a_callers_transaction_decides(broken, arrives):
    """P2: what the caller's own transaction started tells what became of it."""

    async def go():
        async with broken(idle) as (shop, app, wire):

            async def order():
                async with app.record.write() as w:
                    await w.tx.execute("INSERT INTO visits (who) VALUES ('ann')")
                    w.start(idle, id="i")
                    wire.arm(arrives=arrives)

            if arrives:
                await order()
            else:
                with pytest.raises(RecordUnavailable, match="did not commit"):
                    await order()
            assert len(await shop.rows(app, "SELECT who FROM visits")) == arrives
            async with app.runtime.record.session() as session:
                assert (await session.find_start("i") is not None) is arrives
            assert [event.what for event in shop.seen(CommitFound)] == ["i"] * arrives

    run(go())


@ARRIVED
def test_start_from_before_decides_nothing(broken, arrives):
    """P2, P7: the workflow had been started before: that it is there says nothing of the rows of this transaction."""

    async def go():
        async with broken(idle) as (shop, app, wire):
            await app.start(idle, id="i")
            with pytest.raises(CommitUnknown, match="read back what you wrote"):
                async with app.record.write() as w:
                    await w.tx.execute("INSERT INTO visits (who) VALUES ('ann')")
                    w.start(idle, id="i")
                    wire.arm(arrives=arrives)
            assert wire.cuts == 1
            assert len(await shop.rows(app, "SELECT who FROM visits")) == arrives

    run(go())


def test_start_of_another_decides_nothing(broken, monkeypatch):
    """P2: COMMIT did not arrive, and somebody else starts the same before it is looked for: it is not ours."""

    async def go():
        async with broken(idle) as (shop, app, wire):
            look = AppRecord._arrived

            async def after_another(self, w, error):
                await asyncio.sleep(0.01)  # starts are told apart by their time
                await app.start(idle, id="i")
                return await look(self, w, error)

            monkeypatch.setattr(AppRecord, "_arrived", after_another)
            with pytest.raises(RecordUnavailable, match="did not commit"):
                async with app.record.write() as w:
                    await w.tx.execute("INSERT INTO visits (who) VALUES ('ann')")
                    w.start(idle, id="i")
                    wire.arm(arrives=False)
            assert await shop.rows(app, "SELECT who FROM visits") == []

    run(go())


@ARRIVED
def test_nothing_to_decide_by(broken, arrives):
    """P2: a caller's transaction that started nothing is said to be unknown, and nothing is guessed."""

    async def go():
        async with broken(idle) as (_, app, wire):
            with pytest.raises(CommitUnknown, match="read back what you wrote"):
                async with app.record.write() as w:
                    await w.tx.execute("INSERT INTO visits (who) VALUES ('ann')")
                    wire.arm(arrives=arrives)

    run(go())


@ARRIVED
@pytest.mark.parametrize("at", [0, 10], ids=["first batch", "a later batch"])
def test_batch_of_a_collection(broken, monkeypatch, arrives, at):
    """P2, P7: what a batch has collected is collected once, and told once, by the run and by its audit row."""
    monkeypatch.setattr("recordfirst.operations.gc._PAGE", 10)

    async def go():
        async with broken(visiting, wired=True) as (_, app, wire):
            wire.cuts = 1  # no write's is lost
            async with app.worker():
                handles = [await app.start(visiting, f"{n}", id=f"{n}") for n in range(25)]
                for handle in handles:
                    await handle.result()
            wire.cuts = 0

            def arm(looked):
                if looked == at:
                    wire.arm(arrives=arrives)

            arm(0)
            done = await app.collect(older_than_s=0, who="ann", tell=arm)
            assert wire.cuts == 1
            assert (done.collected, done.receipts) == (25, 25)
            again = await app.collect(older_than_s=0)
            assert (again.collected, again.receipts, again.left) == (0, 0, {})
            async with app.runtime.record.session() as session:
                assert (await session.counts())["start.collected"] == 25
                told = [audit.detail for audit in await session.audits("shop", 10)]
            assert told == ["25 workflows and 25 receipts collected"]

    run(go())


@ARRIVED
def test_a_stop_is_told(broken, arrives):
    """P9: the workflow was stopped by the COMMIT whose reply was lost, and no event and no log said so."""

    async def go():
        async with broken(stopping, wired=True) as (shop, app, wire):
            wire.arrives = arrives
            async with app.worker(), asyncio.timeout(20):
                await app.start(stopping, id="s")
                while not shop.seen(Stopped):
                    await asyncio.sleep(0.02)
            assert wire.cuts == 1
            assert [(event.workflow, event.cause) for event in shop.seen(Stopped)] == [("s", "KeyError: 'sku'")]

    run(go())
