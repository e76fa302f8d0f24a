"""A pooler between us and the server: by session it does no harm, by transaction it is refused."""

from __future__ import annotations

import asyncio

import pytest

from recordfirst.conformance.record import run
from recordfirst.errors import Misuse
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.postgres import pooled as looking
from tests.records.pooler import pooled


@pytest.mark.parametrize(
    ("most", "in_turn"), [(5, False), (5, True), (1, False)], ids=["the last one", "in turn", "only one"]
)
def test_by_transaction(postgres_dsn, most, in_turn):
    """P3, P9: refused before anything rests on a session, whichever session is lent next."""

    async def go():
        async with pooled(postgres_dsn, "transaction", most=most, in_turn=in_turn) as dsn:
            # All sessions are there, as in a pooler that has been at work.
            together = [PostgresRecord(dsn)._connect("warm") for _ in range(most)]
            for connection in await asyncio.gather(*together):
                await connection.close()
            for _ in range(3):
                with pytest.raises(Misuse, match=r"a pooler that pools by transaction.*pool_mode=session"):
                    await PostgresRecord(dsn).open("shop")

    run(go())


def test_by_session(postgres_dsn):
    """P9: what needs a session has it."""

    async def go():
        async with pooled(postgres_dsn, "session", most=9) as dsn:
            record = PostgresRecord(dsn, pool_size=2)
            await record.open("shop")
            await record.migrate()
            async with record.lease("worker"), record.session() as session:
                assert await session.now_ms() > 0
            await record.close()

    run(go())


def test_by_session_with_none_to_spare(postgres_dsn, monkeypatch):
    """P9: a second connection that has to wait proves nothing, and nobody waits for it for long."""
    monkeypatch.setattr(looking, "LOOK_S", 0.2)

    async def go():
        async with pooled(postgres_dsn, "session", most=1) as dsn:
            record = PostgresRecord(dsn, pool_size=1)
            await record.open("shop")
            assert await record.schema_version() == 0
            await record.close()

    run(go())


@pytest.mark.parametrize(
    ("sessions", "lent"),
    [
        ("ababababababababab", False),
        ("aababababababababa", True),
        ("abcbcbcbcbcbcbcbcb", True),
        ("abababababababacab", False),
        ("abababababababaabb", True),
    ],
    ids=["one each", "shared", "another one", "only the other's differs", "shared at last"],
)
def test_what_is_certain(sessions, lent):
    """P9: two connections with one session, or one with two, are lent them; nothing else is."""
    answers = iter(sessions)

    async def session():
        return next(answers), None

    assert run(looking.by_transaction(session, session)) is lent
