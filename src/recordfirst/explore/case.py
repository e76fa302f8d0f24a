"""A case: a workflow with its arguments, what it needs from its world, and what must hold in the end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from recordfirst.core import identity
from recordfirst.core.event import NewEvent
from recordfirst.errors import Misuse
from recordfirst.steps.invariant import Invariant as AppInvariant
from recordfirst.steps.on_event import EventHandler
from recordfirst.steps.workflow import Workflow
from recordfirst.testing.outside import Outside

type GivenInvariant = str | AppInvariant | Callable[[sqlite3.Connection, Outside], Iterable[Any]]
"""An invariant: a query that returns the rows which break it, a function that returns them, or an ``@invariant``."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow, started once.

    Raises:
        Misuse: if an argument has the wrong type, or a version has another name than the workflow.
        BadId: if ``id`` is not a valid id of a workflow.
    """

    workflow: Workflow[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    id: str = "explored"
    tables: str = ""
    """SQL that creates the tables of the writes."""
    provide: Callable[[Outside], Mapping[Any, Any]] = lambda _: {}
    """Returns what is injected into steps, by its key. Doubles of providers keep their books in the ``Outside``."""
    events: Callable[[Outside], Iterable[NewEvent]] | None = None
    """Returns the events that providers send, by what was done outside. Each has its time, which may be in the future.
    The world delivers it then, and lets go wrong what can."""
    event_handlers: tuple[EventHandler, ...] = ()
    """The app's handlers of events, as ``App(event_handlers=)`` has them."""
    invariants: tuple[GivenInvariant, ...] = ()
    """The invariants that must hold in the end."""
    always: tuple[GivenInvariant, ...] = ()
    """The invariants that must hold after each commit, and after each death, whether another process goes on or not."""
    versions: tuple[Workflow[..., Any], ...] = ()
    """Later versions of the workflow, for deploys. They have the same name."""
    ignore: frozenset[str] = frozenset()
    """What may differ from the run without faults, such as a time: columns, as ``table.column``, and fields of a step's
    result, as ``step.field``."""
    app: str = "explored"

    def __post_init__(self) -> None:
        _check(self)
        for other in self.versions:
            if other.name != self.workflow.name:
                raise Misuse(
                    f"a version of {self.workflow.name!r} must have its name, not {other.name!r}: "
                    f"@workflow(name={self.workflow.name!r})"
                )


def _check(case: Case) -> None:
    """Raise ``Misuse`` for mistakes that would surface later, so that the author sees them where the case is made."""
    if not isinstance(case.workflow, Workflow):
        raise Misuse(f"workflow= must be a @workflow, not {case.workflow!r}")
    for name, kind, wanted in (
        ("args", tuple, "a tuple"),
        ("kwargs", Mapping, "a mapping"),
        ("tables", str, "SQL, as text"),
        ("invariants", tuple, "a tuple of queries and functions"),
        ("always", tuple, "a tuple of queries and functions"),
        ("versions", tuple, "a tuple of workflows"),
        ("ignore", frozenset, "a frozenset of 'table.column'"),
        ("event_handlers", tuple, "a tuple of @on_event handlers"),
        ("app", str, "a name"),
    ):
        if not isinstance(getattr(case, name), kind):
            raise Misuse(f"{name}= must be {wanted}, not {getattr(case, name)!r}")
    identity.check_id(case.id)
    if not callable(case.provide):
        raise Misuse(f"provide= must be a function that takes the Outside and returns a mapping, not {case.provide!r}")
    _check_events(case)
    for invariant in (*case.invariants, *case.always):
        if not isinstance(invariant, str | AppInvariant) and not callable(invariant):
            raise Misuse(f"an invariant must be a query, a function or an @invariant, not {invariant!r}")
    for other in case.versions:
        if not isinstance(other, Workflow):
            raise Misuse(f"a version must be a @workflow, not {other!r}")
    names: frozenset[Any] = case.ignore
    for column in names:
        if not isinstance(column, str) or column.count(".") != 1:
            raise Misuse(f"ignore= names columns as 'table.column', not {column!r}")
    case.workflow.function.bind(case.args, case.kwargs)


def _check_events(case: Case) -> None:
    given: Any = case.events
    if given is not None and not callable(given):
        raise Misuse(f"events= must be a function that takes the Outside and returns NewEvents, not {given!r}")
    handlers: tuple[Any, ...] = case.event_handlers
    for handler in handlers:
        if not isinstance(handler, EventHandler):
            raise Misuse(f"event_handlers= takes what @on_event has made, not {handler!r}")
