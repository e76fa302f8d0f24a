"""What can be seen from outside the code under test: rows, receipts, starts, and what providers did."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec

from recordfirst.testing.outside import Asked


class SeenReceipt(msgspec.Struct, frozen=True, order=True):
    """The part of a receipt that a promise is about."""

    key: str
    attempt: int
    kind: str
    state: str
    result: str | None
    error: str | None
    undone_by: str | None

    @property
    def name(self) -> str:
        """The key and, after the first attempt, the number of the attempt."""
        return self.key if self.attempt == 1 else f"{self.key}#{self.attempt}"


class SeenStart(msgspec.Struct, frozen=True, order=True):
    """The part of a start that a promise is about."""

    id: str
    state: str
    result: str | None
    error: str | None


class SeenEvent(msgspec.Struct, frozen=True, order=True):
    """What the record has of a provider event."""

    id: str
    state: str


class SeenReversal(msgspec.Struct, frozen=True, order=True):
    """What the record has of a reversal."""

    key: str
    attempt: int
    kind: str
    id: str
    handled_by: str | None


type Rows = tuple[tuple[Any, ...], ...]


class SeenPromise(msgspec.Struct, frozen=True, order=True):
    """A workflow, or one of its steps, in the engine."""

    id: str
    state: str
    task: str | None


class Observed(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A record and the outside at one moment; also the engine, if it was read."""

    receipts: tuple[SeenReceipt, ...] = ()
    starts: tuple[SeenStart, ...] = ()
    events: tuple[SeenEvent, ...] = ()
    reversals: tuple[SeenReversal, ...] = ()
    tables: dict[str, Rows] = {}
    applied: tuple[Asked, ...] = ()
    columns: dict[str, tuple[str, ...]] = {}
    """The names of the columns of each table."""
    engine: tuple[SeenPromise, ...] = ()

    @cached_property
    def done(self) -> frozenset[str]:
        """The receipts and reversals that have stored rows, and the workflows: by these the rows can be told."""
        receipts = (f"{r.name} {r.state}" for r in self.receipts if r.state in ("succeeded", "declined", "pending"))
        handled = (f"{r.kind} {r.id} of {r.key}" for r in self.reversals if r.handled_by is not None)
        return frozenset((*receipts, *handled, *(f"workflow {start.id} {start.state}" for start in self.starts)))
