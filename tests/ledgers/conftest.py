"""Ledgers for tests: in each record, and TigerBeetle if somebody says where one is."""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from collections.abc import AsyncIterator

import pytest

from recordfirst import SqlLedger
from recordfirst.records.open import record_from_url
from tests.ledgers.program import Purchase, Till


@contextlib.asynccontextmanager
async def sql_ledger(url: str, *, app: str = "shop") -> AsyncIterator[SqlLedger]:
    """A ledger in the record of this URL, which gets its tables."""
    record = record_from_url(url)
    await record.open(app)
    try:
        await record.migrate()
        yield SqlLedger(record)
    finally:
        await record.close()


@pytest.fixture
def tigerbeetle_addresses() -> str:
    """Where a TigerBeetle cluster with the id 0 is; tests leave accounts and transfers with random ids there."""
    addresses = os.environ.get("RECORDFIRST_TEST_TIGERBEETLE")
    if not addresses:
        pytest.skip("NOT TESTED on TigerBeetle: RECORDFIRST_TEST_TIGERBEETLE names no address")
    return addresses


@pytest.fixture(params=["sqlite", "postgres", "tigerbeetle"])
def till(request: pytest.FixtureRequest) -> Till:
    """A shop on each ledger: in each record, and in TigerBeetle beside a SQLite record."""
    addresses = ""
    if request.param == "tigerbeetle":
        addresses = request.getfixturevalue("tigerbeetle_addresses")
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_dsn")
    else:
        url = f"sqlite:///{request.getfixturevalue('sqlite_path')}"
    return Till(url, addresses, Purchase(uuid.uuid4().hex))


@pytest.fixture
def unused_port() -> int:
    """A port where nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
