"""Rounds: every contender in turn, again and again, so that a machine that slows down slows all of them."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence

import msgspec

from benchmarks.orders import postgres
from benchmarks.orders.cell import Taken, Task
from benchmarks.orders.work import Setting

CONTENDERS = {
    "recordfirst": "recordfirst:open",
    "recordfirst-unlocked": "recordfirst:unlocked",
    "recordfirst-pg": "recordfirst:in_postgres",
    "recordfirst-pg-2": "recordfirst:in_postgres_two",
    "recordfirst-pg-dispatcher": "recordfirst:in_postgres_relayed",
    "recordfirst-pg-dispatcher-2": "recordfirst:in_postgres_relayed_two",
    "resonate-memory": "resonate:in_memory",
    "resonate-pg": "resonate:in_postgres",
    "dbos": "dbos:steps",
    "dbos-datasource": "dbos:datasource",
    "plain": "plain:open",
}
"""Where each is, in the order of a round."""
TAKEN_APART = {"recordfirst-unlocked"}
"""They tell the price of a part of recordfirst, and are measured where they are named."""

_IDLE_S = 2.0
"""How long a contender is watched doing nothing, once, to know what its background costs per second."""
_databases = itertools.count(1)


class Plan(msgspec.Struct, frozen=True):
    """What to measure."""

    contenders: Sequence[str]
    in_flight: Sequence[int]
    orders: int
    rounds: int
    resonate_sql: str | None = None


class Row(msgspec.Struct, frozen=True):
    """One contender at one number in flight."""

    contender: str
    in_flight: int
    orders_per_second: float
    """The median of the rounds."""
    slowest: float
    fastest: float
    ratio: float | None
    """To recordfirst."""
    commits: float
    """Per order, without what the contender does when idle."""
    fsyncs: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    """Of the client process, per order."""


class _Noise(msgspec.Struct, frozen=True):
    """What a contender's sessions cost without any order: for opening and closing, and per second."""

    fixed: postgres.Counts
    commits_s: float
    fsyncs_s: float


class _Cell(msgspec.Struct, frozen=True):
    taken: Taken
    commits: float
    fsyncs: float


def run(plan: Plan, url: str, payments_url: str, say: Callable[[str], None]) -> list[Row]:
    """Measure, and return the rows."""
    noise = {}
    for name in plan.contenders:
        say(f"{name}: watching it idle")
        noise[name] = _noise(plan, url, payments_url, name)
    cells: dict[tuple[int, str], list[_Cell]] = {}
    for in_flight, turn, name in itertools.product(plan.in_flight, range(plan.rounds), plan.contenders):
        cell = _cell(plan, url, payments_url, name, in_flight, noise[name])
        cells.setdefault((in_flight, name), []).append(cell)
        say(f"{in_flight} in flight, round {turn + 1}: {name} {plan.orders / cell.taken.seconds:,.0f} orders/s")
    return [_row(plan, cells, in_flight, name) for in_flight, name in cells]


def _cell(plan: Plan, url: str, payments_url: str, name: str, in_flight: int, noise: _Noise) -> _Cell:
    warm_up = min(max(2 * in_flight, 20), plan.orders)
    taken, counted = measured(plan, url, payments_url, name, in_flight, orders=plan.orders, warm_up=warm_up)
    orders = plan.orders + warm_up
    commits = counted.commits - noise.fixed.commits - noise.commits_s * taken.up_s
    fsyncs = counted.fsyncs - noise.fixed.fsyncs - noise.fsyncs_s * taken.up_s
    return _Cell(taken, commits / orders, fsyncs / orders)


def _noise(plan: Plan, url: str, payments_url: str, name: str) -> _Noise:
    _, short = measured(plan, url, payments_url, name, 1, orders=0, warm_up=0)
    taken, long = measured(plan, url, payments_url, name, 1, orders=0, warm_up=0, idle_s=_IDLE_S)
    commits_s, fsyncs_s = (max(0.0, (b - a) / taken.up_s) for a, b in zip(short, long, strict=True))
    return _Noise(short, commits_s, fsyncs_s)


def measured(
    plan: Plan, url: str, payments_url: str, name: str, in_flight: int, *, orders: int, warm_up: int, idle_s: float = 0
) -> tuple[Taken, postgres.Counts]:
    """One process's orders in a database of its own, with what the server counted meanwhile."""
    fresh = f"bench_{next(_databases)}"
    with postgres.database(url, fresh) as dsn:
        # The payment service outlives the cells and must not take this cell's keys for known ones.
        setting = Setting(dsn, f"{payments_url}/{fresh}", plan.resonate_sql)
        task = Task(CONTENDERS[name], setting, orders, warm_up, in_flight, idle_s)
        before = postgres.counts(url, fresh)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.orders.cell"],
            input=msgspec.json.encode(task),
            stdout=subprocess.PIPE,
            check=True,
        )
        after = postgres.counts(url, fresh)
        settled = postgres.paid(dsn)
        assert settled == orders + warm_up, f"{name} brought {settled} of {orders + warm_up} orders to their end"
    taken = msgspec.json.decode(done.stdout.splitlines()[-1], type=Taken)
    return taken, postgres.Counts(*(b - a for a, b in zip(before, after, strict=True)))


def _row(plan: Plan, cells: dict[tuple[int, str], list[_Cell]], in_flight: int, name: str) -> Row:
    mine = cells[in_flight, name]
    rates = [plan.orders / cell.taken.seconds for cell in mine]
    ours = [plan.orders / cell.taken.seconds for cell in cells.get((in_flight, "recordfirst"), [])]
    latencies = sorted(latency for cell in mine for latency in cell.taken.latencies_s)
    return Row(
        contender=name,
        in_flight=in_flight,
        orders_per_second=statistics.median(rates),
        slowest=min(rates),
        fastest=max(rates),
        ratio=statistics.median(rates) / statistics.median(ours) if ours else None,
        commits=statistics.median(cell.commits for cell in mine),
        fsyncs=statistics.median(cell.fsyncs for cell in mine),
        p50_ms=1000 * latencies[len(latencies) // 2],
        p99_ms=1000 * latencies[int(len(latencies) * 0.99)],
        cpu_ms=statistics.median(1000 * cell.taken.cpu_s / plan.orders for cell in mine),
    )
