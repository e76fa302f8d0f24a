"""The ledger in a SQL record."""

from recordfirst.ledgers.sql.ledger import SqlLedger

__all__ = ["SqlLedger"]
