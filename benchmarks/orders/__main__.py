"""``python -m benchmarks.orders``: the command line, and the table."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence

import click
import msgspec

from benchmarks.orders import postgres
from benchmarks.orders.rounds import CONTENDERS, TAKEN_APART, Plan, Row, run

_NEEDS = {"dbos": "dbos", "dbos-datasource": "dbos"}
"""Packages of the dependency group ``bench``, which ``make bench`` installs."""
_ALL = [name for name in CONTENDERS if name not in TAKEN_APART]
_SHOWN = ("resonate-sdk", "resonate-pg", "dbos", "psycopg")


@click.command(context_settings={"show_default": True})
@click.option("--orders", type=click.IntRange(1), default=600, help="Orders per measurement.")
@click.option("--rounds", type=click.IntRange(1), default=3, help="Measurements of each kind; the median counts.")
@click.option("--in-flight", default="1,8,64", help="How many orders at a time: numbers, separated by commas.")
@click.option("--only", default=",".join(_ALL), help="Which contenders, separated by commas.")
@click.option("--dsn", help="URL of a Postgres to use. It must let us create databases. Default: start one.")
@click.option(
    "--resonate-sql",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="resonate.sql of github.com/resonatehq/resonate-pg, which is on no registry; without it, no resonate-pg.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line, not the table.")
def main(
    *, orders: int, rounds: int, in_flight: str, only: str, dsn: str | None, resonate_sql: str | None, as_json: bool
) -> None:
    """Run the same orders on each contender, side by side, and say what they cost."""
    plan = Plan(_contenders(only, resonate_sql), _numbers(in_flight), orders, rounds, resonate_sql)
    with postgres.server(dsn) as url, _payments() as payments_url:
        rows = run(plan, url, payments_url, lambda line: click.echo(line, err=True))
        note = _machine(postgres.version(url))
    if as_json:
        click.echo(msgspec.json.encode({"machine": note, "orders": orders, "rounds": rounds, "rows": rows}).decode())
        return
    click.echo(table(rows))
    click.echo(f"{note}\n{orders} orders per measurement, median of {rounds} rounds; latencies of all rounds.")


def _contenders(only: str, resonate_sql: str | None) -> list[str]:
    chosen = []
    for name in only.split(","):
        if name not in CONTENDERS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(CONTENDERS)}", param_hint="--only")
        needed = _NEEDS.get(name)
        if needed is not None and importlib.util.find_spec(needed) is None:
            click.echo(f"SKIPPED {name}: {needed} is not installed; run it by make bench", err=True)
        elif "-pg" in name and resonate_sql is None:
            click.echo(f"SKIPPED {name}: give --resonate-sql PATH", err=True)
        else:
            chosen.append(name)
    if not chosen:
        raise click.UsageError("nothing is left to measure")
    return chosen


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise click.BadParameter(f"{text!r}: write 1,8,64", param_hint="--in-flight")
    return numbers


@contextlib.contextmanager
def _payments() -> Iterator[str]:
    """The payment service; it ends when we let go of its standard input."""
    command = [sys.executable, "-m", "benchmarks.orders.payments"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def table(rows: Sequence[Row]) -> str:
    """The rows as plain text, one block per number in flight."""
    head = f"{'':<23}{'orders/s':>9}{'(range)':>16}{'ratio':>7}{'commits':>9}{'fsyncs':>8}"
    head += f"{'p50 ms':>8}{'p99 ms':>8}{'CPU ms':>8}"
    lines = []
    for in_flight in dict.fromkeys(row.in_flight for row in rows):
        lines += [f"{in_flight} in flight", head]
        for row in (row for row in rows if row.in_flight == in_flight):
            spread = f"{row.slowest:,.0f} to {row.fastest:,.0f}"
            ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
            lines.append(
                f"{row.contender:<23}{row.orders_per_second:>9,.0f}{spread:>16}{ratio:>7}{row.commits:>9.1f}"
                f"{row.fsyncs:>8.2f}{row.p50_ms:>8.1f}{row.p99_ms:>8.1f}{row.cpu_ms:>8.2f}"
            )
        lines.append("")
    lines.append("commits, fsyncs and client CPU are per order; ratio is to recordfirst's orders/s.")
    return "\n".join(lines)


def _machine(server: str) -> str:
    versions = []
    for name in _SHOWN:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{cores} cores, {memory_gib:.0f} GiB, {platform.system()}, Python {platform.python_version()}, {server}, "
        f"{', '.join(versions)}; client, database and payment service share the cores."
    )


if __name__ == "__main__":
    main()
