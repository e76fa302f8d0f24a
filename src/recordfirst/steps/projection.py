"""A projection: a step that brings a mirror to the record's current state, and never back.

The function reads the record; it is given nothing that could be old. The version under which its document goes to the
mirror is counted by the record, in the transaction that reads: the higher one has seen the newer record, and the mirror
refuses what is not newer than what it has. So a late projection, or a zombie's, changes nothing, and says so. A
projection may happen any number of times, has no outcome but that the mirror is there, and is kept as one row: what is
begun and not confirmed is open, and a reconcile brings it there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, Protocol, cast, overload

from recordfirst.core import keys
from recordfirst.errors import Misuse
from recordfirst.references.contract import Reference
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.function import Function
from recordfirst.steps.host import Host
from recordfirst.steps.read import Read
from recordfirst.steps.step import Step

_INTO = "into="
"""Under this name the mirror is among what the function needs; no parameter can have it."""


class ProjectStep[**P](Step[P, None]):
    """A ``@project``; see :func:`project`."""

    template: keys.Template
    entry_id: keys.Template
    listed: Function | None = None

    def __init__(self, function: Function, timeout_s: float) -> None:
        super().__init__(function)
        self.timeout_s = timeout_s
        # The document goes to the mirror; nothing of it comes back.
        self.__signature__ = self.__signature__.replace(return_annotation=None)
        self.bound_signature = self.bound_signature.replace(return_annotation=None)

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

    async def mirror(self, host: Host) -> Reference:
        """The reference that it goes to."""
        mirror: Reference = (await host.injector.resolve(self.function))[_INTO]
        return mirror

    async def reads(self, host: Host) -> dict[str, Any]:
        """What its function is to have injected."""
        return {name: value for name, value in (await host.injector.resolve(self.function)).items() if name != _INTO}

    def identity(self, workflow_id: str, arguments: Arguments) -> str:
        return f"{self.key_for(arguments)} {super().identity(workflow_id, arguments)}"


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
