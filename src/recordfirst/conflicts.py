"""A key that a deploy has changed under a workflow that has used it (P3, P8).

A key is made of a step's arguments alone, so of a request that is stored today's code must make the key that it is
stored under. If it does not, the same call would be another effect: it is refused before anything is called.

Asked only where earlier runs may have left receipts: in the first run of a new workflow there are none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from recordfirst.arguments import Arguments
from recordfirst.core import codec
from recordfirst.errors import DifferentKey, RecordfirstError
from recordfirst.function import Function
from recordfirst.records.contract import Session

if TYPE_CHECKING:
    from recordfirst.runtime import Execution, Runtime


class Keyed(Protocol):
    """A step whose receipts have keys that are made of its arguments."""

    function: Function

    @property
    def key_needs(self) -> tuple[str, ...]:
        """Parameters that its key is made of."""

    def key_in(self, workflow_id: str, arguments: dict[str, Any]) -> str:
        """The key of a call with these arguments, in this workflow."""


async def refuse_other_key(
    runtime: Runtime,
    session: Session[Any],
    step: Keyed,
    workflow: str,
    arguments: Arguments,
    execution: Execution | None = None,
) -> None:
    """Raise ``DifferentKey`` if a workflow has a receipt of this step under a key that is not made any longer.

    Looks once in each run of a body: what that stores itself has today's key.
    """
    function = step.function
    if function.has_other_keys:
        return
    if execution is not None and (execution.first_run or function in execution.same_keys):
        return
    key, fingerprint = step.key_in(workflow, arguments), runtime.sealing.fingerprint(arguments.asked)
    kind = "write" if function.kind == "write" else "effect"
    for stored, request in await session.requests_of(workflow, kind, function.name, key, fingerprint):
        made = _made_by_now(step, workflow, runtime.unseal(request))
        if made != repr(stored):
            raise DifferentKey(repr(function), workflow, stored, made)
    if execution is not None:
        execution.same_keys.add(function)


def _made_by_now(step: Keyed, workflow: str, request: str) -> str:
    """The key that today's code makes of a stored request, or why it makes none."""
    stored = codec.decode(request)
    try:
        needed = step.function.fit({name: stored[name] for name in step.key_needs if name in stored})
        return repr(step.key_in(workflow, needed))
    except RecordfirstError as error:
        return f"none ({error})"
