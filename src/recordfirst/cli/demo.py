"""``recordfirst demo``: real purchases as orders that are never charged twice, while workers are killed."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recordfirst.cli.common import fail, print_json, runs, table
from recordfirst.cli.screen import say

if TYPE_CHECKING:
    from recordfirst.demo.run import Progress

_NEEDS = {"stripe": "stripe", "aiosqlite": "sqlite"}
_ALL = 6919


@click.command()
@click.option(
    "--story",
    default="charges",
    show_default=True,
    type=click.Choice(["charges", "transfers"]),
    help="Cards that are charged, or money that is held and posted in a ledger.",
)
@click.option(
    "--ledger", metavar="URL", help="For transfers: tigerbeetle://ADDRESSES/CLUSTER. Default: the ledger in the record."
)
@click.option(
    "--record",
    metavar="URL",
    help="postgresql://... or sqlite:///path; 'postgres' starts one. Default: an SQLite file.",
)
@click.option(
    "--engine",
    metavar="URL",
    help="http://... or postgresql://..., or 'resonate-pg' in the record's own database. Default: the embedded one.",
)
@click.option(
    "--resonate-sql",
    metavar="PATH",
    type=click.Path(exists=True, dir_okay=False),
    help="For --engine resonate-pg: a resonate.sql to apply to the record's database first.",
)
@click.option(
    "--orders", default=_ALL, show_default=True, type=click.IntRange(1, _ALL), help="How many purchases of the file."
)
@click.option(
    "--kills", default=20, show_default=True, type=click.IntRange(0), help="How often a working process is killed."
)
@click.option(
    "--workers",
    default=2,
    show_default=True,
    type=click.IntRange(1, 16),
    help="Worker processes. With the embedded engine one works at a time.",
)
@click.option("--seed", default=1, show_default=True, type=int, help="The seed for faults and kills.")
@click.option(
    "--stay",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="For charges: afterwards keep the shop open, for the other commands, as shop:app in this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the table as one JSON object on the last line.")
@runs
async def demo(
    story: str,
    ledger: str | None,
    record: str | None,
    engine: str | None,
    resonate_sql: str | None,
    orders: int,
    kills: int,
    workers: int,
    seed: int,
    stay: Path | None,
    as_json: bool,
) -> None:
    """Run 6,919 real purchases through a durable workflow, kill its workers with SIGKILL, and balance the books.

    A Stripe simulator in another process loses replies, answers 500, declines cards and limits rates.
    At the end the file, the record and the provider must agree to the cent; otherwise the exit status is 1.

    The second story, transfers, has no provider: customers' accounts are in a ledger, each order's amount is held, the
    order is fulfilled, and the amount is posted, or released. Every account must hold what the file says.

    \b
    Examples:
      recordfirst demo
      recordfirst demo --story transfers --record postgres
      recordfirst demo --orders 500 --kills 5
      recordfirst demo --orders 300 --kills 3 --stay shop
      recordfirst demo --record postgres --kills 50 --workers 3 --seed 7 --json
      recordfirst demo --record postgres --engine http://127.0.0.1:8001 --workers 3
      recordfirst demo --record postgres --engine resonate-pg --resonate-sql resonate.sql --workers 3
    """
    for module, extra in _NEEDS.items():
        if importlib.util.find_spec(module) is None:
            fail(f"the demo needs {module} ({extra}); run: pip install 'recordfirst[demo]'")
    if ledger is not None and story != "transfers":
        raise click.UsageError("--ledger is for --story transfers")
    if stay is not None and story != "charges":
        raise click.UsageError("--stay is for --story charges")
    with _progress(orders, kills) as progress:
        given: dict[str, Any] = {
            "record": record,
            "engine": engine,
            "resonate_sql": resonate_sql,
            "orders": orders,
            "kills": kills,
            "workers": workers,
            "seed": seed,
            "progress": progress,
            "say": lambda text: say(text, err=True),
        }
        show = partial(_show, as_json=as_json)
        ok = await (_transfers(ledger, given, show) if story == "transfers" else _charges(given, stay, show))
    if not ok:
        sys.exit(1)


type _Lines = list[tuple[str, Any]]


def _show(books: Any, lines: _Lines, *, as_json: bool) -> None:
    table(lines)
    say("The books balance." if books.ok else "THE BOOKS DO NOT BALANCE.")
    if as_json:
        print_json(books)


async def _charges(given: dict[str, Any], stay: Path | None, show: Callable[[Any, _Lines], None]) -> bool:
    from recordfirst.demo.books import lines  # noqa: PLC0415 - the demo's own needs are extras
    from recordfirst.demo.run import run  # noqa: PLC0415

    return (await run(**given, stay=stay, show=lambda books: show(books, lines(books)))).ok


async def _transfers(ledger: str | None, given: dict[str, Any], show: Callable[[Any, _Lines], None]) -> bool:
    from recordfirst.demo.transfers.books import lines  # noqa: PLC0415 - the demo's own needs are extras
    from recordfirst.demo.transfers.run import run  # noqa: PLC0415

    books = await run(ledger=ledger, **given)
    show(books, lines(books))
    return books.ok


@contextlib.contextmanager
def _progress(orders: int, kills: int) -> Iterator[Progress]:
    """A live bar where rich and a terminal are at hand, a line now and then elsewhere."""
    if sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        from rich.console import Console  # noqa: PLC0415 - an extra
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
        from rich.progress import Progress as Bars  # noqa: PLC0415

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Bars(*columns, console=Console(stderr=True)) as bars:
            taken_bar = bars.add_task("orders taken", total=orders)
            done_bar = bars.add_task("orders ended", total=orders)
            kill_bar = bars.add_task("workers killed", total=kills)

            def show(*, taken: int, done: int, kills: int) -> None:
                bars.update(taken_bar, completed=taken)
                bars.update(done_bar, completed=done)
                bars.update(kill_bar, completed=kills)

            yield show
        return
    shown = -1

    def now_and_then(*, taken: int, done: int, kills: int) -> None:
        nonlocal shown
        tenth = done * 10 // orders
        if tenth != shown:
            shown = tenth
            say(f"{done:,} of {orders:,} orders ended, {taken:,} taken, {kills} workers killed", err=True)

    yield now_and_then
