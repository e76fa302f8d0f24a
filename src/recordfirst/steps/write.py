"""A write: rows and their receipt in one transaction of the record (P2).

Kept: the function's rows and its receipt commit together or not at all, once per key, however many run it meanwhile.
Lost: nothing. A reply to COMMIT that does not arrive is settled by looking for the receipt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Concatenate, Protocol, overload

from recordfirst.core import identity, keys
from recordfirst.core.start import Start
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.declared import Fails, check_fails
from recordfirst.steps.effect import Effect
from recordfirst.steps.function import Function
from recordfirst.steps.precedent import Precedent, check_after
from recordfirst.steps.workflow import Workflow


class Gathers(Protocol):
    """Takes what a transaction is to start and to announce, until its COMMIT."""

    accepted: list[Start]

    def start(
        self, workflow: Workflow[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], id: str
    ) -> None: ...
    def intend(self, effect: Effect[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None: ...


class Write[C]:
    """One transaction of the record, open for writing.

    ``tx`` is the driver's own connection, for as long as the function runs; nothing on it ends the transaction. What
    :meth:`start` and :meth:`intend` ask for is stored right before COMMIT, in this transaction: all of it, or nothing.
    """

    def __init__(self, tx: C, gathers: Gathers) -> None:
        self.tx: C = tx
        self._gathers = gathers

    @property
    def accepted(self) -> list[Start]:
        """What this transaction has accepted itself, once it has committed; not what had been started before."""
        return self._gathers.accepted

    def start(self, workflow: Workflow[..., Any], /, *args: Any, id: str, **kwargs: Any) -> None:
        """Accept a workflow in this transaction: it runs after COMMIT, and only then (P7).

        A savepoint that is rolled back takes back what was started in it.

        Raises:
            BadArguments: at once, if the arguments do not fit.
            DifferentArguments: at the end of the transaction, which rolls back, if the id was started otherwise (P8).
        """
        self._gathers.start(workflow, args, kwargs, id)

    def intend(self, effect: Effect[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """Store an effect's intent in this transaction, so that its call costs one commit less later on.

        In a workflow's write, and where an effect of it is settled, it belongs to that workflow; elsewhere, to the
        workflow started last in this transaction.
        The same intent again changes nothing. A savepoint that is rolled back takes back what was intended in it.

        Raises:
            BadArguments: at once, if the arguments do not fit.
            Misuse: at once, outside a workflow, if no workflow was started in this transaction; at its end, if the one
                that was is taken back by a savepoint.
            AfterMissing: at the end of the transaction, which rolls back, if its write has no receipt by then (P1). A
                transaction of the caller's own is not that write: announce it in the write itself.
            DifferentRequest, DifferentFunction: at the end of the transaction, which rolls back, if the key stands for
                something else (P8).
        """
        self._gathers.intend(effect, args, kwargs)


class WriteStep[**P, R](Precedent[P, R]):
    """A ``@write``; see :func:`write`."""

    receipt_kind = "write"

    def __init__(self, function: Function, template: keys.Template | None, after: Precedent[..., Any] | None) -> None:
        super().__init__(function)
        self.template, self.after = template, after

    def with_key(self, key: str) -> WriteStep[P, R]:
        """Return this write under another key: a second call in one workflow must name its own."""
        self.function.has_other_keys = True
        named: WriteStep[P, R] = WriteStep(
            self.function, keys.parse(key, repr(self.function), self.function.parameters), self.after
        )
        named.fails = self.fails
        return named

    @property
    def receipt_needs(self) -> tuple[str, ...]:
        return self.template.names if self.template is not None else ()

    def receipt_key(self, workflow_id: str, arguments: dict[str, Any]) -> str:
        return self.key_for(workflow_id, arguments)

    def functions(self) -> list[Function]:
        return [self.function, *(self.after.functions() if self.after is not None else [])]

    @property
    def key_needs(self) -> tuple[str, ...]:
        """Parameters that its key is made of."""
        return self.receipt_needs

    def key_in(self, workflow_id: str, arguments: dict[str, Any]) -> str:
        """The key of a call with these arguments, in this workflow."""
        return self.key_for(workflow_id, arguments)

    def key_for(self, workflow_id: str, arguments: dict[str, Any]) -> str:
        """The key of this write's receipt."""
        if self.template is None:
            return default_key(workflow_id, self.name)
        return self.template.render(arguments, repr(self.function))

    def identity(self, workflow_id: str, arguments: Arguments) -> str:
        return f"{self.key_for(workflow_id, arguments)} {super().identity(workflow_id, arguments)}"


class WriteDecorator(Protocol):
    """What ``write(key=...)`` gives: a decorator that keeps the function's parameters and result."""

    @overload
    def __call__[**P, R](self, fn: Callable[Concatenate[Write[Any], P], Awaitable[R]], /) -> WriteStep[P, R]: ...
    @overload
    def __call__[**P, R](self, fn: Callable[Concatenate[Write[Any], P], R], /) -> WriteStep[P, R]: ...


def default_key(workflow_id: str, name: str) -> str:
    """The key of a write that names none."""
    return identity.check_key(f"{workflow_id}/{name}", f"write {name!r}")


@overload
def write[**P, R](fn: Callable[Concatenate[Write[Any], P], Awaitable[R]], /) -> WriteStep[P, R]: ...
@overload
def write[**P, R](fn: Callable[Concatenate[Write[Any], P], R], /) -> WriteStep[P, R]: ...
@overload
def write(
    *, key: str | None = None, after: Precedent[..., Any] | None = None, name: str | None = None, fails: Fails = ()
) -> WriteDecorator: ...
def write(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    key: str | None = None,
    after: Precedent[..., Any] | None = None,
    name: str | None = None,
    fails: Fails = (),
) -> Any:
    """Make a function a write: its rows and its receipt commit in one transaction of the record (P2).

    The function's first parameter is a :class:`Write`; its ``tx`` is the driver's own connection. It may run again
    after a deadlock or a lost connection, each time in a fresh transaction, so it does nothing but write. Its arguments
    and its result must be JSON (structs, dataclasses, dates and so on are); a result that is not is refused before the
    commit. In a sync function, which runs in a thread, ``w.tx`` blocks.

    Args:
        fn: the function, when used without parentheses.
        key: template of the receipt's key, such as ``"item:{item.id}"``. Default: workflow id and function name.
        after: the stage that must have its receipt before this commits (P1); what it depends on besides is your order.
        name: the name in receipts. Default: the function's. Keep the old one here when you rename a function.
        fails: exceptions of it that are outcomes of your business, such as ``fails=OutOfStock``. One that is raised
            rolls back the rows, is stored as this write's outcome, and reaches the body, now and on every replay; if
            the body does not catch it, the workflow fails, and undoes. ``Declined`` always is one. Any other exception
            stops the workflow (P9), but for classes of your own that the body catches.

    Raises:
        BadKey: if the template names what the parameters do not have.
        Misuse: if the signature cannot be a write's, ``fails=`` names what is no outcome of a business, or ``after``'s
            key cannot be told from its arguments.
    """

    def decorate(fn: Callable[..., Any]) -> WriteStep[..., Any]:
        function = Function(fn, kind="write", name=name)
        function.refuse_unstorable_result()
        template = keys.parse(key, repr(function), function.parameters) if key is not None else None
        made: WriteStep[..., Any] = WriteStep(function, template, check_after(function, after))
        made.fails = check_fails(fails, f"@write {function.place}")
        return made

    return decorate(fn) if fn is not None else decorate
