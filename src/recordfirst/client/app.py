"""The app: one record, its workflows, what their steps need injected, and the engine that runs them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Literal, Self

from resonate.resonate import Resonate

from recordfirst.client.completion_poller import CompletionPoller
from recordfirst.client.engines import Engines
from recordfirst.client.handle import Handle, find_start
from recordfirst.client.opening import open_record
from recordfirst.client.starting import Starting
from recordfirst.client.transaction import AppRecord
from recordfirst.client.version import check_version, errors_of_app, version_of_app
from recordfirst.core import identity
from recordfirst.core.receipt import Receipt
from recordfirst.core.start import Start
from recordfirst.core.text import shown
from recordfirst.engine.connect import check
from recordfirst.engine.options import Embedded
from recordfirst.errors import Misuse
from recordfirst.events.endpoint import EventEndpoint
from recordfirst.execution.runtime import Runtime
from recordfirst.execution.sealing import Encryptor, Sealing
from recordfirst.execution.starts import check_same_start, new_start
from recordfirst.observe import Observer, log_events
from recordfirst.operations.api import Operations
from recordfirst.operations.cancel import Cancellation
from recordfirst.operations.gc import Collection
from recordfirst.operations.look import Look
from recordfirst.operations.retry import Retry
from recordfirst.operations.schema import Schema
from recordfirst.process.seams import NO_SEAMS, Seams, Sleeper
from recordfirst.process.threads import Threads
from recordfirst.providers.events import EventSource
from recordfirst.reconcile.dismissing import Dismissal
from recordfirst.reconcile.reconciler import Report
from recordfirst.reconcile.resealing import Resealing
from recordfirst.reconcile.restores import DOUBT_MS
from recordfirst.records.contract import Record
from recordfirst.steps.effect import Effect
from recordfirst.steps.injection import Injector
from recordfirst.steps.invariant import Invariant
from recordfirst.steps.on_event import EventHandler
from recordfirst.steps.registrations import registrations
from recordfirst.steps.workflow import Workflow
from recordfirst.worker.dispatcher import Dispatcher
from recordfirst.worker.watchdog import Watchdog
from recordfirst.worker.worker import Worker, to_its_end

_BLOCKED_S = 60.0
"""How long a step may block a worker's event loop."""


class App:
    """One application of recordfirst.

    Use ``async with app.worker():`` in a process that runs workflows, ``async with app:`` in one that only starts them
    or writes.

    Args:
        name: namespaces everything in the record, at the engine and in provider keys, in 64 bytes at most. Never
            change it.
        record: the system of record: ``PostgresRecord(dsn)`` or ``SqliteRecord(path)``.
        workflows: what workers of this app can run.
        engine: ``None``: embedded, in one file beside a SQLite record, else in ``.recordfirst/`` here; one worker works
            at a time, others stand by. :class:`Embedded`: the same, with a say in where and how durably. A URL
            (``"http://..."``): a Resonate Server. ``"postgresql://..."``: the database with Resonate in it, which may
            be the record's own. Or a ready ``Resonate`` object.
        concurrency: how many workflow bodies work at once in a worker, and how many calls of one provider are in
            flight. A body that only waits does not count.
        encryptor: covers arguments, requests and results at rest.
        invariants: what must hold in the record; a reconcile looks whether it does. See :func:`invariant`.
        event_handlers: what ``@on_event`` has made; workers give them the events that :meth:`events` took in.
        version: names this version of your code, such as a commit's hash, in 64 characters at most. A workflow that a
            defect has stopped is tried again, once, by a worker of another version. Default: a hash of the code of
            the workflows, their steps, and the functions of their package that these name.
        sleeper: waits a number of seconds. An argument for tests, like the next three.
        random: numbers in [0, 1), for jitter.
        seams: the clock and the ids of this process, and what stands between it, its engine and its providers.
        observer: gets an event for whatever is dropped or repeated on purpose.

    Raises:
        Misuse: if two workflows, or two different effects, have one name, an argument is not what is said here, or
            ``fails=`` names what the record takes for plumbing.
        SharedKey: if two effects declare one key, or would be undone under one (P8).
    """

    def __init__(
        self,
        name: str,
        *,
        record: Record[Any],
        workflows: Iterable[Workflow[..., Any]],
        engine: str | Embedded | Resonate | None = None,
        concurrency: int = 64,
        encryptor: Encryptor | None = None,
        invariants: Iterable[Invariant] = (),
        event_handlers: Iterable[EventHandler] = (),
        version: str | None = None,
        sleeper: Sleeper = asyncio.sleep,
        random: Callable[[], float] = random.random,
        seams: Seams = NO_SEAMS,
        observer: Observer = log_events,
    ) -> None:
        self.name = identity.check_id(name, "an app's name", identity.APP_BYTES_MOST)
        if not isinstance(getattr(record, "where", None), str):
            raise Misuse(f"record= takes PostgresRecord(dsn) or SqliteRecord(path), not {shown(record)}")
        if concurrency < 1:
            raise Misuse(f"concurrency= takes a whole number above 0, not {concurrency!r}")
        self._registered = registrations(workflows, invariants, event_handlers)
        check(engine)
        self._concurrency, self._injector = concurrency, Injector()
        self._store = record
        self._dispatcher: Dispatcher | None = None
        self._opened = 0
        self._opening = asyncio.Lock()
        self.runtime = Runtime(
            app=name,
            record=record,
            injector=self._injector,
            executor=self._threads(),
            sealing=Sealing(name, encryptor),
            sleeper=sleeper,
            random=random,
            seams=seams,
            observer=observer,
            nudge=lambda: self._dispatcher.nudge() if self._dispatcher is not None else None,
            works_here=lambda: self._dispatcher is not None,
            version=version_of_app(self._registered) if version is None else check_version(version),
            errors=errors_of_app(self._registered, record),
        )
        self.engines = Engines(self.runtime, engine, concurrency, encryptor)
        self.operations = Operations(self.runtime, self._registered, lambda: self.engines.to_ask(self._dispatcher))
        """What operators ask of it."""
        self.look = Look(self.runtime, self._registered)
        """What can be read of it."""
        self.schema = Schema(record, name)
        """recordfirst's tables in its record."""
        self.completions = CompletionPoller(self.runtime)
        self._starting = Starting(self.runtime)

    def __repr__(self) -> str:
        return f"<App {self.name!r} on {self._store.where}>"

    # ── dependencies ────────────────────────────────────────────────────────

    def provide(self, value: object, *, as_: Any = None) -> None:
        """Provide a value for injection, found by its class, or by ``as_``: a base class, a Protocol or a NewType.

        Raises:
            DuplicateDependency: if that key has a value already; names both (P8).
        """
        self._injector.provide(value, as_)

    def provide_factory(self, as_: Any, factory: Callable[..., Any]) -> None:
        """Provide by a factory: a function, an async one, or one decorated as an (async) context manager or generator.

        It is called once, when first needed; what stands behind its ``yield`` runs when the app closes.
        """
        self._injector.provide_factory(as_, factory)

    async def provided(self, key: Any) -> Any:
        """Return what is provided under ``key``, while the app is open.

        Raises:
            MissingDependency: if nothing is.
        """
        self.runtime.owned.check()
        return await self._injector.get(key)

    @property
    def effects(self) -> list[Effect[..., Any]]:
        """Every effect of the app's workflows, with those that undo them."""
        return list(self._registered.effects.values())

    @property
    def invariants(self) -> list[Invariant]:
        """What must hold in its record."""
        return list(self._registered.invariants)

    def events(self, source: EventSource) -> EventEndpoint:
        """Return an ASGI endpoint that takes a provider's events in, to mount in a web app; workers take them up.

        It verifies signatures, stores an event once for good, and answers 200. The app must be open.
        """
        self._registered.sources.append(source)
        return EventEndpoint(self.runtime, source)

    # ── opening and closing ─────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        """Open as a client: connect to the record, check its schema and every step's dependencies.

        Raises:
            RecordUnavailable: if the record cannot be reached.
            SchemaMismatch: if its tables are missing, too old or too new.
            MissingDependency: naming all that is missing, and which function needs it.
            Misuse: if it is open in another event loop, or was opened before this process was forked.
        """
        self._injector.check(self._registered.functions())
        await self._open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._close()

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[Self]:
        """Open to read the record alone: no step runs, so nothing that they need must be provided, and no engine asked.

        Raises:
            RecordUnavailable: if the record cannot be reached.
            SchemaMismatch: if its tables are missing, too old or too new.
        """
        await self._open(joins=False)
        try:
            yield self
        finally:
            await self._close()

    async def _open(self, *, joins: bool = True) -> None:
        self._take()
        async with self._opening:
            self._take()  # again: who was before us may have failed, and given it back
            if self._opened == 0:
                try:
                    await open_record(self, self._store, joins=joins)
                except BaseException:
                    self.runtime.owned.give_back()
                    raise
            self._opened += 1

    def _take(self) -> None:
        if self.runtime.owned.take():
            self._opening = asyncio.Lock()
            self.runtime.reopen(self._threads)
            self.completions = CompletionPoller(self.runtime)

    def _threads(self) -> Threads:
        return Threads(self.name, lambda: self.runtime.observe)

    async def _close(self) -> None:
        if self.runtime.owned.is_inherited:
            return  # in a forked child: what is open is the parent's
        self.runtime.owned.check()
        async with self._opening:
            self._opened -= 1
            if self._opened > 0:
                return
            try:
                await self._injector.close()
            finally:
                try:
                    await self.completions.close()
                    await self._store.close()
                finally:
                    self.runtime.owned.give_back()

    @contextlib.asynccontextmanager
    async def worker(self, *, group: str | None = None, blocked_s: float | None = _BLOCKED_S) -> AsyncIterator[Worker]:
        """Open, and work for as long as the block lasts; with an embedded engine, stand by until it is our turn.

        At the end no new work is taken. With an engine of its own, what runs comes to its next wait or end, and the
        lease is given back. With one that others work for, too, the steps that run come to their end, and what is left
        of their workflows goes to the others.

        Args:
            group: whose work to take, on an engine that workers share. Default: the app's own, in which its workflows
                are started. Another group gets what is sent to it: ``ctx.options(target="group").rpc(...)``.
            blocked_s: how many seconds code that does not await may keep the event loop: it is told after five, as an
                event and an error in the log with workflow, step and stack, and then this **process is ended**, so that
                another worker can go on. ``None``: it is only told.

        Raises:
            As ``async with app`` does.
            BadId: if no address can carry the group's name.
            Misuse: if a group is named, and the engine has none; or if ``blocked_s`` is not above 0.
        """
        if blocked_s is not None and blocked_s <= 0:
            raise Misuse(f"blocked_s={blocked_s!r}: give seconds above 0, or None")
        if group is not None and not self.engines.have_groups:
            raise Misuse(f"group={group!r}: only workers of a Resonate Server or of resonate-pg have groups")
        own_group = identity.check_group(group) if group is not None else None
        async with self:
            connected = partial(self.engines.connect, own_group)
            worker = Worker(self.runtime, self._registered, self._concurrency, connected, self._set_dispatcher)
            with Watchdog(self.runtime, blocked_s):
                try:
                    yield worker
                finally:
                    if not self.runtime.owned.is_inherited:  # in a forked child nothing of it works
                        worker.stopping.set()
                        await to_its_end(worker.task)

    # ── starting ────────────────────────────────────────────────────────────

    async def start[**P, R](self, workflow: Workflow[P, R], /, *args: Any, id: str, **kwargs: Any) -> Handle[R]:
        """Accept a workflow: when this returns, it is a row in the record, and will end or be visibly open (P7).

        The same id with the same arguments is the same workflow, whatever its state.

        Raises:
            BadArguments: if the arguments do not fit; nothing is stored.
            BadId: if the id is empty or cannot be stored, or has more than 255 bytes of UTF-8.
            DifferentArguments: if the id was started with other arguments (P8).
            UnknownWorkflow: if this app does not have the workflow.
            RecordUnavailable: if the record stays out of reach, or another transaction holds it for 20 s; 40 s at most.
            StartContended: if another transaction stores the same id, and does not end for some seconds.
            Misuse: inside a transaction of an SQLite record, which takes one at a time; ``w.start`` is for that. In
                another event loop, thread or process than the one that has the app open.
        """
        self.runtime.owned.check()
        self.workflow(workflow.name)
        new = new_start(self.runtime, workflow, args, kwargs, id)
        self._store.must_be_free()  # it is stored together with others, in a task that is not this one
        dispatcher = self._dispatcher
        start, added = await self._starting.accepted(new)
        check_same_start(self.runtime, workflow.function, start, new)
        handle = Handle(self.runtime, self.completions, workflow, id, start)
        if start.state == "open" and dispatcher is not None and dispatcher is self._dispatcher:
            handle.follow(dispatcher)
            if added:
                await dispatcher.hand_over(start)
        return handle

    async def handle(self, id: str) -> Handle[Any]:
        """Return a handle on a workflow that was started before, here or elsewhere.

        Raises:
            UnknownWorkflow: if there is none of that id.
        """
        start = await find_start(self.runtime, id)
        return Handle(self.runtime, self.completions, self.workflow(start.workflow), id, start)

    @property
    def record(self) -> AppRecord:
        """The record, for transactions of the caller's own."""
        return AppRecord(self.runtime)

    def _set_dispatcher(self, dispatcher: Dispatcher | None) -> None:
        self._dispatcher = dispatcher

    def workflow(self, name: str) -> Workflow[..., Any]:
        """Return the workflow of this name.

        Raises:
            UnknownWorkflow: if this app has none of that name; lists those that it has.
        """
        return self._registered.workflow(name, self.name)

    # ── for operators ───────────────────────────────────────────────────────

    async def retry(
        self, id: str, *, again: bool = False, who: str = "app", why: str | None = None, dry_run: bool = False
    ) -> Handle[Any]:
        """Let a stopped workflow go on, or open a failed one again; see :meth:`Operations.retry`."""
        done = await self.plan_retry(id, again=again, who=who, why=why, dry_run=dry_run)
        return Handle(self.runtime, self.completions, self.workflow(done.start.workflow), id, done.start)

    async def plan_retry(
        self, id: str, *, again: bool = False, who: str = "app", why: str | None = None, dry_run: bool = True
    ) -> Retry:
        """As :meth:`retry`, and say what it comes to: with ``again``, which keys get a new attempt."""
        return await self.operations.retry(id, again=again, who=who, why=why, dry_run=dry_run)

    async def stopped(self, limit: int = 100) -> list[Start]:
        """Workflows that a defect has stopped, longest stopped first."""
        return await self.operations.stopped(limit)

    async def cancel(
        self, id: str, *, undo: bool | None = None, who: str = "app", why: str | None = None, dry_run: bool = False
    ) -> Cancellation:
        """End an open workflow: the record first, then the engine; see :meth:`Operations.cancel`."""
        return await self.operations.cancel(id, undo=undo, who=who, why=why, dry_run=dry_run)

    async def resolve(
        self,
        key: str,
        *,
        outcome: Literal["succeeded", "declined", "not done"],
        result: Any = None,
        reason: str | None = None,
        attempt: int | None = None,
        who: str = "app",
        why: str | None = None,
        dry_run: bool = False,
    ) -> Receipt:
        """Say what became of an effect whose outcome is unknown; see :meth:`Operations.resolve`."""
        return await self.operations.resolve(
            key, outcome=outcome, result=result, reason=reason, attempt=attempt, who=who, why=why, dry_run=dry_run
        )

    async def dismiss(self, code: str, subject: str, *, why: str, who: str = "app", dry_run: bool = False) -> Dismissal:
        """Say that a finding has been seen to, which will not go away; see :meth:`Operations.dismiss`."""
        return await self.operations.dismiss(code, subject, why=why, who=who, dry_run=dry_run)

    async def reseal(
        self,
        *,
        who: str = "app",
        why: str | None = None,
        dry_run: bool = False,
        tell: Callable[[int], None] = lambda _: None,
    ) -> Resealing:
        """Bring rows under the encryptor's newest key, page by page; see :meth:`Operations.reseal`."""
        return await self.operations.reseal(who=who, why=why, dry_run=dry_run, tell=tell)

    async def collect(
        self,
        *,
        older_than_s: float,
        who: str = "app",
        why: str | None = None,
        dry_run: bool = False,
        tell: Callable[[int], None] = lambda _looked: None,
    ) -> Collection:
        """Delete the rows of workflows that ended longer ago; see :meth:`Operations.collect`."""
        return await self.operations.collect(older_than_s=older_than_s, who=who, why=why, dry_run=dry_run, tell=tell)

    async def reconcile(
        self,
        *,
        apply: bool = False,
        accept_restore: bool = False,
        doubt_ms: int = DOUBT_MS,
        only: Sequence[str] = (),
        since_ms: int = 0,
        who: str = "app",
        why: str | None = None,
        tell: Callable[[str, int], None] = lambda _pass, _looked: None,
    ) -> Report:
        """Compare record, engine and providers; with ``apply``, repair (P6); see :meth:`Operations.reconcile`."""
        return await self.operations.reconcile(
            apply=apply,
            accept_restore=accept_restore,
            doubt_ms=doubt_ms,
            only=only,
            since_ms=since_ms,
            who=who,
            why=why,
            tell=tell,
        )
