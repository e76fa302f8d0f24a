"""``recordfirst worker``: works, stands by, and ends when it is told to."""

from __future__ import annotations

import time

from tests.cli.conftest import end, hear


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
        while not cli.fixed.exists():
            time.sleep(0.02)
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
            while not cli_on_postgres.fixed.exists():
                time.sleep(0.02)
            cli_on_postgres.fixed.with_suffix(".go").touch()
            for process in (second, third):
                assert end(process)[::2] == (0, "")
