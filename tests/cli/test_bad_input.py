"""Mistakes that we can name: one clear line, a non-zero status, nothing half done (P8, P9)."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import pytest


def test_p8_unknown_workflow(shop):
    """P8: names the workflow and those there are."""
    said = shop("start", "create_odrer", "{}", "--id", "x")
    assert said.is_one_clear_line("create_odrer", "create_order")


@pytest.mark.parametrize(
    ("arguments", "needles"),
    [
        ('{"order": {"id": "1", "amount_minor": "much"}}', ["'order'", "amount_minor"]),
        ('{"order": {"id": "1"}}', ["amount_minor"]),
        ('{"ordre": 1}', ["ordre", "create_order"]),
        ("[]", ["create_order", "order"]),
        ("[1, 2, 3]", ["create_order"]),
    ],
)
def test_p8_arguments_that_do_not_fit(shop, arguments, needles):
    """P8: names the argument and the field, and stores nothing."""
    assert shop("start", "create_order", arguments, "--id", "x").is_one_clear_line(*needles)
    assert shop("status", "--json").json["counts"]["start.open"] == 0


@pytest.mark.parametrize("words", [["create_order", "{", "--id", "x"], ["create_order", "7", "--id", "x"]])
def test_p8_what_is_not_json(shop, words):
    """P8: says which argument is no JSON object."""
    assert shop("start", *words).is_one_clear_line("ARGUMENTS", status=2)


@pytest.mark.parametrize("id", ["", "a\udcffb"])
def test_p8_an_id_that_cannot_be_stored(shop, id):
    """P8: refused before anything is stored."""
    said = shop("start", "create_order", '{"order": {"id": "1", "amount_minor": 1}}', "--id", id)
    assert said.is_one_clear_line("workflow id")


def test_p2_an_unencodable_result_rolls_its_rows_back(shop, worker):
    """P2: the type is named, and the rows of the write are not there."""
    shop("start", "returns_nonsense", "--id", "n", "--wait").is_one_clear_line("object", "unstorable", "n")
    receipts = shop("show", "n", "--json").json["receipts"]
    assert receipts == []


def test_p8_a_key_template_that_names_a_missing_field(shop, folder):
    """P8: found when the module is imported, with template, field and what there is."""
    module = (folder / "shop.py").read_text().replace("order:{order.id}:mail", "order:{order.number}:mail")
    (folder / "typo.py").write_text(module)
    said = shop("status", "--app", "typo:app")
    assert said.is_one_clear_line("order.number", "send_mail", "id, amount_minor")


def test_p9_a_schema_that_is_missing(recordfirst):
    """P9: names the command that makes it, and that command does."""
    said = recordfirst("status", "--app", "shop:app")
    assert said.is_one_clear_line("are missing", "recordfirst migrate --record")
    words = said.err.strip().rsplit("run: recordfirst ", 1)[1].split()
    assert recordfirst(*words).status == 0
    assert recordfirst("status", "--app", "shop:app").status == 0


def test_p9_a_schema_that_is_too_new(shop, record_url):
    """P9: a worker of an older version keeps its hands off."""
    if record_url.startswith("sqlite"):
        with sqlite3.connect(record_url.removeprefix("sqlite:///")) as connection:
            connection.execute("INSERT INTO recordfirst_migration VALUES (99, 'from the future', 0)")
        connection.close()
    else:
        import psycopg  # noqa: PLC0415 - Postgres alone

        with psycopg.connect(record_url, autocommit=True) as future:
            future.execute("INSERT INTO recordfirst.migration (version, name) VALUES (99, 'from the future')")
    assert shop("worker").is_one_clear_line("version 99", "upgrade")


@pytest.mark.parametrize(
    ("app", "needles"),
    [
        ("nowhere:app", ["nowhere"]),
        ("shop:missing", ["shop", "missing"]),
        ("shop:nothing", ["shop", "int", "nothing"]),
        ("shop", ["MODULE:APP"]),
    ],
)
def test_p8_an_app_that_is_not_there(recordfirst, app, needles):
    """P8: says what is missing where."""
    assert recordfirst("status", "--app", app).is_one_clear_line(*needles, status=2)


def test_p8_no_app_at_all(recordfirst):
    """P8: says which option is missing."""
    assert recordfirst("status").is_one_clear_line("--app", status=2)


@pytest.mark.parametrize("words", [[], ["--not-done", "--declined", "no"]])
def test_p5_resolve_wants_one_answer(shop, words):
    """P5: none, or two, are refused."""
    assert shop("resolve", "order:1:mail", *words).is_one_clear_line(
        "--succeeded", "--declined", "--not-done", status=2
    )


def test_p8_a_key_that_nobody_has(shop):
    """P8: resolve, show and retry name what they did not find."""
    assert shop("resolve", "order:9:mail", "--not-done").is_one_clear_line("order:9:mail")
    assert shop("show", "order:9").is_one_clear_line("order:9")
    assert shop("retry", "order:9").is_one_clear_line("order:9")


@pytest.mark.parametrize(
    ("url", "needles"),
    [
        ("postgresql://postgres@127.0.0.1:1/shop", ["127.0.0.1", "1"]),
        ("sqlite:////no/such/folder/shop.db", ["/no/such/folder"]),
        ("mysql://localhost/shop", ["mysql", "postgresql://"]),
    ],
)
def test_p9_a_record_that_cannot_be_reached(recordfirst, url, needles):
    """P9: host and cause, in one line."""
    assert recordfirst("migrate", "--record", url).is_one_clear_line(*needles)


def test_p9_a_wrong_password(recordfirst, postgres_dsn):
    """P9: says so, and does not print the password."""
    parts = urlsplit(postgres_dsn)
    url = f"postgresql://guarded:secretly-wrong@{parts.path}?{parts.query}"
    said = recordfirst("migrate", "--record", url)
    assert said.is_one_clear_line("password", "guarded")
    assert "secretly-wrong" not in said.err


def test_p9_a_file_that_is_no_database(recordfirst, tmp_path: Path):
    """P9: says so, and leaves the file as it is."""
    file = tmp_path / "letter.db"
    file.write_text("Dear Sir or Madam, this is not a database at all.\n" * 40)
    before = file.read_bytes()
    assert recordfirst("migrate", "--record", str(file), "--apply").is_one_clear_line("not a")
    assert file.read_bytes() == before
