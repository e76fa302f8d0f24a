"""Each engine with a workflow of three steps that do nothing, and a way to fill its store with finished ones."""

from __future__ import annotations

import contextlib
import importlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
from resonate.connections import LocalConnection
from resonate.context import Context
from resonate.resonate import Resonate

from recordfirst.engine.embedded import EmbeddedConnection

type Run = Callable[[str], Awaitable[None]]


class Place(msgspec.Struct, frozen=True):
    """Where a contender may put its files, and what it needs from elsewhere."""

    folder: str
    finished: int
    """So many are in the store before anything is measured: copies of one that really ran, written behind its back."""
    dsn: str | None = None

    def filled(self) -> bool:
        """Whether there is nothing to fill, or an earlier run has done it."""
        return not self.finished or self._mark.exists()

    def has_been_filled(self) -> None:
        """Keep in mind that the whole of it is there."""
        self._mark.touch()

    @property
    def _mark(self) -> Path:
        return Path(self.folder) / "filled"


async def step(_: Context, number: int) -> int:
    return number


async def three(ctx: Context) -> int:
    return sum([await ctx.run(step, number) for number in range(3)])


@contextlib.asynccontextmanager
async def _resonating(connection: Any, **options: Any) -> AsyncIterator[Run]:
    resonate = Resonate(network=connection, env={}, autostart=False, subscription_refresh_secs=0, **options)
    resonate.register(three, name="three")
    resonate.start()

    async def run(id: str) -> None:
        await resonate.run(id, three).result()

    try:
        yield run
    finally:
        await resonate.stop()


@contextlib.asynccontextmanager
async def embedded(place: Place, durability: Literal["record", "disk"] = "record") -> AsyncIterator[Run]:
    """Ours, in a file."""
    path = Path(place.folder) / "engine"
    if not place.filled():
        first = EmbeddedConnection(path)
        async with _resonating(first, heartbeat=first.held) as run:
            await run("sample")
        _copy(path, place.finished)
        place.has_been_filled()
    connection = EmbeddedConnection(path, durability=durability)
    async with _resonating(connection, heartbeat=connection.held) as run:
        yield run


def _copy(path: Path, number: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute("PRAGMA cache_size = -500000")
        file.execute("""
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
            INSERT INTO promises
            SELECT replace(id, 'sample', format('f%07d', n)), state, task, live, due_at,
                replace(body, 'sample', format('f%07d', n))
            FROM numbers, promises WHERE id GLOB 'sample*'
        """, (number,))  # fmt: skip


@contextlib.asynccontextmanager
async def embedded_disk(place: Place) -> AsyncIterator[Run]:
    """Ours, waiting for the disk with each batch."""
    async with embedded(place, "disk") as run:
        yield run


@contextlib.asynccontextmanager
async def local(place: Place) -> AsyncIterator[Run]:
    """The SDK's own connection in memory, which keeps nothing beyond the process."""
    connection = LocalConnection()
    async with _resonating(connection) as run:
        if place.finished:
            await run("sample")
            state = connection.state
            for held in (state.promises, state.tasks):
                for id in [id for id in held if id.startswith("sample")]:
                    for n in range(place.finished):
                        name = id.replace("sample", f"f{n:07}")
                        held[name] = msgspec.structs.replace(held[id], id=name)  # type: ignore[assignment,index]
        yield run


@contextlib.asynccontextmanager
async def resonate_pg(place: Place) -> AsyncIterator[Run]:
    """Resonate in Postgres."""
    import psycopg  # noqa: PLC0415 - each contender brings its own
    from resonate_pg import PostgresConnection  # noqa: PLC0415

    assert place.dsn is not None
    async with _resonating(PostgresConnection(place.dsn)) as run:
        if not place.filled():
            await run("sample")
            async with await psycopg.AsyncConnection.connect(place.dsn, autocommit=True) as connection:
                await _copy_in_postgres(connection, place.finished)
            place.has_been_filled()
        yield run


async def _copy_in_postgres(connection: Any, number: int) -> None:
    """Without the triggers and keys of other tables, which no copy of a good row breaks, and vacuumed at the end."""
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("SET maintenance_work_mem = '1GB'")
    await connection.execute("""
        INSERT INTO resonate.promises (id, state, param_headers, param_data, value_headers, value_data,
            tags, timeout_at, created_at, settled_at)
        SELECT replace(id, 'sample', to_char(n, '"f"FM0000000')), state, param_headers, param_data, value_headers,
            value_data, replace(tags::text, 'sample', to_char(n, '"f"FM0000000'))::jsonb, timeout_at, created_at,
            settled_at
        FROM generate_series(1, %s) n, resonate.promises WHERE id LIKE 'sample%%'
    """, (number,))  # fmt: skip
    await connection.execute("""
        INSERT INTO resonate.tasks (id, state, version)
        SELECT replace(id, 'sample', to_char(n, '"f"FM0000000')), state, version
        FROM generate_series(1, %s) n, resonate.tasks WHERE id LIKE 'sample%%'
    """, (number,))  # fmt: skip
    await connection.execute("VACUUM ANALYZE resonate.promises, resonate.tasks")
    await connection.execute("CHECKPOINT")


@contextlib.asynccontextmanager
async def dbos(place: Place) -> AsyncIterator[Run]:
    """DBOS Transact on SQLite, as it is by default."""
    import logging  # noqa: PLC0415
    import sys  # noqa: PLC0415

    if sqlite3.sqlite_version_info < (3, 42):
        sys.modules["sqlite3"] = importlib.import_module("pysqlite3")  # DBOS needs a newer one than this system's
    from dbos import DBOS, SetWorkflowID  # noqa: PLC0415

    logging.getLogger("dbos").setLevel(logging.ERROR)
    path = Path(place.folder) / "dbos.sqlite"
    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{path}", "log_level": "ERROR"})

    @DBOS.step()
    async def dbos_step(number: int) -> int:
        return number

    @DBOS.workflow()
    async def dbos_three() -> int:
        return sum([await dbos_step(number) for number in range(3)])

    DBOS.launch()

    async def run(id: str) -> None:
        with SetWorkflowID(id):
            await dbos_three()

    try:
        if not place.filled():
            await run("sample")
            _copy_dbos(path, place.finished)
            place.has_been_filled()
        yield run
    finally:
        DBOS.destroy()


def _copy_dbos(path: Path, number: int) -> None:
    import sqlite3 as same  # noqa: PLC0415 - the library that DBOS has the file open with: two would spoil it

    with contextlib.closing(same.connect(path)) as file, file:
        file.execute("PRAGMA cache_size = -500000")
        for table in ("workflow_status", "operation_outputs"):
            columns = [row[1] for row in file.execute(f"PRAGMA table_info({table})")]
            values = ["printf('f%07d', n)" if column == "workflow_uuid" else column for column in columns]
            file.execute(f"""
                WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
                INSERT INTO {table} ({", ".join(columns)})
                SELECT {", ".join(values)} FROM numbers, {table} WHERE workflow_uuid = 'sample'
            """, (number,))  # fmt: skip


CONTENDERS: dict[str, Callable[[Place], contextlib.AbstractAsyncContextManager[Run]]] = {
    "embedded": embedded,
    "embedded, disk": embedded_disk,
    "local": local,
    "resonate-pg": resonate_pg,
    "dbos": dbos,
}
