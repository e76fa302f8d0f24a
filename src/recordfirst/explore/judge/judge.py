"""The judge: takes a run of any world and says what it broke. Pure.

The runs without faults define what is right: the rows that belong to each set of receipts, and the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from recordfirst.explore.judge import checks
from recordfirst.explore.runs.event import BoundaryEvent
from recordfirst.explore.runs.observed import Observed, Rows, SeenReceipt
from recordfirst.explore.runs.run import Run, RunOutcome
from recordfirst.explore.runs.violation import Violation

type KnownRows = dict[frozenset[str], dict[str, Rows]]
"""The rows that belong to each set of receipts."""


class Judge:
    """One case's."""

    def __init__(self) -> None:
        self._known: KnownRows = {}
        self.reference: Observed | None = None
        """The final state of a run without faults."""
        self.later: Observed | None = None
        """The same for the version that a deploy brings."""

    def take_as_reference(self, run: Run) -> None:
        """Take this run as the measure of all others."""
        self._known, self.reference = {}, run.seen
        for event in run.events:
            if event.seen is not None:
                self._known.setdefault(event.seen.done, event.seen.tables)

    def judged(self, run: Run) -> RunOutcome:
        """Return the run with the promises that it broke."""
        events = tuple(self._in_order(run.events))
        found = [violation for event in events for violation in event.broken]
        found += checks.at_the_end(
            run.seen,
            accepted=run.accepted,
            asked=run.asked,
            why=run.why,
            reference=None if run.version else self.reference,
            later=self.later if run.version else None,
            pending={each.name for event in events if event.seen for each in event.seen.receipts if _is_pending(each)},
        )
        found += _of_the_user(run.offending)
        fields = {name: getattr(run, name) for name in Run.__struct_fields__}
        return RunOutcome(**fields | {"events": events, "violations": tuple(dict.fromkeys(found))})

    def _in_order(self, events: Iterable[BoundaryEvent]) -> Iterator[BoundaryEvent]:
        """The events of a run, in order, each with the promises that it broke."""
        own: KnownRows = {}
        last: Observed | None = None
        for event in events:
            broken: list[Violation] = []
            if event.called is not None:
                broken += checks.at_a_call(event.called) + checks.called_while_pending(event.called, last)
            if event.seen is not None:
                broken += self._rows(event.seen, own)
                if last is not None:
                    broken += checks.changed_outcomes(last, event.seen)
                broken += _of_the_user(event.offending)
                last = event.seen
            yield msgspec.structs.replace(event, broken=tuple(broken)) if broken else event

    def _rows(self, seen: Observed, own: KnownRows) -> list[Violation]:
        """Everything that is committed must be right at once, whether another process goes on or not."""
        if seen.done in own:
            return checks.rows_without_receipts(seen, own, None)
        own[seen.done] = seen.tables
        return checks.rows_without_receipts(seen, self._known, self.reference)


def _is_pending(receipt: SeenReceipt) -> bool:
    return receipt.state == "pending"


def _of_the_user(offending: Iterable[str]) -> list[Violation]:
    return [Violation("yours", each) for each in offending]
