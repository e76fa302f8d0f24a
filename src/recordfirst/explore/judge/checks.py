"""The promises, checked by what was seen at the boundary, not by what the code under test reports. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from recordfirst.explore.judge.answers import alike
from recordfirst.explore.runs.event import SeenCall
from recordfirst.explore.runs.observed import Observed, Rows, SeenReceipt, SeenStart
from recordfirst.explore.runs.violation import Violation
from recordfirst.testing.outside import Asked, identity_of


def at_a_call(called: SeenCall) -> list[Violation]:
    """P1: when a call is sent, the receipt of the write that it depends on is committed."""
    if called.is_there:
        return []
    return [Violation("P1", f"{called.effect} was called ({called.key!r}) before {called.after!r} was committed")]


def called_while_pending(called: SeenCall, last: Observed | None) -> list[Violation]:
    """P5: what is pending is not called again: its provider has it, and will say what comes of it."""
    pending = [each for each in last.receipts if each.state == "pending"] if last is not None else []
    return [
        Violation("P5", f"{called.effect} was called ({called.key!r}) while {each.name!r} is pending")
        for each in pending
        if _is_of(each, called.key.partition("~")[0])
    ]


def repeated(applied: Iterable[Asked]) -> list[Violation]:
    """P3: nothing was done twice outside."""
    times = Counter((asked.kind, identity_of(asked)) for asked in applied)
    return [Violation("P3", f"{kind} {about} was done {n} times") for (kind, about), n in times.items() if n > 1]


def changed_requests(asked: Iterable[Asked]) -> list[Violation]:
    """P4: a retry sends the request that was first sent."""
    return [
        Violation("P4", f"{each.kind} was sent again under key {each.key!r} with another request, {each.request}")
        for each in asked
        if each.differs
    ]


def changed_outcomes(before: Observed, after: Observed) -> list[Violation]:
    """P5: a final outcome does not change. Only the note that it was undone may be added."""
    now = {(receipt.key, receipt.attempt): receipt for receipt in after.receipts}
    found = []
    for was in before.receipts:
        if was.state not in ("succeeded", "declined"):
            continue
        is_now = now.get((was.key, was.attempt))
        if is_now is None:
            found.append(Violation("P5", f"the receipt {was.name!r} was {was.state}, and is gone"))
        elif _outcome(was) != _outcome(is_now):
            found.append(Violation("P5", f"{was.name!r} was {_outcome(was)}, and became {_outcome(is_now)}"))
    return found


def _outcome(receipt: SeenReceipt) -> tuple[str | None, ...]:
    return receipt.state, receipt.result, receipt.error if receipt.state == "declined" else None


def rows_without_receipts(
    seen: Observed, known: Mapping[frozenset[str], dict[str, Rows]], reference: Observed | None
) -> list[Violation]:
    """P2: the same receipts come with the same rows as in the run without faults, never with a part of them.

    Args:
        seen: the state to check.
        known: the rows that belong to each set of receipts.
        reference: the end of the run without faults, if ``known`` is from it.
    """
    if not seen.done:
        return []  # there are no receipts to compare by
    rows = known.get(seen.done)
    if rows is None or rows == seen.tables:
        return []
    if reference is not None:
        seen, was = alike(seen, msgspec.structs.replace(reference, tables=rows))
        rows = was.tables
    return [
        Violation("P2", f"with receipts {', '.join(sorted(seen.done)) or 'none'}, table {table} has {has}, not {wants}")
        for table, has, wants in ((name, seen.tables.get(name), rows[name]) for name in rows)
        if has != wants
    ]


def untrue_outcomes(seen: Observed, pending: Collection[str]) -> list[Violation]:
    """P5: nothing is guessed: what is stored as declined was not done.

    ``pending``: receipts that were so once. Their provider had taken them on, and may have declined them later.
    """
    done = {asked.marker for asked in seen.applied if asked.marker is not None}
    return [
        Violation("P5", f"{receipt.name!r} is declined, and was done")
        for receipt in seen.receipts
        if receipt.kind == "effect" and receipt.state == "declined" and receipt.name not in pending
        if any(_is_of(receipt, m) for m in done)
    ]


def _is_of(receipt: SeenReceipt, marker: str) -> bool:
    return marker.endswith(f"/{receipt.name}")


def lost_starts(accepted: Iterable[str], seen: Observed) -> list[Violation]:
    """P7: a workflow that was accepted exists."""
    there = {start.id for start in seen.starts}
    return [Violation("P7", f"workflow {id!r} was accepted, and is gone") for id in accepted if id not in there]


def not_ended(seen: Observed, why: str) -> list[Violation]:
    """P7: a workflow that was accepted ends after the provider and the operator have answered."""
    still_open = [f"workflow {start.id!r}" for start in seen.starts if start.state == "open"]
    if not seen.starts:
        still_open = ["what was to be done"]
    return [Violation("P7", f"{what} does not end: {why}") for what in still_open]


def events_not_done(seen: Observed) -> list[Violation]:
    """P11: what has come in is taken up."""
    return [
        Violation("P11", f"event {event.id!r} is {event.state} in the end")
        for event in seen.events
        if event.state not in ("done", "ignored")
    ]


def another_end(reference: Observed, seen: Observed) -> list[Violation]:
    """P6, P9: the end is that of a run without faults: rows, receipts, workflows, and what was done outside.

    A provider may answer the same request with other values, such as a time. That is allowed.
    """
    found = _another_end(reference, seen)
    if not found:
        return []
    seen, reference = alike(seen, reference)
    return _another_end(reference, seen)


def _another_end(reference: Observed, seen: Observed) -> list[Violation]:
    found = []
    for name in sorted({*reference.tables, *seen.tables}):
        wants, has = reference.tables.get(name, ()), seen.tables.get(name, ())
        if wants != has:
            found.append(Violation("P9", f"table {name} ends {_apart(has, wants)}"))
    wanted, had = _receipts(reference), _receipts(seen)
    if wanted != had:
        found.append(Violation("P9", f"the receipts end {_apart(had, wanted)}"))
    if reference.events != seen.events:
        found.append(Violation("P11", f"the events end {_apart(seen.events, reference.events)}"))
    if reference.reversals != seen.reversals:
        found.append(Violation("P11", f"the reversals end {_apart(seen.reversals, reference.reversals)}"))
    found += _another_result(reference, seen)
    wanted, had = _deeds(reference), _deeds(seen)
    if wanted != had:
        found.append(Violation("P3", f"what was done outside ends {_apart(had, wanted)}"))
    return found


def another_result(reference: Observed, seen: Observed) -> list[Violation]:
    """P9: the workflow has the same result as without faults.

    If it goes on as a later version, nothing more is checked: the result depends on which steps were done before.
    """
    found = _another_result(reference, seen)
    if not found:
        return []
    seen, reference = alike(seen, reference)
    return _another_result(reference, seen)


def _another_result(reference: Observed, seen: Observed) -> list[Violation]:
    both = [(start.id, start.state) for start in seen.starts] == [(start.id, start.state) for start in reference.starts]
    if both and all(map(_same_end, reference.starts, seen.starts)):
        return []
    return [Violation("P9", f"the workflow ends as {_ends(seen)} instead of {_ends(reference)}")]


def _same_end(wanted: SeenStart, has: SeenStart) -> bool:
    """Whether it ends the same. An epoch that finishes the undo of a lost epoch also fails, and its error says so."""
    return wanted == has or (has.state == "failed" and '"type":"Undone"' in (has.error or ""))


def at_the_end(
    seen: Observed,
    *,
    accepted: Iterable[str],
    asked: Iterable[Asked],
    why: str,
    reference: Observed | None,
    later: Observed | None,
    pending: Collection[str] = (),
) -> list[Violation]:
    """The checks after the last process has ended.

    Args:
        seen: the final state.
        accepted: the workflows that were accepted.
        asked: the requests that arrived outside.
        why: why the last process did not end well, if so.
        reference: the final state of a run without faults.
        later: the same for a later version, if one has taken over.
        pending: the receipts that were pending at some time.
    """
    found = lost_starts(accepted, seen) + repeated(seen.applied) + changed_requests(asked)
    found += untrue_outcomes(seen, pending) + events_not_done(seen)
    if why or any(start.state == "open" for start in seen.starts):
        found += not_ended(seen, why or "its processes are gone")
    if later is not None:
        return found + another_result(later, seen)
    return found + (another_end(reference, seen) if reference is not None else [])


def _receipts(seen: Observed) -> list[str]:
    return [f"{r.name} {r.state} {r.result}" + (" undone" if r.undone_by else "") for r in seen.receipts]


def _deeds(seen: Observed) -> list[str]:
    return sorted(f"{asked.kind} {identity_of(asked)}" for asked in seen.applied)


def _ends(seen: Observed) -> str:
    return ", ".join(f"{s.state} {s.result or s.error or ''}".strip() for s in seen.starts) or "not there"


def _apart[T](these: Sequence[T], those: Sequence[T]) -> str:
    """How these differ from the ones of the run without faults."""
    more, less = (
        ", ".join(map(str, (Counter(one) - Counter(other)).elements()))
        for one, other in ((these, those), (those, these))
    )
    if more and less:
        return f"with {more} instead of {less}"
    return f"with {more} besides" if more else f"without {less}"
