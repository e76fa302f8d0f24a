"""The demo's order under every fault, with Stripe's own client in the fast world."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import partial

import msgspec
import pytest
from stripe import StripeClient

from recordfirst.demo.orders import Order
from recordfirst.demo.shop import TABLE, Shipment, Warehouse, create_order
from recordfirst.explore import Budget, Case, Explorer, FastWorld, Schedule
from recordfirst.testing import Outside, stripe_double
from tests.explore.conftest import at


class Shipments:
    """The warehouse, here: keys are honoured, and an operator who asks gets its answer."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def request(self, order_id: str, quantity: int, key: str) -> Shipment:
        asked = {"order": order_id, "quantity": quantity}
        answer = self._outside.apply("shipment", asked, key=key, marker=key, result={"id": f"shipment of {order_id}"})
        return msgspec.convert(answer, Shipment)


def _provide(outside: Outside, **options):
    return {StripeClient: stripe_double(outside, **options), Warehouse: Shipments(outside)}


ORDER = Order(id="1", customer="c", day=datetime.date(2026, 1, 1), quantity=1, amount_minor=1999)
CASE = Case(
    workflow=create_order,
    args=(ORDER,),
    id="order:1",
    tables=TABLE,
    provide=_provide,
    invariants=("SELECT id FROM orders WHERE status <> 'paid' OR payment IS NULL OR shipment IS NULL",),
)


@pytest.mark.parametrize(("fault", "part"), [(None, 1), ("error_after", 6), ("lost_reply", 6), ("rate_limited", 6)])
def test_the_demos_order_holds_under_every_single_fault(
    world_of: Callable[..., FastWorld], fault: str | None, part: int
) -> None:
    """P1, P2, P3, P5, P7: whatever Stripe itself does meanwhile, of which one in six is tried."""
    orders = () if fault is None else (fault,)
    world = world_of(msgspec.structs.replace(CASE, provide=partial(_provide, next=orders)))
    report = Explorer(world, "create_order", shard=(0, part)).explore(Budget())
    assert [str(failure.found) for failure in report.failures] == []
    assert report.schedules >= report.singles // part > 300 // part
    assert [start.state for start in report.reference.seen.starts] == ["succeeded"]


def test_an_answer_lost_for_longer_than_stripe_honours_keys_is_looked_up(world_of: Callable[..., FastWorld]) -> None:
    """P3: forty days later the key pays again; a probe finds the payment instead."""
    world = world_of(CASE)
    fault = at(world.refer(), 1, "call charge_card", "crash-after", change="keys-expired")
    outcome = world.run(Schedule((fault,)))
    assert outcome.violations == ()
    assert "probe find_charge" in [point.name for point in outcome.points[1]]
