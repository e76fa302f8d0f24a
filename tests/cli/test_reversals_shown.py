"""What was taken back, as the commands tell it: who has dealt with it, or else why nobody has, and what follows."""

from __future__ import annotations

import json

import pytest

from tests.cli.test_deciding import table

KEY = "order:1:charge"
_COLUMNS = ["key", "attempt", "number", "kind", "id", "amount_minor", "currency", "found_by", "tries"]


@pytest.fixture
def taken_back(cli):
    """A charge of which a refund is handled, a dispute is being tried, and was won; and one is nobody's."""
    cli.here = True
    cli.done("migrate", "--apply")
    on_sqlite = cli.url.startswith("sqlite")
    happened, seen, ahead = ("happened_at_ms", "seen_at_ms", "next_at_ms")
    time = "CAST(strftime('%s', 'now') AS INTEGER) * 1000"
    if not on_sqlite:
        happened, seen, ahead, time = "happened_at", "seen_at", "next_at", "clock_timestamp()"
    created, settled = ("created_at_ms", "settled_at_ms") if on_sqlite else ("created_at", "settled_at")
    cli.execute(
        f"INSERT INTO {table(cli, 'receipt')} (app, key, attempt, kind, function, workflow, state, fingerprint, "
        f"request, calls, result, {created}, {settled}) VALUES ('shop', '{KEY}', 1, 'effect', 'charge', 'order:1', "
        f"'succeeded', 'f', '{{}}', 1, '\"card 4242\"', {time}, {time})"
    )
    error = '\'{"reason": "LookupError: no books", "at": "shop.py:7, in note"}\''
    for number, kind, id, amount, by, tries, why, waits in (
        (1, "refunded", "re_1", 500, "'note'", 0, "NULL", False),
        (2, "disputed", "du_1", 12000, "NULL", 3, error, True),
        (3, "dispute_won", "du_1", 12000, "NULL", 0, "NULL", True),
        (4, "dispute_lost", "du_2", 7, "NULL", 8, error, False),
        (5, "refunded", "re_2", 8, "'dismissed by ann'", 0, "NULL", False),
    ):
        cli.execute(
            f"INSERT INTO {table(cli, 'reversal')} (app, hash, {', '.join(_COLUMNS)}, handled_by, error, {happened}, "
            f"{seen}, {ahead}) VALUES ('shop', 'h{number}', '{KEY}', 1, {number}, '{kind}', '{id}', {amount}, 'usd', "
            f"'evt_1', {tries}, {by}, {why}, {time}, {time}, {time if waits else 'NULL'})"
        )
    return cli


def test_p10_a_receipt_is_shown_with_what_was_taken_back_of_it(taken_back):
    """In the currency's minor units, which way it goes, when, by whom it was found, and what has become of it."""
    shown = taken_back.done("show", KEY)
    assert "reversal 1  refunded re_1 takes back 500 usd (minor units)\n            made 2" in shown
    assert "by evt_1\n            handled by note\n" in shown
    assert "reversal 2  disputed du_1 takes back 12,000 usd (minor units)" in shown
    said = "not handled, on_reversal failed 3 times: LookupError: no books (shop.py:7, in note); tried next at 2"
    assert f"            {said}" in shown
    assert "reversal 3  dispute_won du_1 gives back 12,000 usd (minor units)" in shown
    assert "not handled; tried after reversal 2\n" in shown
    assert "reversal 4  dispute_lost du_2 moves no money" in shown
    assert "failed 8 times: LookupError: no books (shop.py:7, in note); nothing tries it\n" in shown
    assert "\n            dismissed by ann\n" in shown
    [receipt] = taken_back.json("show", KEY)["receipts"]
    second = receipt["reversals"][1]
    assert (second["taken_minor"], second["tries"], second["handled_by"]) == (12000, 3, None)
    assert second["next"] is not None
    assert [each["behind"] for each in receipt["reversals"]] == [None, None, 2, None, None]
    assert second["error"] == "LookupError: no books (shop.py:7, in note)"


def test_p10_a_receipt_is_shown_with_its_ids_at_the_provider(taken_back):
    """Without what may be personal data; what is revealed is JSON for an operator, too, and a kept reply's text."""
    cli = taken_back
    cli.execute(
        f"INSERT INTO {table(cli, 'receipt_reference')} (app, key, attempt, kind, id) "
        f"VALUES ('shop', '{KEY}', 1, 'payment_intent', 'pi_7')"
    )
    reply = json.dumps({"state": "succeeded", "text": '{"id": "pi_7"}'})
    cli.execute(f"UPDATE {table(cli, 'receipt')} SET reply = '{reply}', request = '{{\"order\": \"1\"}}'")
    assert "at provider  payment_intent pi_7\n" in cli.done("show", KEY)
    shown = cli.done("show", KEY, "--reveal")
    assert 'request      {"order": "1"}\n' in shown
    assert 'reply        {"state": "succeeded", "text": {"id": "pi_7"}}\n' in shown
    [receipt] = cli.json("show", KEY, "--reveal")["receipts"]
    assert (receipt["references"], receipt["reply"]["text"]) == ({"payment_intent": "pi_7"}, {"id": "pi_7"})


def test_p10_status_lists_what_nobody_has_dealt_with(taken_back):
    """Counted by whether it is tried again, and listed, with the error and the next time."""
    shown = taken_back.done("status")
    assert "reversals open     2\n" in shown
    assert "reversals stopped  1\n" in shown
    lines = shown[shown.index("REVERSAL OF") :].splitlines()[1:]
    assert len(lines) == 3
    assert "du_1  3      2" in lines[0]
    assert lines[0].endswith("LookupError: no books (shop.py:7, in note)")
    assert lines[1].split() == [KEY, "dispute_won", "du_1", "0", "after", "reversal", "2"]
    found = taken_back.json("status")
    assert [(each["number"], each["behind"]) for each in found["reversals"]] == [(2, None), (3, 2), (4, None)]
    told = {each["number"]: each for each in taken_back.json("show", KEY)["receipts"][0]["reversals"]}
    assert found["reversals"] == [told[2], told[3], told[4]]
    assert [each["id"] for each in found["reversals"]] == ["du_1", "du_1", "du_2"]
    assert (found["counts"]["reversal.open"], found["counts"]["reversal.stopped"]) == (2, 1)
    assert taken_back.json("status", "--state", "failed")["reversals"] == []
