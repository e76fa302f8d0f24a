"""Both products pass the suite that is published for any record."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from recordfirst import conformance
from recordfirst.conformance import record as suite_of_receipts
from recordfirst.conformance.events import EventConformance
from recordfirst.conformance.guards import GuardConformance
from recordfirst.conformance.pending import PendingConformance
from recordfirst.conformance.processes import RecordProcessConformance
from recordfirst.conformance.projections import ProjectionConformance
from recordfirst.conformance.reconciling import ReconcileConformance
from recordfirst.conformance.record import ReceiptConformance
from recordfirst.conformance.reversals import ReversalConformance
from recordfirst.conformance.starts import StartConformance
from recordfirst.conformance.stops import StopConformance
from recordfirst.conformance.undoings import UndoingConformance
from recordfirst.records.contract import Session
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
    UndoingConformance,
    EventConformance,
    ReversalConformance,
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
    UndoingConformance,
    EventConformance,
    ReversalConformance,
):
    """PostgreSQL."""

    @pytest.fixture
    def make_record(self, postgres_dsn):
        return functools.partial(PostgresRecord, postgres_dsn)


ELSEWHERE = {
    "history_id": "what a product says of its own history: tests/restores",
    "missing_indexes": "the products' own indexes: tests/reconcile/test_indexes.py",
    "promise": "by w.start in a savepoint: tests/writes/test_savepoints.py",
    "promised": "the same",
}


def test_the_suite_asks_for_each_method_of_a_session():
    """A record of somebody else's is held to all that recordfirst calls."""
    suite = "".join(file.read_text() for file in Path(conformance.__path__[0]).glob("*.py"))
    methods = {name for name in dir(Session) if not name.startswith("_") and callable(getattr(Session, name))}
    assert len(methods) > 50
    assert {name for name in methods if not re.search(rf"\.{name}\(", suite)} == ELSEWHERE.keys()


def test_the_suite_says_what_it_consists_of():
    """Whoever follows its docstring inherits from all of it."""
    named = set(re.findall(r"import (\w+Conformance)", suite_of_receipts.__doc__))
    inherited = set(re.findall(r"^ +(\w+Conformance),$", suite_of_receipts.__doc__, re.MULTILINE))
    assert named == inherited == {each.__name__ for each in TestSqlite.__bases__} - {"GuardConformance"}
