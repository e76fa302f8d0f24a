"""The demo's last word: the books balance to the cent, or the exit status is 1."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

import recordfirst.demo.run
from recordfirst.cli import main
from recordfirst.demo import orders
from recordfirst.demo.books import OrderRow, balance, sum_of_file

FILE = "1 1 19970101 1 19.99\n2 1 19970101 2 0.00\n3 2 19970102 1 5.05\n"


class Day:
    """What file, record, provider and warehouse say of three orders: paid, free and declined."""

    def __init__(self) -> None:
        self.wanted = {"1": 1999, "2": 0, "3": 505}
        self.record: dict[str, list[Any]] = {
            "1": ["paid", 1999, "sh_1"],
            "2": ["paid", 0, "sh_2"],
            "3": ["declined", 505, None],
        }
        self.charged = {"1": [1999]}
        self.declined = {"3": 505}
        self.shipments = {"1": 1, "2": 1}
        self.file = FILE

    def books(self):
        rows = [OrderRow(id, amount, status, shipment) for id, (status, amount, shipment) in self.record.items()]
        return balance(
            file=self.file,
            wanted=self.wanted,
            record=rows,
            charged=self.charged,
            declined=self.declined,
            shipments=self.shipments,
            kills=2,
            seconds=1.5,
        )


def set_in(name, key, value):
    def change(day):
        getattr(day, name)[key] = value

    return change


def both(*changes):
    def change(day):
        for one in changes:
            one(day)

    return change


def another_file(day):
    day.file = FILE.replace("19.99", "20.00")


TAMPERED = {
    "a cent more in the record": set_in("record", "1", ["paid", 2000, "sh_1"]),
    "a cent less at the provider": set_in("charged", "1", [1998]),
    "a cent more in the file": another_file,
    "a cent more in a declined row": set_in("record", "3", ["declined", 506, None]),
    "a cent more declined": set_in("declined", "3", 506),
    "two cents that cancel out": both(
        set_in("record", "1", ["paid", 2000, "sh_1"]), set_in("record", "3", ["declined", 504, None])
    ),
    "charged twice": set_in("charged", "1", [1999, 1999]),
    "charged in two halves": set_in("charged", "1", [1000, 999]),
    "charged for nothing": set_in("charged", "2", [0]),
    "not charged": lambda day: day.charged.clear(),
    "charged though declined": set_in("charged", "3", [505]),
    "charged, but not marked": set_in("record", "1", ["new", 1999, None]),
    "not in the record": lambda day: day.record.pop("1"),
    "a stranger in the record": set_in("record", "4", ["paid", 0, "sh_4"]),
    "a stranger at the provider": set_in("charged", "?", [1]),
    "shipped twice": set_in("shipments", "1", 2),
    "not shipped": lambda day: day.shipments.pop("2"),
    "shipped though declined": set_in("shipments", "3", 1),
    "shipment not in the record": set_in("record", "1", ["paid", 1999, None]),
}


def test_books_that_balance():
    """P3: every order once, and three sums that are one."""
    books = Day().books()
    assert (books.ok, books.orders, books.paid, books.declined) == (True, 3, 2, 1)
    assert (books.duplicates, books.missing, books.charges) == (0, 0, 1)
    assert books.sum_file == books.sum_record == books.sum_provider == 2504
    assert books.paid_record == books.paid_provider == 1999


@pytest.mark.parametrize("how", TAMPERED)
def test_one_cent_off_is_not_ok(how):
    """P3: whatever is off, by a cent or by an order, is seen."""
    day = Day()
    TAMPERED[how](day)
    assert day.books().ok is False


@pytest.mark.parametrize("how", ["charged twice", "a cent less at the provider"])
def test_exit_status_1_when_the_books_do_not_balance(monkeypatch, how):
    """P3: and the table says so, in words and as JSON."""
    day = Day()
    TAMPERED[how](day)

    async def run(*, show, **options):
        show(day.books())
        return day.books()

    monkeypatch.setattr(recordfirst.demo.run, "run", run)
    result = CliRunner().invoke(main, ["demo", "--json"])
    assert result.exit_code == 1
    assert "THE BOOKS DO NOT BALANCE." in result.stdout
    assert '"ok": false' in result.stdout.splitlines()[-1]


def test_money_is_whole_cents():
    """P3: 19.99 is 1999 and never 1998; a fraction of a cent is no price."""
    assert [orders.minor_units(text) for text in ("19.99", "0.29", "1.1", "0", "4.35")] == [1999, 29, 110, 0, 435]
    with pytest.raises(ValueError, match="not a whole number of cents"):
        orders.minor_units("19.995")


def test_the_file_is_what_was_published():
    """P3: 6,919 purchases of 2,357 customers; the orders add up to the file, added up without them."""
    loaded = orders.load()
    assert (len(loaded), len({order.customer for order in loaded}), len({order.id for order in loaded})) == (
        6_919,
        2_357,
        6_919,
    )
    assert sum(order.amount_minor for order in loaded) == sum_of_file(orders.text(), 6_919) == 24_409_194
