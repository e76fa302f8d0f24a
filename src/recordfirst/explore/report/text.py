"""Reports of an exploration for a terminal: plain text, in colour if the terminal has it. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from recordfirst.explore.report.story import Line, LineKind, Story, tell
from recordfirst.explore.report.words import duration, fault_of, titled
from recordfirst.explore.runs.naming import shorten
from recordfirst.explore.runs.violation import by_weight
from recordfirst.explore.search.explorer import Cell, Exploration, Failure

type Style = Callable[[str, str], str]
"""Makes text bold, red or dim, by the style's name, or leaves it unchanged."""

_WIDTH = 118
_INDENT = 18
_WHOLE = 10
"""From this many schedules a second on, the rate is shown without a fraction."""
_MARKS: dict[LineKind, str] = {"fault": "FAULT", "broken": "BROKEN"}
_COLUMNS = ("crash", "crash-after", "+change", "fail", "lose", "contend", "stall", "redeliver", "hang")
_TABLE = re.compile(r"\btable \w+ (?:has|ends) ")
_IGNORE = (
    "A column of your own that may differ between two runs (a time of the database, a random id) is named in "
    "ignore=['table.column']."
)
_CHANGED = "engine lost or restored, keys expired, or a deploy"


def plain(text: str, style: str) -> str:  # noqa: ARG001 - a style that is none
    """No colours."""
    return text


def render(report: Exploration, replay: Callable[[Failure], str], *, style: Style = plain, table: bool = True) -> str:
    """The whole report.

    Args:
        report: the exploration.
        replay: returns the command that replays a failure.
        style: the terminal's colours.
        table: whether to add the table of what was tried at each point.
    """
    parts = [headline(report)]
    if table and report.cells:
        parts.append("\n".join(_table(report, style)))
    parts += [failure(each, index, report, replay(each), style) for index, each in enumerate(report.failures, 1)]
    return "\n\n".join(parts)


def headline(report: Exploration) -> str:
    """One line."""
    if report.replayed is not None:
        said = "every promise held" if report.ok else "a promise was broken"
        return f"{report.workflow}, schedule {report.replayed.schedule}: {said}"
    if report.failed and not report.schedules:
        return f"{report.workflow}: a promise is broken without any fault"
    held = "every promise held" if report.ok else f"{report.failed:,} broke a promise"
    per_second = f" ({_rate(report.schedules / report.seconds)} a second)" if report.seconds else ""
    where = "" if report.world == "fast" else f" in the {report.world} world"
    return (
        f"{report.workflow}{where}: {report.schedules:,} schedules of faults at {report.points:,} points in "
        f"{report.seconds:,.1f} s{per_second}, {_extent(report)}, seed {report.seed}: {held}"
    )


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= _WHOLE else f"{per_second:.1f}"


def _extent(report: Exploration) -> str:
    if report.schedules < report.singles:
        return f"of the {report.singles:,} single faults"
    more = {"all": ", and all pairs", "sampled": ", and pairs and threes drawn by the seed"}.get(report.pairs, "")
    return f"all {report.singles:,} single faults{more}"


def failure(found: Failure, index: int, report: Exploration, replay: str, style: Style = plain) -> str:
    """One failure: what broke, the smallest schedule, its history, and the command that replays it."""
    story = tell(found.smallest)
    more = "" if len(report.failures) == 1 else f" {index} of {len(report.failures)}"
    head = [style(f"Failure{more}: {titled(story.broken[0])}", "bold")]
    head += [f"    also {titled(violation)}" for violation in story.broken[1:]]
    faults = [f"    {at}  {fault_of(at)}" for at in found.smallest.schedule.faults]
    head += ["", "Smallest schedule that shows it:", *(faults or ["    none: no fault is needed"])]
    lines = [*head, "", *timeline(story, style), "", "See it again:", f"    {replay}"]
    if any(_TABLE.search(violation.what) for violation in story.broken):
        lines += ["", _IGNORE]
    return "\n".join(lines)


def timeline(story: Story, style: Style = plain) -> Iterator[str]:
    """The lines of a story."""
    shown = ""
    for line in story.lines:
        if line.kind == "process":
            yield style(f"{'':{_INDENT}}── {line.text} " + "─" * (60 - len(line.text)), "dim")
            continue
        now = duration(line.at_ms)
        mark = _MARKS.get(line.kind, now if now != shown else "")
        shown = now if line.kind not in _MARKS else shown
        left = f"{mark:>8} {line.points:<8} "
        style_of = {"fault": "fault", "broken": "broken", "keeping": "dim", "person": "bold"}.get(line.kind, "")
        for number, text in enumerate(textwrap.wrap(line.text, _WIDTH - _INDENT) or [""]):
            yield style((left if number == 0 else " " * _INDENT) + text, style_of).rstrip()
        yield from _state(line, style)


def _state(line: Line, style: Style) -> Iterator[str]:
    for name, said in (("record", line.record), ("engine", line.engine), ("outside", line.outside)):
        for number, text in enumerate(said):
            label = f"{name + ':' if number == 0 else '':<9}"
            wrapped = textwrap.wrap(text, _WIDTH - _INDENT - 13) or [""]
            yield style(f"{'':{_INDENT}}    {label}{wrapped[0]}", "state")
            yield from (style(f"{'':{_INDENT}}    {'':<9}  {more}", "state") for more in wrapped[1:])


def columns_of(report: Exploration) -> list[str]:
    """The faults that were tried; all changes before a successor are one column."""
    used = {column_of(what) for row in report.cells.values() for what in row}
    return [*(fault for fault in _COLUMNS if fault in used)]


def column_of(what: str) -> str:
    """The column of a fault, and of a change before a successor."""
    return "+change" if "," in what else what


def cells_of(report: Exploration, name: str) -> dict[str, Cell]:
    """The cells of a row of the table, by column."""
    row: dict[str, Cell] = {}
    for what, cell in report.cells[name].items():
        into = row.setdefault(column_of(what), Cell())
        into.tried += cell.tried
        into.failed += cell.failed
    return row


def _table(report: Exploration, style: Style) -> Iterator[str]:
    columns = columns_of(report)
    room = _WIDTH - sum(len(name) + 2 for name in columns)
    head = f"{'Schedules tried, by what was being done':<{room}}" + "".join(f"  {name}" for name in columns)
    yield style(head, "bold")
    for name in report.cells:
        row = cells_of(report, name)
        cells = []
        for column in columns:
            cell = row.get(column)
            text = "" if cell is None else f"{cell.tried}" if not cell.failed else f"✗{cell.failed}/{cell.tried}"
            cells.append("  " + style(f"{text:>{len(column)}}", "broken" if cell is not None and cell.failed else ""))
        yield (f"{shorten(name, room):<{room}}" + "".join(cells)).rstrip()
    yield style("✗2/5: two of five broke a promise. +change: dead after it was applied, then " + _CHANGED, "dim")


def as_data(report: Exploration, replay: Callable[[Failure], str]) -> dict[str, Any]:
    """The whole report as JSON builtins, for programs."""
    return {
        "workflow": report.workflow,
        "world": report.world,
        "ok": report.ok,
        "seed": report.seed,
        "schedules": report.schedules,
        "points": report.points,
        "singles": report.singles,
        "pairs": report.pairs,
        "failed": report.failed,
        "seconds": round(report.seconds, 3),
        "tried": report.cells,
        "failures": [
            {
                "found": str(each.found),
                "schedule": str(each.smallest.schedule),
                "violations": by_weight(each.smallest.violations),
                "history": tell(each.smallest).lines,
                "replay": replay(each),
            }
            for each in report.failures
        ],
    }
