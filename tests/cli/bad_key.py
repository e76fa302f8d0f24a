"""A module whose import fails: a key that names a field that is not there."""

from __future__ import annotations

from recordfirst import write
from tests.cli.shop import Order


@write(key="order:{order.nmae}")
async def insert_order(w, order: Order) -> None:
    """Never made."""
