"""An index that is missing is a finding with the statement that makes it; a role with few rights works (P10)."""

from __future__ import annotations

import psycopg
import pytest

from recordfirst import App, Misuse
from recordfirst.conformance.record import run
from recordfirst.records.postgres import PostgresRecord
from tests.engines import engine_for
from tests.reconcile.harness import Bank, order
from tests.reconcile.test_passes import open_findings
from tests.starts.harness import migrated


def test_an_index_that_is_missing_is_told_with_what_makes_it(shop):
    """P10: each in turn; run what the finding shows, and the next reconcile is clean."""

    async def go():
        async with shop.app() as app:
            assert len(app.runtime.record.indexes) >= 8
            for name, statement in app.runtime.record.indexes.items():
                if name.endswith("finding_open"):
                    continue
                await run_sql(app, f"DROP INDEX {place(shop, name)}")
                report = await app.reconcile(apply=True)
                assert [(each.code, each.subject) for each in report.left] == [("RF-INDEX-MISSING", name)]
                assert report.left[0].detail == f"run: {statement}"
                assert await open_findings(app) == [("RF-INDEX-MISSING", name)]
                await run_sql(app, statement)
                assert (await app.reconcile(apply=True)).left == []
                assert await open_findings(app) == []

    run(go())


def test_without_the_index_that_findings_rest_on_nothing_is_kept(shop):
    """P10: then it is said at once what to run; to look works as ever."""

    async def go():
        async with shop.app() as app:
            [name] = [name for name in app.runtime.record.indexes if name.endswith("finding_open")]
            await run_sql(app, f"DROP INDEX {place(shop, name)}")
            assert [each.code for each in (await app.reconcile()).left] == ["RF-INDEX-MISSING"]
            with pytest.raises(Misuse, match=f"index {name} is missing, .*; run: CREATE UNIQUE INDEX"):
                await app.reconcile(apply=True)

    run(go())


def place(shop, name):
    return name if shop.url.startswith("sqlite") else f"recordfirst.{name}"


async def run_sql(app, sql):
    async with app.record.write() as w:
        await w.tx.execute(sql)


@pytest.fixture
def few_rights(postgres_dsn):
    """A role that may do what the docs ask for, in a cluster that hides its control file."""
    functions = ["pg_control_system()", "pg_current_wal_lsn()", "pg_walfile_name(pg_lsn)"]
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE humble LOGIN")
        for function in functions:
            connection.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC".encode())
    try:
        yield postgres_dsn.replace("//postgres:@", "//humble@")
    finally:
        with psycopg.connect(postgres_dsn, autocommit=True) as connection:
            connection.execute("DROP OWNED BY humble")
            connection.execute("DROP ROLE humble")


def test_a_role_that_may_not_ask_which_cluster_it_is(postgres_dsn, few_rights):
    """P6: start-up does not fail, nothing is held; whoever may ask, before or after, sees no restore in that."""

    def app_at(dsn):
        app = App("shop", record=PostgresRecord(dsn), workflows=[order], engine=engine_for(dsn))
        app.provide(Bank())
        return app

    async def go():
        await migrated(postgres_dsn)
        with psycopg.connect(postgres_dsn, autocommit=True) as connection:
            connection.execute("GRANT USAGE ON SCHEMA recordfirst TO humble")
            connection.execute("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA recordfirst, public TO humble")
        for number, dsn in enumerate([few_rights, postgres_dsn, few_rights]):
            app = app_at(dsn)
            async with app.worker():
                assert await (await app.start(order, f"{number}", id=f"{number}")).result() == "charged"
                async with app.runtime.record.session() as session:
                    history_id = await session.history_id()
                assert (history_id is None) == (dsn == few_rights)
                assert (await app.reconcile(only=["timeline"])).left == []

    run(go())
