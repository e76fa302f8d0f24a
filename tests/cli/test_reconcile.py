"""``recordfirst reconcile``, ``findings`` and ``audit``, from a finding to a clean reconcile."""

from __future__ import annotations

import json

import pytest

from recordfirst.reconcile.reconciler import PASSES
from tests.cli.test_commands import ORDER


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
    """P5: shown, and nothing changed; then kept as unknown; then settled by a person, with who and why."""
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
        "not seen any more",
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
