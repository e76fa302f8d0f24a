"""``recordfirst worker``: works, stands by, and ends when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sqlite3
import sys
import time

import uvloop

from recordfirst.cli.common import collect_seldom, loop_factory
from tests.cli.conftest import end, hear, until
from tests.cli.test_commands import ORDER


def test_sigterm_while_standing_by_and_while_working(cli):
    """P7: a standby ends at once; a worker lets what runs come to its end first, and marks it."""
    cli.here = True
    cli.done("migrate", "--apply")
    with cli.worker() as first:
        hear(first, "working")
        with cli.worker() as second:
            hear(second, "standing by")
            began = time.monotonic()
            assert end(second) == (0, "shop: stopping\n", "")
            assert time.monotonic() - began < 5

        cli.done("start", "slow", "--id", "slow")
        until(cli.fixed.exists)
        first.terminate()
        hear(first, "stopping")
        cli.fixed.with_suffix(".go").touch()
        assert first.wait(30) == 0
        assert first.stderr.read() == ""
    assert cli.json("show", "slow")["workflow"]["state"] == "succeeded"


def test_standby_takes_over_from_one_that_ended(cli_on_postgres):
    """P7: when the working one ends, however it ends, the next works."""
    cli_on_postgres.here = True
    cli_on_postgres.done("migrate", "--apply")
    with cli_on_postgres.worker() as first:
        hear(first, "working")
        with cli_on_postgres.worker() as second, cli_on_postgres.worker() as third:
            hear(second, "standing by")
            hear(third, "standing by")
            first.kill()
            cli_on_postgres.done("start", "slow", "--id", "slow")
            until(cli_on_postgres.fixed.exists)
            cli_on_postgres.fixed.with_suffix(".go").touch()
            for process in (second, third):
                assert end(process)[::2] == (0, "")


def test_uvloop_where_it_is_installed(monkeypatch):
    """P9: the commands take it if it is there, and Python's own loop if not."""
    assert loop_factory() is uvloop.new_event_loop

    async def loop():
        return type(asyncio.get_running_loop()).__module__

    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_factory() is None
    assert asyncio.run(loop(), loop_factory=loop_factory()).startswith("asyncio")


def test_garbage_is_still_collected():
    """P7: a worker looks for cycles rarely, but it does: memory does not grow for ever."""
    before = gc.get_threshold()
    try:
        collect_seldom()
        assert gc.isenabled()
        assert 0 < gc.get_threshold()[0] <= 100_000
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_sigterm_with_much_to_do(cli_on_sqlite):
    """P9: what runs comes to its next wait or end, the rest waits for the next worker, and no error is told."""
    cli = cli_on_sqlite
    cli.here = True
    cli.done("migrate", "--apply")
    cli.execute("CREATE TABLE orders (id TEXT PRIMARY KEY, amount INTEGER NOT NULL)")
    with contextlib.closing(sqlite3.connect(cli.url.removeprefix("sqlite:///"), autocommit=True)) as record:
        record.executemany(
            "INSERT INTO recordfirst_start (app, id, workflow, fingerprint, arguments, state, epoch, created_at_ms) "
            "VALUES ('shop', ?, 'create_order', 'f', ?, 'open', 1, 1)",
            [(f"order:{n}", ORDER % n) for n in range(300)],
        )
    count = "SELECT count(*) FROM recordfirst_start WHERE state = 'succeeded'"
    with cli.worker() as worker:
        until(lambda: cli.execute(count), lambda ended: ended >= [(1,)])
        assert end(worker)[::2] == (0, "")
    assert cli.execute(count) < [(300,)]
    with cli.worker() as worker:
        until(lambda: cli.execute(count), lambda ended: ended == [(300,)])
        assert end(worker)[::2] == (0, "")
    assert cli.execute("SELECT max(calls), count(*) FROM recordfirst_receipt WHERE kind = 'effect'") == [(1, 300)]
