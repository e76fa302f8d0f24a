"""The longest names that are accepted fit everywhere; what is longer is refused before anything is stored."""

from __future__ import annotations

import asyncio
import hashlib

import psycopg
import pytest

from recordfirst import App, BadId, BadKey, Call, Context, Provider, Unknown, WorkflowStopped, effect, workflow, write
from recordfirst.conformance.record import run
from recordfirst.core import identity
from recordfirst.execution.outcome import KIND_BYTES_MOST
from recordfirst.records.open import record_from_url
from recordfirst.steps.write import default_key
from tests.starts.harness import migrated

ROW_MOST = 2_704
"""What a Postgres index takes in one row; one text more or less that repeats itself is compressed, these are not."""


def text(bytes_: int, of: str) -> str:
    """Text of this many bytes, nearly all in letters of two, of which nothing repeats."""
    digest = b"".join(hashlib.sha256(f"{of} {n}".encode()).digest() for n in range(bytes_ // 64 + 1))
    return "".join(chr(0x100 + byte) for byte in digest)[: bytes_ // 2] + "x" * (bytes_ % 2)


APP, ID = text(identity.APP_BYTES_MOST, "app"), text(identity.ID_BYTES_MOST, "id")
KEY = text(identity.KEY_BYTES_MOST, "key")


@write
async def note(w, key: str) -> None:
    """Its key is the workflow's id and its name."""


@effect(key="{key}", provider=Provider(name="plain"), after=None)
async def ask(call: Call, key: str) -> str:
    raise Unknown("timeout")


@workflow
async def longest(ctx: Context, key: str) -> str:
    await note(ctx, key)
    return await ask(ctx, key)


def app_on(url: str) -> App:
    return App(APP, record=record_from_url(url), workflows=[longest])


def test_longest_names_fit(record_url):
    """P7: with the longest app, id and key a workflow starts, parks, is resolved and ends."""

    async def go():
        await migrated(record_url)
        async with app_on(record_url) as app, app.worker():
            handle = await app.start(longest, KEY, id=ID)
            while not await parked(app):
                await asyncio.sleep(0.01)
            await app.resolve(KEY, outcome="succeeded", result="seen")
            assert await handle.result() == "seen"

    async def parked(app: App) -> bool:
        async with app.runtime.record.session() as session:
            return any(receipt.parked_on for receipt in await session.receipts_by_key(KEY))

    run(go())


def test_longer_id_is_refused(record_url):
    """P7, P8: one byte more is an error that says how many there may be, and nothing is stored; a write goes on."""

    async def go():
        await migrated(record_url)
        async with app_on(record_url) as app:
            with pytest.raises(BadId, match=r"a workflow id may have 255 bytes of UTF-8, not 256: '\w{60}'\.\.\.; use"):
                await app.start(longest, "k", id=ID + "x")
            async with app.record.write() as w:
                with pytest.raises(BadId):
                    w.start(longest, "k", id=ID + "x")
                w.start(longest, "k", id="short")
            async with app.runtime.record.session() as session:
                assert [start.id for start in await session.starts("open", 9)] == ["short"]

    run(go())


def test_longer_key_is_refused(record_url):
    """P7, P8: the workflow fails with an error that names the step; there is no intent, and no call."""

    async def go():
        await migrated(record_url)
        async with app_on(record_url) as app, app.worker():
            handle = await app.start(longest, KEY + "x", id="w")
            why = r"the key of effect 'ask' may have 1,000 bytes of UTF-8, not 1,001"
            with pytest.raises(WorkflowStopped, match=f"BadKey: {why}"):
                await handle.result(if_stopped="raise")
            async with app.runtime.record.session() as session:
                assert [receipt.function for receipt in await session.receipts_of("w")] == ["note"]

    run(go())


def test_longer_names_of_apps_and_writes(record_url):
    """P8: an app's name is bounded, and a default key, which a write's long name is a part of."""
    with pytest.raises(BadId, match="an app's name may have 64 bytes"):
        App(APP + "x", record=record_from_url(record_url), workflows=[longest])
    with pytest.raises(BadKey, match=r"write 'n+' may have 1,000 bytes"):
        default_key("w", "n" * 1_000)


MOST = {
    "app": identity.APP_BYTES_MOST,
    "id": identity.ID_BYTES_MOST,
    "workflow": identity.ID_BYTES_MOST,
    "key": identity.KEY_BYTES_MOST,
    "subject": identity.KEY_BYTES_MOST + len("#1000000"),  # a key with its attempt, or shorter
    "engine": 1_000,
    "left_in": 1_000,  # an engine's address
    "state": 10,
    "code": 40,
    "name": 40,
    "kind": KIND_BYTES_MOST,
    "hash": 64,
}


def test_every_index_has_room(postgres_dsn):
    """P7: the longest names fit into each index of the record, side by side."""
    run(migrated(postgres_dsn))
    with psycopg.connect(postgres_dsn) as connection:
        found = connection.execute(
            """
            SELECT pg_index.indexrelid::regclass::text, array_agg(attname::text), array_agg(atttypid::regtype::text)
            FROM pg_index JOIN pg_attribute ON attrelid = indexrelid
            WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'recordfirst'::regnamespace)
            GROUP BY 1
            """
        ).fetchall()
    assert len(found) > 20
    for index, names, types in found:
        most = sum(MOST[name] if type_ == "text" else 16 for name, type_ in zip(names, types, strict=True))
        assert most + 8 * len(names) <= ROW_MOST, index


def test_engine_in_postgres_has_room():
    """P7: resonate-pg keeps two promises' ids in one row: a workflow's, and one of a step three parts below another."""
    root = identity.engine_id(APP, ID, 1_000_000)
    segment = identity.call_segment("a" * 100, "what", 1)
    below = f"{root}:{'.'.join([segment] * 3)}"
    assert len(root) + len(below) + 2 * 8 <= ROW_MOST
