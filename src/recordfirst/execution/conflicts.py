"""Whether a stored receipt is that of the current call: the same step, request and key (P3, P4, P8).

A key depends only on a step's arguments. So today's code must make the stored key from the stored request. If it does
not, the same call would be another effect: it is refused before anything is called.

The key is compared only if earlier runs may have left receipts: in the first run of a new workflow there are none.
"""

from __future__ import annotations

from typing import Any, Protocol

from recordfirst.core import codec
from recordfirst.core.receipt import NewReceipt, Receipt
from recordfirst.errors import DifferentFunction, DifferentKey, DifferentRequest, RecordfirstError
from recordfirst.observe import DefaultKept
from recordfirst.records.contract import Session
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.function import Function
from recordfirst.steps.host import Host


def compare(host: Host, function: Function, stored: Receipt | None, asked: NewReceipt) -> None:
    """Raise the conflict, naming both sides, if a key's receipt is not of this function and request."""
    if stored is None:
        return  # a snapshot of the user's own isolation level may not show it; it is compared again where it is used
    if (stored.kind, stored.function) != (asked.kind, asked.function):
        raise DifferentFunction(asked.key, f"{stored.kind} {stored.function}", f"{asked.kind} {asked.function}")
    if stored.fingerprint == asked.fingerprint:
        _say_changed_default(host, function, stored, asked)
        return
    was, asks = host.unseal(stored.request), host.unseal(asked.request)
    if not same_today(function, was, asks):
        raise DifferentRequest(
            asked.key,
            f"the request of {stored.function} that workflow {stored.workflow!r} stored",
            f"one of workflow {asked.workflow!r} with another {codec.differences(was, asks)}",
        )


def _say_changed_default(host: Host, function: Function, stored: Receipt, asked: NewReceipt) -> None:
    """Tell that a deploy has changed a default meanwhile: what was stored with the request counts (P4)."""
    if not function.defaults:
        return
    was, asks = codec.decode(host.unseal(stored.request)), codec.decode(host.unseal(asked.request))
    changed = [name for name in function.defaults if name in was and was[name] != asks.get(name)]
    if changed:
        host.observe(DefaultKept(asked.key, function.name, ", ".join(changed)))


def same_today(function: Function, stored: str, given: str) -> bool:
    """Whether two requests that differ as text are one by today's types: a field with a default was added, say."""
    try:
        return codec.encode(function.thaw(stored), "the stored request") == given
    except RecordfirstError:
        return False


class Keyed(Protocol):
    """A step whose receipts have keys that are made of its arguments."""

    function: Function

    @property
    def key_needs(self) -> tuple[str, ...]:
        """Parameters that its key is made of."""

    def key_in(self, workflow_id: str, arguments: dict[str, Any]) -> str:
        """The key of a call with these arguments, in this workflow."""


async def refuse_other_key(
    host: Host,
    session: Session[Any],
    step: Keyed,
    workflow: str,
    arguments: Arguments,
) -> None:
    """Raise ``DifferentKey`` if a workflow has a receipt of this step under a key that is not made any longer."""
    function = step.function
    if function.has_other_keys:
        return
    key, fingerprint = step.key_in(workflow, arguments), host.fingerprint(arguments.asked)
    kind = "write" if function.kind == "write" else "effect"
    for stored, request in await session.requests_of(workflow, kind, function.name, key, fingerprint):
        made = _made_by_now(step, workflow, host.unseal(request))
        if made != repr(stored):
            raise DifferentKey(repr(function), workflow, stored, made)


def _made_by_now(step: Keyed, workflow: str, request: str) -> str:
    """The key that today's code makes of a stored request, or why it makes none."""
    stored = codec.decode(request)
    try:
        needed = step.function.fit({name: stored[name] for name in step.key_needs if name in stored})
        return repr(step.key_in(workflow, needed))
    except RecordfirstError as error:
        return f"none ({error})"
