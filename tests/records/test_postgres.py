"""What is PostgreSQL's own: plans, faults, the pool, leases and news when connections break."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from pathlib import Path

import msgspec
import psycopg
import pytest

from recordfirst.conformance.record import after, effect, intended, opened, run, start, wrote
from recordfirst.core import decide
from recordfirst.errors import Misuse, RecordUnavailable
from recordfirst.records import statements
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.postgres.faults import cause_of, fault_of_state

PACKAGE = "recordfirst.records.postgres"
KEYED = ["find_receipt", "receipts_by_key", "receipts_of", "change_receipt", "begin_call", "intend", "find_starts"]
KEYED += ["dispatched", "finish", "woken", "undispatched", "open_starts", "unsettled", "new_epoch", "new_epochs"]
KEYED += ["reopen", "wakes", "still_open", "end_epochs", "epochs_gone", "due", "referred_to", "references_of"]
"""Statements that must go to the rows they want by an index."""
OF_ALL = {"undispatched", "open_starts", "unsettled", "new_epochs", "wakes", "due"}
"""Those of them that want all of a kind. The others must go by key: so much else may be open, or unknown."""
_HERE = "WHERE datname = current_database() AND application_name"
"""The sessions of this test alone: others use other databases of the same server at the same time."""
TEXT_ARRAYS = {"id", "workflow", "engine", "state", "result", "error", "key", "parked_on"}


def make(dsn, **what):
    return lambda: PostgresRecord(dsn, **what)


def execute(dsn, sql):
    """Run SQL as somebody else; return the rows, if there are any."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def plan_nodes(plan):
    """All nodes of an EXPLAIN in JSON."""
    yield plan
    for child in plan.get("Plans", []):
        yield from plan_nodes(child)


def generic_plan(connection, name):
    """The plan that a session keeps for a statement, whatever its parameters."""
    names: list[str] = []

    def number(match):
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    sql = re.sub(r"%\((\w+)\)s", number, getattr(statements.load(PACKAGE), name))
    connection.execute("SET plan_cache_mode = force_generic_plan")
    connection.execute(f"PREPARE {name} AS {sql}".encode())
    nothing = ", ".join(["NULL"] * len(names))
    [(plan,)] = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE {name}({nothing})".encode()).fetchall()
    return list(plan_nodes(plan[0]["Plan"]))


def migrated(dsn):
    async def go():
        async with opened(make(dsn)):
            pass

    run(go())


def filled(dsn):
    """Much that is finished, little that is open."""
    migrated(dsn)
    execute(
        dsn,
        """
        INSERT INTO recordfirst.start (app, id, workflow, arguments, fingerprint, state, finished_at)
        SELECT 'shop', 's' || n, 'w', '{}', 'f', CASE WHEN n % 1000 = 0 THEN 'open' ELSE 'succeeded' END,
               CASE WHEN n % 1000 <> 0 THEN now() END
        FROM generate_series(1, 20000) AS n;
        INSERT INTO recordfirst.receipt
            (app, key, kind, function, workflow, state, fingerprint, request, parked_on, settled_at)
        SELECT 'shop', 'k' || n, 'effect', 'f', 's' || n, CASE WHEN n % 1000 = 0 THEN 'unknown' ELSE 'succeeded' END,
               'f', '{}', CASE WHEN n % 1000 = 0 OR n % 3001 = 0 THEN 'p' END, now()
        FROM generate_series(1, 20000) AS n;
        ANALYZE recordfirst.start, recordfirst.receipt
        """,
    )


# ── plans ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", KEYED)
def test_p9_no_statement_reads_a_table_through(postgres_dsn, name):
    """With much that is finished, the kept plan goes by an index to what is wanted."""
    filled(postgres_dsn)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        nodes = generic_plan(connection, name)
    assert [node["Node Type"] for node in nodes if node["Node Type"] == "Seq Scan"] == []


@pytest.mark.parametrize("name", [*KEYED, "add_receipt", "add_start"])
def test_p9_plans_made_on_empty_tables_stay_good(postgres_dsn, name):
    """A session keeps its first plans while the tables grow: they too must go to single rows."""
    migrated(postgres_dsn)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        nodes = generic_plan(connection, name)
    must_go_by_key(name, nodes)


def test_p9_plans_made_when_nothing_is_open_stay_good(postgres_dsn):
    """What the server knows of a table can be old: all was finished then, and much is suspended by now."""
    filled(postgres_dsn)
    execute(postgres_dsn, "UPDATE recordfirst.start SET state = 'succeeded', finished_at = now() WHERE state = 'open'")
    execute(postgres_dsn, "VACUUM ANALYZE recordfirst.start")
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        for name in KEYED:
            must_go_by_key(name, generic_plan(connection, name))


def must_go_by_key(name, nodes):
    skipped, columns = "timeline|mark", "key|id|workflow"
    if name in OF_ALL:
        skipped, columns = f"{skipped}|to_wake|receipt_pending", f"{columns}|state|engine"
    for node in nodes:
        assert node["Node Type"] != "Seq Scan"
        if "Index Cond" in node and not re.search(skipped, node["Index Name"]):
            assert re.search(rf"\b({columns})\b", node["Index Cond"]), (name, node)


def test_p9_what_each_order_asks_is_planned_once(postgres_dsn):
    """To plan one of these takes the server as long as to run it: none may look cheaper when it is planned anew."""

    async def go():
        async with opened(make(postgres_dsn, pool_size=1)) as record, record.session() as session:
            for number in range(12):
                assert await session.add_receipts([wrote(f"w{number}")], epoch=1)
                stored = await session.intend(
                    effect(f"e{number}"), after=after(f"w{number}"), claim="c", claim_ms=1, epoch=1
                )
                receipt = stored.receipt
                assert receipt is not None
                assert await session.change_receipt(receipt, decide.succeeded(receipt, "1"))
            cursor = await session.connection.execute("SELECT statement, custom_plans FROM pg_prepared_statements")
            return await cursor.fetchall()

    planned = [(statement, times) for statement, times in run(go()) if "recordfirst.receipt" in statement]
    assert len(planned) == 3
    assert [statement for statement, times in planned if times > 5] == []


def test_p10_what_is_open_is_counted_by_index(postgres_dsn):
    """Only what is finished is counted row by row."""
    filled(postgres_dsn)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        nodes = generic_plan(connection, "counts")
    scans = [node for node in nodes if "Relation Name" in node or "Index Name" in node]
    assert [node["Filter"].count("succeeded") for node in scans if node["Node Type"] == "Seq Scan"] in ([1], [1, 1])
    assert sum(node.get("Index Name") == "receipt_unsettled" for node in scans) >= 3


def test_p10_the_newest_starts_are_read_from_the_end(postgres_dsn):
    """To list some costs what is listed."""
    filled(postgres_dsn)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        nodes = generic_plan(connection, "starts")
    assert {node["Index Name"] for node in nodes if "Index Name" in node} == {"start_by_state"}
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]


# ── readable, and where the user wants it ───────────────────────────────────


def test_p10_times_are_readable(postgres_dsn):
    """An operator with psql sees times, not numbers."""

    async def go():
        async with opened(make(postgres_dsn)) as record, record.session() as session:
            return await intended(session)

    receipt = run(go())
    [(at, until)] = execute(postgres_dsn, "SELECT created_at, claim_until FROM recordfirst.receipt")
    assert int(at.timestamp() * 1000) == receipt.created_at_ms
    assert int(until.timestamp() * 1000) == receipt.claim_until_ms


def test_p10_the_schema_can_be_another(postgres_dsn):
    """Two schemas in one database have nothing in common."""

    async def go():
        other = make(postgres_dsn, schema="Other things")
        async with opened(make(postgres_dsn)) as one, opened(other) as two:
            async with one.session() as session:
                await session.add_starts([start()])
            async with two.session() as session:
                assert await session.find_start("order:1") is None
                [(_, new), _] = await session.add_starts([start(), start("b")])
                assert new
                assert (await session.intend(effect(), after=None, claim="a", claim_ms=1)).inserted

    run(go())
    assert execute(postgres_dsn, 'SELECT count(*) FROM "Other things".start') == [(2,)]


def test_p10_a_fresh_schema_is_the_migrated_one(postgres_dsn):
    """The files, run by hand and twice, make what migrate makes."""
    looks = """
        SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name
        FROM information_schema.columns WHERE table_schema = 'recordfirst'
        UNION ALL SELECT tablename, indexname, indexdef, '', '', '' FROM pg_indexes WHERE schemaname = 'recordfirst'
        UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
        FROM pg_constraint WHERE connamespace = 'recordfirst'::regnamespace
        ORDER BY 1, 2, 3
    """
    for _ in range(2):
        for step in statements.migrations(PACKAGE):
            execute(postgres_dsn, step.sql.encode())
    by_hand = execute(postgres_dsn, looks)
    migrated(postgres_dsn)
    assert execute(postgres_dsn, looks) == by_hand
    execute(postgres_dsn, "DROP SCHEMA recordfirst CASCADE")
    migrated(postgres_dsn)
    assert execute(postgres_dsn, looks) == by_hand
    assert len(by_hand) > 40


@pytest.mark.parametrize("package", [PACKAGE, "recordfirst.records.sqlite"])
def test_p10_columns_are_in_the_order_of_the_fields(package):
    """The structs are filled by position: the column lists name what the fields name."""
    from recordfirst.core.finding import Audit, Finding  # noqa: PLC0415
    from recordfirst.core.receipt import Receipt  # noqa: PLC0415
    from recordfirst.core.start import Start  # noqa: PLC0415
    from recordfirst.core.timeline import Timeline  # noqa: PLC0415

    structs: dict[str, type[msgspec.Struct]] = {
        "receipt": Receipt,
        "start": Start,
        "finding": Finding,
        "audit": Audit,
        "timeline": Timeline,
    }
    for name, struct in structs.items():
        columns = statements.read(package, f"_{name}.sql")
        columns = re.sub(r"floor\(extract\(epoch FROM (\w+)\) \* 1000\)::bigint", r"\1_ms", columns)
        names = [column.strip().removesuffix("::text") for column in columns.split(",")]
        assert names == [field.name for field in msgspec.structs.fields(struct)]


# ── transactions ────────────────────────────────────────────────────────────


def test_p2_a_swallowed_failure_is_not_a_commit(postgres_dsn):
    """COMMIT after a failed statement is a ROLLBACK that PostgreSQL does not complain about; the block does."""

    async def go():
        async with opened(make(postgres_dsn)) as record:

            async def swallow():
                async with record.transaction() as tx:
                    await tx.add_receipts([wrote()])
                    with pytest.raises(psycopg.Error):
                        await tx.connection.execute("SELECT 1/0")

            with pytest.raises(psycopg.errors.InFailedSqlTransaction, match="nothing can be committed"):
                await swallow()
            async with record.session() as session:
                assert (await session.find_receipt(wrote().key)).receipt is None

    run(go())


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK"])
def test_p2_a_transaction_ended_inside_is_an_error(postgres_dsn, statement):
    """No receipt is stored outside of the transaction that it vouches for."""

    async def go():
        async with opened(make(postgres_dsn)) as record:

            async def end_early():
                async with record.transaction() as tx:
                    with pytest.raises(psycopg.ProgrammingError, match="forbidden"):
                        await tx.connection.commit()
                    await tx.connection.execute(statement)
                    await tx.add_receipts([wrote()])

            with pytest.raises(Misuse, match="leave COMMIT and ROLLBACK"):
                await end_early()
            async with record.session() as session:
                assert (await session.find_receipt(wrote().key)).receipt is None

    run(go())


def test_p2_a_savepoint_takes_back_a_part(postgres_dsn):
    """The driver's own nested transaction works inside ours."""

    async def go():
        async with opened(make(postgres_dsn)) as record:
            async with record.transaction() as tx:
                await tx.add_receipts([wrote()])
                with pytest.raises(psycopg.errors.DivisionByZero):
                    async with tx.connection.transaction():
                        await tx.connection.execute("SELECT 1/0")
            async with record.session() as session:
                assert (await session.find_receipt(wrote().key)).receipt is not None

    run(go())


def test_p1_reading_cannot_write(postgres_dsn):
    """A read-only transaction refuses, and the connection is fit for writing afterwards."""

    async def go():
        async with opened(make(postgres_dsn, pool_size=1)) as record:
            async with record.reading() as connection:
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    await connection.execute("CREATE TABLE t (n int)")
            async with record.transaction() as tx:
                await tx.connection.execute("CREATE TABLE t (n int)")

    run(go())


def test_p9_cancelled_blocks_give_their_connections_back(postgres_dsn):
    """More cancellations than connections, in the middle of statements, and the pool still serves."""

    async def go():
        async with opened(make(postgres_dsn, pool_size=2)) as record:

            async def sleep():
                async with record.transaction() as tx:
                    await tx.connection.execute("SELECT pg_sleep(30)")

            for _ in range(3):
                tasks = [asyncio.create_task(sleep()) for _ in range(4)]
                await asyncio.wait(tasks, timeout=0.05)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            async with record.transaction() as one, record.transaction() as two:
                assert await one.now_ms() <= await two.now_ms()

    run(go())


# ── faults ──────────────────────────────────────────────────────────────────


def test_p9_a_deadlock_is_contention(postgres_dsn):
    """Of two that wait for each other, one is told to try again."""

    async def go():
        async with opened(make(postgres_dsn)) as record:
            met = asyncio.Barrier(2)

            async def both(first, second):
                async with record.transaction() as tx:
                    await tx.add_receipts([wrote(first)])
                    await met.wait()
                    await tx.add_receipts([wrote(second)])

            results = await asyncio.gather(both("a", "b"), both("b", "a"), return_exceptions=True)
            [error] = [result for result in results if result is not None]
            assert record.fault(error) == "contention"

    run(go())


def test_p9_a_connection_that_breaks_is_the_record_out_of_reach(postgres_dsn):
    """Inside a transaction it is a fault, and so is the COMMIT; the next transaction gets another connection."""

    async def go():
        async with opened(make(postgres_dsn)) as record:

            async def cut(what):
                async with record.transaction() as tx:
                    pid = tx.connection.info.backend_pid
                    await asyncio.to_thread(execute, postgres_dsn, f"SELECT pg_terminate_backend({pid}, 5000)".encode())
                    if what == "statement":
                        await tx.add_receipts([wrote()])

            for what in ("statement", "commit"):
                with pytest.raises(psycopg.Error) as caught:
                    await cut(what)
                assert record.fault(caught.value) == "unreachable"
            async with record.transaction() as tx:
                await tx.add_receipts([wrote()])

    run(go())


def test_p9_connections_that_died_while_idle_are_not_lent(postgres_dsn):
    """After a restart of the server nobody meets a dead connection of the pool."""

    async def go():
        async with opened(make(postgres_dsn, pool_size=4)) as record:

            async def one():
                async with record.transaction() as tx:
                    await tx.connection.execute("SELECT pg_sleep(0.05)")

            await asyncio.gather(*[one() for _ in range(8)])
            end_all = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity {_HERE} LIKE 'recordf%'"
            assert len(await asyncio.to_thread(execute, postgres_dsn, end_all)) > 1
            await asyncio.gather(*[one() for _ in range(8)])

    run(go())


def test_p9_faults_are_told_from_the_users_errors(postgres_dsn):
    """By SQLSTATE; what the user's statement did wrong is the user's."""
    record = PostgresRecord(postgres_dsn)
    told: dict[str, str | None] = {"40001": "contention", "40P01": "contention", "55P03": "contention"}
    told |= dict.fromkeys(["57P01", "57P02", "57P03", "08006", "53300", "53100", "25P03", "40003"], "unreachable")
    told |= dict.fromkeys(["25006", "58030", "XX001"], "unreachable")
    told |= {"42501": "denied", "57014": "contention", "26000": "contention", "42P05": "contention"}
    told |= dict.fromkeys(["23505", "42P01", "25P02", "0A000", "XX000"])
    assert {state: fault_of_state(state) for state in told} == told
    assert record.fault(psycopg.errors.DeadlockDetected()) == "contention"
    assert record.fault(psycopg.OperationalError("the connection is lost")) == "unreachable"
    assert record.fault(psycopg.InterfaceError("the connection is closed")) == "unreachable"
    assert record.fault(psycopg.InterfaceError("the cursor is closed")) is None
    assert record.fault(psycopg.errors.QueryCanceled()) == "contention"
    assert record.fault(ValueError()) is None


# ── leases and news ─────────────────────────────────────────────────────────


def test_p9_a_lease_is_lost_with_its_connection(postgres_dsn):
    """Who holds it is told, and who waits gets it."""

    async def go():
        async with opened(make(postgres_dsn)) as one, opened(make(postgres_dsn)) as other, one.lease("worker") as lease:
            lost = asyncio.create_task(lease.lost())
            await asyncio.wait([lost], timeout=0.1)
            assert not lost.done()
            end = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity {_HERE} LIKE '%lease%'"
            assert len(await asyncio.to_thread(execute, postgres_dsn, end)) == 1
            await asyncio.wait_for(lost, 5)
            async with asyncio.timeout(5), other.lease("worker"):
                pass

    run(go())


def test_p9_a_long_wait_for_a_lease_holds_nothing_up(postgres_dsn, monkeypatch):
    """Each statement that waits is short, or dead rows could not be cleaned up; the wait as such goes on."""
    monkeypatch.setattr("recordfirst.records.postgres.client._LEASE_WAIT_MS", 50)

    async def go():
        async with opened(make(postgres_dsn)) as one, opened(make(postgres_dsn)) as other:

            async def hold():
                async with other.lease("worker"):
                    pass

            async with one.lease("worker"):
                waiting = asyncio.create_task(hold())
                await asyncio.wait([waiting], timeout=0.5)
                assert not waiting.done()
                oldest = "SELECT max(extract(epoch FROM clock_timestamp() - query_start)) FROM pg_stat_activity"
                waits = f"{oldest} {_HERE} LIKE '%lease%' AND backend_xmin IS NOT NULL"
                [(age_s,)] = await asyncio.to_thread(execute, postgres_dsn, waits)
                assert (age_s or 0) < 0.4
            await asyncio.wait_for(waiting, 5)

    run(go())


def test_p7_listening_begins_again_when_its_connection_breaks(postgres_dsn):
    """The wait ends when it does, since news may have been missed; and later news is heard again."""

    async def go():
        async with opened(make(postgres_dsn)) as record:
            await record.changed(5)
            end = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity {_HERE} LIKE '%listen'"
            assert len(await asyncio.to_thread(execute, postgres_dsn, end)) == 1
            began = time.monotonic()
            await record.changed(30)
            async with record.session() as session:
                await record.notify(session)
            await record.changed(30)
            assert time.monotonic() - began < 15

    run(go())


def test_p7_news_of_what_was_rolled_back_is_no_news(postgres_dsn):
    """Told at COMMIT, or not at all."""

    async def go():
        async with opened(make(postgres_dsn)) as record:
            await record.changed(5)

            async def take_back():
                async with record.transaction() as tx:
                    await record.notify(tx)
                    raise LookupError

            with pytest.raises(LookupError):
                await take_back()
            began = time.monotonic()
            await record.changed(0.2)
            assert time.monotonic() - began > 0.15

    run(go())


# ── opening ─────────────────────────────────────────────────────────────────


def refusal(dsn):
    """What ``open`` says, and that it says it soon."""
    began = time.monotonic()
    with pytest.raises(RecordUnavailable) as caught:
        run(PostgresRecord(dsn).open("shop"))
    assert time.monotonic() - began < 7
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_p10_a_server_that_is_down_is_named():
    """Host, port and cause, in one line."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        said = refusal(f"postgresql://me:secret@127.0.0.1:{port}/shop")
    assert said == f"cannot reach the record at postgresql://me@127.0.0.1:{port}/shop: Connection refused"


def test_p10_a_server_that_never_answers_is_named():
    """Silence is noticed within seconds."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        said = refusal(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/shop")
    assert "no answer within 5 s" in said or "timeout expired" in said


def test_p10_a_wrong_password_is_named_but_not_shown(postgres_dsn):
    """The right one lets in."""
    base = postgres_dsn.replace("postgres:@", "guarded:{}@")
    said = refusal(base.format("wr0ng"))
    assert 'password authentication failed for user "guarded"' in said
    assert "wr0ng" not in said
    assert "guarded@" in said

    async def go():
        record = PostgresRecord(base.format("right"))
        await record.open("shop")
        await record.close()

    run(go())


def test_p10_a_missing_database_is_named(postgres_dsn):
    """By the name that was asked for."""
    assert 'database "nosuch" does not exist' in refusal(re.sub(r"/test_\w+\?", "/nosuch?", postgres_dsn))


def test_p10_only_the_cause_is_kept_of_a_long_message():
    """Libpq explains itself over many lines."""
    long = (
        "Multiple connection attempts failed. All failures were:\n- host: 'x', port: 1, hostaddr: '::1': connection "
        'failed: connection to server at "::1", port 1 failed: Connection refused\n\tIs the server running?\n'
    )
    assert cause_of(long) == "Connection refused"
    alone = 'connection failed: connection to server on socket "/run/.s.PGSQL.5432" failed: No such file or directory'
    assert cause_of(alone) == "No such file or directory (/run/.s.PGSQL.5432)"
    assert cause_of("") == "no cause given"
    assert cause_of("failed to resolve host 'x': [Errno -2] Name unknown") == (
        "failed to resolve host 'x': [Errno -2] Name unknown"
    )


@pytest.mark.parametrize(
    ("dsn", "where"),
    [
        ("postgresql://u:p@h:1/d?sslpassword=q", "postgresql://u@h:1/d"),
        ("host=h user='a b' password=p dbname=d", "postgresql://a%20b@h/d"),
        ("postgresql://u:p@/d?host=/run/pg", "postgresql://u@/d?host=/run/pg"),
        ("postgresql:///d", "postgresql:///d"),
    ],
)
def test_p10_a_record_is_named_without_its_password(dsn, where):
    """What is printed can be given back to a command."""
    assert PostgresRecord(dsn).where == where
    assert PostgresRecord(where).where == where


def test_p8_what_cannot_be_a_record_is_refused_at_once():
    """With no part of the URL repeated: it may hold the password."""
    with pytest.raises(Misuse, match="cannot be read") as caught:
        PostgresRecord("postgresql://u:s3cret@h/d?nosuch=1")
    assert "s3cret" not in str(caught.value)
    with pytest.raises(Misuse, match="schema"):
        PostgresRecord("postgresql:///d", schema='a"b')
    with pytest.raises(Misuse, match="pool_size"):
        PostgresRecord("postgresql:///d", pool_size=0)


def test_p8_a_record_that_is_not_open_says_so(postgres_dsn):
    """And one that is open cannot be opened again."""

    async def go():
        record = PostgresRecord(postgres_dsn)
        with pytest.raises(Misuse, match="not open"):
            await record.schema_version()
        with pytest.raises(Misuse, match="not open"):
            await record.changed(1)
        await record.open("shop")
        with pytest.raises(Misuse, match="open already"):
            await record.open("shop")
        await record.close()
        await record.close()
        for work in (record.schema_version(), record.changed(1)):
            with pytest.raises(psycopg.OperationalError, match="closed") as caught:
                await work
            assert record.fault(caught.value) == "unreachable"
        await record.open("shop")
        await record.close()

    run(go())


def test_p10_every_statement_is_there_and_used():
    """No SQL lies about that nothing sends, and none is sent that a record lacks."""
    sent = "".join(path.read_text() for path in Path(statements.__file__).parent.rglob("*.py"))
    own = set(re.findall(r"read\(_PACKAGE, \"(\w+)\.sql\"\)", sent))
    used = own | set(re.findall(r"_(?:sql|statements)\.(\w+)", sent)) - {"items", "changed", "by_text"}
    postgres, sqlite = (
        {name for name, _ in statements.load(f"recordfirst.records.{product}").items()}
        for product in ("postgres", "sqlite")
    )
    assert postgres == used
    assert sqlite == used - own
