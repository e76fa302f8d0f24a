"""Security, P6, P7, P8: what an encryptor covers, how its keys change, and rows that it did not write."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from recordfirst import (
    Call,
    Context,
    Declined,
    DifferentArguments,
    Embedded,
    Keyring,
    Misuse,
    WorkflowFailed,
    Write,
    WrongEncryptor,
    effect,
    inject,
    workflow,
    write,
)
from recordfirst.core import codec
from recordfirst.core.text import masked
from recordfirst.execution.sealing import Sealing
from recordfirst.reconcile import resealing
from tests.effects.cipher import Cipher
from tests.effects.harness import Bank, Order, receipt, rows
from tests.effects.program import PLAIN

CARD = "4242424242424242"
REASON = "her account is empty"


@write(key="order:{id}:keep")
async def keep(w: Write, id: str, card: str) -> str:
    return card


@effect(key="order:{id}:charge", provider=PLAIN, after=None)
async def charge(call: Call, id: str, card: str, *, bank: Bank = inject()) -> str:
    if id.startswith("poor"):
        raise Declined(f"{REASON}: {card}", "insufficient_funds")
    return f"{bank.post('charge', Order(id, 1), key=call.key, marker=call.marker)} {card}"


@workflow
async def pay(ctx: Context, id: str, card: str) -> str:
    await keep(ctx, id, card)
    return await charge(ctx, id, card)


@workflow
async def pay_later(ctx: Context, id: str, card: str) -> str:
    await charge(ctx, id, card)
    await ctx.sleep(timedelta(seconds=1.2))
    return f"paid {card}"


@workflow
async def buggy(ctx: Context, id: str, card: str) -> str:
    raise LookupError(f"nothing is known of {card}")


@workflow
async def odd(ctx: Context, encrypted: str) -> str:
    return encrypted


class Client:
    key = "sk_live_" + "injected00"

    def __repr__(self) -> str:
        return f"<Client {self.key}>"


@effect(key="order:{id}:ask", provider=PLAIN, after=None)
async def ask(call: Call, id: str, card: str, *, client: Client = inject()) -> str:
    raise Declined(f"{client!r} sent Authorization: Bearer {client.key} for {card}")


@workflow
async def asking(ctx: Context, id: str, card: str) -> str:
    return await ask(ctx, id, card)


async def stored(app: Any) -> dict[str, list[tuple[Any, ...]]]:
    prefix = "recordfirst." if str(app.runtime.record.where).startswith("postgresql") else "recordfirst_"
    tables = ("start", "receipt", "finding", "audit", "sealing_key")
    return {table: await rows(app, f"SELECT * FROM {prefix}{table}") for table in tables}


async def fingerprints(app: Any) -> set[str]:
    prefix = "recordfirst." if str(app.runtime.record.where).startswith("postgresql") else "recordfirst_"
    found = await rows(app, f"SELECT fingerprint FROM {prefix}start UNION ALL SELECT fingerprint FROM {prefix}receipt")
    return {text for (text,) in found}


def change_fingerprints(url: str, text: str) -> None:
    """As another process does, at this very moment."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), autocommit=True)) as file:
            file.execute("UPDATE recordfirst_start SET fingerprint = ?", (text,))
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE recordfirst.start SET fingerprint = %s", (text,))


# ── what is covered ─────────────────────────────────────────────────────────


async def test_fingerprints_cannot_be_computed_without_the_encryptor(shop):
    """Security: and yet the same request is the same, and another is a conflict (P8)."""
    async with shop.working(pay, encryptor=Cipher("a")) as app:
        assert (await (await app.start(pay, "1", CARD, id="1")).result()).endswith(CARD)
        found = await fingerprints(app)
        request = codec.encode({"id": "1", "card": CARD}, "it")
        plain = {codec.fingerprint(request), codec.fingerprint("pay", request)}
        assert all(text.startswith("k1:") for text in found)
        assert not plain & {text.removeprefix("k1:") for text in found}
        assert await (await app.start(pay, "1", CARD, id="1")).result()
        with pytest.raises(DifferentArguments):
            await app.start(pay, "1", "1881", id="1")


async def test_the_texts_of_errors_are_sealed_and_their_codes_are_not(shop):
    """Security, P10: SQL finds the code or the type; who has the encryptor reads the text."""
    async with shop.working(pay, encryptor=Cipher("a")) as app:
        with pytest.raises(WorkflowFailed, match=REASON):
            await (await app.start(pay, "poor", CARD, id="1")).result()
        text = repr(await stored(app))
        assert REASON not in text
        assert CARD not in text
        assert "insufficient_funds" in text
        assert "Declined" in text
        assert REASON in json.loads((await receipt(app, "order:poor:charge")).error or "{}")["reason"]
        assert REASON in json.loads((await (await app.handle("1")).status()).error or "{}")["message"]


def contents(path: Path) -> bytes:
    """What is in a file and beside it, and what its base64 stands for."""
    data = b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
    texts = re.findall(rb"[A-Za-z0-9+/]{16,}={0,2}", data)
    return data + b"".join(base64.b64decode(text[: len(text) // 4 * 4]) for text in texts)


@pytest.mark.parametrize("encryptor", [None, Cipher("a")], ids=["clear", "encrypted"])
async def test_nothing_injected_is_in_the_engines_file_or_the_record(shop, tmp_path, encryptor):
    """Security: a client's key, in an error that quotes it, is nowhere; an argument is nowhere in clear."""

    @effect(key="order:{id}:ask", provider=PLAIN, after=None)
    async def ask(call: Call, id: str, card: str, *, client: Client = inject()) -> str:
        raise Declined(f"{client!r} sent Authorization: Bearer {client.key} for {card}")

    @workflow
    async def asking(ctx: Context, id: str, card: str) -> str:
        try:
            await ask(ctx, id, card)
        except Declined as declined:
            await ctx.sleep(timedelta(seconds=0.7))
            return f"{declined} {card}"
        return ""

    engine = tmp_path / "engine-file"
    given = {"encryptor": encryptor, "provide": {Client: Client()}, "engine": Embedded(engine)}
    async with shop.working(asking, **given) as app:
        handle = await app.start(asking, "1", CARD, id="1")

        async def suspended() -> bool:
            return b"sleep-" in contents(engine)

        await _until(suspended)
        data = contents(engine)
        assert "***" in await handle.result()
        where = str(app.runtime.record.where)
        text = repr(await stored(app)) if where.startswith("postgresql") else repr(contents(Path(where)))
    for place in (repr(data), text, repr(contents(engine))):
        assert Client.key not in place
        assert "Bearer sk" not in place
        assert encryptor is None or CARD not in place
    if encryptor is None:
        assert CARD.encode() in data  # so the search would have found it


def test_the_ids_of_calls_in_the_engine_are_keyed():
    """Security: an id is a hash of the arguments, among others, and would confirm a guess of them."""
    first, second = Sealing("shop", Cipher("a")), Sealing("shop", Cipher("a"))
    first._print_keys, second._print_keys = {"k1": b"1"}, {"k1": b"2"}
    first._print_key = second._print_key = "k1"
    assert len({each.covered("run charge 4242") for each in (first, second, Sealing("shop", None))}) == 3
    assert first.covered("run charge 4242") == first.covered("run charge 4242")


async def test_what_stopped_a_workflow_is_sealed(shop):
    """Security, P9: a defect's message may quote arguments; its type and place are found all the same."""
    async with shop.working(buggy, encryptor=Cipher("a")) as app:
        await app.start(buggy, "1", CARD, id="1")

        async def stopped() -> bool:
            return bool(await app.stopped(1))

        await _until(stopped)
        text = repr(await stored(app))
        assert CARD not in text
        assert "LookupError" in text
        assert CARD in ((await (await app.handle("1")).status()).stop or "")
    async with shop.app(buggy, encryptor=Keyring({"2": Cipher("b"), "1": Cipher("a")})) as app:
        assert (await app.reseal()).resealed == {"start": 1}
    async with shop.app(buggy, encryptor=Keyring({"2": Cipher("b")})) as app:
        assert CARD in ((await (await app.handle("1")).status()).stop or "")


# ── switched on, changed, wrong ─────────────────────────────────────────────


async def test_switched_on_over_rows_in_clear(shop):
    """P7, P8: what is under way ends, what has ended is still the same, and reseal covers what was in clear."""
    async with shop.working(pay, pay_later) as app:
        await (await app.start(pay, "1", CARD, id="old")).result()
        await app.start(pay_later, "2", CARD, id="open")
        await _until_called(app, "order:2:charge")
    async with shop.working(pay, pay_later, encryptor=Cipher("a")) as app:
        assert await (await app.start(pay, "1", CARD, id="old")).result()
        with pytest.raises(DifferentArguments):
            await app.start(pay, "1", "1881", id="old")
        assert await (await app.handle("open")).result() == f"paid {CARD}"
        assert CARD in repr(await stored(app))
        would = await app.reseal(dry_run=True)
        assert would.resealed["receipt"] >= 2
        assert CARD in repr(await stored(app))
        done = await app.reseal(who="ann")
        assert (done.resealed, done.left, done.moved) == (would.resealed, 0, 0)
        assert CARD not in repr(await stored(app))
        assert all(text.startswith("k1:") for text in await fingerprints(app))
        assert (await app.reseal()).resealed == {}
        assert await (await app.start(pay, "1", CARD, id="old")).result()
    assert len(shop.bank.applied) == 2


async def test_keys_are_rotated_and_the_old_one_is_given_up(shop, monkeypatch):
    """P6, P7, P8: a rotation is no conflict; killed in the middle, another run does the rest."""
    monkeypatch.setattr(resealing, "_PAGE", 20)
    old, new = Cipher("old"), Cipher("new")
    async with shop.working(pay, pay_later, encryptor=old) as app:
        for number in range(45):
            async with app.record.write() as w:
                w.start(pay, f"poor-{number}", CARD, id=f"w{number:02}")
        await (await app.start(pay, "1", CARD, id="1")).result()
        await _until(lambda: _ended(app))
    both = Keyring({"2026": new, "2025": old})
    async with shop.app(pay, pay_later, encryptor=both) as app:

        def killed(looked: int) -> None:
            if looked >= 20:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await app.reseal(tell=killed)
        left = await app.reseal()
        assert 0 < left.resealed["start"] <= 26
    async with shop.working(pay, pay_later, encryptor=Keyring({"2026": new})) as app:
        assert await (await app.start(pay, "1", CARD, id="1")).result()
        with pytest.raises(WorkflowFailed, match=REASON):
            await (await app.start(pay, "poor-3", CARD, id="w03")).result()
    assert len(shop.bank.applied) == 1


async def test_a_row_that_changes_meanwhile_is_not_overwritten(shop):
    """P2: the one who changed it wins; it is looked at again."""
    async with shop.working(pay) as app:
        await (await app.start(pay, "1", CARD, id="1")).result()
    async with shop.app(pay, encryptor=Cipher("a")) as app:
        seal, once = app.runtime.sealing.seal, list[str]()

        def meanwhile(text: str) -> str:
            if not once:
                once.append("changed")
                change_fingerprints(shop.url, "changed")
            return seal(text)

        app.runtime.sealing.seal = meanwhile
        done = await app.reseal()
        assert (done.moved, done.resealed["start"]) == (0, 1)
        found = await fingerprints(app)
        assert app.runtime.sealing.rekeyed("changed") in found
        assert "changed" not in found


async def test_a_wrong_key_is_refused_and_changes_nothing(shop):
    """P6, P7: what is under way goes on with the right one."""
    async with shop.working(pay_later, encryptor=Cipher("right")) as app:
        await app.start(pay_later, "1", CARD, id="1")
        await _until_called(app, "order:1:charge")
        before = (await stored(app))["sealing_key"]
    for wrong in (Cipher("wrong"), Keyring({"wrong": Cipher("wrong")})):
        with pytest.raises(WrongEncryptor, match=r"app 'shop' cannot read what it stored.*Keyring"):
            async with shop.working(pay_later, encryptor=wrong):
                pass
    async with shop.working(pay_later, encryptor=Cipher("right")) as app:
        assert await (await app.handle("1")).result() == f"paid {CARD}"
        assert (await stored(app))["sealing_key"] == before
    assert len(shop.bank.applied) == 1


async def test_a_wrong_key_is_refused_where_rows_are_sealed_and_there_is_no_key_of_fingerprints(shop):
    """P6: as an earlier version left them; else the wrong one would be the one from then on."""
    async with shop.working(pay, encryptor=Cipher("right")) as app:
        await (await app.start(pay, "1", CARD, id="1")).result()
        prefix = "recordfirst." if str(app.runtime.record.where).startswith("postgresql") else "recordfirst_"
        async with app.record.write() as w:
            await w.tx.execute(f"DELETE FROM {prefix}sealing_key")
    with pytest.raises(WrongEncryptor):
        async with shop.app(pay, encryptor=Cipher("wrong")):
            pass
    async with shop.app(pay, encryptor=Cipher("right")) as app:
        assert len((await stored(app))["sealing_key"]) == 1


async def test_without_the_encryptor_the_error_says_so(shop):
    """P10: and what cannot be decrypted is still listed, with its code."""
    async with shop.working(pay, encryptor=Cipher("a")) as app:
        with pytest.raises(WorkflowFailed):
            await (await app.start(pay, "poor", CARD, id="1")).result()
        await (await app.start(pay, "1", CARD, id="2")).result()
    async with shop.app(pay) as app:
        with pytest.raises(WrongEncryptor, match="App has no encryptor="):
            await (await app.handle("2")).result()
        assert "insufficient_funds" in ((await receipt(app, "order:poor:charge")).error or "")
        with pytest.raises(Misuse, match="nothing to encrypt"):
            await app.reseal()


async def test_a_parameter_may_be_called_as_the_form_is(shop):
    """P12: a value that looks like one that was sealed is itself."""
    async with shop.working(odd) as app:
        assert await (await app.start(odd, "YWJj", id="1")).result() == "YWJj"


async def test_a_life_that_cannot_be_read_gets_a_new_epoch(shop, tmp_path):
    """P6, P7: the engine holds what only a key can read that was given up; the record has all that is needed."""
    engine, old, new = Embedded(tmp_path / "engine-file"), Cipher("old"), Cipher("new")
    async with shop.working(pay_later, encryptor=old, engine=engine) as app:
        await app.start(pay_later, "1", CARD, id="1")
        await _until_called(app, "order:1:charge")
    async with shop.app(pay_later, encryptor=Keyring({"new": new, "old": old}), engine=engine) as app:
        await app.reseal()
    async with shop.working(pay_later, encryptor=Keyring({"new": new}), engine=engine) as app:
        async with asyncio.timeout(20):
            assert await (await app.handle("1")).result() == f"paid {CARD}"
        assert (await (await app.handle("1")).status()).epoch == 2
    assert [event.workflow for event in shop.events if type(event).__name__ == "EpochUnreadable"] == ["1"]
    assert len(shop.bank.applied) == 1


def test_a_keyring_refuses_what_it_cannot_name():
    """Each id goes with the text."""
    for keys in ({}, {"a:b": Cipher("a")}, {"": Cipher("a")}, {"ä": Cipher("a")}):
        with pytest.raises(Misuse, match="Keyring takes"):
            Keyring(keys)
    ring = Keyring({"2": Cipher("b"), "1": Cipher("a")})
    assert ring.decrypt(Keyring({"1": Cipher("a")}).encrypt(b"text")) == b"text"
    assert ring.decrypt(Cipher("a").encrypt(b"text")) == b"text"
    with pytest.raises(LookupError, match="key '2', which is not here"):
        Keyring({"1": Cipher("a")}).decrypt(ring.encrypt(b"text"))
    with pytest.raises(LookupError, match="none of the keys 2, 1"):
        ring.decrypt(b"text")
    assert masked(repr(ring)) == "<Keyring of 2, 1>"


def test_reading_an_error_cannot_fail():
    """P5: whatever a row holds."""
    sealing, other = Sealing("shop", Cipher("a")), Sealing("shop", Cipher("b"))
    for text in ("null", "7", "[]", "a text", '{"encrypted": 7}', '{"encrypted": "rf1e:!"}', '{"encrypted": "x"}'):
        assert isinstance(sealing.unseal_error(text), str)
        assert sealing.unseal_error(sealing.seal_error(text)) == text
    told = json.loads(other.unseal_error(sealing.seal_error('{"reason": "secret", "code": "c"}')))
    assert told["code"] == "c"
    assert "cannot be decrypted" in told["reason"]


# ── waiting ─────────────────────────────────────────────────────────────────


async def _until_called(app: Any, key: str) -> None:
    async def succeeded() -> bool:
        async with app.runtime.record.session() as session:
            found = (await session.find_receipt(key)).receipt
        return found is not None and found.state == "succeeded"

    await _until(succeeded)


async def _ended(app: Any) -> bool:
    async with app.runtime.record.session() as session:
        counts = await session.counts()
    return counts["start.open"] == 0


async def _until(true: Any) -> None:
    async with asyncio.timeout(60):
        while not await true():
            await asyncio.sleep(0.02)
