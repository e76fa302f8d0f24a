"""What a provider answers otherwise to the same request is nobody's fault; whatever else differs still is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from stripe import StripeClient

from recordfirst import Call, Context, Pending, Write, effect, inject, workflow, write
from recordfirst.explore import Budget, Case, Explorer, FastWorld
from recordfirst.explore.judge.checks import another_end, rows_without_receipts
from recordfirst.explore.runs.observed import Observed, SeenReceipt, SeenStart
from recordfirst.providers.stripe import METADATA_KEY, Payment, Stripe, payment_of
from recordfirst.testing import stripe_double
from recordfirst.testing.outside import Asked

EARLY, LATE = 1_767_225_600, 1_767_225_690


def _seen(*answers: dict[str, Any], rows: tuple[tuple[Any, ...], ...], result: Any = None) -> Observed:
    """A charge for each answer; the first one's receipt, and a table."""
    applied = tuple(
        Asked(kind="charge", request={"amount": 1999, "n": n}, marker=f"shop/order:{n}:charge", at_ms=0, result=answer)
        for n, answer in enumerate(answers)
    )
    text = msgspec.json.encode(result if result is not None else answers[0]).decode()
    receipt = SeenReceipt("order:0:charge", 1, "effect", "succeeded", text, None, None)
    start = SeenStart("order:0", "succeeded", text, None)
    return Observed(receipts=(receipt,), starts=(start,), tables={"orders": rows}, applied=applied)


@pytest.mark.parametrize(
    "stored",
    [
        lambda at, ref: (ref, at),
        lambda at, ref: (ref, at * 1000),
        lambda at, ref: (f"paid by {ref}", str(at)),
        lambda at, ref: (ref, "2026-01-01 00:00:00+00" if at == EARLY else "2026-01-01 00:01:30+00"),
        lambda at, ref: (ref, "2026-01-01T00:00:00Z" if at == EARLY else "2026-01-01T00:01:30Z"),
    ],
)
def test_times_and_references_of_a_provider_may_differ(stored: Callable[[int, str], tuple[Any, ...]]) -> None:
    """P10: the explorer reports only what is so, wherever the record has put them."""
    wanted = _seen({"id": "pi_000001", "created_s": EARLY}, rows=(stored(EARLY, "pi_000001"),))
    has = _seen({"id": "pi_000002", "created_s": LATE}, rows=(stored(LATE, "pi_000002"),))
    assert another_end(wanted, has) == []
    assert rows_without_receipts(has, {has.done: wanted.tables}, wanted) == []


def test_times_that_are_one_in_a_run_and_two_in_the_other_may_differ() -> None:
    """P10: two payments in one second, or in two."""
    one = _seen({"at": EARLY}, {"at": EARLY}, rows=(("0", EARLY), ("1", EARLY)))
    two = _seen({"at": EARLY}, {"at": LATE}, rows=(("0", EARLY), ("1", LATE)))
    assert another_end(one, two) == another_end(two, one) == []


def test_an_order_with_the_reference_of_another_ones_payment_is_seen() -> None:
    """P9: also where the references themselves are others than without faults."""
    wanted = _seen({"id": "pi_000001"}, {"id": "pi_000002"}, rows=(("0", "pi_000001"), ("1", "pi_000002")))
    right = _seen({"id": "pi_000004"}, {"id": "pi_000003"}, rows=(("0", "pi_000004"), ("1", "pi_000003")))
    wrong = _seen({"id": "pi_000004"}, {"id": "pi_000003"}, rows=(("0", "pi_000003"), ("1", "pi_000004")))
    assert another_end(wanted, right) == []
    assert [found.what.split(" ends ")[0] for found in another_end(wanted, wrong)] == ["table orders"]


def test_a_value_that_no_provider_gave_is_seen() -> None:
    """P9: a time of the workflow's own, or an answer that was changed on its way into the record."""
    answer = {"id": "pi_000001", "created_s": EARLY}
    wanted = _seen(answer, rows=(("0", EARLY),))
    assert another_end(wanted, _seen(answer, rows=(("0", LATE),)))
    assert another_end(wanted, _seen(answer, rows=(("0", EARLY),), result={**answer, "id": "pi_000009"}))


def test_an_answer_to_another_request_is_compared_as_it_is() -> None:
    """P9: the workflow has asked for something else, and that is its own doing."""
    wanted = _seen({"id": "pi_000001"}, rows=(("0", "pi_000001"),))
    has = _seen({"id": "pi_000002"}, rows=(("0", "pi_000002"),))
    asked = msgspec.structs.replace(has.applied[0], request={"amount": 999, "n": 0})
    assert another_end(wanted, msgspec.structs.replace(has, applied=(asked,)))


@write
async def insert_order(w: Write[Any], id: str) -> None:
    await w.tx.execute("INSERT INTO orders (id) VALUES (?)", (id,))


@effect(key="order:{id}:charge", provider=Stripe, after=insert_order)
async def charge(call: Call, id: str, *, stripe: StripeClient = inject()) -> Payment | Pending:
    params: Any = {"amount": 1999, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    params["metadata"] = {METADATA_KEY: call.marker}
    return payment_of(await stripe.v1.payment_intents.create_async(params, {"idempotency_key": call.key}))


@charge.on_success
async def mark_paid(w: Write[Any], id: str, payment: Payment) -> None:
    await w.tx.execute("UPDATE orders SET payment = ?, paid_s = ? WHERE id = ?", (payment.id, payment.created_s, id))


@workflow
async def buy(ctx: Context, id: str) -> int:
    await insert_order(ctx, id)
    return (await charge(ctx, id)).created_s


def test_the_time_of_a_payment_may_stand_in_rows_and_in_the_workflows_result(
    world_of: Callable[..., FastWorld],
) -> None:
    """P10: nothing is reported of a workflow that is safe, whatever it keeps of an answer."""
    tables = "CREATE TABLE orders (id text PRIMARY KEY, payment text, paid_s integer)"
    provide = lambda outside: {StripeClient: stripe_double(outside)}  # noqa: E731
    world = world_of(Case(workflow=buy, args=("1",), tables=tables, provide=provide))
    report = Explorer(world, "buy").explore(Budget())
    assert [str(failure.found) for failure in report.failures] == []
    assert report.schedules > 100
