"""What an app can be asked about itself, on each record: all that the command line shows, and no more (P10)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import psycopg
import pytest

from recordfirst import (
    App,
    Audit,
    Call,
    Context,
    Declined,
    Finding,
    Ledger,
    LedgerFinding,
    MissingDependency,
    Misuse,
    NewFinding,
    Overview,
    Receipt,
    RecordUnavailable,
    Schema,
    SchemaMismatch,
    SchemaVersion,
    SqlLedger,
    Start,
    WrongEncryptor,
    effect,
    workflow,
)
from recordfirst.records.open import record_from_url
from tests.effects.cipher import Cipher
from tests.reconcile.harness import BANK, Bank, order, quick, visit
from tests.starts.harness import Shop, migrated


@effect(key="{who}:mail", provider=BANK, after=visit)
async def mail(call: Call, who: str) -> str:
    raise Declined(f"{who} has no address")


@workflow
async def greet(ctx: Context, who: str) -> None:
    await visit(ctx, who)
    await mail(ctx, who)


@workflow
async def broken(ctx: Context, who: str) -> None:
    await visit(ctx, who)
    raise ZeroDivisionError(who)


@contextlib.asynccontextmanager
async def lived_in(shop: Shop, **options: Any) -> AsyncIterator[App]:
    """An app that has succeeded once, failed once, was stopped once, and has once come to nothing that is known."""
    bank = Bank()
    options = {"provide": {Bank: bank}, "sleeper": quick} | options
    async with shop.working(order, greet, broken, **options) as app:
        await (await app.start(order, "ada", id="ada")).result()
        with contextlib.suppress(Exception):
            await (await app.start(greet, "eve", id="eve")).result()
        with contextlib.suppress(Exception):
            await (await app.start(broken, "zoe", id="zoe")).result(if_stopped="raise")
        bank.loses_replies, bank.can_be_asked = True, False
        await app.start(order, "bob", id="bob")
        while not await app.look.unsettled("unknown"):
            await quick(0)
        yield app


async def test_counts_workflows_and_effects_by_state(shop: Shop) -> None:
    """P10: how an app is doing is one call."""
    async with lived_in(shop) as app:
        seen = await app.look.overview()
        counts = await app.look.counts()
    assert counts == seen.counts
    assert {name: seen.counts[name] for name in ("start.succeeded", "start.failed", "effect.unknown")} == {
        "start.succeeded": 1,
        "start.failed": 1,
        "effect.unknown": 1,
    }
    assert (seen.held, seen.held_at_ms) == (None, None)
    assert seen.worker_seen_s is not None
    assert seen.worker_seen_s < 60


@pytest.mark.parametrize("value", [Audit, Finding, LedgerFinding, Overview, Receipt, SchemaVersion, Start])
def test_answers_are_values(value: type[msgspec.Struct]) -> None:
    """What comes back is nobody's to change in place."""
    assert value.__struct_config__.frozen


async def test_says_that_nothing_was_seen_of_a_new_record(shop: Shop) -> None:
    """P10: no worker has ever run, which is not the same as one that was seen just now."""
    async with shop.app(order, provide={Bank: Bank()}) as app:
        seen = await app.look.overview()
    assert not any(seen.counts.values())
    assert seen == Overview(counts=seen.counts, findings=0)


async def test_says_since_when_effects_are_held(shop: Shop) -> None:
    """P6: a hold is part of how an app is doing."""
    async with lived_in(shop) as app:
        async with app.runtime.record.transaction() as tx:
            await tx.hold("RF-RECORD-BEHIND", 0)
        seen = await app.look.overview()
    assert seen.held == "RF-RECORD-BEHIND"
    assert seen.held_at_ms is not None


async def test_lists_workflows_by_state(shop: Shop) -> None:
    """P7: each that was accepted is in one list, and one that is stopped is among the open ones, too."""
    async with lived_in(shop) as app:
        ids = {
            state: [start.id for start in await app.look.starts(state)]
            for state in ("open", "stopped", "succeeded", "failed", "cancelled")
        }
        assert [start.id for start in await app.look.starts("open", 1)] == ["bob"]
    assert ids == {"open": ["bob", "zoe"], "stopped": ["zoe"], "succeeded": ["ada"], "failed": ["eve"], "cancelled": []}


async def test_finds_a_workflow_and_its_receipts(shop: Shop) -> None:
    """P10: by its id, and each step by its key."""
    async with lived_in(shop) as app:
        start = await app.look.start("ada")
        receipts = await app.look.receipts("ada")
        attempts = await app.look.attempts("ada:charge")
        nothing = await app.look.start("nobody"), await app.look.receipts("nobody"), await app.look.attempts("nobody")
    assert start is not None
    assert (start.state, start.workflow) == ("succeeded", "order")
    assert [receipt.function for receipt in receipts] == ["visit", "charge"]
    assert [(receipt.attempt, receipt.state) for receipt in attempts] == [(1, "succeeded")]
    assert nothing == (None, [], [])


async def test_lists_effects_that_have_not_succeeded(shop: Shop) -> None:
    """P5: what only an operator can tell, and what was refused."""
    async with lived_in(shop) as app:
        unknown, declined = await app.look.unsettled("unknown"), await app.look.unsettled("declined")
        assert await app.look.unsettled("intended") == []
    assert [receipt.key for receipt in unknown] == ["bob:charge"]
    assert [receipt.key for receipt in declined] == ["eve:mail"]


async def test_names_what_a_call_leaves_at_its_provider(shop: Shop) -> None:
    """P10: an operator finds it there by the marker; a write leaves nothing anywhere."""
    async with lived_in(shop) as app:
        [written, charged] = await app.look.receipts("ada")
        assert app.look.marker(written) is None
        assert app.look.marker(charged) == "shop/ada:charge"


async def test_lists_findings_and_who_has_changed_what(shop: Shop) -> None:
    """P10: newest first, and closed ones only for those who ask for them."""
    found = NewFinding(code="RF-EFFECT-UNKNOWN", subject="bob:charge", detail="nobody can tell")
    async with shop.app(order, provide={Bank: Bank()}) as app:
        async with app.runtime.record.transaction() as tx:
            await tx.saw_findings([found, msgspec.structs.replace(found, subject="eve:charge")], "1")
            await tx.close_findings([found], "told")
            await tx.add_audit(Audit(who="ops", command="resolve", subject="bob:charge", detail="succeeded"))
            await tx.add_audit(Audit(who="ops", command="retry", subject="eve", detail="open in epoch 2"))
        assert [each.subject for each in await app.look.findings()] == ["eve:charge"]
        assert {each.subject for each in await app.look.findings(closed=True)} == {"eve:charge", "bob:charge"}
        assert len(await app.look.findings(1, closed=True)) == 1
        assert (await app.look.overview()).findings == 1
        assert [each.command for each in await app.look.audits()] == ["retry", "resolve"]
        assert [each.detail for each in await app.look.audits("bob:charge")] == ["succeeded"]
        assert await app.look.audits("nobody") == []


async def test_opens_what_is_encrypted_with_the_right_key_alone(shop: Shop) -> None:
    """P10: rows come as they are stored; what they say is opened where it is asked for, by who has the key."""
    async with lived_in(shop, encryptor=Cipher("a")) as app:
        start = await app.look.start("ada")
        [_, charged] = await app.look.receipts("ada")
        assert start is not None
        assert charged.result is not None
        assert "ada" not in start.arguments
        assert "charged" not in charged.result
        assert app.look.reveal(start.arguments) == {"who": "ada"}
        assert app.look.reveal(charged.result) == "charged"
    async with shop.app(order, provide={Bank: Bank()}) as other:
        start = await other.look.start("ada")
        assert start is not None
        with pytest.raises(WrongEncryptor):
            other.look.reveal(start.arguments)


async def test_needs_nothing_that_steps_need(shop: Shop) -> None:
    """P10: who looks at three at night has no bank, and no engine."""
    await migrated(shop.url)
    app = App("shop", record=record_from_url(shop.url), workflows=[order])
    async with app.looking():
        assert await app.look.starts("open") == []
        assert app.look.under_way() == []
        with pytest.raises(MissingDependency):
            await app.look.check_ledger()


async def test_adds_a_ledger_up(shop: Shop) -> None:
    """P10: what the ledger and the record say of each other, without an engine."""
    await migrated(shop.url)
    record = record_from_url(shop.url)
    app = App("shop", record=record, workflows=[order])
    app.provide(SqlLedger(record), as_=Ledger)
    async with app.looking():
        assert await app.look.check_ledger() == []


async def test_says_that_the_record_is_gone(postgres_dsn: str) -> None:
    """P9: what its driver raises comes as an error of ours, at once: who looks is not kept waiting."""
    shop = Shop(postgres_dsn)
    async with shop.app(order, provide={Bank: Bank()}) as app:
        other = await psycopg.AsyncConnection.connect(postgres_dsn, autocommit=True)
        async with other, other.transaction():
            await other.execute("LOCK TABLE recordfirst.start IN ACCESS EXCLUSIVE MODE")
            looking = asyncio.create_task(app.look.starts("open"))
            waiting = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted"
            while not (await (await other.execute(waiting)).fetchall()):
                await asyncio.sleep(0.01)
            with pytest.raises(RecordUnavailable, match="terminating connection"):
                await looking


async def test_is_refused_to_another_event_loop(shop: Shop) -> None:
    """An open app belongs to one loop: reading is no exception."""
    async with shop.app(order, provide={Bank: Bank()}) as app:
        with pytest.raises(Misuse):
            await asyncio.to_thread(asyncio.run, app.look.counts())


# ── tables ──────────────────────────────────────────────────────────────────


async def test_says_which_tables_are_missing_and_makes_them(empty_record_url: str) -> None:
    """P10: for a record that no app works with yet."""
    async with Schema(record_from_url(empty_record_url), "shop").opened() as schema:
        before = await schema.version()
        with pytest.raises(SchemaMismatch):
            await schema.check()
        done = await schema.migrate()
        after = await schema.version()
        await schema.check()
        assert await schema.migrate() == []
    assert before.found == 0
    assert done == before.missing
    assert [step.version for step in done][-1] == before.wanted
    assert (after.found, after.missing) == (before.wanted, [])


async def test_refuses_tables_of_a_newer_release(shop: Shop) -> None:
    """P10: what they mean is not known here, so nothing is read of them, or made."""
    async with shop.app(order, provide={Bank: Bank()}) as app:
        newest = (await app.schema.version()).wanted
        async with app.runtime.record.transaction() as tx:
            table = "recordfirst_migration" if shop.url.startswith("sqlite") else "recordfirst.migration"
            await tx.connection.execute(f"UPDATE {table} SET version = version + 1 WHERE version = {newest}")
        with pytest.raises(SchemaMismatch):
            await app.schema.version()
        with pytest.raises(SchemaMismatch):
            await app.schema.check()
