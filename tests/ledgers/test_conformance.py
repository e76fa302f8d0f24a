"""Every ledger passes the suite that is published for any."""

from __future__ import annotations

import functools

import pytest

from recordfirst.conformance.ledger import LedgerConformance
from recordfirst.ledgers.tigerbeetle import TigerBeetle
from tests.ledgers.conftest import sql_ledger


class TestSqlite(LedgerConformance):
    """Double entry in SQLite."""

    @pytest.fixture
    def open_ledger(self, sqlite_path):
        return functools.partial(sql_ledger, f"sqlite:///{sqlite_path}")


class TestPostgres(LedgerConformance):
    """Double entry in PostgreSQL."""

    @pytest.fixture
    def open_ledger(self, postgres_dsn):
        return functools.partial(sql_ledger, postgres_dsn)


class TestTigerBeetle(LedgerConformance):
    """A real cluster; everything here is skipped where none is named."""

    @pytest.fixture
    def open_ledger(self, tigerbeetle_addresses):
        return functools.partial(TigerBeetle, tigerbeetle_addresses)
