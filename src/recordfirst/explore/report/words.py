"""Text for an operator: what is stored, what has changed, what was broken. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from recordfirst.explore.runs.naming import engine_name, shorten
from recordfirst.explore.runs.observed import Observed, SeenPromise
from recordfirst.explore.runs.schedule import CHANGES, FAULTS, At
from recordfirst.explore.runs.violation import Violation
from recordfirst.testing.outside import Asked

PROMISES = {
    "P1": "record first",
    "P2": "one write",
    "P3": "one effect",
    "P4": "frozen request",
    "P5": "three outcomes",
    "P6": "the record wins",
    "P7": "nothing lost",
    "P8": "conflicts are loud",
    "P9": "plumbing is not business",
    "P10": "readable",
    "P11": "what comes in counts once",
}


def titled(violation: Violation) -> str:
    """A broken promise with its title."""
    if violation.promise == "yours":
        return f"your invariant: {violation.what}"
    return f"{violation.promise}, {PROMISES.get(violation.promise, 'a promise')}: {violation.what}"


def duration(milliseconds: int) -> str:
    """A duration in a readable unit."""
    seconds = milliseconds / 1000
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.1f}".removesuffix(".0") + f" {name}"
    return f"{seconds:,.3f}".rstrip("0").rstrip(".") + " s"


def fault_of(at: At) -> str:
    """The text of a fault at a point."""
    return FAULTS[at.fault] + ("" if at.change is None else f"; {CHANGES[at.change]}")


# ── what is stored ──────────────────────────────────────────────────────────


def record_lines(seen: Observed) -> list[str]:
    """Everything that the record holds."""
    rows = [f"{table}: {_row(seen, table, row)}" for table, all_rows in seen.tables.items() for row in all_rows]
    receipts = [f"receipt {receipt.name}: {receipt.state}" for receipt in seen.receipts]
    starts = [f"workflow {start.id}: {start.state}" for start in seen.starts]
    return [*rows, *receipts, *starts] or ["nothing"]


def engine_lines(promises: Iterable[SeenPromise]) -> list[str]:
    """The workflows and steps in the engine."""
    return [f"{engine_name(promise.id)}: {promise.state}" for promise in promises] or ["nothing"]


def outside_lines(applied: Iterable[Asked]) -> list[str]:
    """The requests that were applied outside."""
    return [deed(asked) for asked in applied] or ["nothing"]


def deed(asked: Asked) -> str:
    """A request that arrived outside, and its outcome."""
    request = shorten(msgspec.json.encode(asked.request).decode(), 70)
    if asked.refused is not None:
        return f"{asked.kind} {request} refused: {asked.refused}"
    if asked.differs:
        return f"{asked.kind} {request} refused: key {asked.key!r} was used for another request"
    if asked.repeats:
        return f"{asked.kind} {request}: its key is known, so nothing is done; answers {asked.result!r} again"
    return f"{asked.kind} {request} done, answers {asked.result!r}"


def changes_of(before: Observed | None, after: Observed) -> list[str]:
    """The changes of a commit in the record."""
    was, found = before or Observed(), []
    for table, rows in after.tables.items():
        old = was.tables.get(table, ())
        gone = [row for row in old if row not in rows]
        for row in (row for row in rows if row not in old):
            same = next((each for each in gone if each[:1] == row[:1]), None)
            if same is None:
                found.append(f"{table} + {_row(after, table, row)}")
            else:
                gone.remove(same)
                found.append(f"{table} {_changed(after, table, same, row)}")
        found += [f"{table} - {_row(after, table, row)}" for row in gone]
    for kind, old_ones, new_ones in (
        ("receipt", {r.name: r.state for r in was.receipts}, {r.name: r.state for r in after.receipts}),
        ("workflow", {s.id: s.state for s in was.starts}, {s.id: s.state for s in after.starts}),
    ):
        for name, state in new_ones.items():
            if old_ones.get(name) != state:
                found.append(f"{kind} {name}: " + (f"{old_ones[name]} → {state}" if name in old_ones else state))
        found += [f"{kind} {name} is gone" for name in old_ones if name not in new_ones]
    return found


def _row(seen: Observed, table: str, row: tuple[object, ...]) -> str:
    names = seen.columns.get(table, ())
    if len(names) != len(row):
        return ", ".join(map(repr, row))
    return " ".join(f"{name}={value!r}" for name, value in zip(names, row, strict=True))


def _changed(seen: Observed, table: str, old: tuple[object, ...], new: tuple[object, ...]) -> str:
    names = seen.columns.get(table, ())
    if len(names) != len(new) or len(old) != len(new):
        return f"{old} → {new}"
    pairs = [f"{name} {a!r} → {b!r}" for name, a, b in zip(names, old, new, strict=True) if a != b]
    return f"{names[0]}={new[0]!r}: " + ", ".join(pairs)
