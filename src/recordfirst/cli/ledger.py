"""``recordfirst ledger``: an app's accounts and transfers, and whether they are in order."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import click

from recordfirst.cli.common import app_option, fail, json_option, load_app, print_json, runs, table
from recordfirst.client.app import App
from recordfirst.core import identity
from recordfirst.ledgers.contract import (
    Account,
    AccountFilter,
    AccountFlags,
    Ledger,
    QueryFilter,
    Transfer,
    TransferFlags,
)

_LIMIT = click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, 8189), help="How many, newest first."
)


@click.group()
def ledger() -> None:
    """Look at the ledger that an app provides: accounts, transfers, balances, and whether all of it is in order.

    Amounts are in minor units.

    \b
    Examples:
      recordfirst ledger accounts --app shop.app:app
      recordfirst ledger transfers --app shop.app:app --key order:42:pay
      recordfirst ledger balance --app shop.app:app customer:42
      recordfirst ledger history --app shop.app:app customer:42
      recordfirst ledger check --app shop.app:app
    """


@ledger.command()
@app_option
@_LIMIT
@json_option
@runs
async def accounts(app_path: str, limit: int, as_json: bool) -> None:
    """List accounts with their balances.

    \b
    Example:
      recordfirst ledger accounts --app shop.app:app --limit 100
    """
    app = load_app(app_path)
    async with app.looking():
        found = await (await _of(app)).query_accounts(QueryFilter(limit=limit, reversed=True))
    if as_json:
        print_json([_account(account) for account in found])
        return
    head = ("ID", "LEDGER", "CODE", "BALANCE", "DEBITS", "CREDITS", "PENDING", "FLAGS")
    rows = [
        (a.id, a.ledger, a.code, _left(a), a.debits_posted, a.credits_posted, _held(a), _flags(a.flags)) for a in found
    ]
    table([head, *rows] if rows else [("no accounts", "")])


@ledger.command()
@app_option
@click.option("--account", metavar="ID_OR_NAME", help="Only those of one account.")
@click.option("--key", help="Only those that one step has made: by its business key, every attempt.")
@_LIMIT
@json_option
@runs
async def transfers(app_path: str, account: str | None, key: str | None, limit: int, as_json: bool) -> None:
    """List transfers, all or those of one account or key.

    \b
    Examples:
      recordfirst ledger transfers --app shop.app:app --account customer:42
      recordfirst ledger transfers --app shop.app:app --key order:42:pay
    """
    if account is not None and key is not None:
        raise click.UsageError("give --account or --key, not both")
    app = load_app(app_path)
    async with app.looking():
        books = await _of(app)
        if key is not None:
            found = await _by_key(app, books, key, limit)
        elif account is not None:
            wanted = AccountFilter(account_id=_id(account), limit=limit, reversed=True)
            found = await books.get_account_transfers(wanted)
            if not found and not await books.lookup_accounts([_id(account)]):
                fail(_no_account(books, account))
        else:
            found = await books.query_transfers(QueryFilter(limit=limit, reversed=True))
    if as_json:
        print_json([_transfer(transfer) for transfer in found])
        return
    head = ("ID", "WHEN", "DEBIT", "CREDIT", "AMOUNT", "FLAGS")
    rows = [
        (t.id, _when(t.timestamp), t.debit_account_id, t.credit_account_id, t.amount, _flags(t.flags)) for t in found
    ]
    table([head, *rows] if rows else [("no transfers", "")])


@ledger.command()
@app_option
@click.argument("account", metavar="ID_OR_NAME")
@json_option
@runs
async def balance(app_path: str, account: str, as_json: bool) -> None:
    """Show one account: by its id, or by the name that account_id() made the id of.

    \b
    Example:
      recordfirst ledger balance --app shop.app:app customer:42
    """
    app = load_app(app_path)
    async with app.looking():
        books = await _of(app)
        found = await books.lookup_accounts([_id(account)])
    if not found:
        fail(_no_account(books, account))
    if as_json:
        print_json(_account(found[0]))
        return
    table([(name.replace("_", " "), value) for name, value in _account(found[0]).items()])


@ledger.command()
@app_option
@click.argument("account", metavar="ID_OR_NAME")
@_LIMIT
@json_option
@runs
async def history(app_path: str, account: str, limit: int, as_json: bool) -> None:
    """List what an account's balances were after its newest transfers, if it was opened with the flag history.

    \b
    Example:
      recordfirst ledger history --app shop.app:app customer:42
    """
    app = load_app(app_path)
    async with app.looking():
        books = await _of(app)
        found = await books.get_account_balances(AccountFilter(account_id=_id(account), limit=limit, reversed=True))
        opened = await books.lookup_accounts([_id(account)])
    if not opened:
        fail(_no_account(books, account))
    if not opened[0].flags & AccountFlags.HISTORY:
        fail(f"account {account!r} keeps no history: it was opened without AccountFlags.HISTORY")
    sides = ("debits_posted", "credits_posted", "debits_pending", "credits_pending")
    rows = [
        {
            "after": _when(kept.timestamp),
            "balance": kept.credits_posted - kept.debits_posted,
            **{side: getattr(kept, side) for side in sides},
        }
        for kept in found
    ]
    if as_json:
        print_json(rows)
        return
    head = ("AFTER", "BALANCE", "DEBITS", "CREDITS", "DEBITS HELD", "CREDITS HELD")
    table([head, *(tuple(row.values()) for row in rows)] if rows else [("no transfers yet", "")])


@ledger.command(name="check")
@app_option
@json_option
@runs
async def check_(app_path: str, as_json: bool) -> None:
    """Add all of it up: debits against credits, balances, limits, timeouts, and the record's receipts.

    Prints what is not in order, and changes nothing; the exit status is 1 if there is something. It reads the whole
    ledger. What is made meanwhile can show as a finding: look twice, or when no worker works.

    \b
    Example:
      recordfirst ledger check --app shop.app:app
    """
    app = load_app(app_path)
    async with app.looking():
        findings = await app.look.check_ledger()
    if as_json:
        print_json(findings)
    else:
        table([(finding.kind, finding.what) for finding in findings] or [("the ledger is in order",)])
    if findings:
        sys.exit(1)


async def _of(app: App) -> Ledger:
    books: Ledger = await app.provided(Ledger)
    return books


def _no_account(books: Ledger, account: str) -> str:
    return f"the ledger at {books.where} has no account {account!r} (id {_id(account)})"


async def _by_key(app: App, books: Ledger, key: str, limit: int) -> list[Transfer]:
    attempts = [receipt.attempt for receipt in await app.look.attempts(key)]
    found: list[Transfer] = []
    for attempt in reversed(attempts or [1]):
        mark = identity.ledger_mark(app.name, key, attempt)
        found += await books.query_transfers(QueryFilter(user_data_128=mark, limit=limit, reversed=True))
    if not found and not attempts:
        fail(f"app {app.name!r} has no key {key!r}, and its ledger no transfer with that key's mark")
    return found[:limit]


def _id(text: str) -> int:
    return int(text) if text.isdigit() else identity.account_id(text)


def _account(account: Account) -> dict[str, Any]:
    """As an operator wants it; ids as text, since few programs read 128 bits."""
    return {
        "id": str(account.id),
        "ledger": account.ledger,
        "code": account.code,
        "balance": _left(account),
        "debits_posted": account.debits_posted,
        "credits_posted": account.credits_posted,
        "debits_pending": account.debits_pending,
        "credits_pending": account.credits_pending,
        "flags": _flags(account.flags),
        "opened": _when(account.timestamp),
    }


def _transfer(transfer: Transfer) -> dict[str, Any]:
    return {
        "id": str(transfer.id),
        "made": _when(transfer.timestamp),
        "debit_account_id": str(transfer.debit_account_id),
        "credit_account_id": str(transfer.credit_account_id),
        "amount": transfer.amount,
        "pending_id": str(transfer.pending_id) if transfer.pending_id else None,
        "ledger": transfer.ledger,
        "code": transfer.code,
        "timeout_s": transfer.timeout or None,
        "flags": _flags(transfer.flags),
    }


def _left(account: Account) -> int:
    return account.credits_posted - account.debits_posted


def _held(account: Account) -> int:
    return account.debits_pending + account.credits_pending


def _flags(flags: AccountFlags | TransferFlags) -> str:
    return ", ".join(flag.name.lower() for flag in type(flags) if flag & flags and flag.name is not None)


def _when(timestamp: int) -> str:
    return dt.datetime.fromtimestamp(timestamp / 1e9, dt.UTC).isoformat(timespec="milliseconds")
