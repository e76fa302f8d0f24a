"""The same order; the mail is an effect of its own."""

from typing import Any

from orders import DAY_S, Bank, Mail, Order, insert_order

from recordfirst import Call, Context, Provider, Write, effect, inject, workflow


@effect(key="order:{order.id}:charge", provider=Provider(name="bank", retention_s=DAY_S), after=insert_order)
async def charge_card(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return await bank.charge(call.key, order.amount_minor)


# [fixed]
@charge_card.on_success
async def mark_paid(w: Write[Any], order: Order) -> None:
    await w.tx.execute("UPDATE orders SET status = 'paid' WHERE id = ?", (order.id,))


@effect(key="order:{order.id}:thanks", provider=Provider(name="mail", retention_s=DAY_S), after=insert_order)
async def thank(call: Call, order: Order, charge: str, *, mail: Mail = inject()) -> None:
    await mail.send(order.email, f"Thank you. Your payment: {charge}", key=call.key)


@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    charge = await charge_card(ctx, order)
    await thank(ctx, order, charge)
    return charge


# [/fixed]
