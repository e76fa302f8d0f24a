"""Requests to Postgres, told apart by what is on the wire, and named as in the other worlds."""

from __future__ import annotations

import struct

import pytest

from recordfirst.explore.worlds.real.proxies import wire
from recordfirst.explore.worlds.real.proxies.names import of_engine, of_statement, stem
from recordfirst.records import statements


def _bind(statement: bytes, *values: bytes | None) -> bytes:
    bound = b"".join(struct.pack("!i", -1) if v is None else struct.pack("!i", len(v)) + v for v in values)
    formats = struct.pack("!hh", 1, 0)
    return b"\0" + statement + b"\0" + formats + struct.pack("!h", len(values)) + bound + struct.pack("!h", 0)


def test_a_statement_that_was_prepared_is_known_by_its_name() -> None:
    """P10: the text was sent once, with the first; later requests only name it."""
    prepared = wire.Prepared()
    first = prepared.read([(b"P", b"s1\0SELECT $1\0\0\0"), (b"S", b"")])
    assert first.text == ""  # nothing is done by it
    asked = prepared.read([(b"B", _bind(b"s1", b"7", None)), (b"E", b"\0\0\0\0\0"), (b"S", b"")])
    assert (asked.text, asked.params) == ("SELECT $1", (b"7", None))
    assert prepared.read([(b"Q", b"COMMIT\0")]).text == "COMMIT"


def test_a_request_goes_on_as_it_came() -> None:
    """P9: byte for byte."""
    messages = [(b"P", b"\0SELECT 1\0\0\0"), (b"B", _bind(b"")), (b"E", b"\0\0\0\0\0"), (b"S", b"")]
    raw = b"".join(wire.message(*each) for each in messages)
    assert wire.Prepared().read(messages).raw == raw
    assert raw.endswith(b"S\0\0\0\4")


def test_the_records_statements_have_the_names_of_their_files() -> None:
    """P10: whatever their text is, with what is bound by name."""
    text = statements.load("recordfirst.records.postgres").find_receipt
    for number, name in enumerate(dict.fromkeys(wire_names(text)), 1):
        text = text.replace(f"%({name})s", f"${number}")
    named = of_statement(wire.Asked(raw=b"", text=text, params=(b"explored", b"order:1:charge", b"1")))
    assert named is not None
    assert (named.boundary, named.name, named.modifies) == ("record", "find_receipt", False)
    assert "order:1:charge" in named.detail


def wire_names(text: str) -> list[str]:
    return [part.split(")s")[0] for part in text.split("%(")[1:]]


@pytest.mark.parametrize(
    "text",
    ["", "SET lock_timeout = 1", "SELECT pg_try_advisory_lock($1)", "LISTEN x", "SELECT resonate.process_timeouts()"],
)
def test_what_carries_nothing_is_no_point(text: str) -> None:
    """P10: leases, news and deliveries go on for as long as a worker lives."""
    assert of_statement(wire.Asked(raw=b"", text=text)) is None


def test_requests_of_an_engine_are_named_by_their_kind() -> None:
    """P10: over HTTP and in Postgres alike; what is fenced is named by what is done."""
    body = b'{"kind": "task.fence", "data": {"id": "t", "action": {"kind": "promise.settle", "data": {"id": "p"}}}}'
    over_http = of_engine(body)
    in_postgres = of_statement(
        wire.Asked(raw=b"", text="SELECT resonate.resonate_rpc($1::text::jsonb)::text", params=(body,))
    )
    assert over_http == in_postgres
    assert (over_http.name, over_http.detail) == ("task.fence promise.settle", "p")
    assert of_engine(b"?").name == "request"


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("call charge_card", "call-charge_card"),
        ("task.fence promise.settle", "task.fence-promise.settle"),
        ("INSERT INTO orders VALUES ($1, $2, 'new')", "INSERT-INTO-orders"),
        ("COMMIT", "COMMIT"),
    ],
)
def test_a_points_name_is_one_word(name: str, word: str) -> None:
    """P10: as it stands in a schedule."""
    assert stem(name) == word


def test_a_reply_says_how_many_rows_it_is_about() -> None:
    """P2: by that it is known whether anything was changed."""
    counts = [wire.count_of(tag) for tag in (b"INSERT 0 2\0", b"UPDATE 0\0", b"COMMIT\0", b"SELECT 13\0")]
    assert counts == [2, 0, 0, 13]
