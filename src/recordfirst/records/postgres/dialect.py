"""recordfirst's own statements on psycopg's connections. Imports the driver."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from recordfirst.core.start import NewStart, Start
from recordfirst.errors import Misuse, StartContended
from recordfirst.records.one_connection import Params, Row
from recordfirst.records.postgres.guard import ENDED
from recordfirst.records.postgres.lent import Lent
from recordfirst.records.session import SqlSession

type Connection = psycopg.AsyncConnection[Any]

OURS = "recordfirst's own statement"
"""Noted of an error that one of them came to: that is no business of the user's."""
_START_S = 5.0
"""For another transaction that stores the same workflow id to end."""


class PostgresDialect:
    """Statements on a psycopg connection. Prepared at the first use: they are few, and run again and again."""

    def __init__(self, connection: Connection) -> None:
        # One that gives tuples, whatever the user has made of the connection's rows.
        self._cursor = connection.cursor(row_factory=tuple_row)

    async def run(self, sql: str, params: Params) -> list[Row]:
        cursor = self._cursor
        try:
            await cursor.execute(cast("Any", sql), params, prepare=True)
        except psycopg.Error as error:
            self._note(error)
            raise
        result = cursor.pgresult
        return await cursor.fetchall() if result is not None and result.nfields else []

    def _note(self, error: psycopg.Error) -> None:
        error.add_note(OURS)

    def pack(self, rows: Sequence[Params]) -> Params:
        """One array per name, for ``unnest``."""
        return {name: [row[name] for row in rows] for name in rows[0]}

    def promise(self, number: int) -> None:
        raise Misuse(f"promise {number} outside of a transaction, so nothing could take it back")

    async def promised(self) -> set[int]:
        return set()


class InTransaction(PostgresDialect):
    """Statements that must not commit by themselves."""

    def __init__(self, lent: Lent) -> None:
        self._lent = lent
        self._cursor = lent.own_cursor()

    async def run(self, sql: str, params: Params) -> list[Row]:
        check_uncommitted(self._lent)
        return await super().run(sql, params)

    def _note(self, error: psycopg.Error) -> None:
        if not self._lent.rights_taken:  # with SET ROLE, say, it is the user's own doing that ours may not
            super()._note(error)

    def promise(self, number: int) -> None:
        self._lent.refuse_if_over()
        self._lent.savepoints.note(number)

    async def promised(self) -> set[int]:
        self._lent.close_to_the_user()
        return self._lent.savepoints.promises


class PostgresSession(SqlSession[Connection]):
    """A session that waits a bounded time for a workflow id."""

    async def add_starts(self, starts: Sequence[NewStart]) -> list[tuple[Start, bool]]:
        # Not by the server's lock_timeout: to set it would be a statement more, and the user's locks are the user's.
        try:
            async with asyncio.timeout(_START_S):
                return await super().add_starts(starts)
        except TimeoutError as error:
            raise StartContended(", ".join(repr(start.id) for start in starts[:3]), _START_S) from error


def check_uncommitted(lent: Lent) -> None:
    """Raise if the block's transaction is not there to be committed; COMMIT itself would be silent about it (P2)."""
    status = lent.pgconn.transaction_status
    if status == TransactionStatus.IDLE:
        raise Misuse(ENDED)
    if status == TransactionStatus.INERROR:
        raise psycopg.errors.InFailedSqlTransaction(
            "a statement failed in this transaction and its error was caught, so nothing can be committed; "
            "put what may fail into connection.transaction()"
        )
