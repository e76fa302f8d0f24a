"""The end of the second scenario: compares every account with the file, to the cent.

This reads the file again, line by line, with none of the shop's code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from recordfirst.demo.books import dollars
from recordfirst.demo.orders import minor_units
from recordfirst.ledgers.contract import Account

POOR, SCARCE = 25, 50
"""Every 25th customer has no funds; every 50th order is out of stock."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome that the file requires. Sums are US cents."""

    orders: int
    funds: Mapping[str, int]
    """What each customer is given: the cost of all their orders, or nothing."""
    spent: Mapping[str, int]
    """What each customer's paid orders cost."""
    status: Mapping[str, str]
    """The status that each order must end with."""
    sum_file: int


def out_of_stock(order: str) -> bool:
    """Whether the warehouse cannot send this order."""
    return int(order.rpartition("-")[2]) % SCARCE == 0


def statement(text: str, orders: int) -> Statement:
    """Compute the outcome that the first ``orders`` lines of the file require."""
    funds: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    status: dict[str, str] = {}
    total = 0
    for number, line in enumerate(text.splitlines()[:orders], start=1):
        _, customer, _, _, price = line.split()
        amount, poor = minor_units(price), int(customer) % POOR == 0
        total += amount
        funds[customer] += 0 if poor else amount
        spent[customer] += 0
        if poor and amount:
            what = "declined"
        elif number % SCARCE == 0:
            what = "out of stock"
        else:
            what = "paid"
            spent[customer] += amount
        status[f"cdnow-{number:05d}"] = what
    return Statement(orders=len(status), funds=funds, spent=spent, status=status, sum_file=total)


class TransferBooks(msgspec.Struct, frozen=True, kw_only=True):
    """The table that the scenario ends with. Sums are US cents."""

    orders: int
    paid: int
    declined: int
    out_of_stock: int
    accounts: int
    wrong_accounts: int
    """Accounts whose balance is not that of the file."""
    wrong_orders: int
    """Orders whose status is not that of the file, or that were shipped wrongly."""
    debits: int
    credits: int
    pending: int
    """The amount that is still held."""
    sum_file: int
    sum_paid_file: int
    sum_shop: int
    """The balance of the shop's account."""
    kills: int
    seconds: float
    orders_per_second: float
    ok: bool


def balance(
    *,
    said: Statement,
    accounts: Iterable[Account],
    shop: int,
    bank: int,
    customers: Mapping[str, int],
    record: Mapping[str, str],
    shipments: Mapping[str, int],
    kills: int,
    seconds: float,
) -> TransferBooks:
    """Compare the ledger's accounts with the file, one by one. ``customers``: their accounts; ``record``: statuses."""
    found = {account.id: account for account in accounts}
    expected = {customers[name]: said.funds[name] - said.spent[name] for name in said.funds}
    expected |= {shop: sum(said.spent.values()), bank: -sum(said.funds.values())}
    wrong = [id for id, amount in expected.items() if id not in found or _left(found[id]) != amount]
    sent = {order: int(status == "paid") for order, status in said.status.items()}
    misled = [
        order
        for order, status in said.status.items()
        if (record.get(order), shipments.get(order, 0)) != (status, sent[order])
    ]
    debits, credits = (
        sum(getattr(account, side) for account in found.values()) for side in ("debits_posted", "credits_posted")
    )
    pending = sum(account.debits_pending + account.credits_pending for account in found.values())
    counts = Counter(record.values())
    sum_paid, sum_shop = sum(said.spent.values()), _left(found[shop]) if shop in found else 0
    return TransferBooks(
        orders=said.orders,
        paid=counts["paid"],
        declined=counts["declined"],
        out_of_stock=counts["out of stock"],
        accounts=len(found),
        wrong_accounts=len(wrong),
        wrong_orders=len(misled),
        debits=debits,
        credits=credits,
        pending=pending,
        sum_file=said.sum_file,
        sum_paid_file=sum_paid,
        sum_shop=sum_shop,
        kills=kills,
        seconds=round(seconds, 3),
        orders_per_second=round(said.orders / seconds, 1),
        ok=not wrong
        and not misled
        and len(record) == said.orders
        and set(found) == set(expected)
        and debits == credits
        and pending == 0
        and sum_shop == sum_paid,
    )


def _left(account: Account) -> int:
    return account.credits_posted - account.debits_posted


def lines(books: TransferBooks) -> list[tuple[str, Any]]:
    """The table's rows, for an operator."""
    return [
        ("orders", f"{books.orders:,}"),
        ("paid", f"{books.paid:,}"),
        ("declined (no funds)", f"{books.declined:,}"),
        ("released (out of stock)", f"{books.out_of_stock:,}"),
        ("accounts", f"{books.accounts:,}"),
        ("accounts that differ from the file", books.wrong_accounts),
        ("orders that differ from the file", books.wrong_orders),
        ("debits", dollars(books.debits)),
        ("credits", dollars(books.credits)),
        ("still held", dollars(books.pending)),
        ("sum of the file", dollars(books.sum_file)),
        ("of it paid, by the file", dollars(books.sum_paid_file)),
        ("the shop's account", dollars(books.sum_shop)),
        ("kills survived", books.kills),
        ("seconds", f"{books.seconds:.1f}"),
        ("orders per second", f"{books.orders_per_second:.1f}"),
    ]
