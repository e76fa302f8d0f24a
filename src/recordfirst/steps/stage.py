"""A stage: a step that writes to a reference before the record (P3, P4, P8).

It is an effect whose provider is a :class:`~recordfirst.references.contract.Reference`. The function says what is to be
staged and does nothing else; it runs once, and what it returned is in the record before it is sent. That it is there
already is the same success; that something else is there is a conflict. What was staged for a record that never came
stays in the reference, and means nothing: a reader asks the record first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from recordfirst.core import codec, keys
from recordfirst.errors import DifferentEntry, Misuse
from recordfirst.observe import StagedBefore
from recordfirst.process.limit import Limit
from recordfirst.providers.contract import Provider
from recordfirst.references.contract import Entry, Reference
from recordfirst.steps.effect import Call, Effect, Sender
from recordfirst.steps.function import Function
from recordfirst.steps.host import Host
from recordfirst.steps.precedent import Precedent

_FOR_EVER_S = 100 * 365 * 24 * 3600
_NEVER_TOO_MANY = 1 << 30
"""Doubts after which it is not sent again: there is no such number, since what is there already is found."""


class StageStep[**P, R](Effect[P, R], Precedent[P, R]):
    """A ``@stage``; see :func:`stage`."""

    receipts_stay = True
    receipt_kind = "effect"
    entry_id: keys.Template

    @property
    def renders(self) -> bool:
        return True

    @property
    def receipt_needs(self) -> tuple[str, ...]:
        return self.template.names

    def receipt_key(self, workflow_id: str, arguments: dict[str, Any]) -> str:
        del workflow_id
        return self.key_for(arguments)

    async def render(self, host: Host, arguments: dict[str, Any], now_ms: int) -> str | None:
        """Return what every call is to send, as JSON.

        Raises:
            Misuse: if the function returned ``None``.
            Unencodable: if what it returned cannot be JSON.
        """
        del now_ms
        said = await self.function.call(None, arguments, {}, host.executor)
        what = f"what {self.function!r} returned"
        document = codec.decode(codec.encode(said, what))
        if document is None:
            raise Misuse(f"{self.function!r} returned None; a stage returns what is to be staged")
        return codec.encode(Entry(id=self.entry_id.render(arguments, repr(self.function)), document=document), what)

    async def reference(self, host: Host) -> Reference:
        """Where it stages."""
        found: Reference = (await host.injector.resolve(self.function))["reference"]
        return found

    async def sender(self, host: Host, call: Call, arguments: dict[str, Any]) -> Sender:
        await self.reference(host)
        entry = self.entry_of(call.request)

        def send(limit: Limit) -> Awaitable[Any]:
            limit.begin()
            return self.put(host, self.key_for(arguments), entry)

        return send

    async def put(self, host: Host, key: str, entry: Entry) -> Any:
        """Stage it, or find it staged.

        Raises:
            DifferentEntry: if something else is.
        """
        reference = await self.reference(host)
        there = await reference.put(entry)
        # One with a version was projected: the record has been here, and has the say.
        if there is not None and there.version == 0:
            if there.document != entry.document:
                raise DifferentEntry(entry.id, reference.where, *_sides(there, entry))
            host.observe(StagedBefore(key, entry.id))
        return entry.document

    def entry_of(self, frozen: Any) -> Entry:
        """What a receipt's ``frozen`` says is to be staged."""
        return codec.shape(frozen, Entry, f"what is stored of {self.function!r}")


def _sides(there: Entry, given: Entry) -> tuple[str, str]:
    """The fields that differ, with both values."""
    one, other = there.document, given.document
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
        return tuple(", ".join(f"{name}={side.get(name)!r}" for name in names) for side in (one, other))  # type: ignore[return-value]
    return repr(one), repr(other)


class StageDecorator(Protocol):
    """What ``stage(...)`` gives: a decorator that keeps the function's parameters and result."""

    def __call__[**P, R](self, fn: Callable[P, R], /) -> StageStep[P, R]: ...


def stage(
    *, key: str, into: Any, id: str | None = None, timeout_s: float = 30.0, name: str | None = None
) -> StageDecorator:
    """Make a function a stage: it returns what a reference is to have before the record is written.

    The function takes the step's arguments alone. It runs once; every call sends what it returned then (P4). The step
    returns the same, once the reference has it. What is there already and is the same is the same success, however
    it came there. Something else under that id is a ``DifferentEntry`` (P8), and nothing was changed.

    Where the reference is a table of the record's own database, a ``@write`` with :func:`insert_or_same` does it in one
    transaction. Name a stage in ``after=`` of what must not come before it.

    Args:
        key: template of the business key, such as ``"customer:{customer.id}:profile"``.
        into: what the reference is provided as: its class, or a ``NewType``.
        id: template of the entry's id in the reference. Default: the key.
        timeout_s: seconds after which a call counts as unanswered; it is then sent again.
        name: the name in receipts. Default: the function's. Keep the old one here when you rename a function.

    Raises:
        BadKey: if a template names what the parameters do not have.
        Misuse: if the signature does not fit.
    """

    def decorate(fn: Callable[..., Any]) -> StageStep[..., Any]:
        function = Function(fn, kind="stage", name=name, leads=False)
        function.refuse_unstorable_result()
        if function.injected:
            injected = ", ".join(function.injected)
            raise Misuse(f"@stage {function.place} injects {injected}; it only says what is to be staged")
        function.injected["reference"] = into
        made: StageStep[..., Any] = StageStep(
            function, timeout_s=timeout_s, in_doubt="park", max_doubts=_NEVER_TOO_MANY
        )
        made.provider = Provider(name="reference", retention_s=_FOR_EVER_S, margin_s=0, key_limit=1 << 16)
        made.template = keys.parse(key, repr(function), function.parameters)
        made.entry_id = keys.parse(id if id is not None else key, repr(function), function.parameters)
        made.after = None
        return made

    return cast("StageDecorator", decorate)
