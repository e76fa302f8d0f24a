"""Commands by which an operator decides: each says first what it would do, may be said again, and leaves one audit
row.
"""

from __future__ import annotations

import pytest

from tests.cli.test_commands import ORDER


@pytest.fixture
def shop(cli):
    """One order that is open, one that has failed, and one whose charge only an operator can tell of."""
    cli.here = True
    cli.done("migrate", "--apply")
    for id in ("open", "failed", "parked"):
        cli.done("start", "create_order", ORDER % id, "--id", f"order:{id}")
    start, receipt, now = table(cli, "start"), table(cli, "receipt"), time_of(cli)
    finished, created, called = (column(cli, name) for name in ("finished_at", "created_at", "last_call_at"))
    cli.execute(f"UPDATE {start} SET state = 'failed', error = '{{}}', {finished} = {now} WHERE id = 'order:failed'")
    cli.execute(
        f"""
        INSERT INTO {receipt} (app, key, kind, function, workflow, state, fingerprint, request, {created}, calls,
            doubts, {called})
        VALUES ('shop', 'order:parked:charge', 'effect', 'charge', 'order:parked', 'unknown', 'f',
            '{{"order": {{"id": "parked", "amount": 5}}}}', {now}, 1, 1, {now})
        """
    )
    return cli


def table(cli, name):
    return f"recordfirst_{name}" if cli.url.startswith("sqlite") else f"recordfirst.{name}"


def column(cli, name):
    return f"{name}_ms" if cli.url.startswith("sqlite") else name


def time_of(cli):
    return "1" if cli.url.startswith("sqlite") else "now()"


def whole(cli):
    """All that a command could change."""
    return [
        sorted(map(str, cli.execute(f"SELECT * FROM {table(cli, name)}"))) for name in ("start", "receipt", "audit")
    ]


@pytest.mark.parametrize(
    ("words", "would", "did", "again"),
    [
        (
            ["retry", "order:failed"],
            "order:failed would be opened again, in epoch 2. Nothing was changed.",
            "order:failed is open, in epoch 2",
            "order:failed is open, in epoch 2",
        ),
        (
            ["resolve", "order:parked:charge", "--succeeded", '"card 1"'],
            "order:parked:charge (attempt 1) is unknown, and would be stored as succeeded. Nothing was changed.",
            "order:parked:charge (attempt 1) is succeeded; workflow order:parked goes on",
            "order:parked:charge (attempt 1) is succeeded; workflow order:parked goes on",
        ),
        (
            ["resolve", "order:parked:charge", "--not-done"],
            "order:parked:charge (attempt 1) is unknown, and would be stored as not done. Nothing was changed.",
            "order:parked:charge (attempt 1) is intended; workflow order:parked goes on",
            "order:parked:charge (attempt 1) is intended; workflow order:parked goes on",
        ),
        (
            ["cancel", "order:open"],
            "order:open would be cancelled: closed. Nothing was changed.",
            "order:open is cancelled: closed",
            "order:open is cancelled already: closed",
        ),
        (
            ["cancel", "order:parked"],
            "order:parked would be cancelled: closed; left as it is: order:parked:charge. Nothing was changed.",
            "order:parked is cancelled: closed; left as it is: order:parked:charge",
            "order:parked is cancelled already: closed; left as it is: order:parked:charge",
        ),
    ],
    ids=["retry", "resolve", "resolve not done", "cancel", "cancel parked"],
)
def test_shown_done_and_said_again(shop, words, would, did, again):
    """P8, P10: --dry-run changes nothing; said twice it is done once, with one audit row that says who and why."""
    before = whole(shop)
    assert shop.done(*words, "--dry-run").splitlines()[0] == would
    assert shop.json(*words, "--dry-run")["dry_run"] is True
    assert whole(shop) == before
    said_by = ("--who", "ann", "--why", "because")
    assert shop.done(*words, *said_by).splitlines()[0] == did
    after = whole(shop)
    assert after != before
    assert shop.done(*words, "--who", "ben").splitlines()[0] == again
    assert shop.json(*words)["dry_run"] is False
    assert whole(shop) == after
    [audit] = shop.json("audit", words[1])
    assert (audit["who"], audit["command"], audit["why"]) == ("ann", words[0], "because")


def test_what_was_said_otherwise_is_refused(shop):
    """P5, P8: another answer than the one that was given, and a state in which there is nothing to decide."""
    shop.done("resolve", "order:parked:charge", "--declined", "no")
    refused = shop.refused("resolve", "order:parked:charge", "--succeeded", '"card 1"')
    assert refused.endswith("(attempt 1) is declined; only an outcome that is unknown or pending can be resolved")
    assert "is failed; only an open one can be cancelled" in shop.refused("cancel", "order:failed")
    shop.done("cancel", "order:open")
    refused = shop.refused("retry", "order:open", "--dry-run")
    assert "is cancelled; only one that has failed or is stopped can be retried" in refused
    assert "exclude each other" in shop.refused("reconcile", "--apply", "--dry-run", status=2)
    assert shop.json("status", "--state", "cancelled")["counts"]["start.cancelled"] == 1
    words = ("start", "create_order", ORDER % "open", "--id", "order:open", "--wait")
    assert "workflow 'order:open' was cancelled by " in shop.refused(*words)


def test_old_workflows_are_collected(shop):
    """P10: shown, then done; what is left is named with the reason; a mistake is one line."""
    start, finished = table(shop, "start"), column(shop, "finished_at")
    shop.execute(f"UPDATE {start} SET state = 'failed', error = '{{}}', {finished} = {time_of(shop)}")
    shop.execute(f"UPDATE {start} SET {column(shop, 'created_at')} = {time_of(shop)}")
    before = whole(shop)
    assert shop.done("gc", "--older-than", "0s", "--dry-run").splitlines()[0] == (
        "2 workflows with 0 receipts would be collected. Nothing was changed."
    )
    assert whole(shop) == before
    said = shop.done("gc", "--older-than", "0s", "--who", "ann", "--why", "old")
    assert said.startswith("2 workflows with 0 receipts were collected\n")
    assert "1     unknown  an effect's outcome is unknown: recordfirst resolve" in said
    assert "Such as: order:parked (unknown)" in said
    again = shop.json("gc", "--older-than", "0s")
    assert (again["collected"], again["left"], again["dry_run"]) == (0, {"unknown": 1}, False)
    [audit] = shop.json("audit", "shop")
    assert (audit["who"], audit["command"], audit["why"]) == ("ann", "gc", "old")
    assert audit["detail"] == "2 workflows and 0 receipts collected, 1 left: unknown"
    assert "collected" in shop.done("show", "order:open")
    assert "arguments" not in shop.done("show", "order:open", "--reveal")
    assert "write a number and s, m, h, d or w" in shop.refused("gc", "--older-than", "soon", status=2)
