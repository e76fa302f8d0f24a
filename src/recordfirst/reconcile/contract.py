"""What a pass of the reconciler is.

A pass compares states; it follows no events, so it may run at any time, anywhere, and any number of times. It reads
what is open page by page, and says of each disagreement how it would be repaired. A repair is a compare-and-set in the
record: one that is late changes nothing, and what a repaired workflow does again is answered by its receipts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple, Protocol

import msgspec

from recordfirst.core.finding import Audit, NewFinding
from recordfirst.engine.contract import Engine
from recordfirst.execution.runtime import Runtime
from recordfirst.steps.registrations import Registrations

PAGE = 200
"""Rows that a pass reads at once: its memory is bounded by this."""


class PassContext(msgspec.Struct, frozen=True):
    """What a pass looks at."""

    runtime: Runtime
    registered: Registrations
    engine: Engine | None
    """``None`` where it cannot be asked: it lives in a worker's process."""
    since_ms: int = 0
    """Only what began at this time of the record's clock or later."""
    named: frozenset[str] = frozenset()
    """Passes that were asked for by name."""
    who: str = "worker"
    why: str | None = None

    def audit(self, finding: NewFinding, done: str) -> Audit:
        """Who has repaired what, and to what end."""
        detail = f"{finding.code}: {done}"
        return Audit(who=self.who, command="reconcile", subject=finding.subject, why=self.why, detail=detail)


class Discrepancy(NamedTuple):
    """A disagreement, and what would repair it."""

    finding: NewFinding
    repair: Callable[[], Awaitable[str | None]] | None = None
    """Returns what it did; ``None`` if it is left to an operator after all."""
    audits: bool = False
    """Whether the repair leaves its audit row itself, in the transaction that repairs: then a death in between loses it
    never.
    """
    ends: bool = True
    """Whether it is put right by then. If not, somebody else is at it, and it is found until that is done."""


class Page(NamedTuple):
    """What came of one page."""

    discrepancies: list[Discrepancy]
    looked: int
    position: str
    """Where the next one goes on."""
    notes: tuple[str, ...] = ()
    """What an operator is to know of what was not looked at."""


class Pass(Protocol):
    """One kind of comparison."""

    name: str
    codes: tuple[str, ...]
    """All that it can find."""
    full_scan: bool
    """It costs what there is, not what is open: it runs only when it is named."""
    dated: bool
    """It looks at what has a beginning, so at a part of it by ``since_ms``; others look at all of theirs."""

    def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look at all that is open, from this position on."""
