"""Both products pass the suite that is published for any record."""

from __future__ import annotations

import functools

import pytest

from recordfirst.conformance.events import EventConformance
from recordfirst.conformance.guards import GuardConformance
from recordfirst.conformance.pending import PendingConformance
from recordfirst.conformance.projections import ProjectionConformance
from recordfirst.conformance.reconciling import ReconcileConformance
from recordfirst.conformance.record import ReceiptConformance
from recordfirst.conformance.starts import RecordProcessConformance, StartConformance
from recordfirst.conformance.stops import StopConformance
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.sqlite import SqliteRecord


class TestSqlite(
    GuardConformance,
    ReceiptConformance,
    StartConformance,
    StopConformance,
    RecordProcessConformance,
    ReconcileConformance,
    ProjectionConformance,
    PendingConformance,
    EventConformance,
):
    """SQLite."""

    @pytest.fixture
    def make_record(self, sqlite_path):
        return functools.partial(SqliteRecord, sqlite_path)


class TestPostgres(
    GuardConformance,
    ReceiptConformance,
    StartConformance,
    StopConformance,
    RecordProcessConformance,
    ReconcileConformance,
    ProjectionConformance,
    PendingConformance,
    EventConformance,
):
    """PostgreSQL."""

    @pytest.fixture
    def make_record(self, postgres_dsn):
        return functools.partial(PostgresRecord, postgres_dsn)
