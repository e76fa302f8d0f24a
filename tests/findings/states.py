"""How each finding comes about, and what an operator does by hand while following the how-to."""

from __future__ import annotations

import copy
import time
from typing import Any

import msgspec
import psycopg
from resonate.timing import now_ms

from recordfirst import account_id, reserve
from recordfirst.ledgers.contract import Transfer
from recordfirst.reconcile import resealing
from tests.findings.desk import Desk
from tests.restores.copies import DatabaseCopies


def nothing(desk: Desk) -> None:
    """No hand is needed."""


# ── restores ────────────────────────────────────────────────────────────────


def record_set_back(desk: Desk) -> None:
    """Order 42 was taken, charged and paid after the copy."""
    desk.sell("41")
    copies = desk.copies("record.db") if desk.sqlite else DatabaseCopies(desk.url)
    copies.take()
    desk.sell("42")
    copies.put_back()
    desk.begin_work()
    desk.until(lambda: bool(desk.found()))


def record_set_back_and_accepted(desk: Desk) -> None:
    record_set_back(desk)
    desk.done("reconcile", "--apply", "--accept-restore", "--why", "the disk failed")


def rows_deleted(desk: Desk) -> None:
    """By hand, with all that the record knew of order 42."""
    desk.sell("42")
    for table, column in (("receipt", "workflow"), ("start", "id")):
        desk.execute(f"DELETE FROM {desk.table(table)} WHERE {column} = 'order:42'")


def asked_again(desk: Desk) -> None:
    """Whoever asked for order 42 asks again: it is found, not done."""
    assert desk.state() is None
    desk.start("42")
    desk.finish()


def engine_set_back(desk: Desk) -> None:
    server = desk.outside.engine
    assert server is not None
    desk.sell("41")
    kept = copy.deepcopy(server.state)
    desk.start("42", "wait")
    desk.work(lambda: _asleep(desk))
    server.state = kept
    desk.touch("morning")


# ── provider events ─────────────────────────────────────────────────────────


def _event_left(desk: Desk, state: str, markers: str) -> None:
    """As a worker has left it, long ago."""
    columns = "app, hash, provider, id, type, names, body, state, tries, error, received_at_ms"
    names = f'{{"keys": [], "markers": [{markers}], "references": []}}'
    error = '{"reason": "no"}'
    values = f"'shop', 'h1', 'stripe', 'evt_1', 'charge.updated', '{names}', '{{}}', '{state}', 8, '{error}', 1"
    desk.execute(f"INSERT INTO {desk.table('event')} ({columns}) VALUES ({values})")


def handler_stopped(desk: Desk) -> None:
    _event_left(desk, "stopped", "")


def event_without_receipt(desk: Desk) -> None:
    _event_left(desk, "waiting", '"shop/order:77:charge"')


def events_missed(desk: Desk) -> None:
    """The endpoint is there, and Stripe was never told of it; an hour ago, by what events say."""
    desk.touch("webhooks")
    desk.sell("42")
    for event in desk.outside.stripe.events:
        event.created -= 3600


def reversal_stopped(desk: Desk) -> None:
    refunded_by_hand(desk)
    columns = "app, hash, key, attempt, number, kind, id, amount_minor, currency, happened_at_ms, seen_at_ms"
    columns += ", found_by, tries, error"
    what = f"'refunded', '{refund_of_42(desk)['re_1']}', 1999, 'usd', 1, 1, 'evt_1', 8"
    values = f"'shop', 'h1', 'order:42:charge', 1, 1, {what}, '{{\"reason\": \"no\"}}'"
    desk.execute(f"INSERT INTO {desk.table('reversal')} ({columns}) VALUES ({values})")


def refund_of_42(desk: Desk) -> dict[str, str]:
    [refund] = desk.outside.stripe.api.books.refunds.all
    return {"re_1": refund.id}


# ── the record ──────────────────────────────────────────────────────────────


def index_dropped(desk: Desk) -> None:
    desk.execute("DROP INDEX recordfirst_start_by_state" if desk.sqlite else "DROP INDEX recordfirst.start_by_state")


def row_spoiled(desk: Desk) -> None:
    desk.sell("42")
    desk.execute("UPDATE orders SET status = 'lost'")


def row_put_right(desk: Desk) -> None:
    desk.execute("UPDATE orders SET status = 'paid'")


def table_renamed(desk: Desk) -> None:
    desk.sell("42")
    desk.execute("ALTER TABLE orders RENAME TO purchases")


def table_named_back(desk: Desk) -> None:
    desk.execute("ALTER TABLE purchases RENAME TO orders")


# ── epochs ───────────────────────────────────────────────────────────────────


def _asleep(desk: Desk) -> bool:
    state = desk.outside.engine.state  # type: ignore[union-attr]
    return any(task.state == "suspended" for task in list(state.tasks.values()))


def epoch_collected(desk: Desk) -> None:
    """The engine forgets it while it sleeps."""
    desk.start("42", "wait")
    desk.work(lambda: _asleep(desk))
    state = desk.outside.engine.state  # type: ignore[union-attr]
    for id in [id for id in state.promises if not id.startswith("recordfirst~mark~")]:
        del state.promises[id]
    for kept in (state.tasks, state.p_timeouts, state.t_timeouts):
        kept.clear()
    desk.touch("morning")


def epoch_settled(desk: Desk) -> None:
    """Somebody settles the workflow's promise by hand."""
    desk.start("42", "wait")
    desk.work(lambda: _asleep(desk))
    state = desk.outside.engine.state  # type: ignore[union-attr]
    [root] = [id for id in state.promises if id.endswith("42")]
    settled: dict[str, Any] = {"kind": "promise.settle", "corrId": "1", "id": root, "state": "resolved", "value": {}}
    assert state.apply(now_ms(), settled)["status"] == 200
    desk.touch("morning")


def nobody_works(desk: Desk) -> None:
    desk.start("42")
    desk.older("start", "created_at")


def deployed_without(desk: Desk) -> None:
    desk.start("42", "wait")
    desk.touch("new version")


def stopped_by_a_typo(desk: Desk) -> None:
    """After the charge."""
    desk.touch("typo")
    desk.start("42")
    stopped = f"SELECT 1 FROM {desk.table('start')} WHERE state = 'open' AND stop IS NOT NULL"
    desk.work(lambda: bool(desk.execute(stopped)))


def no_more_typo(desk: Desk) -> None:
    desk.fix("typo")


def cancelled(desk: Desk) -> None:
    assert desk.state() == "cancelled"


# ── effects ─────────────────────────────────────────────────────────────────


def _grown_old(desk: Desk) -> None:
    desk.older("receipt", "created_at", "claim_until", "last_call_at")


def died_in_the_call(desk: Desk) -> None:
    desk.dies("plug after the charge")
    _grown_old(desk)


def cancelled_in_doubt(desk: Desk) -> None:
    desk.dies("plug after the charge")
    desk.done("cancel", "order:42", "--no-undo")
    _grown_old(desk)


def cancelled_and_paid(desk: Desk) -> None:
    assert desk.state() == "cancelled"
    assert desk.execute("SELECT status FROM orders") == [("paid",)]


def answer_not_stored(desk: Desk) -> None:
    desk.touch("bug")
    desk.start("42")
    stopped = f"SELECT 1 FROM {desk.table('start')} WHERE stop IS NOT NULL"
    desk.work(lambda: bool(desk.execute(stopped)))
    assert desk.state() == "open"
    _grown_old(desk)


def no_more_bug(desk: Desk) -> None:
    desk.fix("bug")


def key_revoked(desk: Desk) -> None:
    """Stripe answers 401, before and while its order waits."""
    desk.touch("revoked")
    desk.start("42")
    refused = f"SELECT 1 FROM {desk.table('receipt')} WHERE error LIKE '%refused credential%'"
    desk.work(lambda: bool(desk.execute(refused)))


def key_replaced(desk: Desk) -> None:
    desk.fix("revoked")


def parked(desk: Desk) -> None:
    """The call arrived, its reply was lost, and the bank can neither be asked nor honours a key."""
    desk.touch("keyless")
    desk.outside.stripe.next("error_after")
    desk.start("42")
    unknown = f"SELECT 1 FROM {desk.table('receipt')} WHERE parked_on IS NOT NULL"
    desk.work(lambda: bool(desk.execute(unknown)))


def row_kept(desk: Desk) -> None:
    """Somebody has begun to write order 42 by hand, and has gone for lunch."""
    desk.touch("impatient")
    other = psycopg.connect(desk.url)
    desk.stack.callback(other.close)
    other.execute("INSERT INTO orders VALUES ('42', 1999, 'new')")
    desk.kept = other
    desk.start("42")
    desk.begin_work()
    desk.until(lambda: bool(desk.found()))


def row_let_go(desk: Desk) -> None:
    assert desk.kept is not None
    desk.kept.rollback()
    desk.until(lambda: not desk.found())


def offered(desk: Desk) -> None:
    """The bank has taken it on, its offer has ended long ago, and it cannot be asked."""
    desk.touch("keyless")
    desk.touch("offered")
    desk.start("42")
    pending = f"SELECT 1 FROM {desk.table('receipt')} WHERE parked_on IS NOT NULL"
    desk.work(lambda: bool(desk.execute(pending)))


def charged_after_all(desk: Desk) -> None:
    """While its call was on its way, the charge was given up, and said to be declined."""
    desk.touch("answered for")
    desk.start("42")
    receipt, at = desk.table("receipt"), "settled_at_ms = created_at_ms"
    declined = f"""state = 'declined', doubts = 0, revision = revision + 1, error = '{{"reason": "given up"}}', {at}"""

    def over() -> bool:
        if desk.outside.charges() and (desk.home / "answered for").exists():
            desk.execute(f"UPDATE {receipt} SET {declined} WHERE key = 'order:42:charge'")
            desk.fix("answered for")
        return desk.state() == "failed"

    desk.work(over)


def given_up(desk: Desk) -> None:
    assert desk.state() == "failed"
    assert desk.execute("SELECT status FROM orders") == [("new",)]


def seen_at_the_bank(desk: Desk) -> dict[str, str]:
    [intent] = desk.outside.stripe.api.books.intents.values()
    return {"pi_1": intent.id}


def resolved_wrongly(desk: Desk, result: str) -> None:
    desk.touch("keyless")
    desk.outside.stripe.next("error_after" if "500" in result else "error_before")
    desk.start("42")
    unknown = f"SELECT 1 FROM {desk.table('receipt')} WHERE parked_on IS NOT NULL"
    desk.work(lambda: bool(desk.execute(unknown)))
    desk.done("resolve", "order:42:charge", "--succeeded", result)
    desk.finish()


def never_arrived(desk: Desk) -> None:
    resolved_wrongly(desk, '{"id": "pi_1", "amount_minor": 1999}')


def another_amount(desk: Desk) -> None:
    resolved_wrongly(desk, '{"id": "pi_1", "amount_minor": 500}')


def refunded_by_hand(desk: Desk) -> None:
    desk.sell("42")
    [intent] = desk.outside.stripe.api.books.intents
    given: dict[str, Any] = {"charge": None, "payment_intent": intent, "amount": None, "metadata": {}, "reason": None}
    desk.outside.stripe.api.books.refunds.create(given, key="by hand", now_ms=desk.outside.stripe.clock.now_ms())


def listing_fails(desk: Desk) -> None:
    desk.sell("42")
    for _ in range(2):  # until somebody has seen it, and kept it
        desk.outside.stripe.next("error_before", on="GET /v1/payment_intents")


# ── references ──────────────────────────────────────────────────────────────


def died_before_the_mirror(desk: Desk) -> None:
    desk.dies("plug before the mirror")
    desk.older("projection", "asked_at")


def mirror_changed(desk: Desk) -> None:
    desk.sell("42")
    desk.mirror.set("42", {"status": "mine"}, 1)


def archive_lost(desk: Desk) -> None:
    desk.sell("42")
    desk.archive.empty()


def archive_changed(desk: Desk) -> None:
    desk.sell("42")
    desk.archive.set("paper-42", {"order": "42", "amount": 7})


def paper_removed(desk: Desk) -> None:
    desk.archive.empty()


# ── ledgers ─────────────────────────────────────────────────────────────────

_ACCOUNT = "UPDATE recordfirst_ledger_account SET"
_CUSTOMER = f"id = '{account_id('customer:42')}'"
_SHOP = f"id = '{account_id('shop')}'"


def one_side_changed(desk: Desk) -> None:
    desk.sell("42")
    desk.books(f"{_ACCOUNT} credits_posted = credits_posted + 1 WHERE {_SHOP}")


def one_side_put_back(desk: Desk) -> None:
    desk.books(f"{_ACCOUNT} credits_posted = credits_posted - 1 WHERE {_SHOP}")


def both_sides_changed(desk: Desk) -> None:
    one_side_changed(desk)
    desk.books(f"{_ACCOUNT} debits_posted = debits_posted + 1 WHERE {_CUSTOMER}")


def both_sides_put_back(desk: Desk) -> None:
    one_side_put_back(desk)
    desk.books(f"{_ACCOUNT} debits_posted = debits_posted - 1 WHERE {_CUSTOMER}")


def flag_set(desk: Desk) -> None:
    """An account that has a debit may have none any more."""
    desk.sell("42")
    desk.books(f"{_ACCOUNT} flags = 2 WHERE {_CUSTOMER}")


def brought_back(desk: Desk) -> None:
    made(desk, Transfer(
        id=7, debit_account_id=account_id("shop"), credit_account_id=account_id("customer:42"), amount=1999, ledger=1,
        code=2,
    ))  # fmt: skip


def made(desk: Desk, transfer: Transfer) -> None:
    async def making(shop: Any) -> None:
        from recordfirst import Ledger  # noqa: PLC0415

        async with shop.app:
            [done] = await (await shop.app.provided(Ledger)).create_transfers([transfer])
            assert done.status == "created"

    desk.inside(making)


def held_for_ever(desk: Desk) -> None:
    """Money is held for a second, and somebody changes that behind the ledger's back."""
    desk.sell("42")
    made(desk, msgspec.structs.replace(reserve(
        debit_account_id=account_id("customer:42"), credit_account_id=account_id("shop"), amount=5, ledger=1, code=1,
        timeout=1,
    ), id=8))  # fmt: skip
    desk.books("UPDATE recordfirst_ledger_pending SET expires_at = NULL")
    time.sleep(1.01)  # the timeout itself


def timeout_put_back(desk: Desk) -> None:
    desk.books("UPDATE recordfirst_ledger_pending SET expires_at = 1 WHERE status = 'pending'")


def ledger_set_back(desk: Desk) -> None:
    desk.sell("41")
    older = desk.copies("books.db")
    older.take()
    desk.sell("42")
    newest = desk.home / "newest.db"
    newest.write_bytes((desk.home / "books.db").read_bytes())
    older.put_back()


def newest_put_back(desk: Desk) -> None:
    for file in desk.home.glob("books.db*"):
        file.unlink()
    (desk.home / "newest.db").rename(desk.home / "books.db")


def newest_lost(desk: Desk) -> None:
    """Nobody has a newer copy; a worker is at work."""
    ledger_set_back(desk)
    desk.begin_work()


def at_work(desk: Desk) -> None:
    desk.fix("keyless")
    desk.begin_work()


def sold_instead(desk: Desk) -> None:
    assert (desk.state("42"), desk.state("42b")) == ("succeeded", "succeeded")


def payment_taken_back(desk: Desk) -> None:
    """Refunded, and its marker removed."""
    for intent in desk.outside.stripe.api.books.intents.values():
        if intent.metadata.get("recordfirst_key") == "shop/order:42:charge":
            intent.metadata.clear()


def transfer_of_42(desk: Desk) -> dict[str, str]:
    [orphan] = [each for each in desk.json("findings") if each["code"] == "RF-TRANSFER-ORPHAN"]
    return {"transfer 7": orphan["subject"]}


def payment_not_wanted_either(desk: Desk) -> None:
    assert desk.state() is None
    payment_taken_back(desk)


def transfer_not_wanted_either(desk: Desk) -> None:
    assert desk.state() is None
    assert desk.run("reconcile", "--pass", "ledger", "--apply").returncode == 1
    desk.done("dismiss", "RF-TRANSFER-ORPHAN", transfer_of_42(desk)["transfer 7"], "--why", "taken back")


def cancelled_with_its_answer(desk: Desk) -> None:
    answer_not_stored(desk)
    desk.done("cancel", "order:42", "--no-undo")


def mirror_given_up(desk: Desk) -> None:
    died_before_the_mirror(desk)
    desk.done("cancel", "order:42", "--no-undo")
    desk.touch("no orders")


# ── the encryptor ───────────────────────────────────────────────────────────


def encrypted_from_now_on(desk: Desk) -> None:
    """Order 42 was sold before the app had an encryptor."""
    desk.sell("42")
    keys(desk, "2026")


def key_given_up(desk: Desk) -> None:
    """The key of 2025 went when the key of fingerprints alone was under the next one."""
    keys(desk, "2025")
    desk.sell("42")
    keys(desk, "2026 2025")

    async def begun(shop: Any) -> None:
        async with shop.app:
            await resealing._reseal_keys(shop.app.runtime)

    desk.inside(begun)
    keys(desk, "2026")


def key_is_back(desk: Desk) -> None:
    keys(desk, "2026 2025")


def keys(desk: Desk, names: str) -> None:
    (desk.home / "keys").write_text(names)
