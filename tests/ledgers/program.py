"""Workflows that move money, the ledgers they move it in, and the processes that die at points on the way."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec

from recordfirst import (
    Account,
    AccountFlags,
    App,
    Context,
    Declined,
    Ledger,
    LedgerUnavailable,
    SqlLedger,
    Transfer,
    TransferFlags,
    Write,
    account_id,
    open_account,
    post,
    reserve,
    transfer,
    void,
    workflow,
    write,
)
from recordfirst.ledgers.tigerbeetle import TigerBeetle
from recordfirst.records.open import record_from_url
from tests.effects.harness import TABLE, Plug, Watched, die, mark, sql

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "recordfirst.records.postgres", "recordfirst.records.sqlite"])


class Purchase(msgspec.Struct, frozen=True):
    """``id`` also tells one test's accounts from another's, on a ledger that keeps everything."""

    id: str
    amount_minor: int = 1999

    def account(self, name: str) -> int:
        return account_id(f"{self.id}:{name}")


@write
async def insert_purchase(w: Write, purchase: Purchase) -> None:
    await w.tx.execute(
        sql(w.tx, "INSERT INTO orders (id, amount, state) VALUES (?, ?, 'new')"), (purchase.id, purchase.amount_minor)
    )


@write
async def announce_purchase(w: Write, purchase: Purchase) -> None:
    await w.tx.execute(sql(w.tx, "INSERT INTO orders (id, amount, state) VALUES (?, ?, 'new')"), (purchase.id, 1))
    w.intend(pay_announced, purchase)


def _paying(purchase: Purchase, amount: int, flags: int = 0) -> Transfer:
    return Transfer(
        debit_account_id=purchase.account("customer"),
        credit_account_id=purchase.account("shop"),
        amount=amount,
        ledger=1,
        code=1,
        flags=TransferFlags(flags),
    )


@transfer(key="purchase:{purchase.id}:pay", after=insert_purchase)
def pay(purchase: Purchase) -> Transfer:
    return _paying(purchase, purchase.amount_minor)


@transfer(key="purchase:{purchase.id}:pay-announced", after=announce_purchase)
def pay_announced(purchase: Purchase) -> Transfer:
    return _paying(purchase, purchase.amount_minor)


@transfer(key="purchase:{purchase.id}:split", after=insert_purchase)
def pay_in_parts(purchase: Purchase) -> list[Transfer]:
    tax = _paying(purchase, 100)
    return [
        _paying(purchase, purchase.amount_minor - 100),
        msgspec.structs.replace(tax, credit_account_id=purchase.account("tax")),
    ]


@transfer(key="purchase:{purchase.id}:empty", after=insert_purchase)
def pay_all(purchase: Purchase) -> Transfer:
    return _paying(purchase, purchase.amount_minor, TransferFlags.BALANCING_DEBIT)


@transfer(key="purchase:{purchase.id}:release", after=insert_purchase)
def release(purchase: Purchase, held: Transfer) -> Transfer:
    return void(held)


@transfer(key="purchase:{purchase.id}:hold", after=insert_purchase, undo=release)
def hold(purchase: Purchase, timeout: int = 0) -> Transfer:
    return reserve(
        debit_account_id=purchase.account("customer"),
        credit_account_id=purchase.account("shop"),
        amount=purchase.amount_minor,
        ledger=1,
        code=1,
        timeout=timeout,
    )


@transfer(key="purchase:{purchase.id}:settle", after=insert_purchase)
def settle(purchase: Purchase, held: Transfer, amount: int | None = None) -> Transfer:
    return post(held, amount)


@transfer(key="purchase:{purchase.id}:fee", after=None)
def charge_fee(purchase: Purchase, amount: int) -> Transfer:
    return _paying(purchase, amount)


@open_account(key="purchase:{purchase.id}:account", after=insert_purchase)
def open_voucher(purchase: Purchase, code: int = 3) -> Account:
    return Account(id=purchase.account("voucher"), ledger=1, code=code)


@pay.on_success
async def mark_paid(w: Write, purchase: Purchase, made: Transfer) -> None:
    assert made.amount == purchase.amount_minor
    await mark(w, purchase.id, "paid")


@pay.on_decline
async def mark_declined(w: Write, purchase: Purchase, declined: Declined) -> None:
    await mark(w, purchase.id, f"declined: {declined.code}")


class OutOfStockError(Exception):
    """The workflow's own failure."""


@workflow
async def paying(ctx: Context, purchase: Purchase) -> int:
    await insert_purchase(ctx, purchase)
    return (await pay(ctx, purchase)).amount


@workflow
async def announced(ctx: Context, purchase: Purchase) -> int:
    await announce_purchase(ctx, purchase)
    return (await pay_announced(ctx, purchase)).amount


@workflow
async def in_parts(ctx: Context, purchase: Purchase) -> list[int]:
    await insert_purchase(ctx, purchase)
    return [made.amount for made in await pay_in_parts(ctx, purchase)]


@workflow
async def balancing(ctx: Context, purchase: Purchase) -> int:
    await insert_purchase(ctx, purchase)
    return (await pay_all(ctx, purchase)).amount


@workflow
async def two_phase(ctx: Context, purchase: Purchase, amount: int | None = None) -> int:
    await insert_purchase(ctx, purchase)
    held = await hold(ctx, purchase)
    return (await settle(ctx, purchase, held, amount)).amount


@workflow(fails=OutOfStockError)
async def in_vain(ctx: Context, purchase: Purchase) -> None:
    await insert_purchase(ctx, purchase)
    await hold(ctx, purchase)
    raise OutOfStockError("out of stock")


@workflow
async def again(ctx: Context, purchase: Purchase) -> int:
    await insert_purchase(ctx, purchase)
    try:
        return (await pay(ctx, purchase)).amount
    except Declined:
        return (await pay.attempt(2)(ctx, purchase)).amount


@workflow
async def opening(ctx: Context, purchase: Purchase, code: int = 3) -> int:
    await insert_purchase(ctx, purchase)
    return (await open_voucher(ctx, purchase, code)).code


@workflow
async def with_fee(ctx: Context, purchase: Purchase, amount: int) -> str:
    try:
        return str((await charge_fee(ctx, purchase, amount)).id)
    except Declined as declined:
        return str(declined.code)


WORKFLOWS = (paying, announced, in_parts, balancing, two_phase, in_vain, again, opening, with_fee)


class WatchedLedger:
    """A ledger that passes points: ``sending`` before a request, ``sent`` once it is durable there."""

    def __init__(self, ledger: Any, plug: Plug) -> None:
        self._ledger, self._plug = ledger, plug
        self.sent: list[list[Transfer]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def create_transfers(self, transfers: Sequence[Transfer]) -> Any:
        self.sent.append(list(transfers))
        self._plug("sending")
        results = await self._ledger.create_transfers(transfers)
        self._plug("sent")
        return results

    async def create_accounts(self, accounts: Sequence[Account]) -> Any:
        results = await self._ledger.create_accounts(accounts)
        self._plug("opened")
        return results


class Till:
    """Makes apps whose money is in a ledger: the record's own, or TigerBeetle's."""

    def __init__(
        self, url: str, addresses: str, purchase: Purchase, *, deadline_s: float = 20.0, elsewhere: str = ""
    ) -> None:
        """``elsewhere``: the record with the ledger, if that is another than the app's."""
        self.deadline_s, self.elsewhere = deadline_s, elsewhere
        self.url, self.addresses, self.purchase = url, addresses, purchase
        self.events: list[Any] = []
        self.ledger: Any = None

    @contextlib.asynccontextmanager
    async def app(self, *, plug: Plug | None = None, **options: Any) -> AsyncIterator[App]:
        plug = plug or Plug()
        record = Watched(record_from_url(self.url), plug)
        options = {"observer": self.events.append, "random": lambda: 0.0} | options
        app = App("shop", record=record, workflows=WORKFLOWS, **options)  # type: ignore[arg-type]
        async with contextlib.AsyncExitStack() as stack:
            cluster = TigerBeetle(self.addresses, deadline_s=self.deadline_s) if self.addresses else None
            books = record
            if self.elsewhere:
                books = record_from_url(self.elsewhere)  # type: ignore[assignment]
                await books.open("shop")
                stack.push_async_callback(books.close)
            ledger = SqlLedger(books) if cluster is None else await stack.enter_async_context(cluster)  # type: ignore[arg-type]
            self.ledger = WatchedLedger(ledger, plug)
            app.provide(self.ledger, as_=Ledger)
            yield await stack.enter_async_context(app)

    @contextlib.asynccontextmanager
    async def working(self, **options: Any) -> AsyncIterator[App]:
        async with self.app(**options) as app, app.worker():
            yield app

    async def prepare(self, *, funds: int = 5000) -> None:
        """Tables, and accounts: a customer with these funds, who cannot overdraw."""
        for url in filter(None, (self.url, self.elsewhere)):
            record = record_from_url(url)
            await record.open("shop")
            await record.migrate()
            async with record.transaction() as tx:
                await tx.connection.execute(TABLE)
            await record.close()
        async with self.app():
            bank, customer, shop, tax = (self.purchase.account(name) for name in ("bank", "customer", "shop", "tax"))
            limited = AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS | AccountFlags.HISTORY
            accounts = [
                Account(id=bank, ledger=1, code=1),
                Account(id=customer, ledger=1, code=1, flags=limited),
                Account(id=shop, ledger=1, code=1),
                Account(id=tax, ledger=1, code=1),
            ]
            assert {made.status for made in await self.ledger.create_accounts(accounts)} == {"created"}
            await self.fund(1, funds)

    async def fund(self, number: int, amount: int) -> None:
        """Give the customer money."""
        bank, customer = self.purchase.account("bank"), self.purchase.account("customer")
        funds = Transfer(
            id=account_id(f"{self.purchase.id} funds {number}"),
            debit_account_id=bank,
            credit_account_id=customer,
            amount=amount,
            ledger=1,
            code=1,
        )
        assert [made.status for made in await self.ledger.create_transfers([funds])] == ["created"]

    async def balances(self) -> Mapping[str, tuple[int, int]]:
        """By name: what is held, and what is left (credits less debits)."""
        names = ("customer", "shop", "tax")
        found = await self.ledger.lookup_accounts([self.purchase.account(name) for name in names])
        return {
            name: (account.debits_pending + account.credits_pending, account.credits_posted - account.debits_posted)
            for name, account in zip(names, found, strict=True)
        }


def lost() -> None:
    """The request was carried out, and nobody hears of it."""
    raise LedgerUnavailable("here", "the answer was lost")


async def work(till: Till, name: str, at: dict[str, Callable[[], object]]) -> None:
    """Start the workflow of this name, and work on whatever is open until it has ended."""
    wanted = next(workflow for workflow in WORKFLOWS if workflow.name == name)
    async with till.working(plug=Plug(at)) as app:
        await (await app.start(wanted, till.purchase, id=f"purchase:{till.purchase.id}")).result()


def run_until(url: str, addresses: str, purchase: Purchase, deadline_s: float, name: str, point: str) -> None:
    """What a process does that is to die at a point."""
    asyncio.run(work(Till(url, addresses, purchase, deadline_s=deadline_s), name, {point: die}))


async def dies_at(till: Till, name: str, point: str) -> None:
    """Let a process work until it kills itself at this point."""
    given = (till.url, till.addresses, till.purchase, till.deadline_s, name, point)
    dying = PROCESSES.Process(target=run_until, args=given)
    dying.start()
    await asyncio.to_thread(dying.join)
    assert dying.exitcode == -signal.SIGKILL, f"it never came to {point!r}"
    dying.close()
