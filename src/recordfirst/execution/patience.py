"""Patience: if the record cannot do something now, it is tried again, and nothing fails (P9)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from recordfirst.core.decide import backoff_ms
from recordfirst.core.text import class_name, safe_text
from recordfirst.engine.sdk import steps as sdk
from recordfirst.errors import CommitUnknown, Declined, NotDone, RecordfirstError, RecordUnavailable, Unknown
from recordfirst.observe import Observer, Released, Repeated, unfailing
from recordfirst.process import places
from recordfirst.process.seams import Sleeper
from recordfirst.records.contract import Fault, Record

_HOLD_S = 20.0
"""How long a step waits in place for a record that is out of reach before it gives its task back."""

CONTENDED_MOST_S = 20.0
"""How long a start, or what else a caller waits for, is tried again while another transaction holds what it needs."""

_DENIED_MOST_S = 20.0
"""How long a statement of the user's that lacks a grant is tried again; then that is a defect."""

_CONTENTION_MOST_MS = 1_000
"""Longest pause between tries after a deadlock or a serialization failure."""


class UnderWay:
    """Work on the record that a workflow waits for."""

    __slots__ = ("cause", "since_s", "task", "what")

    def __init__(self, what: str, task: asyncio.Task[Any], since_s: float) -> None:
        self.what, self.task, self.since_s = what, task, since_s
        self.cause = "the record has not answered, or its own function has not returned"
        """What it has come to so far."""


class Patience:
    """Of one opened app. Sleeper, randomness and observer are arguments, never ambient."""

    def __init__(
        self,
        record: Record[Any],
        *,
        sleeper: Sleeper,
        random: Callable[[], float],
        observer: Observer,
    ) -> None:
        self.record, self.sleeper, self.random, self.observe = record, sleeper, random, unfailing(observer)
        self.under_patience: set[UnderWay] = set()
        """What workflows wait for in this process."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that owns the record's connections."""
        return asyncio.get_running_loop()

    async def patiently[T](self, what: str, work: Callable[[], Awaitable[T]], *, release: bool = True) -> T:
        """Run ``work`` until it comes through: plumbing is not business (P9).

        ``work`` must look for what an earlier try left behind, since a COMMIT whose reply was lost may have happened.
        A record that stays out of reach gives the task back to the engine (``release``), or raises
        ``RecordUnavailable``. So does contention where somebody waits for an answer (not ``release``), after 20 s. What
        lacks a grant is raised as it is after 20 s, or at once where somebody waits. Any other exception is the user's,
        and is raised as it is. What a workflow waits for is kept in mind, so that its worker can tell.
        """
        task = asyncio.current_task()
        if not release or task is None:
            return await self._insist(what, work, release=release)
        under_way = UnderWay(what, task, self.loop.time())
        self.under_patience.add(under_way)
        try:
            return await self._insist(what, work, release=release, under_way=under_way)
        finally:
            self.under_patience.discard(under_way)

    async def _insist[T](
        self, what: str, work: Callable[[], Awaitable[T]], *, release: bool, under_way: UnderWay | None = None
    ) -> T:
        waited_s, tries, began_s = 0.0, 0, self.loop.time()
        while True:
            try:
                return await work()
            except Exception as error:
                fault = fault_of(self.record, error)
                if fault is None or (fault == "denied" and (not release or waited_s >= _DENIED_MOST_S)):
                    raise
                tries += 1
                if under_way is not None:
                    under_way.cause = f"tried {tries} times, the last one ended in {class_name(error)}"
                self.observe(Repeated(what, fault, safe_text(error)))
                if fault == "unreachable" and waited_s >= _HOLD_S:
                    if not release:
                        raise RecordUnavailable(self.record.where, safe_text(error)) from error
                    self.observe(Released(what, safe_text(error)))
                    raise sdk.release(error) from error
                if fault == "contention" and not release and self.loop.time() - began_s >= CONTENDED_MOST_S:
                    holders = getattr(self.record, "holders", lambda: "another transaction")()
                    cause = f"{what} has waited for {CONTENDED_MOST_S:g} s for {holders}: {safe_text(error)}"
                    raise RecordUnavailable(self.record.where, cause) from error
                first_ms, most_ms = (5, _CONTENTION_MOST_MS) if fault == "contention" else (50, 2_000)
                pause_s = backoff_ms(tries, self.random(), first_ms=first_ms, most_ms=most_ms) / 1000
                waited_s += pause_s
                await self.pause(pause_s)

    async def pause(self, seconds: float) -> None:
        """Wait in place. A workflow's body holds no place meanwhile (:mod:`recordfirst.process.places`)."""
        place = places.here()
        if place is None:
            await self.sleeper(seconds)
            return
        async with place.waiting():
            await self.sleeper(seconds)


def fault_of(record: Record[Any], error: BaseException) -> Fault | None:
    """What an exception means for the record: the driver's own, as it came, or as recordfirst has wrapped it.

    An exception that the user's code has made of the driver's is the user's decision (P9). A group that a task group
    has made decides nothing, so it means what all that is in it means.
    """
    if isinstance(error, BaseExceptionGroup):
        faults = [fault_of(record, each) for each in error.exceptions]
        if None in faults:
            return None
        told: tuple[Fault, ...] = ("denied", "unreachable")
        return next((fault for fault in told if fault in faults), "contention")
    current: BaseException | None = error
    while current is not None:
        if not isinstance(current, (RecordUnavailable, CommitUnknown)):
            fault = record.fault(current)
            if fault is not None:
                return fault
        if not isinstance(current, RecordfirstError) or isinstance(current, (Declined, NotDone, Unknown)):
            return None
        current = current.__cause__
    return None
