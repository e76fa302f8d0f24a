"""An order that is charged, and a mail that says so. It has a bug."""

from typing import Any

import msgspec

from recordfirst import Call, Context, Provider, Write, effect, inject, workflow, write
from recordfirst.testing import Outside


# [outside]
class Bank:
    """The bank's client, and here its double: it honours idempotency keys for a day."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def charge(self, key: str, amount_minor: int) -> str:
        charge: str = self._outside.apply("charge", {"amount": amount_minor}, key=key)
        return charge


class Mail:
    """So is this: a mail that comes with a known key is not sent again."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def send(self, to: str, text: str, key: str | None = None) -> None:
        self._outside.apply("mail", {"to": to, "text": text}, key=key)


# [/outside]


# [order]
class Order(msgspec.Struct, frozen=True):
    id: str
    email: str
    amount_minor: int


@write
async def insert_order(w: Write[Any], order: Order) -> None:
    await w.tx.execute("INSERT INTO orders VALUES (?, ?, 'new')", (order.id, order.amount_minor))


DAY_S = 24 * 3600


@effect(key="order:{order.id}:charge", provider=Provider(name="bank", retention_s=DAY_S), after=insert_order)
async def charge_card(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return await bank.charge(call.key, order.amount_minor)


# [/order]


# [paid]
@charge_card.on_success
async def mark_paid(w: Write[Any], order: Order, charge: str, *, mail: Mail = inject()) -> None:
    await w.tx.execute("UPDATE orders SET status = 'paid' WHERE id = ?", (order.id,))
    await mail.send(order.email, f"Thank you. Your payment: {charge}")


@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await charge_card(ctx, order)


# [/paid]
