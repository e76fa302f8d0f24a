"""The purchases of the CDNOW sample as orders. Amounts are parsed from text into whole cents, never as floats."""

from __future__ import annotations

import datetime as dt
import importlib.resources
from decimal import Decimal

import msgspec


class Order(msgspec.Struct, frozen=True):
    """One purchase."""

    id: str
    customer: str
    day: dt.date
    quantity: int
    amount_minor: int
    """US cents."""


def minor_units(text: str) -> int:
    """Convert dollars in decimal text to cents (19.99 is 1999); refuse fractions of a cent."""
    cents = Decimal(text) * 100
    if cents != cents.to_integral_value():
        raise ValueError(f"{text!r} dollars are not a whole number of cents")
    return int(cents)


def text() -> str:
    """The file, as it was published."""
    return (importlib.resources.files("recordfirst.demo") / "data" / "cdnow_sample.txt").read_text()


def load(most: int | None = None) -> list[Order]:
    """The first ``most`` purchases of the file, or all, as orders that are numbered by line."""
    orders = []
    for number, line in enumerate(text().splitlines()[:most], start=1):
        _, customer, day, quantity, dollars = line.split()
        orders.append(
            Order(
                id=f"cdnow-{number:05d}",
                customer=customer,
                day=dt.date(int(day[:4]), int(day[4:6]), int(day[6:])),
                quantity=int(quantity),
                amount_minor=minor_units(dollars),
            )
        )
    return orders
