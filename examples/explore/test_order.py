"""Dies at every point of an order."""

from typing import Any

import orders
from orders import Bank, Mail, Order

from recordfirst.testing import Outside

TABLES = "CREATE TABLE orders (id TEXT PRIMARY KEY, amount_minor INTEGER NOT NULL, status TEXT NOT NULL)"
ORDER = Order("42", "ada@example.com", 1999)


def doubles(outside: Outside) -> dict[type, object]:
    return {Bank: Bank(outside), Mail: Mail(outside)}


def test_order(explore: Any) -> None:
    explore(
        orders.create_order,
        ORDER,
        id="order:42",
        tables=TABLES,
        provide=doubles,
        invariants=["SELECT id FROM orders WHERE status <> 'paid'"],
    )
