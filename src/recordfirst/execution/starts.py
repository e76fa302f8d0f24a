"""Storing starts: what makes a workflow accepted (P7).

With an engine in the record's own database their promises are created in the same transaction. Elsewhere the
dispatcher does that after the commit, and the reconciler when even that is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from recordfirst.core import codec, identity
from recordfirst.core.start import NewStart, Start
from recordfirst.errors import DifferentArguments
from recordfirst.execution.conflicts import same_today
from recordfirst.execution.runtime import Runtime
from recordfirst.records.contract import Session
from recordfirst.steps.function import Function
from recordfirst.steps.workflow import Workflow


async def accept(runtime: Runtime, session: Session[Any], given: Sequence[NewStart]) -> list[tuple[Start, bool]]:
    """Store starts whose ids are new; return, in the order given, what the record holds, and if it is new.

    With :attr:`Runtime.joined`, the session is a transaction.
    """
    rows = await session.add_starts(given)
    if runtime.joined is not None:
        rows = await _hand_over(runtime, session, rows)
    if not runtime.works_here() and any(added and start.engine is None for start, added in rows):
        # Elsewhere only: Postgres lets transactions that notify commit one at a time.
        await runtime.record.notify(session)
    return rows


async def _hand_over(runtime: Runtime, tx: Session[Any], rows: list[tuple[Start, bool]]) -> list[tuple[Start, bool]]:
    """Give what is new to the engine in the record's database; what it does not take stays for the dispatcher."""
    joined, new = runtime.joined, [start for start, added in rows if added]
    if joined is None or not new:
        return rows
    epochs = [
        (
            identity.engine_id(runtime.app, start.id, start.epoch),
            start.workflow,
            codec.decode(runtime.unseal(start.arguments)),
        )
        for start in new
    ]
    answers = await joined.create(tx, epochs)
    taken = [start for start, epoch in zip(new, answers, strict=True) if epoch == "running"]
    await tx.dispatched(taken, joined.identity)
    ids = {start.id for start in taken}
    return [
        (msgspec.structs.replace(start, engine=joined.identity) if start.id in ids else start, added)
        for start, added in rows
    ]


def arguments_of(runtime: Runtime, workflow: Workflow[..., Any], start: Start) -> dict[str, Any]:
    """What the body of a start is called with.

    Raises whatever it is by which this version cannot run it: a key that is lost, a parameter of another version. The
    error may quote arguments.
    """
    arguments: dict[str, Any] = codec.decode(runtime.unseal(start.arguments))
    workflow.function.fit(workflow.function.bind((), arguments))
    return arguments


def new_start(
    runtime: Runtime, workflow: Workflow[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], id: str
) -> NewStart:
    """A start for these arguments, checked and encoded."""
    arguments = workflow.function.freeze(args, kwargs)
    return NewStart(
        id=identity.check_id(id),
        workflow=workflow.name,
        arguments=runtime.seal(arguments.text),
        fingerprint=runtime.fingerprint(workflow.name, arguments.asked),
    )


def check_same_start(runtime: Runtime, function: Function, stored: Start, given: NewStart) -> None:
    """Raise the conflict if an id was started before as something else (P8)."""
    if stored.fingerprint == given.fingerprint or runtime.sealing.same(
        stored.fingerprint, given.workflow, runtime.unseal(given.arguments)
    ):
        return
    if stored.workflow != given.workflow:
        raise DifferentArguments(given.id, stored.workflow, given.workflow)
    if stored.state == "collected":
        raise DifferentArguments(given.id, stored.workflow, f"{given.workflow} with other arguments")
    was, asks = runtime.unseal(stored.arguments), runtime.unseal(given.arguments)
    if not same_today(function, was, asks):
        another = f"{given.workflow} with another {codec.differences(was, asks)}"
        raise DifferentArguments(given.id, stored.workflow, another)
