"""What is SQLite's own: one writer at a time, several processes, one file."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
import time

import pytest

from recordfirst.conformance.process import process
from recordfirst.conformance.record import opened, run, start, wrote
from recordfirst.errors import Misuse, RecordUnavailable, SchemaMismatch
from recordfirst.records import statements
from recordfirst.records.sqlite import SqliteRecord

PACKAGE = "recordfirst.records.sqlite"
KEYED = ["find_receipt", "receipts_by_key", "receipts_of", "change_receipt", "begin_call", "intend", "wakes"]
KEYED += ["find_starts", "still_open", "reopen", "dispatched", "finish", "woken", "undispatched", "starts"]
KEYED += ["due", "referred_to", "references_of"]


def make(path):
    return lambda: SqliteRecord(path)


def migrated(path):
    async def go():
        async with opened(make(path)):
            pass

    run(go())


@pytest.mark.parametrize("name", KEYED)
def test_p9_no_statement_reads_a_table_through(sqlite_path, name):
    """Every one goes by an index to what is wanted."""
    migrated(sqlite_path)
    sql = getattr(statements.load(PACKAGE), name)
    given = dict.fromkeys(re.findall(r":(\w+)", sql)) | {"rows": "[]"}
    connection = sqlite3.connect(sqlite_path)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", given)]
    connection.close()
    assert not [
        line for line in plan if re.match(r"SCAN recordfirst_(start|receipt)\b(?!.*_(to_wake|pending))", line)
    ], plan


def test_p2_commits_are_on_the_disk(sqlite_path):
    """The record pays for durability."""

    async def go():
        async with opened(make(sqlite_path)) as record, record.session() as session:
            for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
                assert list(await session.connection.execute_fetchall(f"PRAGMA {pragma}")) == [(value,)]

    run(go())


def test_p9_a_busy_file_is_contention(sqlite_path):
    """Another process's long transaction is no error of the user's."""

    async def go():
        async with opened(make(sqlite_path)) as record:
            other = sqlite3.connect(sqlite_path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(sqlite3.OperationalError) as caught:
                async with record.session() as session:
                    await session.add_receipts([wrote()])
            assert record.fault(caught.value) == "contention"
            other.execute("ROLLBACK")
            other.close()
            async with record.transaction() as tx:
                assert len(await tx.add_receipts([wrote()])) == 1

    run(go())


def test_p9_faults_are_told_from_the_users_errors(sqlite_path):
    """By SQLite's code, extended ones included."""

    def error(code):
        error = sqlite3.OperationalError("x")
        error.sqlite_errorcode = code
        return error

    record = SqliteRecord(sqlite_path)
    assert record.fault(error(sqlite3.SQLITE_BUSY_SNAPSHOT)) == "contention"
    assert record.fault(error(sqlite3.SQLITE_LOCKED)) == "contention"
    assert record.fault(error(sqlite3.SQLITE_IOERR_FSYNC)) == "unreachable"
    assert record.fault(error(sqlite3.SQLITE_CANTOPEN)) == "unreachable"
    assert record.fault(error(sqlite3.SQLITE_CONSTRAINT_UNIQUE)) is None
    assert record.fault(sqlite3.ProgrammingError("x")) is None
    assert record.fault(ValueError("Connection closed")) == "unreachable"
    assert record.fault(ValueError()) is None


def test_p9_a_damaged_file_is_no_error_of_the_users(sqlite_path):
    """It is put back from a copy; what was under way then must not have failed for it."""
    migrated(sqlite_path)
    connection = sqlite3.connect(sqlite_path)
    connection.execute("CREATE TABLE orders (note TEXT)")
    connection.execute("INSERT INTO orders VALUES (?)", ["x" * 50_000])
    connection.commit()
    [[root]] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'orders'").fetchall()
    [[size]] = connection.execute("PRAGMA page_size").fetchall()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with sqlite_path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)

    async def go():
        async with opened(make(sqlite_path)) as record:
            with pytest.raises(sqlite3.DatabaseError, match="malformed") as caught:
                async with record.transaction() as tx:
                    await tx.connection.execute("INSERT INTO orders VALUES ('y')")
            assert record.fault(caught.value) == "unreachable"

    run(go())


def test_p8_a_transaction_inside_a_transaction_is_an_error(sqlite_path):
    """It would wait for itself for ever."""

    async def go():
        async with opened(make(sqlite_path)) as record:
            async with record.transaction() as tx:
                with pytest.raises(Misuse, match="use the one that is open"):
                    async with record.transaction():
                        pass
                with pytest.raises(Misuse, match="use the one that is open"):
                    async with record.session() as session:
                        await session.now_ms()
                await tx.add_receipts([wrote()])
            async with record.session() as session:
                assert (await session.find_receipt(wrote().key)).receipt is not None

    run(go())


ENDS = {
    "commit": lambda connection: connection.commit(),
    "rollback": lambda connection: connection.rollback(),
    "COMMIT": lambda connection: connection.execute("COMMIT"),
    "end": lambda connection: connection.execute("end transaction"),
    "script": lambda connection: connection.executescript("INSERT INTO orders VALUES ('2')"),
}


@pytest.mark.parametrize("end", ENDS)
def test_p2_a_transaction_ended_inside_is_an_error(sqlite_path, end):
    """``connection.commit()`` is a habit: refused, so that neither rows nor a receipt stay without the other.

    Also where the statement was run before, and the driver keeps it; and a script, before which the driver commits.
    """

    async def go():
        async with opened(make(sqlite_path)) as record:
            async with record.transaction() as tx:
                await tx.connection.execute("CREATE TABLE orders (id TEXT)")

            async def end_early():
                async with record.transaction() as tx:
                    await tx.connection.execute("INSERT INTO orders VALUES ('1')")
                    await ENDS[end](tx.connection)
                    await tx.add_receipts([wrote()])

            for _ in range(2):
                with pytest.raises(Misuse, match="leave COMMIT and ROLLBACK"):
                    await end_early()
            async with record.session() as session:
                assert (await session.find_receipt(wrote().key)).receipt is None
            async with record.transaction() as tx:
                assert list(await tx.connection.execute_fetchall("SELECT * FROM orders")) == []
                await tx.connection.execute("SAVEPOINT mine")
                await tx.connection.execute("INSERT INTO orders VALUES ('3')")
                await tx.connection.execute("RELEASE mine")
            async with record.reading() as connection:
                assert [tuple(row) for row in await connection.execute_fetchall("SELECT * FROM orders")] == [("3",)]

    run(go())


def test_p2_what_hides_that_it_was_refused_is_committed_as_a_whole(sqlite_path):
    """Whoever catches the refusal is still in the one transaction."""

    async def go():
        async with opened(make(sqlite_path)) as record:
            async with record.transaction() as tx:
                with pytest.raises(Misuse, match="the transaction, which goes on"):
                    await tx.connection.commit()
                await tx.add_receipts([wrote()])
            async with record.session() as session:
                assert (await session.find_receipt(wrote().key)).receipt is not None

    run(go())


def test_p1_reading_cannot_write_and_sees_one_moment(sqlite_path):
    """What is committed meanwhile is not seen, and nothing can be stored."""

    async def go():
        async with opened(make(sqlite_path)) as record:
            async with record.reading() as connection:
                count = "SELECT count(*) FROM recordfirst_start"
                assert list(await connection.execute_fetchall(count)) == [(0,)]
                async with record.session() as session:
                    await session.add_starts([start()])
                assert list(await connection.execute_fetchall(count)) == [(0,)]
                with pytest.raises(sqlite3.OperationalError, match="readonly"):
                    await connection.execute_fetchall("DELETE FROM recordfirst_start")
            async with record.reading() as connection:
                assert list(await connection.execute_fetchall(count)) == [(1,)]

    run(go())


def test_p7_news_within_the_process_comes_with_the_commit(sqlite_path):
    """Not before it, and not if it is taken back."""

    async def go():
        async with opened(make(sqlite_path)) as record:
            waiting = asyncio.create_task(record.changed(30))
            async with record.transaction() as tx:
                await record.notify(tx)
                await asyncio.wait([waiting], timeout=0.2)
                assert not waiting.done()
            await asyncio.wait_for(waiting, 5)

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


def test_p2_a_killed_writer_leaves_the_file_whole(sqlite_path):
    """Killed at work, its finished transactions stay and the file opens at once."""
    migrated(sqlite_path)
    with process(make_picklable(sqlite_path), "write") as writer:
        assert writer.hear() == "ready"
        writer.say("go")
        time.sleep(0.02)
        writer.kill()

    async def go():
        async with opened(make(sqlite_path)) as record, record.session() as session:
            assert len(await session.receipts_of("w")) <= 50
            assert len(await session.add_receipts([wrote()])) == 1

    run(go())


def make_picklable(path):
    import functools  # noqa: PLC0415

    return functools.partial(SqliteRecord, path)


def test_p9_a_program_that_forgets_to_close_still_ends(sqlite_path):
    """The driver's threads do not hold the process back."""
    program = (
        "import asyncio, sys; from recordfirst.records.sqlite import SqliteRecord\n"
        "async def go():\n    global record\n    record = SqliteRecord(sys.argv[1]); await record.open('shop')\n"
        "asyncio.run(go())"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program, str(sqlite_path)], timeout=30, check=False)
    assert done.returncode == 0


def test_p10_times_are_readable(sqlite_path):
    """By views beside the tables."""

    async def go():
        async with opened(make(sqlite_path)) as record, record.session() as session:
            await session.add_starts([start()])
            await session.add_receipts([wrote()])

    run(go())
    connection = sqlite3.connect(sqlite_path)
    for name in ("start", "receipt"):
        [(at,)] = connection.execute(f"SELECT created_at FROM recordfirst_{name}_readable")
        assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", at)
    connection.close()


def test_p10_a_fresh_schema_is_the_migrated_one(sqlite_path, tmp_path):
    """The files, run by hand and twice, make what migrate makes."""
    migrated(sqlite_path)
    schemas = []
    for path in (sqlite_path, tmp_path / "by hand.db"):
        connection = sqlite3.connect(path)
        for step in [*statements.migrations(PACKAGE)] * 2:
            connection.executescript(step.sql)
        schemas.append(connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall())
        connection.close()
    assert schemas[0] == schemas[1]
    assert len(schemas[0]) > 8


def with_rows_before(name, path, *rows):
    """Run all migrations, these rows before one of them; return the connection, and the migrations by name."""
    connection = sqlite3.connect(path)
    steps = {step.name: step for step in statements.migrations(PACKAGE)}
    for step in steps.values():
        if step.name == name:
            for row in rows:
                connection.execute(row)
            connection.commit()
        connection.executescript(step.sql)
    return connection, steps


def test_p3_undos_come_through_the_step_that_counts_their_attempts(sqlite_path):
    """Run twice, it changes nothing more: what an older version has begun, and what this one has."""
    older = "INSERT INTO recordfirst_undoing VALUES ('shop', 'back:a', 2, 'do:a', '1')"
    connection, steps = with_rows_before("undoes_attempt", sqlite_path, older)
    connection.execute("INSERT INTO recordfirst_undoing VALUES ('shop', 'back:b', 1, 'do:b', 2, '1')")
    connection.commit()
    connection.executescript(steps["undoes_attempt"].sql)
    undoings = connection.execute(statements.load(PACKAGE).undoings_of, {"app": "shop", "workflow": "1"}).fetchall()
    connection.close()
    assert undoings == [("back:a", 2, "do:a", 2), ("back:b", 1, "do:b", 2)]


def test_p6_marks_come_through_the_step_that_renames_their_columns(sqlite_path):
    """Run twice, it changes nothing more."""
    connection, steps = with_rows_before(
        "generation",
        sqlite_path,
        "INSERT INTO recordfirst_mark VALUES ('shop', 'embedded:1', 3, 7, 'token', 1)",
        "INSERT INTO recordfirst_timeline (app, record, witness, seen_at_ms) VALUES ('shop', 'r', 'history', 5)",
    )
    for _ in range(2):
        marks = connection.execute("SELECT app, engine, generation, number, token, confirmed FROM recordfirst_mark")
        assert marks.fetchall() == [("shop", "embedded:1", 3, 7, "token", 1)]
        line = connection.execute("SELECT app, record, history_id, restores, seen_at_ms FROM recordfirst_timeline")
        assert line.fetchall() == [("shop", "r", "history", 0, 5)]
        connection.executescript(steps["generation"].sql)
    connection.close()


# ── opening ─────────────────────────────────────────────────────────────────


def refusal(path):
    """What ``open`` says."""
    with pytest.raises(RecordUnavailable) as caught:
        run(SqliteRecord(path).open("shop"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_p10_looking_makes_no_file(sqlite_path):
    """Where there is none, there are no tables; what asks for more says which command makes it."""

    async def go():
        record = SqliteRecord(sqlite_path)
        await record.open("shop")
        assert await record.schema_version() == 0
        with pytest.raises(SchemaMismatch, match=r"tables in .* are missing; run: recordfirst migrate"):
            async with record.session():
                pass
        assert list(sqlite_path.parent.iterdir()) == []
        await record.migrate()
        assert await record.schema_version() == record.migrations[-1].version
        await record.close()

    run(go())


def test_p10_looking_leaves_a_file_as_it_is(sqlite_path):
    """Also one that is no record, or not yet: how it is written to is a property of the file, and stays."""
    other = sqlite3.connect(sqlite_path)
    other.execute("CREATE TABLE mine (id)")
    before = sqlite_path.read_bytes()

    async def go():
        record = SqliteRecord(sqlite_path)
        await record.open("shop")
        assert await record.schema_version() == 0
        assert sqlite_path.read_bytes() == before
        await record.migrate()
        async with record.session() as session:
            assert list(await session.connection.execute_fetchall("PRAGMA journal_mode")) == [("wal",)]
        await record.close()

    run(go())
    other.close()


def test_p10_what_the_user_looks_by_outlives_a_migration(sqlite_path):
    """A view of the user's on a table that a step makes anew."""

    async def go():
        older, newer = SqliteRecord(sqlite_path), SqliteRecord(sqlite_path)
        older.migrations = older.migrations[:5]
        await older.open("shop")
        await older.migrate()
        async with older.transaction() as tx:
            await tx.connection.execute("CREATE VIEW mine AS SELECT id FROM recordfirst_start WHERE state = 'open'")
        await older.close()
        await newer.open("shop")
        assert [step.version for step in await newer.migrate()] == [step.version for step in newer.migrations[5:]]
        async with newer.transaction() as tx:
            await tx.add_starts([start()])
        async with newer.reading() as connection:
            assert [tuple(row) for row in await connection.execute_fetchall("SELECT * FROM mine")] == [(start().id,)]
        await newer.close()

    run(go())


def test_p10_a_missing_directory_is_named(tmp_path):
    """SQLite itself only says that it cannot open the file."""
    path = tmp_path / "no such" / "record.db"
    assert refusal(path) == f"cannot reach the record at {path}: there is no directory {tmp_path / 'no such'}"


def test_p10_a_file_that_is_no_database_is_named(tmp_path):
    """And left as it is."""
    path = tmp_path / "record.db"
    path.write_text("this is a text, and it is longer than a header of a database would be\n" * 20)
    assert refusal(path).endswith("the file is not a SQLite database")
    assert path.read_text().startswith("this is a text")


def test_p10_a_directory_is_named(tmp_path):
    """A path that is one is no file."""
    assert refusal(tmp_path).endswith("it is a directory, not a file")


def test_p10_missing_permission_is_named(sqlite_path, monkeypatch):
    """Whether it is the file's or the directory's."""
    migrated(sqlite_path)
    record = SqliteRecord(sqlite_path)
    monkeypatch.setattr("os.access", lambda path, mode: path != sqlite_path)
    assert record._cause(OSError("x")) == "no permission to read and write the file"
    monkeypatch.setattr("os.access", lambda path, mode: path == sqlite_path)
    assert record._cause(OSError("x")).startswith(f"no permission to write into {sqlite_path.parent}")
    monkeypatch.setattr("os.access", lambda path, mode: True)
    assert record._cause(OSError("disk on fire")) == "disk on fire"


@pytest.mark.parametrize("path", ["", ":memory:", "file:x?mode=memory"])
def test_p7_what_would_not_outlive_the_process_is_refused(path):
    """A record is a file."""
    with pytest.raises(Misuse, match="outlives the process"):
        SqliteRecord(path)


def test_p8_a_record_that_is_not_open_says_so(sqlite_path):
    """And one that is open cannot be opened again."""

    async def go():
        record = SqliteRecord(sqlite_path)
        with pytest.raises(Misuse, match="not open"):
            await record.schema_version()
        await record.open("shop")
        with pytest.raises(Misuse, match="open already"):
            await record.open("shop")
        await record.close()
        await record.close()
        for work in (record.schema_version(), record.changed(1)):
            with pytest.raises(sqlite3.OperationalError, match="closed") as caught:
                await work
            assert record.fault(caught.value) == "unreachable"
        await record.open("shop")
        await record.close()

    run(go())


def test_p9_a_url_is_no_path(sqlite_path):
    """The command line takes URLs; here one would be a folder named ``sqlite:``."""
    with pytest.raises(Misuse, match="takes a path"):
        SqliteRecord(f"sqlite:///{sqlite_path}")


def test_p9_a_lease_that_cannot_be_taken_names_its_file(sqlite_path):
    """A folder or file that may not be written is the record's trouble, and no traceback."""
    taken = sqlite_path.with_name("record.db.shop.work.lease")
    taken.mkdir()

    async def go():
        async with opened(make(sqlite_path)) as record:
            with pytest.raises(RecordUnavailable, match=r"work.lease: Is a directory; a lease is a file that must be"):
                async with record.lease("work"):
                    raise AssertionError("held")

    run(go())
    taken.rmdir()


def test_p9_one_lease_by_whatever_name(sqlite_path):
    """A link to the file is the file: two workers that name it differently do not work side by side."""
    migrated(sqlite_path)
    (sqlite_path.parent / "current").mkdir()
    link = sqlite_path.parent / "current" / "shop.db"
    link.symlink_to(sqlite_path)

    async def go():
        async with opened(make(sqlite_path)) as one, opened(make(link)) as other, one.lease("work"):
            assert other.path == one.path

            async def second():
                async with other.lease("work"):
                    raise AssertionError("held")

            waiting = asyncio.create_task(second())
            await asyncio.wait([waiting], timeout=0.2)
            assert not waiting.done()
            waiting.cancel()
            await asyncio.wait([waiting])

    run(go())
