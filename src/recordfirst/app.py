"""The app: one record, its workflows, what their steps need injected, and the engine that runs them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, cast

from resonate.resonate import Resonate

from recordfirst.core import codec, identity
from recordfirst.core.receipt import Receipt
from recordfirst.core.start import Finish, Start
from recordfirst.effect import Effect
from recordfirst.engine.connect import connect
from recordfirst.errors import CommitUnknown, Misuse, RecordUnavailable, SchemaMismatch, UnknownWorkflow, WorkflowFailed
from recordfirst.inject import Injector
from recordfirst.observe import LeaseLost, Observer, log_events
from recordfirst.records.contract import Record
from recordfirst.relay import Relay
from recordfirst.resolve import resolve
from recordfirst.runtime import Encryptor, Runtime, fault_of
from recordfirst.step import Step
from recordfirst.workflow import Workflow, body_of
from recordfirst.write import Write, check_same_start, flush, new_start, open_write

if TYPE_CHECKING:
    from recordfirst.engine.contract import Engine

_THREADS = 64
"""Sync steps that can run at once."""

_RESULT_POLL_S = 0.25
"""How often a handle asks the record for a result that another process is working on."""


class App:
    """One application of recordfirst.

    Use ``async with app.worker():`` in a process that runs workflows, ``async with app:`` in one that only starts them
    or writes.

    Args:
        name: namespaces everything in the record, at the engine and in provider keys. Never change it.
        record: the system of record: ``PostgresRecord(dsn)`` or ``SqliteRecord(path)``.
        workflows: what workers of this app can run.
        engine: ``None``: in memory, in the worker's process; one worker works at a time, others stand by. A URL
            (``"http://..."``): a Resonate Server. Or a ready ``Resonate`` object.
        concurrency: how many workflow bodies run at once in a worker.
        encryptor: covers arguments, requests and results at rest.
        sleeper: waits a number of seconds. An argument for tests, like the next two.
        random: numbers in [0, 1), for jitter.
        observer: gets an event for whatever is dropped or repeated on purpose.

    Raises:
        Misuse: if two workflows, or two different effects, have one name.
        SharedKey: if two effects declare one key (P8).
    """

    def __init__(
        self,
        name: str,
        *,
        record: Record[Any],
        workflows: Iterable[Workflow[..., Any]],
        engine: str | Resonate | None = None,
        concurrency: int = 64,
        encryptor: Encryptor | None = None,
        sleeper: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random.random,
        observer: Observer = log_events,
    ) -> None:
        self.name = identity.check_id(name)
        self._workflows = _by_name(workflows, "workflow")
        self._steps = [step for workflow in self._workflows.values() for step in workflow.steps()]
        self._effects = _effects_of(self._steps)
        keys_seen: dict[str, Step[..., Any]] = {}
        for workflow in self._workflows.values():
            workflow.check_keys(keys_seen)
        self._engine_given = engine
        self._concurrency = concurrency
        self._injector = Injector()
        self._store = record
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"recordfirst-{name}")
        self._relay: Relay | None = None
        self._opened = 0
        self.runtime = Runtime(
            app=name,
            record=record,
            injector=self._injector,
            executor=self._executor,
            encryptor=encryptor,
            sleeper=sleeper,
            random=random,
            observer=observer,
            nudge=lambda: self._relay.nudge() if self._relay is not None else None,
        )
        self._encryptor = encryptor

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

    # ── opening and closing ─────────────────────────────────────────────────

    async def __aenter__(self) -> App:
        """Open as a client: connect to the record, check its schema and every step's dependencies.

        Raises:
            RecordUnavailable: if the record cannot be reached.
            SchemaMismatch: if its tables are missing, too old or too new.
            MissingDependency: naming all that is missing, and which function needs it.
        """
        if self._opened == 0:
            self._injector.check([function for step in self._steps for function in step.functions()])
            await self._store.open(self.name)
            try:
                await self.check_schema()
            except BaseException:
                await self._store.close()
                raise
        self._opened += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._opened -= 1
        if self._opened == 0:
            await self._injector.close()
            await self._store.close()

    async def check_schema(self) -> None:
        """Raise ``SchemaMismatch`` unless the record's tables are the ones that this version works with."""
        found, wanted = await self._store.schema_version(), self._store.migrations[-1].version
        if found != wanted:
            raise SchemaMismatch(self._store.where, found, wanted)

    @contextlib.asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        """Open, and work for as long as the block lasts; with an in-memory engine, stand by until it is our turn.

        At the end no new work is taken, what runs comes to its next wait or end, and the lease is given back.

        Raises:
            As ``async with app`` does.
        """
        async with self:
            worker = Worker(self)
            task = asyncio.create_task(worker.work())
            try:
                yield worker
            finally:
                worker.stopping.set()
                await task

    # ── starting ────────────────────────────────────────────────────────────

    async def start[**P, R](self, workflow: Workflow[P, R], /, *args: Any, id: str, **kwargs: Any) -> Handle[R]:
        """Accept a workflow: when this returns, it is a row in the record, and will end or be visibly open (P7).

        The same id with the same arguments is the same workflow, whatever its state.

        Raises:
            BadArguments: if the arguments do not fit; nothing is stored.
            BadId: if the id is empty or cannot be stored.
            DifferentArguments: if the id was started with other arguments (P8).
            UnknownWorkflow: if this app does not have the workflow.
            RecordUnavailable: if the record stays out of reach.
        """
        self._known(workflow.name)
        new = new_start(self.runtime, workflow, args, kwargs, id)
        relay = self._relay

        async def add() -> tuple[Start, bool]:
            async with self._store.session() as session:
                [(start, added)] = await session.add_starts([new])
                if added and relay is None:
                    await self._store.notify(session)
                return start, added

        start, added = await self.runtime.patiently(f"start of {id!r}", add, release=False)
        check_same_start(self.runtime, workflow.function, start, new)
        handle = Handle(self, workflow, id, start)
        if start.state == "open" and relay is not None and relay is self._relay:
            handle.follow(relay)
            if added:
                await relay.hand_over(start)
        return handle

    async def handle(self, id: str) -> Handle[Any]:
        """Return a handle on a workflow that was started before, here or elsewhere.

        Raises:
            UnknownWorkflow: if there is none of that id.
        """
        start = await self._find(id)
        return Handle(self, self._known(start.workflow), id, start)

    async def retry(self, id: str) -> Handle[Any]:
        """Open a failed workflow again: a new epoch, in which everything that was completed stays done.

        Raises:
            UnknownWorkflow: if there is none of that id.
            Misuse: if it has not failed.
        """

        async def reopen() -> Start | None:
            async with self._store.transaction() as tx:
                start = await tx.reopen(id)
                await self._store.notify(tx)
                return start

        start = await self.runtime.patiently(f"retry of {id!r}", reopen, release=False)
        if start is None:
            found = await self._find(id)
            raise Misuse(f"workflow {id!r} is {found.state}; only a failed one can be retried")
        self.runtime.nudge()
        return Handle(self, self._known(start.workflow), id, start)

    @property
    def record(self) -> AppRecord:
        """The record, for transactions of the caller's own."""
        return AppRecord(self)

    # ── what became of it ───────────────────────────────────────────────────

    async def resolve(
        self,
        key: str,
        *,
        outcome: Literal["succeeded", "declined", "not done"],
        result: Any = None,
        reason: str | None = None,
        attempt: int | None = None,
    ) -> Receipt:
        """Say what became of an effect whose outcome is unknown: the record first, then its workflow goes on (P5).

        Args:
            key: the effect's key.
            outcome: ``"succeeded"`` with ``result``, ``"declined"`` with ``reason``, or ``"not done"``, after which it
                is called again.
            result: what the effect would have returned, as JSON builtins.
            reason: why it was declined.
            attempt: which attempt; default: the latest.

        Raises:
            Misuse: if there is no such effect, or its outcome is known.
            Unencodable: if the result does not have the effect's return type.
        """
        async with self._store.session() as session:
            receipts = await session.receipts_by_key(key)
        return await resolve(self.runtime, self._effects, receipts, key, outcome, result, reason, attempt)

    async def _find(self, id: str) -> Start:
        async def find() -> Start | None:
            async with self._store.session() as session:
                return await session.find_start(id)

        start = await self.runtime.patiently(f"look for {id!r}", find, release=False)
        if start is None:
            raise UnknownWorkflow(f"no workflow {id!r} was ever started in app {self.name!r}")
        return start

    def _known(self, name: str) -> Workflow[..., Any]:
        if name not in self._workflows:
            known = ", ".join(self._workflows) or "none"
            raise UnknownWorkflow(f"app {self.name!r} has no workflow {name!r}; it has: {known}")
        return self._workflows[name]

    workflow = _known
    """The workflow of a name. Raises ``UnknownWorkflow``."""


class AppRecord:
    """An app's record, for the caller's own transactions; see :attr:`App.record`."""

    def __init__(self, app: App) -> None:
        self._app = app

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[Write[Any]]:
        """A transaction: what is written through ``w.tx``, started and intended commits together, or not at all.

        Raises:
            CommitUnknown: if the connection was lost during COMMIT and the transaction started no workflow by which it
                could be told what came of it.
            DifferentArguments: if a workflow that it starts exists with other arguments; everything is rolled back.
        """
        runtime = self._app.runtime
        record = runtime.record
        flushed: Write[Any] | None = None
        try:
            async with record.transaction() as tx:
                w: Write[Any] = open_write(runtime, tx, None)
                yield w
                await flush(w, tx, [], own_key=None)
                flushed = w
        except Exception as error:
            if flushed is None or fault_of(record, error) != "unreachable":
                raise
            # COMMIT was on its way. A start that it carried tells whether it arrived.
            if not await self._arrived(flushed, error):
                raise RecordUnavailable(record.where, f"the transaction did not commit: {error}") from error
        if flushed is not None:
            flushed.committed()

    async def _arrived(self, w: Write[Any], error: Exception) -> bool:
        runtime = self._app.runtime
        if not w.started:
            raise CommitUnknown(runtime.record.where, str(error)) from error

        async def look() -> bool:
            async with runtime.record.session() as session:
                start = await session.find_start(w.started[-1].id)
                return start is not None and start.fingerprint == w.started[-1].fingerprint

        return await runtime.patiently("what became of COMMIT", look, release=False)

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        """The driver's own connection, in a read-only transaction."""
        async with self._app.runtime.record.reading() as connection:
            yield connection


class Handle[R]:
    """A workflow that was accepted."""

    def __init__(self, app: App, workflow: Workflow[..., R], id: str, start: Start) -> None:
        self._app, self._workflow, self.id, self._start = app, workflow, id, start
        self._ended: asyncio.Future[tuple[Finish, Exception | None]] | None = None

    def __repr__(self) -> str:
        return f"<Handle of workflow {self.id!r}>"

    def follow(self, relay: Relay) -> None:
        """Hear of the end from the worker in this process."""
        self._ended = relay.ended(self.id)

    async def status(self) -> Start:
        """The start as the record has it now."""
        return await self._app._find(self.id)

    async def result(self) -> R:
        """Wait for the workflow's end, as the record has it, and return its result.

        Raises:
            WorkflowFailed: if it failed; the exception itself is the cause when it happened in this process.
        """
        start: Start | Finish = self._start
        cause: Exception | None = None
        while start.state == "open":
            if self._ended is not None:
                # The worker of this process may lose its lease, and another finish the workflow: ask now and then.
                done, _ = await asyncio.wait({self._ended}, timeout=_RESULT_POLL_S * 8)
                if done:
                    start, cause = self._ended.result()
                    break
            else:
                await self._app.runtime.record.changed(_RESULT_POLL_S)
            start = await self.status()
        if start.state == "failed":
            error = codec.decode(start.error or "{}")
            raise WorkflowFailed(self.id, error.get("type", "Error"), error.get("message", "")) from cause
        runtime, function = self._app.runtime, self._workflow.function
        text = runtime.unseal(start.result) if start.result is not None else "null"
        return cast("R", codec.shape(codec.decode(text), function.returns, f"the result of {function!r}"))


class Worker:
    """A process's part in an app's work; see :meth:`App.worker`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.stopping = asyncio.Event()
        self.working = asyncio.Event()
        """Set while this process works; clear while it stands by."""

    async def work(self) -> None:
        """Work, or stand by, until :attr:`stopping` is set."""
        app = self._app
        while not self.stopping.is_set():
            engine = connect(app._engine_given, concurrency=app._concurrency, encryptor=app._encryptor)
            if not engine.exclusive:
                await self._with(engine, asyncio.create_task(self.stopping.wait()))
                continue
            async with contextlib.AsyncExitStack() as stack:
                held = asyncio.create_task(stack.enter_async_context(app._store.lease("worker")))
                if not await self._unless_stopping(held):
                    return
                ends = asyncio.create_task(_first(self.stopping.wait(), held.result().lost()))
                await self._with(engine, ends)
                if not self.stopping.is_set():
                    app.runtime.observe(LeaseLost(app.name))

    async def _unless_stopping(self, held: asyncio.Task[Any]) -> bool:
        """Wait for the lease; ``False`` if we are to stop before it is ours."""
        stopping = asyncio.create_task(self.stopping.wait())
        await asyncio.wait({held, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if held.done():
            held.result()
            return True
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
        return False

    async def _with(self, engine: Engine, ends: asyncio.Task[Any]) -> None:
        """Work with this engine until ``ends`` does."""
        app = self._app
        relay = Relay(app.runtime, engine, app._workflows, app._concurrency)
        for workflow in app._workflows.values():
            engine.register(workflow.name, body_of(workflow, app.runtime, relay, app._effects), workflow)
        await engine.start()
        if not engine.exclusive:
            await relay.put_back_open()
        app._relay = relay
        relay.start()
        self.working.set()
        try:
            await ends
        finally:
            ends.cancel()
            self.working.clear()
            app._relay = None
            await relay.stop()
            await engine.stop()
            await relay.close_ended()


async def _first(*waits: Awaitable[Any]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _by_name(workflows: Iterable[Workflow[..., Any]], what: str) -> dict[str, Workflow[..., Any]]:
    found: dict[str, Workflow[..., Any]] = {}
    for workflow in workflows:
        if not isinstance(workflow, Workflow):
            raise Misuse(f"workflows= takes @workflow functions, not {workflow!r}")
        first = found.setdefault(workflow.name, workflow)
        if first is not workflow:
            raise Misuse(f"two {what}s named {workflow.name!r}: {first.function.place} and {workflow.function.place}")
    return found


def _effects_of(steps: Iterable[Step[..., Any]]) -> dict[str, Effect[..., Any]]:
    found: dict[str, Effect[..., Any]] = {}
    queue = [step for step in steps if isinstance(step, Effect)]
    while queue:
        effect = queue.pop()
        first = found.setdefault(effect.name, effect)
        if first.function.fn is not effect.function.fn:
            raise Misuse(f"two effects named {effect.name!r}: {first.function.place} and {effect.function.place}")
        if effect.undo is not None and effect.undo.name not in found:
            queue.append(effect.undo)
    return found


__all__ = ["App", "AppRecord", "Handle", "Worker"]
