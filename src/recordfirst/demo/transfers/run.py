"""Runs the second scenario: opens and funds accounts, sells while workers are killed, and balances every account."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence

from recordfirst.client.app import App
from recordfirst.demo import orders as data
from recordfirst.demo.engine import engine_for
from recordfirst.demo.processes import Workers
from recordfirst.demo.run import Progress, fresh_table, killing_points, record_for, sell
from recordfirst.demo.transfers import books, shop
from recordfirst.demo.transfers.books import Statement, TransferBooks
from recordfirst.demo.transfers.shop import CHART, FUNDING, USD
from recordfirst.demo.warehouse import WarehouseServer
from recordfirst.errors import Misuse
from recordfirst.ledgers.contract import Account, Ledger, Transfer
from recordfirst.ledgers.open import ledger_from_url
from recordfirst.records.open import record_from_url

_TOGETHER = 200
"""Accounts in one request; a TigerBeetle server in development mode takes few more."""


async def run(
    *,
    record: str | None,
    engine: str | None,
    resonate_sql: str | None,
    ledger: str | None,
    orders: int | None,
    kills: int,
    workers: int,
    seed: int,
    progress: Progress,
    say: Callable[[str], None],
) -> TransferBooks:
    """Run the scenario; see ``recordfirst demo --help``.

    Raises:
        Misuse: if an option cannot be met.
        RecordUnavailable: if the record cannot be reached.
        LedgerUnavailable: if the ledger cannot be reached.
    """
    wanted = data.load(orders)
    said = books.statement(data.text(), len(wanted))
    run_id = uuid.uuid4().hex[:12]
    async with (
        record_for(record, say) as url,
        WarehouseServer(seed, 0.02, out_of_stock=books.out_of_stock) as warehouse,
    ):
        store = record_from_url(url)
        await store.open("shop")
        await store.migrate()
        await store.close()
        store = record_from_url(url)
        shared = await engine_for(engine, resonate_sql, url)
        app = shop.build_app(store, ledger, warehouse.url, run_id, shared)
        async with app:
            await fresh_table(app, url)
            theirs = ledger_from_url(ledger, store)
            try:
                await _open(theirs, said)
                arguments = [url, ledger or "", warehouse.url, run_id, shared or ""]
                crew = Workers(workers, "recordfirst.demo.transfers.worker", arguments, seed)
                where = "in the record" if ledger is None else theirs.where
                say(f"{len(wanted):,} orders on {store.where}, ledger {where}, {kills} kills, seed {seed}")
                began = time.monotonic()
                await crew.start()
                try:
                    await sell(app, shop.sell, wanted, crew, killing_points(kills, len(wanted), seed), progress)
                finally:
                    seconds = time.monotonic() - began
                    await crew.end()
                accounts = await _accounts(theirs, said)
            finally:
                await theirs.close()
            return books.balance(
                said=said,
                accounts=accounts,
                shop=CHART.shop,
                bank=CHART.bank,
                customers={name: CHART.customer(name) for name in said.funds},
                record=await _statuses(app),
                shipments=warehouse.shipments,
                kills=crew.kills,
                seconds=seconds,
            )


async def _open(ledger: Ledger, said: Statement) -> None:
    """Open every account, and give the customers their funds."""
    accounts = CHART.accounts(list(said.funds))
    for part in _parts(accounts):
        _all_created([made.status for made in await ledger.create_accounts(part)])
    funds = [
        Transfer(
            id=CHART.funding(name),
            debit_account_id=CHART.bank,
            credit_account_id=CHART.customer(name),
            amount=amount,
            ledger=USD,
            code=FUNDING,
        )
        for name, amount in said.funds.items()
    ]
    for some in _parts(funds):
        _all_created([made.status for made in await ledger.create_transfers(some)])


async def _accounts(ledger: Ledger, said: Statement) -> list[Account]:
    ids = [account.id for account in CHART.accounts(list(said.funds))]
    return [account for part in _parts(ids) for account in await ledger.lookup_accounts(part)]


async def _statuses(app: App) -> dict[str, str]:
    async with app.record.read() as connection:
        return dict(await (await connection.execute("SELECT id, status FROM orders")).fetchall())


def _all_created(statuses: Sequence[str]) -> None:
    refused = next((status for status in statuses if status != "created"), None)
    if refused is not None:
        raise Misuse(f"the ledger did not open or fund the demo's accounts: {refused}")


def _parts[T](items: list[T]) -> list[list[T]]:
    return [items[first : first + _TOGETHER] for first in range(0, len(items), _TOGETHER)]
