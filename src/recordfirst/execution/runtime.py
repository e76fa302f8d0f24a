"""What every step needs while an app is open: the record, what is injected, the engine's part, and patience (P9)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from recordfirst.core.exceptions import AllowedErrors
from recordfirst.engine.contract import Joined
from recordfirst.engine.sdk import steps as sdk
from recordfirst.errors import REFUSED_CREDENTIAL, Declined, EffectsHeld, NotDone, Unknown
from recordfirst.execution.patience import Patience
from recordfirst.execution.sealing import Sealing
from recordfirst.execution.tries import Tries
from recordfirst.observe import CredentialAccepted, CredentialRefused, Observer
from recordfirst.process import places
from recordfirst.process.owner import Owned
from recordfirst.process.seams import NO_SEAMS, Seams, Sleeper
from recordfirst.process.threads import Threads
from recordfirst.records.contract import Record, Session
from recordfirst.steps.injection import Injector

HELD_S = 0.5
"""Before a task is given back because effects are held: it is delivered again at once."""


class RunningBody(Protocol):
    """A body that runs here."""

    workflow_id: str
    steps: list[str]
    """Names of the steps that run now."""


class Runtime(Patience):
    """One opened app, as its steps see it."""

    def __init__(
        self,
        *,
        app: str,
        record: Record[Any],
        injector: Injector,
        executor: Threads,
        sealing: Sealing,
        errors: AllowedErrors,
        sleeper: Sleeper,
        random: Callable[[], float],
        observer: Observer,
        nudge: Callable[[], None],
        works_here: Callable[[], bool],
        version: str = "",
        seams: Seams = NO_SEAMS,
    ) -> None:
        super().__init__(record, sleeper=sleeper, random=random, observer=observer)
        self.app, self.injector, self.executor = app, injector, executor
        self.nudge, self.works_here, self.seams = nudge, works_here, seams
        self.version = version
        """Of the app's code: a stop binds the workers of the version that was stopped."""
        self.owned = Owned(f"app {app!r}")
        """By the process and the event loop that have the app open."""
        self.tries = Tries(self)
        """Counts bodies that are begun by another process than before."""
        self.joined: Joined | None = None
        """The engine as a part of the record's transactions, where it lives in the record's database."""
        self.sealing = sealing
        self.errors = errors
        """The classes that an error may be rebuilt as."""
        self.restores = 0
        """How many restores of the record this worker knows of: after one, the engine may have epochs of a lost
        time.
        """
        self._worker, self._pid, self._claims = "", 0, itertools.count(1)
        self._in_flight: dict[str, tuple[asyncio.Lock, list[None]]] = {}
        self.over: set[tuple[str, int]] = set()
        """Epochs, by id and epoch, that this worker has heard to be over while their body ran here."""
        self._refused: set[str] = set()
        """Providers that refuse the app's credential, as this process has heard."""
        self.executions: set[RunningBody] = set()
        """Bodies that run here."""

    def reopen(self, threads: Callable[[], Threads]) -> None:
        """The app is opened, perhaps in another loop or process than last time: what belongs to those is made anew."""
        if self.executor.pid != os.getpid():
            self.executor = threads()
        self.tries = Tries(self)
        self.injector.reopen()

    def under_way(self) -> list[str]:
        """What runs here, for an operator: each workflow, with the steps that it is in."""
        return sorted(f"{e.workflow_id} ({', '.join(e.steps)})" if e.steps else e.workflow_id for e in self.executions)

    def new_claim(self) -> str:
        """A name for one call in flight that no other worker or call has, nor one that was forked off this one (P3)."""
        if self._pid != os.getpid():
            self._worker, self._pid = self.seams.new_id()[:12], os.getpid()
        return f"{self._worker}/{next(self._claims)}"

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

    def fingerprint(self, *parts: str) -> str:
        """What tells one request from another, and gives nothing of it away where an encryptor is set."""
        return self.sealing.fingerprint(*parts)

    # ── holding back ────────────────────────────────────────────────────────

    async def release_if_held(self, key: str, session: Session[Any] | None = None) -> None:
        """Give the task back if effects are held, or the record was restored while we worked: nobody begins a call, or
        comes to an end, until a restore is accepted (P3).
        """

        async def look() -> str | None:
            async with self.record.session() as alone:
                return await self.held(alone)

        # In the caller's transaction whatever fails is the transaction's, which is repeated as a whole.
        code = await self.held(session) if session is not None else await self.patiently(f"hold of {key!r}", look)
        if code is not None:
            await self.pause(HELD_S)
            raise sdk.release(EffectsHeld(self.app, code, f"nothing more is done for {key!r}"))

    async def held(self, session: Session[Any]) -> str | None:
        """The finding for which nothing is to be done now; ``None`` if all is as it was when this worker began."""
        line = await session.find_timeline()
        if line is not None and line.held is not None:
            return line.held
        if self.record.seen_mark is None:
            return None
        engine, *seen = self.record.seen_mark
        mark = await session.find_mark(engine)
        return "RF-RECORD-BEHIND" if mark is None or [mark.generation, mark.number] < seen else None

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
