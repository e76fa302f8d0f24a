"""What every step needs while an app is open: the record, the engine's clock and sleeper, and patience (P9)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

import msgspec
from resonate.error import Suspended

from recordfirst import places
from recordfirst.conflicts import refuse_other_key
from recordfirst.core.decide import backoff_ms
from recordfirst.core.exceptions import AllowedErrors
from recordfirst.core.start import Start
from recordfirst.core.text import safe_text
from recordfirst.declared import Declared
from recordfirst.elsewhere import Elsewhere
from recordfirst.engine import leaf
from recordfirst.engine.context import Over
from recordfirst.engine.contract import Joined
from recordfirst.errors import (
    REFUSED_CREDENTIAL,
    CommitUnknown,
    Declined,
    EffectsHeld,
    NotDone,
    RecordfirstError,
    RecordUnavailable,
    Unknown,
)
from recordfirst.function import RAISED_AT
from recordfirst.inject import Injector
from recordfirst.observe import CredentialAccepted, CredentialRefused, NotBegun, Observer, Released, Repeated, unfailing
from recordfirst.owner import Owned
from recordfirst.records.contract import Fault, Record, Session
from recordfirst.sealing import Sealing
from recordfirst.threads import Threads
from recordfirst.tries import Tries

_HOLD_S = 20.0
"""How long a step waits in place for a record that is out of reach before it gives its task back."""

_HELD_S = 0.5
"""Before a task is given back because effects are held: it is delivered again at once."""

CONTENDED_MOST_S = 20.0
"""So long a start, or what else a caller waits for, is tried again while another transaction holds what it needs."""

_TICKS = 100
"""Turns of the event loop in which a failure reaches a body by callbacks alone, through groups of groups of tasks."""

_CONTENTION_MOST_MS = 1_000
"""Longest pause between tries after a deadlock or a serialization failure."""


class Runtime:
    """One opened app, as its steps see it. Clock, sleeper, randomness and observer are arguments, never ambient."""

    def __init__(
        self,
        *,
        app: str,
        record: Record[Any],
        injector: Injector,
        executor: Threads,
        sealing: Sealing,
        errors: AllowedErrors,
        sleeper: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
        observer: Observer,
        nudge: Callable[[], None],
        works_here: Callable[[], bool],
        version: str = "",
    ) -> None:
        self.app, self.record, self.injector, self.executor = app, record, injector, executor
        self.sleeper, self.random, self.observe = sleeper, random, unfailing(observer)
        self.nudge, self.works_here = nudge, works_here
        self.version = version
        """Of the app's code: a stop binds the workers of the version that was stopped."""
        self.owned = Owned(f"app {app!r}")
        """By the process and the event loop that have the app open."""
        self.elsewhere = Elsewhere(self)
        self.tries = Tries(self)
        """Counts bodies that are begun by another process than before."""
        self.joined: Joined | None = None
        """The engine as a part of the record's transactions, where it lives in the record's database."""
        self.sealing = sealing
        self.errors = errors
        """The classes that an error may be rebuilt as."""
        self.restores = 0
        """How many restores of the record this worker knows of: after one, the engine may have lives of a lost time."""
        self._worker, self._pid, self._claims = "", 0, itertools.count(1)
        self._in_flight: dict[str, tuple[asyncio.Lock, list[None]]] = {}
        self.over: set[tuple[str, int]] = set()
        """Lives, by id and epoch, that this worker has heard to be over while their body ran here."""
        self._refused: set[str] = set()
        """Providers that refuse the app's credential, as this process has heard."""
        self.executions: set[Execution] = set()
        """Bodies that run here."""

    def reopen(self, threads: Callable[[], Threads]) -> None:
        """The app is opened, perhaps in another loop or process than last time: what belongs to those is made anew."""
        if self.executor.pid != os.getpid():
            self.executor = threads()
        self.elsewhere = Elsewhere(self)
        self.tries = Tries(self)
        self.injector.reopen()

    def under_way(self) -> list[str]:
        """What runs here, for a person: each workflow, with the steps that it is in."""
        return sorted(f"{e.workflow_id} ({', '.join(e.steps)})" if e.steps else e.workflow_id for e in self.executions)

    def new_claim(self) -> str:
        """A name for one call in flight that no other worker or call has, nor one that was forked off this one (P3)."""
        if self._pid != os.getpid():
            self._worker, self._pid = uuid.uuid4().hex[:12], os.getpid()
        return f"{self._worker}/{next(self._claims)}"

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that owns the record's connections."""
        return asyncio.get_running_loop()

    def heard_of(self, provider: str, verdict: Declined | NotDone | Unknown | None) -> None:
        """A call of a provider has ended; ``None``: it succeeded. Whether the credential is refused is said once."""
        if isinstance(verdict, NotDone) and verdict.code == REFUSED_CREDENTIAL:
            if provider not in self._refused:
                self._refused.add(provider)
                self.observe(CredentialRefused(provider, verdict.reason))
        elif provider in self._refused and (verdict is None or isinstance(verdict, Declined)):
            self._refused.discard(provider)
            self.observe(CredentialAccepted(provider))

    # ── at rest ─────────────────────────────────────────────────────────────

    def seal(self, text: str) -> str:
        """Return JSON text as it goes into the record."""
        return self.sealing.seal(text)

    def unseal(self, text: str) -> str:
        """Return JSON text as it was before :meth:`seal`."""
        return self.sealing.unseal(text)

    # ── patience ────────────────────────────────────────────────────────────

    async def patiently[T](self, what: str, work: Callable[[], Awaitable[T]], *, release: bool = True) -> T:
        """Run ``work`` until it comes through: plumbing is not business (P9).

        ``work`` must look for what an earlier try left behind, since a COMMIT whose reply was lost may have happened.
        A record that stays out of reach gives the task back to the engine (``release``), or raises
        ``RecordUnavailable``. So does contention where somebody waits for an answer (not ``release``), after 20 s. Any
        other exception is the user's, and is raised as it is.
        """
        waited_s, tries, began_s = 0.0, 0, self.loop.time()
        while True:
            try:
                return await work()
            except Exception as error:
                fault = fault_of(self.record, error)
                if fault is None:
                    raise
                tries += 1
                self.observe(Repeated(what, fault, safe_text(error)))
                if fault == "unreachable" and waited_s >= _HOLD_S:
                    if not release:
                        raise RecordUnavailable(self.record.where, safe_text(error)) from error
                    self.observe(Released(what, safe_text(error)))
                    raise leaf.release(error) from error
                if fault == "contention" and not release and self.loop.time() - began_s >= CONTENDED_MOST_S:
                    holders = getattr(self.record, "holders", lambda: "another transaction")()
                    cause = f"{what} has waited for {CONTENDED_MOST_S:g} s for {holders}: {safe_text(error)}"
                    raise RecordUnavailable(self.record.where, cause) from error
                first_ms, most_ms = (5, _CONTENTION_MOST_MS) if fault == "contention" else (50, 2_000)
                pause_s = backoff_ms(tries, self.random(), first_ms=first_ms, most_ms=most_ms) / 1000
                waited_s += pause_s
                await self.pause(pause_s)

    async def pause(self, seconds: float) -> None:
        """Wait in place. A workflow's body holds no place meanwhile (:mod:`recordfirst.places`)."""
        place = places.here()
        if place is None:
            await self.sleeper(seconds)
            return
        async with place.waiting():
            await self.sleeper(seconds)

    async def release_if_held(self, key: str, session: Session[Any] | None = None) -> None:
        """Give the task back if effects are held, or the record was set back while we worked: nobody begins a call, or
        comes to an end, until a restore is accepted (P3).
        """

        async def look() -> str | None:
            async with self.record.session() as alone:
                return await self.held(alone)

        # In the caller's transaction whatever fails is the transaction's, which is repeated as a whole.
        code = await self.held(session) if session is not None else await self.patiently(f"hold of {key!r}", look)
        if code is not None:
            await self.pause(_HELD_S)
            raise leaf.release(EffectsHeld(self.app, code, f"nothing more is done for {key!r}"))

    async def held(self, session: Session[Any]) -> str | None:
        """The finding for which nothing is to be done now; ``None`` if all is as it was when this worker began."""
        line = await session.find_timeline()
        if line is not None and line.held is not None:
            return line.held
        if self.record.seen_mark is None:
            return None
        engine, *seen = self.record.seen_mark
        mark = await session.find_mark(engine)
        return "RF-RECORD-BEHIND" if mark is None or [mark.space, mark.number] < seen else None

    @contextlib.asynccontextmanager
    async def one_at_a_time(self, key: str) -> AsyncIterator[None]:
        """Let one execution in this process work on a key; the next finds what it left in the record."""
        lock, users = self._in_flight.setdefault(key, (asyncio.Lock(), []))
        users.append(None)
        place = places.here()
        try:
            if lock.locked() and place is not None:
                async with place.waiting(places.Rank.ON):
                    await lock.acquire()
            else:
                await lock.acquire()
            try:
                yield
            finally:
                lock.release()
        finally:
            users.pop()
            if not users:
                del self._in_flight[key]


def fault_of(record: Record[Any], error: BaseException) -> Fault | None:
    """What an exception means for the record: the driver's own, as it came, or as recordfirst has wrapped it.

    An exception that the user's code has made of the driver's is the user's decision (P9). A group that a task group
    has made decides nothing, so it means what all that is in it means.
    """
    if isinstance(error, BaseExceptionGroup):
        faults = [fault_of(record, each) for each in error.exceptions]
        return None if None in faults else "unreachable" if "unreachable" in faults else "contention"
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


class Defect(msgspec.Struct, frozen=True):
    """An error that nobody declared, which stops a workflow (P9)."""

    error: BaseException
    at: str | None
    """Where in the user's code it was raised."""
    step: str | None = None


class Execution:
    """One run of a workflow's body: whose it is, which of its writes are on their way, and whether it must stop."""

    def __init__(
        self,
        runtime: Runtime,
        workflow_id: str,
        epoch: int,
        *,
        is_part: bool,
        first_run: bool,
        declared: Declared,
        over: Over,
        again: Mapping[str, int],
        local: set[asyncio.Task[Any]] | None = None,
    ) -> None:
        self.runtime = runtime
        self.declared, self.over = declared, over
        self.again = again
        """How many attempts a retry has put behind it, by key."""
        self.defect: Defect | None = None
        """What stops this run: nothing more of it begins."""
        self.is_undoing = False
        """It takes back what was done. One undo that fails stops no other."""
        self.workflow_id = workflow_id
        self.epoch = epoch
        self.is_part = is_part
        """It is a body that the workflow runs by ``ctx.rpc``, and knows nothing of the others."""
        self.first_run = first_run
        """As far as this worker knows, no body of this workflow ran before. A hint: nothing rests on it."""
        self.writes: dict[str, asyncio.Future[Any]] = {}
        """Writes of this run by key, from the moment they are called; an effect waits for its own (P1, trap 9)."""
        self.default_keys: dict[str, str] = {}
        """Which call uses a write's default key."""
        self.begun: dict[str, Begun] = {}
        """Intents that rode in a write of this run, so that their first call need not be stored again."""
        self.same_keys: set[object] = set()
        """Functions of which it is known that what earlier runs have stored has the key that they make today."""
        self.idle: set[str] = set()
        """Waits, by their ids in the engine, of effects that have certainly not happened so far."""
        self.local = local if local is not None else set()
        """What the body has called and runs here."""
        self._resting: set[asyncio.Task[Any]] = set()
        self.steps: list[str] = []
        """Names of the steps that run now."""

    def stopped_by(self, error: BaseException, at: str | None, step: str | None) -> BaseException:
        """Let nothing more of this run begin, and return what unwinds its body. The first defect is the one."""
        if self.defect is None:
            self.defect = Defect(error, at, step)
        self.over.all = True
        return leaf.stopped(error)

    def judge(self, error: Exception, step: str) -> BaseException | None:
        """What is raised in the body instead of an error that a call came to; ``None``: it is an outcome (P9)."""
        if self.is_undoing or self.declared.reaches_body(error):
            return None
        return self.stopped_by(error, getattr(error, RAISED_AT, None), step)

    def go_on(self) -> None:
        """Raise ``Suspended`` in a step of a run that has stopped: it begins nothing more."""
        if self.defect is not None:
            raise Suspended

    async def refuse_other_key(self, step: Any, arguments: Any) -> None:
        """Raise ``DifferentKey`` if earlier runs have called a step under a key that it does not make by now (P3)."""
        if self.first_run or step.function in self.same_keys:
            return

        async def look() -> None:
            async with self.runtime.record.session() as session:
                await refuse_other_key(self.runtime, session, step, self.workflow_id, arguments, self)

        await self.runtime.patiently(f"keys of {step.name!r}", look)

    async def until_alone(self) -> None:
        """Wait until whatever else the body has called has come to its end, or waits as well.

        A body that is told to suspend hears no more of what fails beside it until it is run again. So one that has
        nothing to do for an hour keeps quiet while others may fail: the engine waits for those in any case.
        """
        me = asyncio.current_task()
        assert me is not None
        self._resting.add(me)
        try:
            while True:
                for _ in range(_TICKS):
                    await asyncio.sleep(0)
                if not (others := self.local - self._resting):
                    return
                await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._resting.discard(me)

    async def is_over(self, session: Session[Any] | None = None) -> bool:
        """Whether this life is over, as the record says now: a person has ended it, or its workflow has ended."""

        async def look() -> Start | None:
            async with self.runtime.record.session() as alone:
                return await alone.find_start(self.workflow_id)

        if session is not None:
            start = await session.find_start(self.workflow_id)
        else:
            start = await self.runtime.patiently(f"start of {self.workflow_id!r}", look)
        if start is None:
            return False
        return start.state != "open" or (start.lives_from is not None and self.epoch < start.lives_from)

    async def release_if_barred(self, key: str, session: Session[Any] | None = None) -> None:
        """Give the task back if no call is begun by anybody now, or none by this life."""
        await self.runtime.release_if_held(key, session)
        await self.release_if_over(f"effect {key!r}", session)

    async def release_if_over(self, what: str, session: Session[Any] | None = None) -> None:
        """Give the task back if this life is over: it begins no step any more, and ends when it is delivered again."""
        if await self.is_over(session):
            self.runtime.over.add((self.workflow_id, self.epoch))
            self.runtime.observe(NotBegun(self.workflow_id, what))
            await self.runtime.pause(_HELD_S)
            raise leaf.release(f"workflow {self.workflow_id!r} has ended: {what} was not begun")


class Begun(msgspec.Struct, frozen=True):
    """An intent stored with its first call begun, by this run."""

    receipt: Any
    claim: str
    until_s: float
    """By the event loop's clock: later, the call is begun anew in the record."""


_current: ContextVar[Execution | None] = ContextVar("recordfirst_execution", default=None)


_step: ContextVar[str | None] = ContextVar("recordfirst_step", default=None)


def step_begins(name: str) -> None:
    """Note which step the task that runs now is in; each step is a task of its own."""
    _step.set(name)


def execution_of(task: asyncio.Task[Any]) -> tuple[str | None, str | None]:
    """The workflow whose code a task runs, and the step. May be asked from any thread."""
    context = task.get_context()
    execution = context.get(_current)
    return (None, None) if execution is None else (execution.workflow_id, context.get(_step))


def current() -> Execution | None:
    """The run of a workflow's body that this code belongs to."""
    return _current.get()


@contextlib.contextmanager
def running(execution: Execution) -> Any:
    """Make ``execution`` current, and one of those that run here."""
    token = _current.set(execution)
    execution.runtime.executions.add(execution)
    try:
        yield
    finally:
        execution.runtime.executions.discard(execution)
        _current.reset(token)
