"""An effect: a step that calls another system, at most once as the outside world sees it (P1, P3, P4, P5).

What is declared here is run by ``execution/effect_runner.py``; what to do next is decided by ``core/decide.py``.
"""

from __future__ import annotations

import copy
import functools
import math
import operator
import types
from collections.abc import Awaitable, Callable
from functools import cached_property, partial
from typing import Any, Concatenate, Literal, Protocol, Self, Union, cast, get_args, get_origin, overload

import msgspec

from recordfirst.core import codec, decide, identity, keys, pending
from recordfirst.core.decide import Guarantee
from recordfirst.core.receipt import After, NewReceipt, Receipt
from recordfirst.core.reversal import Reversal
from recordfirst.errors import Misuse, NotDone
from recordfirst.process.limit import Limit
from recordfirst.process.seams import Outgoing
from recordfirst.providers.contract import Pending, Provider
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.function import Function
from recordfirst.steps.host import Host
from recordfirst.steps.precedent import Precedent, check_after
from recordfirst.steps.step import FollowUp, Step, follow_up


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a provider, as an effect's function (and its probe) sees it."""

    key: str
    """The idempotency key to send: the same on every retry, another for each attempt (P3)."""
    marker: str
    """What to leave at the provider, in metadata say, so that a probe finds the call; never changes in an attempt."""
    attempt: int
    number: int
    """How often this attempt was called before, and now: 1 for the first."""
    since_ms: int
    """It was not called before that, so a probe need not look further back: the record's milliseconds since 1970.
    When the intent was stored; after a restore of the record, since when one may have been lost."""
    request: Any
    """What ``freeze=`` rendered before the first call; every call sends this (P4). ``None`` without ``freeze=``."""
    references: dict[str, str] = {}
    """For a probe: what the provider calls what is pending, by kind, so that it is looked at by its id, however much
    the provider has by now. Empty if nothing is pending, or if another call is in doubt: what is known is not all then.
    """


type Sender = Callable[[Limit], Awaitable[Any]]
"""Makes one call, and tells the limit when it begins."""


class Effect[**P, R](Step[P, R]):
    """An ``@effect``; see :func:`effect`."""

    provider: Provider
    template: keys.Template
    after: Precedent[..., Any] | None
    probe: Function | None = None
    freeze: Function | None = None
    undo: Effect[..., Any] | None = None
    undo_extra: str | None = None
    success: FollowUp | None = None
    decline: FollowUp | None = None
    pending: FollowUp | None = None
    reversal: FollowUp | None = None
    expiry: Effect[..., Any] | None = None
    """What cancels it at the provider, when it has been pending for too long."""
    expires_s: float | None = None
    deadline_s: float | None = None
    attempt_number: int = 1
    follows: bool = False
    """Its attempt was counted by what it follows: it is not one that the body asks for."""
    receipts_stay: bool = False
    """When its workflow is collected: what it has made stays for ever, and is not known by its key alone."""
    settles: bool = False
    """It is asked for only to learn what became of it: it is never called, since even the same key could have the
    effect for the first time."""
    of: Receipt | None = None
    """The receipt that it goes on with, under its own key, whatever key today's code would make (P3)."""
    undoes: Receipt | None = None
    """What it takes back, if it is called for that."""

    def __init__(
        self, function: Function, *, timeout_s: float, in_doubt: Literal["park", "repeat"], max_doubts: int
    ) -> None:
        super().__init__(function)
        self.timeout_s, self.in_doubt, self.max_doubts = timeout_s, in_doubt, max_doubts

    @cached_property
    def guarantee(self) -> Guarantee:
        """What deciding rests on."""
        return Guarantee(
            key_honoured_ms=self.provider.key_honoured_ms,
            lag_ms=math.ceil(self.provider.lag_s * 1000),
            arrives_ms=math.ceil(self.provider.arrives_within_s * 1000),
            can_probe=self.probe is not None,
            settles=self.settles,
            in_doubt=self.in_doubt,
            max_doubts=self.max_doubts,
            deadline_ms=_ms(self.deadline_s),
            # Nobody waits for what is to be undone.
            expires_ms=0 if self.settles and self.expiry is not None else _ms(self.expires_s),
            looks_ms=tuple(math.ceil(each * 1000) for each in self.provider.looks_s),
        )

    def next(self, receipt: Receipt, now_ms: int) -> decide.Action:
        """What is to be done about a receipt of this effect.

        Raises:
            NotDone: if it did not happen, and is asked for only to learn that.
        """
        if self.settles and receipt.state == "intended" and receipt.doubts == 0 and receipt.reply is None:
            # Certain at once, however long the provider has asked to be left alone.
            raise NotDone(f"effect {receipt.key!r} did not happen, and is no longer to")
        return decide.decide(receipt, now_ms, self.guarantee)

    def on_success[F: Callable[..., Any]](self, fn: F) -> F:
        """Run ``fn(w, ...)`` in the transaction that stores this effect's success.

        It takes the effect's parameters by name, as many as it likes, and at most one more: the result.

        Raises:
            Misuse: if it cannot, or there is one already. So do the others.
        """
        self.success = follow_up(self.function, fn, "on_success", self.success)
        return fn

    def on_decline[F: Callable[..., Any]](self, fn: F) -> F:
        """Run ``fn(w, ...)`` in the transaction that stores this effect's decline; the one more is the ``Declined``."""
        self.decline = follow_up(self.function, fn, "on_decline", self.decline)
        return fn

    def on_pending[F: Callable[..., Any]](self, fn: F) -> F:
        """Run ``fn(w, ...)`` in the transaction that stores that this effect is pending; the one more is ``Pending``.

        So an order says what it waits for, and what a browser needs for it. Again when the provider has news.
        """
        self.pending = follow_up(self.function, fn, "on_pending", self.pending)
        return fn

    def on_reversal[F: Callable[..., Any]](self, fn: F) -> F:
        """Run ``fn(w, ...)`` in the transaction that stores that what this effect did was taken back; the one more is
        the :class:`~recordfirst.core.reversal.Reversal`.

        A refund by somebody else, a dispute and what becomes of it, a bank debit that came back; of a refund, that it
        failed after it had succeeded. Once for each, found by an event or a reconcile. One that raises is tried again,
        later and later, and then stopped with a finding.

        Raises:
            Misuse: if it does not take the reversal, or the provider tells of none.
        """
        function, extra = follow_up(self.function, fn, "on_reversal", self.reversal)
        if extra is None or function.parameters[extra] not in (Reversal, Any):
            raise Misuse(f"@on_reversal {function.place}: it takes what was taken back, as `reversal: Reversal`")
        if type(self.provider).taken_back is Provider.taken_back:
            name = self.provider.name
            raise Misuse(f"@on_reversal {function.place}: provider {name!r} has no taken_back(), so it is never told")
        self.reversal = function, extra
        return fn

    def follow_up_of(self, state: str) -> FollowUp | None:
        """What runs in the transaction that stores this outcome."""
        return {"succeeded": self.success, "declined": self.decline, "pending": self.pending}[state]

    def without_follow_ups(self) -> Self:
        """Return this effect as one whose outcome is stored alone."""
        other = copy.copy(self)
        other.success = other.decline = other.pending = None
        return other

    def attempt(self, number: int) -> Self:
        """Return this effect as its attempt ``number``, which the caller asks for after a decline of the one before.

        Raises:
            Misuse: if ``number`` is below 1.
        """
        if number < 1:
            raise Misuse(f"attempt {number} of {self.name}: attempts are counted from 1")
        other = copy.copy(self)
        other.attempt_number = number
        return other

    def undoing(self, undone: Receipt, *, attempt: int, begun: Receipt | None = None) -> Self:
        """Return this effect as the undo of what has that receipt, and as this attempt of its own.

        With ``begun``, the receipt that the undo has by now, it goes on with that one.
        """
        other = self.attempt(attempt)
        other.follows, other.undoes, other.of = True, undone, begun
        return other

    def following(self, receipt: Receipt) -> Self:
        """Return this effect as that attempt of what it cancels."""
        other = self.attempt(receipt.attempt)
        other.follows = True
        return other

    def settling(self, receipt: Receipt) -> Self:
        """Return this effect as one whose outcome, by that receipt, is to be known, and which is begun no more."""
        other = self.attempt(receipt.attempt)
        other.settles, other.of = True, receipt
        vars(other).pop("guarantee", None)  # what was rendered for the one that is called does not hold for this one
        return other

    def functions(self) -> list[Function]:
        declared = (self.success, self.decline, self.pending, self.reversal)
        follow_ups = [each[0] for each in declared if each is not None]
        found = [self.function, *(f for f in (self.probe, self.freeze) if f is not None), *follow_ups]
        for step in (self.after, self.undo, self.expiry):
            if step is not None:
                found += step.functions()
        return found

    @property
    def key_needs(self) -> tuple[str, ...]:
        """Parameters that its key is made of."""
        return self.template.names

    def key_in(self, workflow_id: str, arguments: dict[str, Any]) -> str:
        """The key of a call with these arguments, in this workflow."""
        del workflow_id
        return self.key_for(arguments)

    def key_for(self, arguments: dict[str, Any]) -> str:
        """The business key: the same in every attempt."""
        return self.template.render(arguments, repr(self.function))

    def after_key(self, workflow_id: str, arguments: dict[str, Any]) -> str | None:
        """Key of the receipt that must be there first (P1)."""
        return None if self.after is None else self.after.receipt_key(workflow_id, arguments)

    def precedent(self, workflow_id: str, arguments: dict[str, Any]) -> After | None:
        """The receipt that must be there first (P1)."""
        return None if self.after is None else self.after.receipt_of(workflow_id, arguments)

    def call_for(self, host: Host, receipt: Receipt) -> Call:
        """What this receipt's next call sends."""
        limit = self.provider.key_limit
        return Call(
            key=identity.provider_key(host.app, receipt.key, receipt.attempt, receipt.reissue, limit),
            marker=identity.marker(host.app, receipt.key, receipt.attempt, limit),
            attempt=receipt.attempt,
            number=receipt.calls,
            # After a restore of the record the intent is stored anew, and may have been called long before that.
            since_ms=min(receipt.created_at_ms, receipt.key_since_ms or receipt.created_at_ms),
            request=codec.decode(host.unseal(receipt.frozen)) if receipt.frozen is not None else None,
            references=pending.known_under(receipt, host.unseal),
        )

    async def sender(self, host: Host, call: Call, arguments: dict[str, Any]) -> Sender:
        """Return what makes one call; whatever is wrong before it is made is raised here."""
        injected = await host.injector.resolve(self.function)
        return lambda limit: self.function.call(call, arguments, injected, host.executor, limit)

    def outgoing(self, call: Call, workflow_id: str, arguments: dict[str, Any]) -> Outgoing:
        """What stands between is told of a call."""
        after = partial(self.after_key, workflow_id, arguments)
        return Outgoing(self.name, call.key, after, self.guarantee.key_honoured_ms)

    @property
    def renders(self) -> bool:
        """Whether what is sent is rendered once, before the first call."""
        return self.freeze is not None

    async def render(self, host: Host, arguments: dict[str, Any], now_ms: int) -> str | None:  # noqa: ARG002
        """What every call is to send, as JSON. ``now_ms``, the record's time, is for what makes ids of it."""
        if self.freeze is None:
            return None
        injected = await host.injector.resolve(self.freeze)
        rendered = await self.freeze.call(*_first_and_rest(self.freeze, arguments), injected, host.executor)
        return codec.encode(rendered, f"what {self.freeze!r} rendered")

    async def new_receipt(self, host: Host, workflow_id: str, arguments: dict[str, Any], now_ms: int) -> NewReceipt:
        """The intent for these arguments: key, frozen request, undo."""
        frozen = Arguments.of(arguments, f"the arguments of {self.function!r}")
        rendered = await self.render(host, arguments, now_ms)
        return NewReceipt(
            key=self.key_for(arguments),
            attempt=self.attempt_number,
            kind="effect",
            function=self.name,
            workflow=workflow_id,
            state="intended",
            fingerprint=host.fingerprint(frozen.asked),
            request=host.seal(frozen.text),
            frozen=host.seal(rendered) if rendered is not None else None,
            undo=self.undo.name if self.undo is not None else None,
        )

    def identity(self, workflow_id: str, arguments: Arguments) -> str:
        if self.undoes is not None:
            return f"undo {self.undoes.key}#{self.undoes.attempt} by {self.__name__}"
        if self.of is not None:
            return f"settle {self.of.key}#{self.of.attempt}"
        return f"{self.key_for(arguments)}#{self.attempt_number} {super().identity(workflow_id, arguments)}"


def _first_and_rest(function: Function, arguments: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Split arguments for a function whose first parameter is the caller's own."""
    first = next(iter(function.signature.parameters))
    return arguments.get(first), {name: value for name, value in arguments.items() if name in function.parameters}


class EffectDecorator(Protocol):
    """What ``effect(...)`` gives: a decorator that keeps the function's parameters and result."""

    @overload
    def __call__[**P, R](self, fn: Callable[Concatenate[Call, P], Awaitable[R | Pending]], /) -> Effect[P, R]: ...
    @overload
    def __call__[**P, R](self, fn: Callable[Concatenate[Call, P], R | Pending], /) -> Effect[P, R]: ...


def effect(
    *,
    key: str,
    after: Precedent[..., Any] | None,
    provider: Provider | type[Provider],
    probe: Callable[..., Any] | None = None,
    freeze: Callable[..., Any] | None = None,
    undo: Effect[..., Any] | None = None,
    expires_s: float | None = None,
    on_expiry: Effect[..., Any] | None = None,
    deadline_s: float | None = None,
    timeout_s: float = 60.0,
    in_doubt: Literal["park", "repeat"] = "park",
    max_doubts: int = 10,
    name: str | None = None,
) -> EffectDecorator:
    """Make a function an effect: a call of somebody else that happens at most once, as the outside sees it (P3).

    The function's first parameter is a :class:`Call`; it sends ``call.key`` as its idempotency key and makes one call.
    It may raise ``Declined``, ``NotDone`` or ``Unknown`` itself; any other exception is read by the provider (P5). It
    returns what is final, or :class:`~recordfirst.Pending` while the provider has not decided: what is declared for it
    then is ``-> Payment | Pending``, and a workflow that calls it gets the ``Payment``.

    Args:
        key: template of the business key, such as ``"order:{order.id}:charge"``. It is what makes the effect one
            and the same across crashes, deploys and engines, so it names the business fact, never a position.
        after: the write (or stage) that must have its receipt before this is called (P1); ``None`` says in the open
            that it depends on no write.
        provider: whom it calls, with what they guarantee.
        probe: ``async def probe(call, ...)``, with the same parameters: asks the provider what became of the call, and
            returns ``Found(result)``, ``Absent()`` or ``CannotTell(why)``; or raises ``Declined``.
        freeze: a function of (some of) the same parameters that renders what is to be sent. It runs once, before the
            first call; ``call.request`` is what it returned, on every call (P4).
        undo: the effect that compensates this one if the workflow ends in failure. It takes this one's parameters by
            name, and at most one more: the result.
        expires_s: seconds after which what is pending is waited for no longer: ``on_expiry`` is called.
        on_expiry: the effect that cancels it at the provider. It takes this one's parameters by name, and at most one
            more: the ``Pending``. Only its answer ends the wait; if it is refused, the provider is asked what is so.
        deadline_s: seconds after the intent was stored, from when on it is declined (``too_late``), if it has certainly
            not happened. What is in doubt, or pending, has no deadline.
        timeout_s: seconds after which a call is given up as unknown.
        in_doubt: with a provider that honours no key and cannot be probed: ``"park"`` waits for an operator when an
            outcome is unknown, ``"repeat"`` calls again, which may repeat the effect.
        max_doubts: after so many calls without a known outcome the key alone is no longer trusted: probe, or park.
        name: the name in receipts. Default: the function's. Keep the old one here when you rename a function.

    Raises:
        BadKey: if the template names what the parameters do not have.
        Misuse: if the signature or an option does not fit, or ``after``'s key cannot be told from this effect's
            arguments.
    """

    def decorate(fn: Callable[..., Any]) -> Effect[..., Any]:
        function = Function(fn, kind="effect", name=name)
        function.returns = without_pending(function.returns)
        function.refuse_unstorable_result()
        _check_options(function, provider, timeout_s, in_doubt, max_doubts)
        made: Effect[..., Any] = Effect(function, timeout_s=timeout_s, in_doubt=in_doubt, max_doubts=max_doubts)
        made.provider = provider() if isinstance(provider, type) else provider  # type: ignore[call-arg]
        made.template = keys.parse(key, repr(function), function.parameters)
        made.after = check_after(function, after)
        if probe is not None:
            made.probe = Function(probe, kind="probe")
            _check_parameters(function, made.probe, list(made.probe.parameters))
        if freeze is not None:
            made.freeze = Function(freeze, kind="freeze")
            _check_parameters(
                function, made.freeze, [*list(made.freeze.signature.parameters)[:1], *made.freeze.parameters]
            )
        if undo is not None:
            _, made.undo_extra = follow_up(function, undo.function, "undo")
            made.undo = undo
        made.deadline_s, made.expires_s, made.expiry = deadline_s, expires_s, on_expiry
        _check_times(made)
        return made

    return cast("EffectDecorator", decorate)


def _check_options(function: Function, provider: Any, timeout_s: Any, in_doubt: Any, max_doubts: int) -> None:
    """Refuse at once what would be found out at the first call, or never."""
    kind = provider if isinstance(provider, type) else type(provider)
    wrong = {
        f"provider= takes a Provider, with what it guarantees, not {provider!r}": not issubclass(kind, Provider),
        f"timeout_s= takes a number of seconds above 0, not {timeout_s!r}": not _is_above_0(timeout_s),
        f"in_doubt= takes 'park' or 'repeat', not {in_doubt!r}": in_doubt not in ("park", "repeat"),
        f"max_doubts= takes a whole number above 0, not {max_doubts!r}": max_doubts < 1,
    }
    for why, is_wrong in wrong.items():
        if is_wrong:
            raise Misuse(f"@effect {function.place}: {why}")


def _check_times(made: Effect[..., Any]) -> None:
    place = made.function.place
    for name in ("expires_s", "deadline_s"):
        if getattr(made, name) is not None and not _is_above_0(getattr(made, name)):
            raise Misuse(f"@effect {place}: {name}= takes a number of seconds above 0, not {getattr(made, name)!r}")
    if (made.expires_s is None) != (made.expiry is None):
        raise Misuse(
            f"@effect {place}: expires_s= and on_expiry= belong together: what is pending ends at its provider, or not"
        )
    if made.expiry is not None:
        follow_up(made.function, made.expiry.function, "on_expiry")


def without_pending(declared: Any) -> Any:
    """What an effect finally returns, by what its function does."""
    parts = get_args(declared) if isinstance(declared, types.UnionType) or get_origin(declared) is Union else ()
    if Pending not in parts:
        return declared
    final = [each for each in parts if each is not Pending]
    return functools.reduce(operator.or_, final) if final else Any


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else math.ceil(seconds * 1000)


def _is_above_0(seconds: Any) -> bool:
    return isinstance(seconds, int | float) and math.isfinite(seconds) and seconds > 0


def _check_parameters(function: Function, helper: Function, names: list[str]) -> None:
    strange = [name for name in names if name not in function.parameters]
    if strange:
        raise Misuse(
            f"@{helper.kind} {helper.place} takes {', '.join(strange)}, which {function.name} does not have; "
            f"its parameters are {', '.join(function.parameters) or 'none'}"
        )
