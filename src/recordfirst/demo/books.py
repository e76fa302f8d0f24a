"""The end of the demo: compares the file, the record and the provider, to the cent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from recordfirst.demo.orders import minor_units


class OrderRow(msgspec.Struct, frozen=True):
    """An order, as it is in the record at the end."""

    id: str
    amount_minor: int
    status: str
    shipment: str | None


class OrderBooks(msgspec.Struct, frozen=True, kw_only=True):
    """The table that the demo ends with. Sums are US cents."""

    orders: int
    paid: int
    declined: int
    charges: int
    """Charges at the provider. Orders of 0.00 are paid without one."""
    duplicates: int
    """Orders that were charged, or shipped, more than once."""
    missing: int
    """Orders of the file on which the record, the provider and the warehouse do not agree."""
    sum_file: int
    """The sum of the file's orders."""
    sum_record: int
    """The amounts that are paid or declined in the record."""
    sum_provider: int
    """The amounts that the provider charged or declined."""
    paid_record: int
    paid_provider: int
    kills: int
    seconds: float
    orders_per_second: float
    ok: bool


def sum_of_file(text: str, orders: int) -> int:
    """Add up the dollars in the file itself, not in the orders that were parsed from it."""
    return sum(minor_units(line.split()[-1]) for line in text.splitlines()[:orders])


def balance(
    *,
    file: str,
    wanted: Mapping[str, int],
    record: Iterable[OrderRow],
    charged: Mapping[str, list[int]],
    declined: Mapping[str, int],
    shipments: Mapping[str, int],
    kills: int,
    seconds: float,
) -> OrderBooks:
    """Compare the three. Amounts by order id: ``wanted`` by the file, ``charged`` and ``declined`` by the provider."""
    rows = {row.id: row for row in record}
    duplicates = {id for id, amounts in charged.items() if len(amounts) > 1} | {
        id for id, n in shipments.items() if n > 1
    }
    missing = {id for id, amount in wanted.items() if not _agrees(rows.get(id), amount, charged, declined, shipments)}
    strangers = (set(rows) | set(charged) | set(shipments)) - set(wanted)
    paid = [row for row in rows.values() if row.status == "paid"]
    refused = [row for row in rows.values() if row.status == "declined"]
    charges = [amount for amounts in charged.values() for amount in amounts]
    sum_file = sum_of_file(file, len(wanted))
    sum_record = sum(row.amount_minor for row in paid) + sum(row.amount_minor for row in refused)
    sum_provider = sum(charges) + sum(declined.values())
    paid_record, paid_provider = sum(row.amount_minor for row in paid), sum(charges)
    return OrderBooks(
        orders=len(wanted),
        paid=len(paid),
        declined=len(refused),
        charges=len(charges),
        duplicates=len(duplicates),
        missing=len(missing | strangers),
        sum_file=sum_file,
        sum_record=sum_record,
        sum_provider=sum_provider,
        paid_record=paid_record,
        paid_provider=paid_provider,
        kills=kills,
        seconds=round(seconds, 3),
        orders_per_second=round(len(wanted) / seconds, 1),
        ok=not duplicates
        and not missing
        and not strangers
        and sum_file == sum_record == sum_provider
        and paid_record == paid_provider,
    )


def _agrees(
    row: OrderRow | None,
    amount: int,
    charged: Mapping[str, list[int]],
    declined: Mapping[str, int],
    shipments: Mapping[str, int],
) -> bool:
    """Whether record, provider and warehouse agree on one order."""
    if row is None or row.amount_minor != amount:
        return False
    amounts = charged.get(row.id, [])
    if row.status == "declined":
        return not amounts and declined.get(row.id) == amount and row.id not in shipments and row.shipment is None
    expected = [amount] if amount else []
    return row.status == "paid" and amounts == expected and shipments.get(row.id) == 1 and row.shipment is not None


def lines(books: OrderBooks) -> list[tuple[str, Any]]:
    """The table's rows, for an operator."""
    return [
        ("orders", f"{books.orders:,}"),
        ("paid", f"{books.paid:,}"),
        ("declined", f"{books.declined:,}"),
        ("charges at the provider (none of 0.00)", f"{books.charges:,}"),
        ("duplicates", books.duplicates),
        ("missing", books.missing),
        ("sum of the file", dollars(books.sum_file)),
        ("sum of the record (paid + declined)", dollars(books.sum_record)),
        ("sum at the provider (charged + declined)", dollars(books.sum_provider)),
        ("paid, by the record", dollars(books.paid_record)),
        ("charged, by the provider", dollars(books.paid_provider)),
        ("kills survived", books.kills),
        ("seconds", f"{books.seconds:.1f}"),
        ("orders per second", f"{books.orders_per_second:.1f}"),
    ]


def dollars(cents: int) -> str:
    """Cents as dollars."""
    return f"${cents // 100:,}.{cents % 100:02d}"
