"""``recordfirst reconcile``, ``findings`` and ``audit``, from a finding to a clean reconcile."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess

import pytest

from recordfirst.errors.pages import page
from recordfirst.reconcile.reconciler import PASSES
from tests.cli.conftest import ROOT, command, until
from tests.cli.test_commands import ORDER
from tests.cli.test_deciding import column, table


@pytest.fixture
def lost(cli_here):
    """A shop whose one charge went out an hour ago; no answer came, and its workflow has failed."""
    cli = cli_here
    cli.done("migrate", "--apply")
    cli.done("start", "create_order", ORDER % "lost", "--id", "order:lost")
    cli.execute(
        """
        INSERT INTO recordfirst_receipt (app, key, kind, function, workflow, state, fingerprint, request,
            created_at_ms, calls, doubts, last_call_at_ms)
        VALUES ('shop', 'order:lost:charge', 'effect', 'charge', 'order:lost', 'intended', 'f',
            '{"order": {"id": "lost", "amount": 5}}', 1, 1, 1, 1)
        """
    )
    cli.execute("UPDATE recordfirst_start SET state = 'failed', error = '{}', finished_at_ms = 1")
    return cli


def test_from_a_finding_to_a_clean_reconcile(lost):
    """P5: shown, and nothing changed; then kept as unknown; then settled by an operator, with who and why."""
    assert "order:lost:charge  1        order:lost  1" in lost.done("effects", "--open")
    ended = lost.run("reconcile")
    assert ended.returncode == 1
    assert "RF-EFFECT-ABANDONED  order:lost:charge  charge may have happened; its workflow has failed" in ended.stdout
    assert "Nothing was changed." in ended.stdout
    assert lost.done("findings") == "no findings\n"

    ended = lost.run("reconcile", "--apply", "--who", "ann", "--why", "the bank was down", "--json")
    assert ended.returncode == 1
    found = json.loads(ended.stdout)
    assert [(each["finding"]["code"], each["repaired"]) for each in found["found"]] == [
        ("RF-EFFECT-ABANDONED", "its outcome is unknown now"),
        ("RF-EFFECT-UNKNOWN", None),
    ]
    assert [each["key"] for each in lost.json("effects")] == ["order:lost:charge"]
    assert lost.done("effects", "--declined") == "none\n"
    listed = lost.done("findings")
    assert "RF-EFFECT-UNKNOWN  order:lost:charge" in listed
    assert "To do: Look at the provider, then `recordfirst resolve KEY`" in listed

    lost.done("resolve", "order:lost:charge", "--declined", "never came", "--who", "ben", "--why", "asked the bank")
    assert "0 found, 0 left" in lost.done("reconcile", "--apply")
    assert lost.done("findings") == "no findings\n"
    assert [each["closed_because"] for each in lost.json("findings", "--closed")] == [
        "no longer seen",
        "repaired: its outcome is unknown now",
    ]
    audits = lost.json("audit", "order:lost:charge")
    assert [(each["who"], each["command"], each["why"]) for each in audits] == [
        ("ben", "resolve", "asked the bank"),
        ("ann", "reconcile", "the bank was down"),
    ]
    assert "ben  resolve    order:lost:charge  attempt 1: declined" in lost.done("audit")


def test_mistakes_are_named(lost):
    """P10: a pass or a time that is none, and an engine that cannot be reached, are one line each."""
    line = lost.refused("reconcile", "--pass", "moods")
    passes = ", ".join(each.name for each in PASSES)
    assert line == f"there is no pass 'moods'; there are: {passes}"
    assert "--since 'yesterday': write a time" in lost.refused("reconcile", "--since", "yesterday", status=2)
    lost.execute("UPDATE recordfirst_start SET state = 'open', engine = 'http://127.0.0.1:9', finished_at_ms = NULL")
    line = lost.refused("reconcile", SHOP_ENGINE="http://127.0.0.1:9")
    assert line.startswith("the engine at http://127.0.0.1:9 cannot be asked: ")


@pytest.fixture
def unfit(cli):
    """So many open workflows that no version of the app has: as many findings, on two pages."""
    cli.here = True
    cli.done("migrate", "--apply")
    created = column(cli, "created_at")
    old = "1" if cli.url.startswith("sqlite") else "'1970-01-02'"
    cli.execute(
        f"""
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)
        INSERT INTO {table(cli, "start")} (app, id, workflow, fingerprint, arguments, state, epoch, {created})
        SELECT 'shop', 'gone:' || i, 'gone', 'f', '{{}}', 'open', 1, {old} FROM n
        """
    )
    return cli


def test_interrupted_and_gone_on_with(unfit):
    """P6: on a terminal it shows how far it is; interrupted it says one line, and goes on behind what it has kept."""
    ours, theirs = pty.openpty()
    words = command("reconcile", "--apply", "--pass", "epochs")
    env = unfit.env | {"SHOP_PAUSE": "60"}
    with subprocess.Popen(words, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        until(lambda: unfit.execute(f"SELECT position FROM {table(unfit, 'pass')} WHERE position IS NOT NULL"))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    os.close(theirs)
    said = os.read(ours, 10_000).decode().replace("\r\n", "\n").split("\n")
    os.close(ours)
    assert "\repochs: 200 looked at " in said[0]
    assert said[0].endswith("recordfirst: interrupted; what is stored stays, and the same command may be run again")

    again = json.loads(unfit.run("reconcile", "--apply", "--pass", "epochs", "--json").stdout)
    assert (again["looked"], again["left"]) == ({"epochs": 50}, 50)
    assert len(unfit.json("findings", "--limit", "1000")) == 250
    whole = unfit.run("reconcile", "--apply", "--pass", "epochs")
    assert (whole.returncode, whole.stderr) == (1, "")
    assert "250 found, 250 left; looked at: epochs 250" in whole.stdout


def test_since(unfit):
    """P10: only what began then or later; a part of everything closes nothing as gone, and keeps no place."""
    assert unfit.run("reconcile", "--apply").returncode == 1
    unfit.done("start", "create_order", ORDER % "1", "--id", "order:1")
    for apply in ((), ("--apply",)):
        looked = json.loads(unfit.done("reconcile", "--since", "2000-01-01", *apply, "--json"))["looked"]
        assert looked["epochs"] == 1
    assert len(unfit.json("findings", "--limit", "1000")) == 250
    assert json.loads(unfit.run("reconcile", "--since", "1970-01-01", "--json").stdout)["looked"]["epochs"] == 251


def test_who_cannot_be_run_is_not_waited_for(unfit):
    """P7: a worker would not help; and who waits for one is told of once, however many pages there are."""
    fit = f"UPDATE {table(unfit, 'start')} SET workflow = 'slow'"
    found = json.loads(unfit.run("reconcile", "--json").stdout)["found"]
    assert {each["finding"]["code"] for each in found} == {"RF-START-UNFIT"}
    unfit.execute(fit)
    found = json.loads(unfit.run("reconcile", "--json").stdout)["found"]
    assert [(each["finding"]["code"], each["finding"]["subject"]) for each in found] == [("RF-START-UNTAKEN", "slow")]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["reconcile", "--accept-restore"], 2, "--accept-restore changes the record: give --apply, too"),
        (["reconcile", "--apply", "--dry-run"], 2, "--dry-run and --apply exclude each other"),
        (
            ["reconcile", "--since", "2026-01-01", "--pass", "ledger"],
            2,
            "--since is for epochs, intents, missed-events, pending, providers, unkn",
        ),
        (["events", "--since", "7d"], 2, "--since is for --catch-up"),
        (["effects", "--open", "--declined"], 2, "--unknown, --pending, --declined and --open exclude each other"),
        (["gc", "--older-than", "99999999999d"], 2, "--older-than '99999999999d': that is longer than there is time"),
    ],
)
def test_options_that_do_not_go_together(lost, words, status, said):
    """P8: said in one line; nothing was looked at."""
    assert said in lost.refused(*words, status=status)


def test_nothing_is_said_to_be_nothing(lost):
    """P10: no findings, no audit rows, and a pass for which the app has nothing."""
    lost.execute("DELETE FROM recordfirst_receipt")
    assert lost.done("reconcile", "--pass", "ledger") == (
        "0 found, 0 left; looked at: nothing: there is nothing to look at for ledger\n"
    )
    assert lost.done("audit") == "no audit rows\n"
    assert lost.done("audit", "order:1") == "no audit rows about 'order:1'\n"


def test_docs_are_named_by_their_address(lost):
    """P10: what the pages link, a terminal names."""
    lost.execute("INSERT INTO recordfirst_finding (app, code, subject, detail, opened_at_ms, seen_at_ms, round) "
                 "VALUES ('shop', 'RF-RECORD-BEHIND', 'shop', 'd', 1, 1, 'r')")  # fmt: skip
    assert f"then accept: {page('how-to/restore-the-record')}." in lost.done("findings")
