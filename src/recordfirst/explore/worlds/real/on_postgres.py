"""A real world's record on a real Postgres, behind a proxy that reads all messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from recordfirst.explore.case import Case
from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.worlds.postgres.looking import PostgresLooker, as_url
from recordfirst.explore.worlds.postgres.rows import check_empty, keep_rows, lose_engine, put_back
from recordfirst.explore.worlds.real.proxies.postgres import PostgresProxy
from recordfirst.explore.worlds.real.proxies.side import Side
from recordfirst.explore.worlds.real.records import RECEIPTS, WRITTEN, Given, no_tables
from recordfirst.records.contract import Record
from recordfirst.records.postgres import PostgresRecord
from recordfirst.testing.outside import Asked


class OnPostgres:
    """A database on a real server. With ``resonate_sql`` it is the engine, too."""

    cannot: frozenset[str] = frozenset()

    def __init__(self, case: Case, dsn: str, resonate_sql: str | None) -> None:
        self._case, self._dsn, self._resonate_sql = case, dsn, resonate_sql
        given = conninfo_to_dict(dsn)
        self._server = {"host": str(given.get("host") or "127.0.0.1"), "port": str(given.get("port") or 5432)}
        self._looker = PostgresLooker(case.ignore)
        self.connection = psycopg.connect(dsn, autocommit=True, application_name="recordfirst_explore")

    def make(self) -> Record[Any]:
        check_empty(self.connection)
        self.connection.execute("CREATE SCHEMA recordfirst_explore")
        return PostgresRecord(self._dsn)

    def prepared(self) -> None:
        try:
            self.connection.execute(self._case.tables.encode())
        except psycopg.Error as error:
            raise no_tables(error) from error
        if self._resonate_sql is not None:
            self.connection.execute("SET client_min_messages = error")  # it warns that there is no pg_cron
            self.connection.execute(self._resonate_sql.encode())
        keep_rows(self.connection)

    def begin_anew(self) -> None:
        put_back(self.connection)

    def look(self, applied: Callable[[], list[Asked]]) -> Observed:
        self.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            return self._looker.look(self.connection, applied)
        finally:
            self.connection.execute("COMMIT")

    def receipts(self) -> list[Given]:
        query = RECEIPTS.format("recordfirst.receipt").replace("request", "request::text")
        return [Given(*row) for row in self.connection.execute(query.encode())]

    def is_written(self, key: str) -> bool:
        query = WRITTEN.format("recordfirst.receipt", "%s")
        return self.connection.execute(query.encode(), [key]).fetchone() is not None

    def proxy(self, side: Side) -> PostgresProxy | None:
        return PostgresProxy(side, self._server)

    def url(self, proxy: PostgresProxy | None) -> str:
        assert proxy is not None
        plain = {"sslmode": "disable", "gssencmode": "disable"}
        return as_url(make_conninfo(self._dsn, host="127.0.0.1", port=proxy.port, **plain))

    def lose_engine(self) -> None:
        if self._resonate_sql is not None:
            lose_engine(self.connection)

    def close(self) -> None:
        self.connection.close()
