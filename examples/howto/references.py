"""A contract's text in an archive, its row in the record, and a search page that shows it: one order for all three."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiosqlite
import msgspec
from aiosqlite import Connection

from recordfirst import (
    App,
    Context,
    Entry,
    Read,
    Reference,
    Write,
    changed_one,
    insert_or_same,
    project,
    stage,
    workflow,
    write,
)
from recordfirst.records.sqlite import SqliteRecord


# [reference]
class Documents(Reference):
    """Documents by id, in a SQLite file. Any store will do that can refuse what is not newer, in one step."""

    def __init__(self, path: str | Path) -> None:
        self.where = str(path)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Connection]:
        async with aiosqlite.connect(self.where, timeout=30) as db:
            await db.execute("CREATE TABLE IF NOT EXISTS entries (id TEXT PRIMARY KEY, document TEXT, version INTEGER)")
            yield db

    async def put(self, entry: Entry) -> Entry | None:
        async with self.open() as db:
            stored = await db.execute(
                "INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE "
                "SET document = excluded.document, version = excluded.version WHERE excluded.version > version",
                (entry.id, json.dumps(entry.document), entry.version),
            )
            await db.commit()
            return None if stored.rowcount == 1 else await self.find(entry.id)

    async def find(self, id: str) -> Entry | None:
        async with self.open() as db:
            row = await (await db.execute("SELECT document, version FROM entries WHERE id = ?", (id,))).fetchone()
        return Entry(id=id, document=json.loads(row[0]), version=row[1]) if row is not None else None


class Archive(Documents):
    """What is put here is staged: it means nothing until a contract in the record names it."""


class Search(Documents):
    """A mirror of contracts, for a search page."""


# [/reference]


class Contract(msgspec.Struct, frozen=True):
    id: str
    customer: str
    text: str


# [steps]
@stage(key="contract:{contract.id}:text", into=Archive, id="{contract.id}.txt")
def stage_text(contract: Contract) -> str:
    return contract.text


@write(key="contract:{contract.id}:row", after=stage_text)
async def insert_contract(w: Write[Connection], contract: Contract) -> None:
    values = {"customer": contract.customer, "state": "signed"}
    await insert_or_same(w.tx, "contracts", {"id": contract.id}, values)


@write(key="contract:{id}:end")
async def end_contract(w: Write[Connection], id: str) -> None:
    cursor = await w.tx.execute("UPDATE contracts SET state = 'ended' WHERE id = ?", (id,))
    changed_one(cursor, f"contract {id}, to be ended")


@project(key="contract:{id}:search", into=Search, id="{id}")
async def show_contract(r: Read[Connection], id: str) -> dict[str, str] | None:
    found = await r.tx.execute("SELECT customer, state FROM contracts WHERE id = ?", (id,))
    row = await found.fetchone()
    return None if row is None else {"customer": row[0], "state": row[1]}


@show_contract.every
async def every_contract(r: Read[Connection], after: str | None) -> list[str]:
    found = await r.tx.execute("SELECT id FROM contracts WHERE id > ? ORDER BY id LIMIT 500", (after or "",))
    return [row[0] for row in await found.fetchall()]


# [/steps]


# [workflow]
@workflow
async def sign(ctx: Context, contract: Contract) -> None:
    await stage_text(ctx, contract)  # the reference, before
    await insert_contract(ctx, contract)  # the record: from here on the contract exists
    await show_contract(ctx, contract.id)  # the mirror, and effects, after


@workflow
async def end(ctx: Context, id: str) -> None:
    await end_contract(ctx, id)
    await show_contract(ctx, id)


# [/workflow]


# [read]
async def text_of(app: App, archive: Archive, id: str) -> str | None:
    """Ask the record first: what it does not know does not exist, whatever the archive has."""
    async with app.record.read() as connection:
        row = await (await connection.execute("SELECT id FROM contracts WHERE id = ?", (id,))).fetchone()
    if row is None:
        return None
    entry = await archive.find(f"{id}.txt")
    if entry is None:
        raise LookupError(f"contract {id} is in the record, and its text is not in {archive.where}")
    return str(entry.document)


# [/read]

app = App("contracts", record=SqliteRecord("contracts.db"), workflows=[sign, end])
app.provide(Archive("archive.db"))
app.provide(Search("search.db"))
