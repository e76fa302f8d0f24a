"""What is to be explored: a workflow with its arguments, the world that it needs, and what must hold in the end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from recordfirst.errors import Misuse
from recordfirst.testing.outside import Outside
from recordfirst.workflow import Workflow

type Invariant = str | Callable[[sqlite3.Connection, Outside], Iterable[Any]]
"""What must never be: a query that returns the rows which offend, or a function that does."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow, started once."""

    workflow: Workflow[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    id: str = "explored"
    tables: str = ""
    """SQL that makes the tables which the writes need."""
    provide: Callable[[Outside], Mapping[Any, Any]] = lambda _: {}
    """What steps have injected, by its key; doubles of providers keep their books in the ``Outside``."""
    invariants: tuple[Invariant, ...] = ()
    versions: tuple[Workflow[..., Any], ...] = ()
    """Later versions of the workflow, for deploys: under the same name."""
    ignore: frozenset[str] = frozenset()
    """Columns, as ``table.column``, that may differ from the run without faults: a time, say."""
    app: str = "explored"

    def __post_init__(self) -> None:
        for other in self.versions:
            if other.name != self.workflow.name:
                raise Misuse(
                    f"a version of {self.workflow.name!r} must have its name, not {other.name!r}: "
                    f"@workflow(name={self.workflow.name!r})"
                )
