"""Runs a projection: counts a version of it, reads the record behind that, and puts what it read into the mirror."""

from __future__ import annotations

import asyncio
from typing import Any

from resonate.context import Context

from recordfirst.core import codec
from recordfirst.core.decide import backoff_ms
from recordfirst.core.finding import Audit
from recordfirst.core.projection import NewProjection, Projection
from recordfirst.core.text import masked
from recordfirst.engine.sdk import steps as sdk
from recordfirst.errors import DifferentFunction, DifferentRequest
from recordfirst.execution.conflicts import same_today
from recordfirst.execution.execution import Execution
from recordfirst.execution.read_runner import ask
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import LateProjection, ProjectionFailed, RecordOutrun
from recordfirst.process.places import Admission, here
from recordfirst.providers.contract import describe
from recordfirst.references.contract import Entry
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.projection import ProjectStep

_IN_PLACE_MS = 5_000
"""Waits up to this long happen in place; longer ones are durable sleeps that hold no worker."""


class NotConfirmed(Exception):  # noqa: N818 - control flow between this module and who brings a mirror up to date
    """The mirror has not said that it has it; ``tries`` is how often in a row."""

    def __init__(self, version: int, tries: int, cause: str) -> None:
        self.version, self.tries, self.cause = version, tries, cause
        super().__init__(version, tries, cause)


async def run(step: ProjectStep[...], execution: Execution, ctx: Context, arguments: Arguments) -> None:
    """Run it in a workflow."""
    # What this run has under way would be missing: the record's state is that behind it.
    for on_its_way in list(execution.writes.values()):
        await asyncio.shield(on_its_way)
    while True:
        try:
            return await bring(step, execution.runtime, arguments, execution.workflow_id)
        except NotConfirmed as failed:
            wait_ms = backoff_ms(failed.tries, execution.runtime.random())
            if wait_ms > _IN_PLACE_MS:
                await sdk.sleep(ctx, failed.version, wait_ms / 1000)
            await execution.runtime.pause(min(wait_ms, _IN_PLACE_MS) / 1000)


async def read(step: ProjectStep[...], runtime: Runtime, connection: Any, arguments: dict[str, Any]) -> Any:
    """What the mirror is to show, by the record as this connection sees it: JSON's own types."""
    function = step.function
    document = await ask(runtime, function, connection, arguments, await step.reads(runtime))
    return codec.decode(codec.encode(document, f"what {function!r} returned"))


async def bring(
    step: ProjectStep[...],
    runtime: Runtime,
    arguments: dict[str, Any],
    workflow: str | None,
    *,
    audit: Audit | None = None,
) -> None:
    """Bring the mirror to the record's state as it is now.

    Args:
        step: the projection.
        runtime: the app's.
        arguments: those of the projection.
        workflow: whose step this is, if it is one's.
        audit: what is written down together with the mirror's confirmation, if somebody repairs it.

    Raises:
        NotConfirmed: if the mirror does not say that it is there.
        DifferentFunction, DifferentRequest: if the key is that of another projection (P8).
    """
    new = _new(step, runtime, arguments, workflow)
    mirror, above, admission = await step.mirror(runtime), 0, Admission(here(), f"mirror {step.name}")
    while True:
        version, entry = await _versioned(step, runtime, arguments, new, above)
        while not await admission.take():
            pass  # a mirror that answers nobody is waited for
        try:
            async with admission.in_flight(), asyncio.timeout(step.timeout_s):
                there = await mirror.put(entry)
        except Exception as error:
            cause = describe(error)
            runtime.observe(ProjectionFailed(new.key, cause))
            raise NotConfirmed(version, await _failed(runtime, new.key, cause), cause) from error
        if there is None:
            await _confirm(runtime, new.key, version, audit)
            return
        given = await _find(runtime, new.key)
        if there.version <= given.version:
            runtime.observe(LateProjection(new.key, version, there.version))
            await _confirm(runtime, new.key, there.version, audit)
            return
        # A version that this record has never given: it was restored, and what it says now must win (P6).
        runtime.observe(RecordOutrun(new.key, given.version, there.version))
        above = there.version


def _new(step: ProjectStep[...], runtime: Runtime, arguments: dict[str, Any], workflow: str | None) -> NewProjection:
    frozen = Arguments.of(arguments, f"the arguments of {step.function!r}")
    return NewProjection(
        key=step.key_for(arguments),
        function=step.name,
        workflow=workflow,
        fingerprint=runtime.sealing.fingerprint(frozen.asked),
        request=runtime.seal(frozen.text),
    )


async def _versioned(
    step: ProjectStep[...], runtime: Runtime, arguments: dict[str, Any], new: NewProjection, above: int
) -> tuple[int, Entry]:
    """Count, and read behind it, in one transaction: the next to count waits, and reads later."""

    async def once() -> tuple[int, Entry]:
        async with runtime.record.transaction() as tx:
            row = await tx.next_version(new, above)
            _compare(step, runtime, row, new)
            document = await read(step, runtime, tx.connection, arguments)
        return row.version, Entry(id=step.id_for(arguments), document=document, version=row.version)

    return await runtime.patiently(repr(step), once)


def _compare(step: ProjectStep[...], runtime: Runtime, stored: Projection, asked: NewProjection) -> None:
    if stored.function != asked.function:
        raise DifferentFunction(asked.key, f"project {stored.function}", f"project {asked.function}")
    if stored.fingerprint == asked.fingerprint:
        return
    was, asks = runtime.unseal(stored.request), runtime.unseal(asked.request)
    if not same_today(step.function, was, asks):
        another = f"one with another {codec.differences(was, asks)}"
        raise DifferentRequest(asked.key, f"the projection {stored.function} with its arguments", another)


async def _confirm(runtime: Runtime, key: str, version: int, audit: Audit | None) -> None:
    async def once() -> None:
        if audit is None:
            async with runtime.record.session() as session:
                await session.projected(key, version)
            return
        async with runtime.record.transaction() as tx:
            await tx.projected(key, version)
            await tx.add_audit(audit)

    await runtime.patiently(f"projection {key!r}", once)


async def _failed(runtime: Runtime, key: str, cause: str) -> int:
    reason = codec.encode({"reason": masked(codec.told(cause))[:2000]}, "a reason")

    async def once() -> int:
        async with runtime.record.session() as session:
            return int(await session.not_projected(key, reason))

    return await runtime.patiently(f"projection {key!r}", once)


async def _find(runtime: Runtime, key: str) -> Projection:
    async def once() -> Projection | None:
        async with runtime.record.session() as session:
            found: Projection | None = await session.find_projection(key)
            return found

    found = await runtime.patiently(f"projection {key!r}", once)
    assert found is not None
    return found
