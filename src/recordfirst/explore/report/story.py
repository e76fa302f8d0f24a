"""One run for an operator to read: what each process did, where faults struck, what was stored, what broke. Pure.

Everything that a worker does for itself is one line, and so is a transaction. All that is shown is from the events of
the run; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from recordfirst.explore.report.words import changes_of, deed, engine_lines, outside_lines, record_lines, titled
from recordfirst.explore.runs.event import BoundaryEvent
from recordfirst.explore.runs.naming import is_keeping, name_of
from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.runs.run import RunOutcome
from recordfirst.explore.runs.schedule import CHANGES, ENDS, FAULTS, MISHAPS, At
from recordfirst.explore.runs.violation import Violation, by_weight
from recordfirst.testing.outside import Asked, identity_of

_STRIKES = {
    "crash": "{process} DIES just before: {what}",
    "crash-after": "{process} DIES: this was done, and it never sees the reply",
    "fail": "not done, and {process} gets an error: {what}",
    "lose": "this was done, but the reply is lost: {process} sees a broken connection",
    "contend": "the record refuses it (deadlock, serialization failure, busy): {what}",
    "stall": "{process} STALLS just before: {what}; meanwhile its lease runs out",
    "redeliver": "the lease runs out, and the engine delivers the task to {process} a second time, just before: {what}",
    "hang": "this was done, but no reply comes until {process} gives up waiting",
    "early": "this was done, and its reply takes seconds: what the provider tells by itself comes first",
    "twice": "delivered twice at the same time, and once more 40 days later: {what}",
    "never": "lost on its way: {what}",
    "late": "on its way for 40 days: {what}",
    "overtaken": "held up until the next one has arrived: {what}",
}

type LineKind = Literal[
    "process", "keeping", "record", "engine", "provider", "event", "time", "person", "fault", "change", "broken", "end"
]


class Line(msgspec.Struct, kw_only=True):
    """One thing that happened."""

    kind: LineKind
    process: int
    at_ms: int
    """Milliseconds since the run began."""
    points: str = ""
    """The points, ``1.26-29``, as in a schedule."""
    text: str
    record: list[str] = []
    """Its changes there; after a death and at the end, all that is stored there."""
    engine: list[str] = []
    outside: list[str] = []
    is_whole: bool = False
    """Whether the three lists hold all that is stored, not only changes."""


class Story(msgspec.Struct, kw_only=True):
    """What happened under one schedule."""

    schedule: str
    lines: list[Line]
    broken: list[Violation]
    """The broken promises, the most telling first."""


def tell(outcome: RunOutcome) -> Story:
    """Tell what happened under a schedule."""
    lines = list(_Teller(outcome).lines())
    return Story(schedule=str(outcome.schedule), lines=lines, broken=by_weight(outcome.violations))


class _Teller:
    def __init__(self, outcome: RunOutcome) -> None:
        self._outcome = outcome
        self._events = outcome.events
        self._began_ms = self._events[0].at_ms if self._events else 0
        self._lines: list[Line] = []
        self._last: Observed | None = None
        self._applied: list[Asked] = []
        self._known: set[int] = set()
        self._died: set[int] = set()
        self._told: list[Violation] = []
        self._open: dict[int, Line] = {}

    def lines(self) -> list[Line]:
        for event in self._events:
            if event.process not in self._known:
                self._begins(event)
            self._tell(event)
        self._ends()
        return self._lines

    # ── one event ───────────────────────────────────────────────────────────

    def _tell(self, event: BoundaryEvent) -> None:
        if event.boundary is not None:
            self._crosses(event)
        elif event.what in ("arrived", "overheard"):
            self._arrives(event)
        elif event.seen is not None:
            self._sees(event, event.seen)
        elif event.fault is not None:
            self._strikes(event)
        elif event.what == "goes on":
            self._add("fault", event, f"process {event.process} goes on, and does not know that it stalled")
        elif event.what.startswith(("an operator", "and is told")):
            self._add("person", event, event.what)
        elif event.what.startswith(("the workflow has", "the process ends")):
            self._add("end", event, event.what)
        elif event.called is None:
            self._add("keeping", event, f"says: {event.what}")
        self._breaks(event, event.broken)

    def _crosses(self, event: BoundaryEvent) -> None:
        assert event.boundary is not None
        if event.fault in ("crash", "fail", "contend", "stall", "redeliver", *MISHAPS):
            self._strikes(event)
            return
        if event.boundary == "time":
            self._add("time", event, f"nothing is left to do: {event.what}")
            return
        keeping = is_keeping(event.boundary, event.what, event.detail)
        kind: LineKind = "keeping" if keeping else event.boundary
        text = name_of(event.boundary, event.what, event.detail)
        if kind == "event":
            self._add(kind, event, f"{text} arrives")
            return
        if kind == "provider":
            self._add(kind, event, f"{text}, with key {event.detail}" if event.what.startswith("call") else text)
            return
        line = self._open.get(event.process)
        if line is not None and line is self._lines[-1] and line.kind == kind and not line.record:
            line.points = f"{line.points.split('-')[0]}-{event.point}"
            if not keeping:
                line.text += f"; {text}"
        else:
            self._add(kind, event, _keeping(self._lines, event.process) if keeping else text)

    def _arrives(self, event: BoundaryEvent) -> None:
        line = self._open.get(event.process)
        if event.what == "overheard":
            line = self._add("provider", event, "outside is asked for something, by what is no effect")
        elif line is None or line.kind not in ("provider", "fault"):
            line = self._add("provider", event, "the call comes back")
        line.outside += [deed(asked) for asked in event.asked]
        if event.detail:
            line.text += f"; it raises {event.detail}"
        for asked in event.asked:
            if asked.refused is not None or asked.repeats:
                continue
            self._applied.append(asked)
            same = [each for each in self._applied if _about(each) == _about(asked)]
            kind, about = _about(asked)
            if len(same) > 1:
                said = [v for v in self._outcome.violations if v.what.startswith(f"{kind} {about} was done ")]
                self._breaks(event, said or [Violation("P3", f"{kind} {about} was done {len(same)} times")])

    def _sees(self, event: BoundaryEvent, seen: Observed) -> None:
        if event.what == "is left":
            line = self._add("change", event, f"what process {event.process} has left")
            line.record, line.outside = record_lines(seen), outside_lines(seen.applied)
            line.engine, line.is_whole = engine_lines(seen.engine), True
        else:
            changes = changes_of(self._last, seen)
            line = self._open.get(event.process) or self._add("record", event, "is committed")
            line.record += changes
        self._last = seen

    def _strikes(self, event: BoundaryEvent) -> None:
        assert event.fault is not None
        what = "" if event.boundary is None else name_of(event.boundary, event.what, event.detail)
        self._add("fault", event, _STRIKES[event.fault].format(process=f"process {event.process}", what=what))
        if event.fault in ENDS:
            self._died.add(event.process)

    def _breaks(self, event: BoundaryEvent, broken: Sequence[Violation]) -> None:
        for violation in broken:
            if violation not in self._told:
                self._told.append(violation)
                self._add("broken", event, titled(violation))

    # ── processes ───────────────────────────────────────────────────────────

    def _begins(self, event: BoundaryEvent) -> None:
        before = event.process - 1
        if before:
            for at in self._changes(before):
                assert at.change is not None
                self._add("change", event, CHANGES[at.change])
        died = before in self._died
        how = "" if not before else ", its successor" if died else ", elsewhere"
        self._known.add(event.process)
        self._add("process", event, f"process {event.process}{how}")

    def _changes(self, process: int) -> Iterator[At]:
        for at in self._outcome.struck:
            if at.process == process and at.change is not None:
                yield at

    def _ends(self) -> None:
        if not self._events:
            return
        seen, last = self._outcome.seen, self._events[-1]
        line = self._add("change", msgspec.structs.replace(last, point=0), "what there is in the end")
        line.record, line.outside, line.is_whole = record_lines(seen), outside_lines(seen.applied), True
        self._breaks(msgspec.structs.replace(last, point=0), by_weight(self._outcome.violations))

    def _add(self, kind: LineKind, event: BoundaryEvent, text: str) -> Line:
        points = f"{event.process}.{event.point}" if event.point and kind not in ("process", "change", "end") else ""
        line = Line(kind=kind, process=event.process, at_ms=event.at_ms - self._began_ms, points=points, text=text)
        self._lines.append(line)
        self._open[event.process] = line
        return line


def _keeping(lines: list[Line], process: int) -> str:
    if lines and lines[-1].kind == "process" and lines[-1].process == process:
        return "begins: compares record and engine, and looks for open workflows"
    return "looks for work"


def _about(asked: Asked) -> tuple[str, str]:
    return asked.kind, identity_of(asked)


assert set(_STRIKES) == set(FAULTS)
