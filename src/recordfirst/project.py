"""A projection: a step that brings a mirror to the record's current state, and never back.

The function reads the record; it is given nothing that could be old. The version under which its document goes to the
mirror is counted by the record, in the transaction that reads: the higher one has seen the newer record, and the mirror
refuses what is not newer than what it has. So a late projection, or a zombie's, changes nothing, and says so. A
projection may happen any number of times, has no outcome but that the mirror is there, and is kept as one row: what is
begun and not confirmed is open, and a reconcile brings it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, Protocol, cast, overload

from resonate.context import Context

from recordfirst.arguments import Arguments
from recordfirst.blocking import Blocking
from recordfirst.core import codec, keys
from recordfirst.core.decide import backoff_ms
from recordfirst.core.finding import Audit
from recordfirst.core.projection import NewProjection, Projection
from recordfirst.core.text import masked
from recordfirst.engine import leaf
from recordfirst.errors import DifferentFunction, DifferentRequest, Misuse
from recordfirst.function import Function
from recordfirst.observe import LateProjection, ProjectionFailed, RecordOutrun
from recordfirst.places import Admission, here
from recordfirst.providers.contract import describe
from recordfirst.read import Read
from recordfirst.references.contract import Entry, Reference
from recordfirst.runtime import Execution, Runtime
from recordfirst.step import Step
from recordfirst.writing import same_today

_IN_PLACE_MS = 5_000
"""Waits up to this long happen in place; longer ones are durable sleeps that hold no worker."""

_INTO = "into="
"""Under this name the mirror is among what the function needs; no parameter can have it."""


class NotConfirmed(Exception):  # noqa: N818 - control flow between this module and who brings a mirror up to date
    """The mirror has not said that it has it; ``tries`` is how often in a row."""

    def __init__(self, version: int, tries: int, cause: str) -> None:
        self.version, self.tries, self.cause = version, tries, cause
        super().__init__(version, tries, cause)


class ProjectStep[**P](Step[P, None]):
    """A ``@project``; see :func:`project`."""

    template: keys.Template
    entry_id: keys.Template
    listed: Function | None = None

    def __init__(self, function: Function, timeout_s: float) -> None:
        super().__init__(function)
        self._timeout_s = timeout_s
        # The document goes to the mirror; nothing of it comes back.
        self.__signature__ = self.__signature__.replace(return_annotation=None)
        self._bound_signature = self._bound_signature.replace(return_annotation=None)

    def every[F: Callable[..., Any]](self, fn: F) -> F:
        """Say what there is to be shown: ``fn(r, after)`` reads a page of values of the projection's one parameter.

        In their order, behind ``after`` (at first ``None``); an empty page is the end. With it a reconcile also finds
        what was never projected.

        Raises:
            Misuse: if the projection has more parameters than one, or ``fn`` does not take ``r`` and ``after``.
        """
        function = Function(fn, kind="every")
        if len(self.function.parameters) != 1:
            raise Misuse(f"{self.function!r} takes {', '.join(self.function.parameters)}; every() lists values of one")
        if len(function.parameters) != 1:
            raise Misuse(f"@every {function.place} takes the read, and behind which value it goes on")
        self.listed = function
        return fn

    def functions(self) -> list[Function]:
        return [self.function, *([self.listed] if self.listed is not None else [])]

    def key_for(self, arguments: dict[str, Any]) -> str:
        """The key of its row."""
        return self.template.render(arguments, repr(self.function))

    def id_for(self, arguments: dict[str, Any]) -> str:
        """The id of its entry in the mirror."""
        return self.entry_id.render(arguments, repr(self.function))

    async def mirror(self, runtime: Runtime) -> Reference:
        """The reference that it goes to."""
        mirror: Reference = (await runtime.injector.resolve(self.function))[_INTO]
        return mirror

    async def read(self, runtime: Runtime, connection: Any, arguments: dict[str, Any]) -> Any:
        """What the mirror is to show, by the record as this connection sees it: JSON's own types."""
        function = self.function
        resolved = await runtime.injector.resolve(function)
        injected = {name: value for name, value in resolved.items() if name != _INTO}
        first = Read(connection if function.is_async else Blocking(connection, runtime.loop))
        document = await function.call(first, arguments, injected, runtime.executor)
        return codec.decode(codec.encode(document, f"what {function!r} returned"))

    async def bring(
        self, runtime: Runtime, arguments: dict[str, Any], workflow: str | None, *, audit: Audit | None = None
    ) -> None:
        """Bring the mirror to the record's state as it is now.

        Args:
            runtime: the app's.
            arguments: the projection's.
            workflow: whose step this is, if it is one's.
            audit: what is written down together with the mirror's confirmation, if somebody repairs it.

        Raises:
            NotConfirmed: if the mirror does not say that it is there.
            DifferentFunction, DifferentRequest: if the key is that of another projection (P8).
        """
        new = self._new(runtime, arguments, workflow)
        mirror, above, admission = await self.mirror(runtime), 0, Admission(here(), f"mirror {self.name}")
        while True:
            version, entry = await self._versioned(runtime, arguments, new, above)
            while not await admission.take():
                pass  # a mirror that answers nobody is waited for
            try:
                async with admission.in_flight(), asyncio.timeout(self._timeout_s):
                    there = await mirror.put(entry)
            except Exception as error:
                cause = describe(error)
                runtime.observe(ProjectionFailed(new.key, cause))
                raise NotConfirmed(version, await self._failed(runtime, new.key, cause), cause) from error
            if there is None:
                await self._confirm(runtime, new.key, version, audit)
                return
            given = await self._find(runtime, new.key)
            if there.version <= given.version:
                runtime.observe(LateProjection(new.key, version, there.version))
                await self._confirm(runtime, new.key, there.version, audit)
                return
            # A version that this record has never given: it was set back, and what it says now must win (P6).
            runtime.observe(RecordOutrun(new.key, given.version, there.version))
            above = there.version

    def _new(self, runtime: Runtime, arguments: dict[str, Any], workflow: str | None) -> NewProjection:
        frozen = Arguments.of(arguments, f"the arguments of {self.function!r}")
        return NewProjection(
            key=self.key_for(arguments),
            function=self.name,
            workflow=workflow,
            fingerprint=runtime.sealing.fingerprint(frozen.asked),
            request=runtime.seal(frozen.text),
        )

    async def _versioned(
        self, runtime: Runtime, arguments: dict[str, Any], new: NewProjection, above: int
    ) -> tuple[int, Entry]:
        """Count, and read behind it, in one transaction: whoever counts next waits, and reads later."""

        async def once() -> tuple[int, Entry]:
            async with runtime.record.transaction() as tx:
                row = await tx.next_version(new, above)
                self._compare(runtime, row, new)
                document = await self.read(runtime, tx.connection, arguments)
            return row.version, Entry(id=self.id_for(arguments), document=document, version=row.version)

        return await runtime.patiently(repr(self), once)

    def _compare(self, runtime: Runtime, stored: Projection, asked: NewProjection) -> None:
        if stored.function != asked.function:
            raise DifferentFunction(asked.key, f"project {stored.function}", f"project {asked.function}")
        if stored.fingerprint == asked.fingerprint:
            return
        was, asks = runtime.unseal(stored.request), runtime.unseal(asked.request)
        if not same_today(self.function, was, asks):
            another = f"one with another {codec.differences(was, asks)}"
            raise DifferentRequest(asked.key, f"the projection {stored.function} with its arguments", another)

    async def _confirm(self, runtime: Runtime, key: str, version: int, audit: Audit | None) -> None:
        async def once() -> None:
            if audit is None:
                async with runtime.record.session() as session:
                    await session.projected(key, version)
                return
            async with runtime.record.transaction() as tx:
                await tx.projected(key, version)
                await tx.add_audit(audit)

        await runtime.patiently(f"projection {key!r}", once)

    async def _failed(self, runtime: Runtime, key: str, cause: str) -> int:
        reason = codec.encode({"reason": masked(codec.told(cause))[:2000]}, "a reason")

        async def once() -> int:
            async with runtime.record.session() as session:
                return int(await session.not_projected(key, reason))

        return await runtime.patiently(f"projection {key!r}", once)

    async def _find(self, runtime: Runtime, key: str) -> Projection:
        async def once() -> Projection | None:
            async with runtime.record.session() as session:
                found: Projection | None = await session.find_projection(key)
                return found

        found = await runtime.patiently(f"projection {key!r}", once)
        assert found is not None
        return found

    def identity(self, execution: Execution, arguments: Arguments) -> str:
        return f"{self.key_for(arguments)} {super().identity(execution, arguments)}"

    async def _run(self, execution: Execution, ctx: Context, arguments: Arguments) -> None:
        # What this run has under way would be missing: the record's state is that behind it.
        for on_its_way in list(execution.writes.values()):
            await asyncio.shield(on_its_way)
        while True:
            try:
                return await self.bring(execution.runtime, arguments, execution.workflow_id)
            except NotConfirmed as failed:
                wait_ms = backoff_ms(failed.tries, execution.runtime.random())
                if wait_ms > _IN_PLACE_MS:
                    await leaf.sleep(ctx, failed.version, wait_ms / 1000)
                await execution.runtime.pause(min(wait_ms, _IN_PLACE_MS) / 1000)


class ProjectDecorator(Protocol):
    """What ``project(...)`` gives: a decorator that keeps the function's parameters."""

    @overload
    def __call__[**P](self, fn: Callable[Concatenate[Read[Any], P], Awaitable[Any]], /) -> ProjectStep[P]: ...
    @overload
    def __call__[**P](self, fn: Callable[Concatenate[Read[Any], P], Any], /) -> ProjectStep[P]: ...


def project(
    *, key: str, into: Any, id: str | None = None, timeout_s: float = 30.0, name: str | None = None
) -> ProjectDecorator:
    """Make a function a projection: it reads what a mirror is to show, and the step brings the mirror there.

    The function's first parameter is a :class:`Read`; it returns the document, which must be JSON, or ``None`` if the
    record has it no more. It only reads: it runs in the transaction that counts its version. The step returns when the
    mirror has that version, or a newer one; while the mirror cannot be reached it waits, holding no worker. To go on
    without it, start it as a workflow of its own.

    Args:
        key: template of the business key, such as ``"customer:{id}:search"``.
        into: what the mirror is provided as: its class, or a ``NewType``.
        id: template of the entry's id in the mirror. Default: the key.
        timeout_s: seconds after which the mirror counts as not answering.
        name: the name in the record. Default: the function's. Keep the old one here when you rename a function.

    Raises:
        BadKey: if a template names what the parameters do not have.
        Misuse: if the signature does not fit.
    """

    def decorate(fn: Callable[..., Any]) -> ProjectStep[Any]:
        function = Function(fn, kind="project", name=name)
        function.refuse_unstorable_result()
        function.injected[_INTO] = into
        made: ProjectStep[Any] = ProjectStep(function, timeout_s)
        made.template = keys.parse(key, repr(function), function.parameters)
        made.entry_id = keys.parse(id if id is not None else key, repr(function), function.parameters)
        return made

    return cast("ProjectDecorator", decorate)
