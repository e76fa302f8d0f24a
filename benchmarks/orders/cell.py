"""One measurement, in a process of its own, so that nobody pays for another's threads, garbage or polling.

Reads a :class:`Task` as JSON from standard input and writes a :class:`Taken` to standard output.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from collections.abc import Sequence

import msgspec

from benchmarks.orders.work import Order, Run, Setting
from recordfirst.cli.common import collect_seldom, loop_factory


class Task(msgspec.Struct, frozen=True):
    """What to measure."""

    contender: str
    """``module:function`` below ``benchmarks.orders.contenders``."""
    setting: Setting
    orders: int
    warm_up: int
    in_flight: int
    idle_s: float = 0.0
    """After the orders, so long nothing is asked for: tells what a contender does by itself."""
    profile: str | None = None
    """A file for cProfile's view of the measured orders."""


class Taken(msgspec.Struct, frozen=True):
    """What came of it."""

    seconds: float
    """For the measured orders."""
    up_s: float
    """From ready to the end of the last order, and of idling."""
    cpu_s: float
    """Of this process, all its threads, for the measured orders."""
    latencies_s: list[float]


async def measure(task: Task) -> Taken:
    """Warm up, then bring the orders to their end, so many at a time."""
    module, _, function = task.contender.partition(":")
    opener = getattr(importlib.import_module(f"benchmarks.orders.contenders.{module}"), function)
    orders = [Order(id=f"{number:06}", amount_minor=1000 + number) for number in range(task.warm_up + task.orders)]
    collect_seldom()  # as `recordfirst worker` does, and for everybody
    async with opener(task.setting) as run:
        ready = time.perf_counter()
        await _all(run, orders[: task.warm_up], task.in_flight)
        profiler = _profiler(task)
        cpu, began = time.process_time(), time.perf_counter()
        latencies = await _all(run, orders[task.warm_up :], task.in_flight)
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        if profiler is not None:
            profiler.disable()
            profiler.dump_stats(task.profile)
        await asyncio.sleep(task.idle_s)
        return Taken(seconds, time.perf_counter() - ready, cpu_s, latencies)


def _profiler(task: Task):
    if task.profile is None:
        return None
    import cProfile  # noqa: PLC0415

    profiler = cProfile.Profile(time.process_time)
    profiler.enable()
    return profiler


async def _all(run: Run, orders: Sequence[Order], in_flight: int) -> list[float]:
    waiting, latencies = iter(orders), []

    async def lane() -> None:
        for order in waiting:
            began = time.perf_counter()
            await run(order)
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(lane() for _ in range(in_flight)))
    return latencies


if __name__ == "__main__":
    result = asyncio.run(measure(msgspec.json.decode(sys.stdin.read(), type=Task)), loop_factory=loop_factory())
    sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
