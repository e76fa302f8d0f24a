"""The examples that the docs include: they run as the docs say, and what the docs promise of them comes true."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from starlette.routing import Route
from stripe import StripeClient

from recordfirst import App, Context, WorkflowFailed, WorkflowStopped, workflow
from recordfirst.providers.stripe import StripeEvents, stripe_client
from recordfirst.records.postgres import PostgresRecord
from recordfirst.testing import Sending, StripeSimulator
from recordfirst.testing.stripe import books
from recordfirst.testing.stripe.cards import Behaviour, Decline
from tests.events.web import served

EXAMPLES = Path(__file__).parent.parent / "examples"
RECORDFIRST = Path(sys.executable).with_name("recordfirst")


def run(*command: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False
    )


def rows(database: Path, query: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Annotations are resolved through the module's name.
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def prepare(folder: Path, app: str) -> None:
    migrated = run(str(RECORDFIRST), "migrate", "--app", app, "--apply", cwd=folder)
    assert migrated.returncode == 0, migrated.stderr
    with contextlib.closing(sqlite3.connect(folder / "shop.db")) as connection:
        connection.executescript((folder / "schema.sql").read_text())


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The tutorial's directory, after the commands of its first half."""
    shutil.copytree(EXAMPLES / "tutorial", tmp_path, dirs_exist_ok=True)
    prepare(tmp_path, "shop:app")
    return tmp_path


def buy(shop: Path, id: str, amount_minor: int, **env: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "shop.py", id, str(amount_minor), cwd=shop, **env)


def test_tutorial_order_is_paid(shop: Path) -> None:
    """P2, P3: one order, one charge, and both books say so."""
    assert "order 42: paid" in buy(shop, "42", 1999).stdout
    assert rows(shop / "shop.db", "SELECT id, amount_minor, status, charge FROM orders") == [
        ("42", 1999, "paid", "charge 1")
    ]
    assert rows(shop / "bank.db", "SELECT minor FROM charges") == [(1999,)]


def test_tutorial_crash_after_the_charge_charges_once(shop: Path) -> None:
    """P3: the process dies right after the money is taken; the next one finishes the order, and charges nothing."""
    assert buy(shop, "42", 1999, PULL_THE_PLUG="1").returncode == 137
    assert rows(shop / "shop.db", "SELECT status FROM orders") == [("new",)]
    again = buy(shop, "42", 1999)
    assert "order 42: paid" in again.stdout, again.stderr
    assert rows(shop / "bank.db", "SELECT minor FROM charges") == [(1999,)]


def test_tutorial_decline_is_final(shop: Path) -> None:
    """P5: the bank refuses; the order says so, and no later run asks again."""
    for _ in range(2):
        assert "order 43: declined" in buy(shop, "43", 1_000_01).stdout
    assert rows(shop / "shop.db", "SELECT status FROM orders") == [("declined: limit exceeded",)]


def test_tutorial_same_id_other_amount_is_a_conflict(shop: Path) -> None:
    """P8: an order's id stands for its arguments."""
    buy(shop, "42", 1999)
    other = buy(shop, "42", 2999)
    assert other.returncode != 0
    assert "DifferentArguments" in other.stderr
    assert rows(shop / "bank.db", "SELECT minor FROM charges") == [(1999,)]


def test_tutorial_show_reads_by_business_key(shop: Path) -> None:
    """P10: what happened is read by the order's id, and its result is redacted."""
    buy(shop, "42", 1999)
    shown = run(str(RECORDFIRST), "show", "order:42", "--app", "shop:app", cwd=shop)
    assert "order:42:charge" in shown.stdout, shown.stderr
    assert "charge 1" not in shown.stdout


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("howto/*.py")), ids=lambda path: path.stem)
def test_howto_declares_what_the_library_accepts(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each how-to example imports: its steps' signatures, keys and types were checked as they were declared."""
    monkeypatch.chdir(tmp_path)
    load(path)


def test_howto_web_commits_order_and_start_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P7: the handler's row and its workflow are there together, or neither is."""
    for path in (EXAMPLES / "howto" / "web.py", EXAMPLES / "tutorial" / "schema.sql"):
        shutil.copy(path, tmp_path)
    prepare(tmp_path, "web:app")
    monkeypatch.chdir(tmp_path)
    module = load(tmp_path / "web.py")

    async def scenario() -> str:
        async with module.app:
            await module.post_order(b'{"id":"7","amount_minor":500}')
            with pytest.raises(sqlite3.IntegrityError):
                await module.post_order(b'{"id":"7","amount_minor":900}')
        async with module.app.worker():
            handle = await module.app.start(module.create_order, module.Order("7", 500), id="order:7")
            return str(await handle.result())

    assert asyncio.run(scenario()) == "accepted"
    assert rows(tmp_path / "shop.db", "SELECT amount_minor, status FROM orders") == [(500, "accepted")]


def test_howto_parts_reserve_each_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P7: side by side, in parts, and by a workflow that was started in a write."""
    (tmp_path / "schema.sql").write_text("CREATE TABLE reserved (line TEXT PRIMARY KEY, item TEXT NOT NULL)")
    shutil.copy(EXAMPLES / "howto" / "parts.py", tmp_path)
    prepare(tmp_path, "parts:app")
    monkeypatch.chdir(tmp_path)
    module = load(tmp_path / "parts.py")
    lines = [module.Line(str(number), f"item {number}") for number in range(6)]

    async def scenario() -> list[Any]:
        async with module.app.worker():
            side = await module.app.start(module.reserve_all, lines[:2], id="a")
            parts = await module.app.start(module.fulfil_all, [lines[2:4], lines[4:]], id="b")
            await (await module.app.start(module.finish, "c", id="c")).result()
            return [await side.result(), await parts.result(), await (await module.app.handle("c:thanks")).result()]

    side = ["item 0", "item 1"]
    assert asyncio.run(scenario()) == [side, [["item 2", "item 3"], ["item 4", "item 5"]], "thanked for c"]
    assert rows(tmp_path / "shop.db", "SELECT count(*) FROM reserved") == [(6,)]


def test_howto_stripe_charges_declines_and_refunds(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """P3, P5: the example as it stands, against the simulator, and Stripe's books show what the docs say."""
    monkeypatch.chdir(tmp_path)
    module = load(EXAMPLES / "howto" / "stripe_charge.py")
    later = Decline("card_declined", "try_again_later", "Try again later.")

    async def in_vain(ctx: Context, order: Any) -> None:
        await module.insert_order(ctx, order)
        await module.charge_card(ctx, order)
        raise LookupError("sold out")

    in_vain.__annotations__["order"] = module.Order
    charge_in_vain = workflow(in_vain, steps=(module.insert_order, module.charge_card), fails=LookupError)

    async def scenario(sim: StripeSimulator) -> list[Any]:
        app = App("shop", record=PostgresRecord(postgres_dsn), workflows=[module.create_order, charge_in_vain])
        app.provide_factory(StripeClient, partial(stripe_client, "sk_test_x", base_url=sim.url))
        async with app.worker():
            paid = await app.start(module.create_order, module.Order("1", 1999, "pm_card_visa"), id="1")
            assert (await paid.result()).startswith("pi_")
            poor = module.Order("2", 2999, "pm_card_chargeDeclinedInsufficientFunds")
            with pytest.raises(WorkflowFailed, match="insufficient funds"):
                await (await app.start(module.create_order, poor, id="2")).result()
            with pytest.raises(WorkflowFailed, match="sold out"):
                await (await app.start(charge_in_vain, module.Order("3", 3999, "pm_card_visa"), id="3")).result()

            def answers(_: str) -> Behaviour:
                return Behaviour(answer=later if len(sim.ledger().declines) < 2 else None)

            monkeypatch.setattr(books, "_known_method", answers)
            again = await app.start(module.create_order, module.Order("4", 4999, "pm_card_visa"), id="4")
            assert (await again.result()).startswith("pi_")
        ledger = sim.ledger()
        return [[(e.key, e.amount_minor) for e in part] for part in (ledger.charges, ledger.declines, ledger.refunds)]

    async def go() -> list[Any]:
        record = PostgresRecord(postgres_dsn)
        await record.open("shop")
        await record.migrate()
        async with record.transaction() as tx:
            await tx.connection.execute("CREATE TABLE orders (id TEXT, amount_minor INT, status TEXT, payment TEXT)")
        await record.close()
        async with StripeSimulator() as sim:
            return await scenario(sim)

    charges, declines, refunds = asyncio.run(go())
    assert charges == [("shop/order:1:charge", 1999), ("shop/order:3:charge", 3999), ("shop/order:4:charge#2", 4999)]
    assert declines == [("shop/order:2:charge", 2999), ("shop/order:4:charge", 4999)]
    assert refunds == [("shop/order:3:refund", 3999)]
    with psycopg.connect(postgres_dsn) as connection:
        stored = connection.execute("SELECT id, status, payment LIKE 'pi_%' FROM orders ORDER BY id").fetchall()
    assert stored == [("1", "paid", True), ("2", "new", None), ("3", "paid", True), ("4", "paid", True)]


@pytest.mark.parametrize("name", ["stripe_charge", "pending_payment"])
def test_howto_no_order_is_paid_before_the_money_is_there(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """P5: the examples as they stand, for a customer with 3-D Secure who takes a while to confirm."""
    monkeypatch.chdir(tmp_path)
    module = load(EXAMPLES / "howto" / f"{name}.py")

    def status() -> Any:
        with psycopg.connect(postgres_dsn) as connection:
            return connection.execute("SELECT status, secret IS NULL FROM orders").fetchone()

    async def go() -> None:
        record = PostgresRecord(postgres_dsn)
        await record.open("shop")
        await record.migrate()
        async with record.transaction() as tx:
            columns = "id TEXT, amount_minor INT, status TEXT, payment TEXT, secret TEXT"
            await tx.connection.execute(f"CREATE TABLE orders ({columns})".encode())
        await record.close()
        async with StripeSimulator() as sim:
            app = App("shop", record=PostgresRecord(postgres_dsn), workflows=[module.create_order])
            app.provide_factory(StripeClient, partial(stripe_client, "sk_test_x", base_url=sim.url))
            async with app.worker():
                order = module.Order("1", 1999, "pm_card_authenticationRequired")
                handle = await app.start(module.create_order, order, id="1")
                async with asyncio.timeout(30):
                    while [each.state for each in await app.operations.look("order:1:charge")] != ["pending"]:
                        await asyncio.sleep(0.05)
                awaited = ("awaiting customer", False) if name == "pending_payment" else ("new", True)
                assert (status(), sim.ledger().charges) == (awaited, [])
                [intent] = sim.api.books.intents
                sim.complete(intent)
                [seen] = await app.operations.look(reference=intent)
                assert (seen.state, status()[0]) == ("succeeded", "paid")
                assert await handle.result() == intent
                assert len(sim.ledger().charges) == 1

    asyncio.run(go())


# ── the ledger's tutorial ───────────────────────────────────────────────────


@pytest.fixture
def till(tmp_path: Path) -> Path:
    """The ledger tutorial's directory, with a customer who has 50.00."""
    shutil.copytree(EXAMPLES / "ledger", tmp_path, dirs_exist_ok=True)
    prepare(tmp_path, "shop:app")
    welcomed = sell(tmp_path, "welcome", "ada", "5000")
    assert welcomed.stdout == "5000\n", welcomed.stderr
    return tmp_path


def sell(till: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "shop.py", *words, cwd=till, **env)


def ledger(till: Path, *words: str) -> str:
    shown = run(str(RECORDFIRST), "ledger", *words, "--app", "shop:app", cwd=till)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_ledger_tutorial_holds_and_posts(till: Path) -> None:
    """P3: killed while the money is held, finished by the next run; paid once, and the ledger adds up."""
    assert sell(till, "sell", "42", "1999", "ada", PULL_THE_PLUG="1").returncode == 137
    held = json.loads(ledger(till, "balance", "customer:ada", "--json"))
    assert (held["balance"], held["debits_pending"]) == (5000, 1999)
    assert sell(till, "sell", "42", "1999", "ada").stdout == "paid\n"
    paid = json.loads(ledger(till, "balance", "customer:ada", "--json"))
    assert (paid["balance"], paid["debits_pending"]) == (3001, 0)
    assert "post_pending_transfer" in ledger(till, "transfers", "--key", "order:42:pay")
    was = json.loads(ledger(till, "history", "customer:ada", "--json"))
    assert [(row["balance"], row["debits_pending"]) for row in was] == [(3001, 0), (5000, 1999), (5000, 0)]
    assert ledger(till, "check") == "the ledger is in order\n"


def test_ledger_tutorial_releases_and_refuses(till: Path) -> None:
    """P5: what cannot be shipped is released by the undo; what cannot be paid is declined, in the row too."""
    scarce = sell(till, "sell", "rare-1", "1999", "ada").stderr.splitlines()
    assert scarce[-1].startswith("workflow 'order:rare-1' failed: OutOfStock")
    assert sell(till, "sell", "43", "9999", "ada").returncode == 1
    assert rows(till / "shop.db", "SELECT id, status FROM orders ORDER BY id") == [
        ("43", "declined: exceeds_credits"),
        ("rare-1", "new"),
    ]
    left = json.loads(ledger(till, "balance", "customer:ada", "--json"))
    assert (left["balance"], left["debits_pending"]) == (5000, 0)
    assert ledger(till, "check") == "the ledger is in order\n"


# ── references ──────────────────────────────────────────────────────────────


def test_howto_references_are_staged_and_mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P6, P8: the text before the row, the search page behind it; another text is a conflict; the record decides."""
    (tmp_path / "schema.sql").write_text("CREATE TABLE contracts (id TEXT PRIMARY KEY, customer TEXT, state TEXT)")
    shutil.copy(EXAMPLES / "howto" / "references.py", tmp_path)
    migrated = run(str(RECORDFIRST), "migrate", "--app", "references:app", "--apply", cwd=tmp_path)
    assert migrated.returncode == 0, migrated.stderr
    with contextlib.closing(sqlite3.connect(tmp_path / "contracts.db")) as connection:
        connection.executescript((tmp_path / "schema.sql").read_text())
    monkeypatch.chdir(tmp_path)
    module = load(tmp_path / "references.py")
    archive, search = module.Archive("archive.db"), module.Search("search.db")

    async def scenario() -> None:
        async with module.app.worker():
            one = module.Contract("1", "ada", "We agree.")
            await (await module.app.start(module.sign, one, id="sign:1")).result()
            assert (await search.find("1")).document == {"customer": "ada", "state": "signed"}
            await (await module.app.start(module.end, "1", id="end:1")).result()
            assert (await search.find("1")).document == {"customer": "ada", "state": "ended"}
            await archive.put(module.Entry(id="2.txt", document="Somebody else's."))
            taken = await module.app.start(module.sign, module.Contract("2", "bob", "Ours."), id="sign:2")
            with pytest.raises(WorkflowStopped, match="DifferentEntry"):
                await taken.result(if_stopped="raise")
            assert await module.text_of(module.app, archive, "1") == "We agree."
            assert await module.text_of(module.app, archive, "2") is None

    asyncio.run(scenario())
    assert rows(tmp_path / "contracts.db", "SELECT id, state FROM contracts") == [("1", "ended")]
    with contextlib.closing(sqlite3.connect(tmp_path / "search.db")) as connection, connection:
        connection.execute("DELETE FROM entries")
    compared = ("reconcile", "--app", "references:app", "--pass", "references")
    seen = run(str(RECORDFIRST), *compared, cwd=tmp_path)
    assert (seen.returncode, "RF-MIRROR-DRIFT" in seen.stdout) == (1, True), seen.stderr
    assert run(str(RECORDFIRST), *compared, "--apply", cwd=tmp_path).returncode == 0
    assert run(str(RECORDFIRST), *compared, cwd=tmp_path).returncode == 0


def test_howto_open_account_is_written_last_and_read_first(tmp_path: Path) -> None:
    """P1, P3: killed between row and account, nobody is seen; the next run opens it, once."""
    shutil.copy(EXAMPLES / "howto" / "open_account.py", tmp_path)
    assert run(str(RECORDFIRST), "migrate", "--app", "open_account:app", "--apply", cwd=tmp_path).returncode == 0
    words = (sys.executable, "open_account.py", "ada")
    killed = run(*words, cwd=tmp_path, PULL_THE_PLUG="1")
    assert (killed.returncode, rows(tmp_path / "crm.db", "SELECT id, name FROM customers")) == (137, [("ada", "Ada")])
    again = run(*words, cwd=tmp_path)
    assert again.stdout == "before: None\nafter: Owned(name='Ada', balance_minor=500)\n", again.stderr
    assert run(*words, cwd=tmp_path).stdout.startswith("before: Owned(name='Ada', balance_minor=500)\n")
    other = run(sys.executable, "-c", _IN_VAIN, cwd=tmp_path)
    assert "user_data_128 0, not " in other.stderr


_IN_VAIN = """
import asyncio, open_account as shop
from recordfirst import Account, AccountFlags, account_id

async def main():
    async with shop.app.worker():
        flags = AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS
        await shop.ledger.create_accounts([Account(id=account_id("customer:bob"), ledger=1, code=1, flags=flags)])
        handle = await shop.app.start(shop.sign_up, shop.Customer("bob", "Bob"), id="customer:bob")
        await handle.result(if_stopped="raise")

asyncio.run(main())
"""
"""Somebody has opened the account by another way."""


def test_howto_stripe_events_settle_and_note_disputes(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """P5, P11: the FastAPI example as it stands, on uvicorn: 3-D Secure is paid by its event, a dispute noted."""
    monkeypatch.chdir(tmp_path)
    module = load(EXAMPLES / "howto" / "stripe_events.py")

    async def scenario(sim: StripeSimulator) -> list[Any]:
        app = App(
            "shop",
            record=PostgresRecord(postgres_dsn),
            workflows=[module.create_order],
            event_handlers=[module.note_dispute],
        )
        app.provide_factory(StripeClient, partial(stripe_client, "sk_test_x", base_url=sim.url))
        route = Route("/stripe/events", app.events(StripeEvents(secrets=["whsec_simulator"], livemode=False)))
        async with app.worker() as worker, served(FastAPI(routes=[route])) as url:
            await worker.working.wait()
            sim.send_events_to(f"{url}/stripe/events", Sending(twice=1.0, held=0.5))
            order = module.Order("1", 1999, "pm_card_threeDSecure2Required")
            handle = await app.start(module.create_order, order, id="1")
            seen = [await rows_of(app)]
            while not sim.api.books.intents:
                await asyncio.sleep(0.02)
            [intent] = sim.api.books.intents
            seen.append(await rows_of(app))
            sim.do("complete", intent)
            await handle.result()
            seen.append(await rows_of(app))
            sim.do("dispute", intent)
            async with asyncio.timeout(20):
                while (await rows_of(app))[0][1] is None:
                    await asyncio.sleep(0.02)
            seen.append(await rows_of(app))
            assert sim.webhooks is not None
            await sim.webhooks.close()
            return [each for each in seen if each]

    async def rows_of(app: App) -> list[Any]:
        async with app.record.read() as connection:
            return await (await connection.execute("SELECT status, dispute FROM orders")).fetchall()

    async def go() -> list[Any]:
        record = PostgresRecord(postgres_dsn)
        await record.open("shop")
        await record.migrate()
        async with record.transaction() as tx:
            columns = "id TEXT, amount_minor INT, status TEXT, payment TEXT, dispute TEXT"
            await tx.connection.execute(f"CREATE TABLE orders ({columns})")
        await record.close()
        async with StripeSimulator() as sim:
            return await scenario(sim)

    new, paid, disputed = asyncio.run(go())[-3:]
    assert [new, paid, disputed] == [[("new", None)], [("paid", None)], [("paid", "needs_response")]]


def test_howto_stripe_reversals_keep_an_order_true_to_the_cent(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """P3, P11: the page's code as it stands: a refund of ours that fails, one by hand, a dispute that is lost."""
    monkeypatch.chdir(tmp_path)
    module = load(EXAMPLES / "howto" / "stripe_reversals.py")

    async def scenario(sim: StripeSimulator) -> None:
        app = App("shop", record=PostgresRecord(postgres_dsn), workflows=[module.create_order, module.give_back])
        app.provide_factory(StripeClient, partial(stripe_client, "sk_test_x", base_url=sim.url))
        route = Route("/stripe/events", app.events(StripeEvents(secrets=["whsec_simulator"], livemode=False)))

        async def becomes(status: str, paid_minor: int) -> None:
            async with asyncio.timeout(20):
                while await rows_of(app) != [(status, paid_minor)]:
                    await asyncio.sleep(0.02)

        async with app.worker() as worker, served(FastAPI(routes=[route])) as url:
            await worker.working.wait()
            sim.send_events_to(f"{url}/stripe/events", Sending(twice=1.0, held=0.5))
            order = module.Order("1", 1999, "pm_card_visa")
            payment = await (await app.start(module.create_order, order, id="1")).result()
            assert await rows_of(app) == [("paid", 1999)]
            refund = await (await app.start(module.give_back, "1", 1, payment, 400, id="1:back")).result()
            assert await rows_of(app) == [("refunded", 1599)]
            sim.do("fail_refund", refund)
            await becomes("refund failed", 1999)
            sim.do("refund", payment, amount=300)
            await becomes("refunded", 1699)
            dispute = sim.do("dispute", payment, amount=1000)
            await becomes("disputed", 699)
            sim.do("lose_dispute", dispute.id)
            await becomes("dispute_lost", 699)
            assert sim.webhooks is not None
            await sim.webhooks.close()

    async def rows_of(app: App) -> list[Any]:
        async with app.record.read() as connection:
            return await (await connection.execute("SELECT status, paid_minor FROM orders")).fetchall()

    async def go() -> None:
        record = PostgresRecord(postgres_dsn)
        await record.open("shop")
        await record.migrate()
        async with record.transaction() as tx:
            await tx.connection.execute("CREATE TABLE orders (id TEXT, paid_minor INT, status TEXT)")
        await record.close()
        async with StripeSimulator() as sim:
            await scenario(sim)

    asyncio.run(go())
