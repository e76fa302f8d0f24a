"""In which records an engine can be, and who asks for it."""

from __future__ import annotations

from recordfirst.conformance.record import run
from recordfirst.engine import connect
from recordfirst.engine.shared import Membership
from recordfirst.records import contract
from recordfirst.records.hosting import HostsEngine, hosted
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.sqlite import SqliteRecord

NOBODY = "postgresql://127.0.0.1:1/nobody"


def test_postgres_hosts_an_engine():
    """As the type says, too."""
    record = PostgresRecord(NOBODY)
    host: HostsEngine = record
    assert hosted(record) is host


def test_sqlite_hosts_none(sqlite_path):
    """P7: an engine in some Postgres is not joined to it, and nobody connects there to see that."""
    record = SqliteRecord(sqlite_path)
    assert hosted(record) is None
    membership = Membership("g", "g", 1, None)
    assert run(connect.join(NOBODY, membership, record)) is None


def test_the_contract_of_a_record_asks_for_none():
    """A record of one's own needs nothing of an engine."""
    of_a_host = {name for name in vars(HostsEngine) if not name.startswith("_")}
    assert of_a_host == {"shares", "may_ask_engine", "ask_engine"}
    assert not of_a_host & set(dir(contract.Record))
