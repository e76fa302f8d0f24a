"""What the user says must hold: rows that offend become findings, and are closed when they are gone (P10)."""

from __future__ import annotations

import asyncio
import random
import string
import threading
from pathlib import Path

import pytest

from recordfirst import MissingDependency, Misuse, Read, inject, invariant
from recordfirst.conformance.record import run
from recordfirst.records.postgres import PostgresRecord
from tests.reconcile.test_passes import codes, open_findings

no_debts = invariant(sql="SELECT id, amount FROM orders WHERE amount < 0 ORDER BY id;", name="no debts")


class Rate:
    """What an invariant has injected."""

    def __init__(self, most: int) -> None:
        self.most = most


@invariant
async def nothing_dear(r: Read, *, rate: Rate = inject()):
    cursor = await r.tx.execute(f"SELECT id FROM orders WHERE amount > {rate.most} ORDER BY id")
    return [{"order": row[0], "most": rate.most} for row in await cursor.fetchall()]


@invariant(name="in a thread")
def in_a_thread(r: Read):
    return [row[0] for row in r.tx.execute("SELECT id FROM orders WHERE amount = 7").fetchall()]


@invariant
async def broken(r: Read):
    raise ZeroDivisionError("a bug")


async def put(app, *rows):
    async with app.record.write() as w:
        for id, amount in rows:
            await w.tx.execute(f"INSERT INTO orders (id, amount) VALUES ('{id}', {amount})")


async def drop(app):
    async with app.record.write() as w:
        await w.tx.execute("DELETE FROM orders")


def test_opened_and_closed_again(shop, tmp_path):
    """P10: one finding for each row, of SQL, of a file, of a function in the loop or in a thread; gone with the row."""
    Path(tmp_path / "no sevens.sql").write_text("SELECT id FROM orders WHERE amount = 7")
    ours = [no_debts, nothing_dear, in_a_thread, invariant(sql=tmp_path / "no sevens.sql")]

    async def go():
        async with shop.app(invariants=ours, provide={Rate: Rate(100)}) as app:
            assert codes(await app.reconcile()) == []
            await put(app, ("a", -5), ("b", -1), ("c", 1), ("d", 101), ("e", 7))
            found = [
                ("RF-INVARIANT", "in a thread: e"),
                ("RF-INVARIANT", "no debts: a"),
                ("RF-INVARIANT", "no debts: b"),
                ("RF-INVARIANT", "no sevens: e"),
                ("RF-INVARIANT", "nothing_dear: d"),
            ]
            report = await app.reconcile(only=["invariants"])
            assert codes(report) == found
            details = [each.finding.detail for each in report.found]
            assert details == ["offends", "amount=-5", "amount=-1", "offends", "most=100"]
            assert await open_findings(app) == []
            for _ in range(2):
                assert len((await app.reconcile(apply=True)).left) == 5
                assert sorted(await open_findings(app)) == found
            await drop(app)
            assert codes(await app.reconcile(apply=True)) == []
            assert await open_findings(app) == []

    run(go())


def test_one_that_fails_closes_nothing(shop):
    """P10: what it had found stays open, since nobody knows that it is gone; that it fails is a finding."""

    async def go():
        async with shop.app(invariants=[no_debts]) as app:
            await put(app, ("a", -5))
            await app.reconcile(apply=True)
        away = invariant(sql="SELECT id FROM nowhere", name="no debts")
        async with shop.app(invariants=[away, broken]) as app:
            report = await app.reconcile(apply=True)
            assert codes(report) == [
                ("RF-INVARIANT-FAILED", "broken"),
                ("RF-INVARIANT-FAILED", "no debts"),
                ("RF-INVARIANT", "no debts: a"),
            ]
            assert report.found[0].finding.detail == "ZeroDivisionError: a bug"
            assert ("RF-INVARIANT", "no debts: a") in await open_findings(app)
        async with shop.app(invariants=[no_debts]) as app:
            await drop(app)
            await app.reconcile(apply=True)
            assert await open_findings(app) == []

    run(go())


def test_one_that_takes_too_long_is_stopped(shop):
    """P9: in the database too; the record goes on, and so do the other invariants."""
    forever = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(*) FROM n"
    slow = invariant(sql=forever, name="slow", limit_s=0.3)

    async def go():
        async with shop.app(invariants=[slow, no_debts]) as app:
            await put(app, ("a", -5))
            began = asyncio.get_running_loop().time()
            report = await app.reconcile()
            assert asyncio.get_running_loop().time() - began < 5
            assert codes(report) == [("RF-INVARIANT", "no debts: a"), ("RF-INVARIANT-FAILED", "slow")]
            assert report.found[1].finding.detail == "it took longer than 0.3 s"
            assert await shop.rows(app, "SELECT count(*) FROM orders") == [(1,)]

    run(go())


def test_rows_are_bounded(shop):
    """P10: a hundred of a thousand are shown, and it is said that there are more."""

    async def go():
        async with shop.app(invariants=[no_debts]) as app:
            await put(app, *((f"{n:04}", -1) for n in range(1000)))
            report = await app.reconcile(apply=True)
            assert len(report.found) == 101
            assert report.found[0].finding.detail == "more than 100 rows offend; the first are shown"

    run(go())


@invariant(name="long rows")
async def long_rows(r):
    return [LONG, LONG + "!", "half \ud83d", "half \ud83e"]


LONG = "".join(random.Random(1).choices(string.ascii_letters, k=6000))  # what no index can compress


def test_rows_that_no_index_has_room_for(shop):
    """P10: a row's long name is cut, and still tells it apart; what is the same as it can be stored is one finding."""

    async def go():
        async with shop.app(invariants=[long_rows]) as app:
            for _ in range(2):
                await app.reconcile(apply=True)
                found = {subject for _, subject in await open_findings(app)}
                assert len(found) == 3
                long = [subject for subject in found if subject.startswith(f"long rows: {LONG[:500]}~")]
                assert len(long) == 2
                assert max(map(len, found)) < 600

    run(go())


def test_it_cannot_write(shop):
    """P1: an invariant reads; one that writes fails, and nothing is changed."""

    async def go():
        writes = invariant(sql="INSERT INTO orders (id, amount) VALUES ('z', 1) RETURNING id", name="writes")
        async with shop.app(invariants=[writes]) as app:
            assert codes(await app.reconcile()) == [("RF-INVARIANT-FAILED", "writes")]
            assert await shop.rows(app, "SELECT count(*) FROM orders") == [(0,)]

    run(go())


def test_mistakes_are_told_at_once(shop):
    """P8: two of one name, a query without one, arguments, a time of nothing, what nobody provides."""
    with pytest.raises(Misuse, match="needs a name"):
        invariant(sql="SELECT 1")
    with pytest.raises(Misuse, match="needs time"):
        invariant(sql="SELECT 1", name="x", limit_s=0)
    with pytest.raises(Misuse, match="takes order; it gets the read"):

        @invariant
        async def greedy(r: Read, order: str): ...

    async def go(*ours):
        async with shop.app(invariants=ours):
            pass

    with pytest.raises(Misuse, match="two invariants named 'no debts'"):
        run(go(no_debts, no_debts))
    with pytest.raises(MissingDependency, match="Rate"):
        run(go(nothing_dear))


@invariant(limit_s=0.05)
def runs_on(r: Read, *, gone: threading.Event = inject(), late: list = inject()):
    gone.wait()
    try:
        r.tx.execute("SELECT no_such_column")
    except BaseException as error:
        late.append(error)
        raise


def test_a_thread_that_runs_on_has_no_connection(make_shop, postgres_dsn, sqlite_path):
    """P9: it took too long and was given up, and its thread asks on: not in the transaction of somebody else."""

    async def go(shop, record):
        gone, late = threading.Event(), list[BaseException]()
        provided = {threading.Event: gone, list: late}
        async with shop.app(invariants=[runs_on], record=record, provide=provided) as app:
            assert codes(await app.reconcile(only=["invariants"])) == [("RF-INVARIANT-FAILED", "runs_on")]
            async with app.record.write() as w:
                await w.tx.execute("INSERT INTO orders (id, amount) VALUES ('a', 1)")
                gone.set()
                while not late:
                    await asyncio.sleep(0.01)
                await w.tx.execute("INSERT INTO orders (id, amount) VALUES ('b', 1)")
            assert [type(error) for error in late] == [Misuse]
            assert await shop.rows(app, "SELECT count(*) FROM orders") == [(2,)]

    run(go(make_shop(postgres_dsn), PostgresRecord(postgres_dsn, pool_size=1)))
    run(go(make_shop(f"sqlite:///{sqlite_path}"), None))
