"""Reports of explorations as one self-contained page: no script, no other files. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from importlib.resources import files

from recordfirst.core.text import escaped_lines
from recordfirst.explore.report.story import Line, Story, tell
from recordfirst.explore.report.text import cells_of, columns_of, headline
from recordfirst.explore.report.words import duration, fault_of, titled
from recordfirst.explore.runs.schedule import FAULTS
from recordfirst.explore.search.explorer import Exploration, Failure

type Replay = Callable[[Failure], str]


def page(reports: Sequence[Exploration], replay: Replay) -> str:
    """The whole page."""
    names = ", ".join(report.workflow for report in reports)
    style = (files("recordfirst.explore.report") / "page.css").read_text()
    body = "".join(part for report in reports for part in _report(report, replay))
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{_(names)}: explored</title><style>{style}</style></head>\n<body>{body}</body></html>\n"
    )


def _(text: object) -> str:
    return escape(escaped_lines(text))


def _report(report: Exploration, replay: Replay) -> Iterator[str]:
    verdict = "held" if report.ok else "broken"
    yield f"<header class={verdict}><h1>{_(report.workflow)}</h1><p>{_(headline(report))}</p></header>"
    if len(report.failures) > 1:
        yield "<h2>Failures</h2><ol>"
        for index, each in enumerate(report.failures, 1):
            yield (
                f'<li><a href="#{_(report.workflow)}-{index}">{_(titled(tell(each.smallest).broken[0]))}</a> '
                f"<code>{_(each.smallest.schedule)}</code>"
            )
        yield "</ol>"
    for index, each in enumerate(report.failures, 1):
        yield from _failure(report, index, each, replay)
    if report.replayed is not None and report.ok:
        yield from _timeline(tell(report.replayed))
    if report.cells:
        yield from _table(report)
    if report.ok and report.replayed is None:
        yield "<details><summary>The run without faults</summary>"
        yield from _timeline(tell(report.reference))
        yield "</details>"


def _failure(report: Exploration, index: int, each: Failure, replay: Replay) -> Iterator[str]:
    story = tell(each.smallest)
    yield f'<section id="{_(report.workflow)}-{index}" class=failure><h2>{_(titled(story.broken[0]))}</h2>'
    if len(story.broken) > 1:
        yield "<ul class=also>" + "".join(f"<li>{_(titled(violation))}" for violation in story.broken[1:]) + "</ul>"
    yield "<h3>The smallest schedule that shows it</h3><ul class=schedule>"
    for at in each.smallest.schedule.faults:
        yield f"<li><code>{_(at)}</code> {_(fault_of(at))}"
    yield "</ul>" if each.smallest.schedule.faults else "<li>None: no fault is needed</ul>"
    yield "<h3>What happened</h3>"
    yield from _timeline(story)
    yield f"<h3>See it again</h3><pre>{_(replay(each))}</pre></section>"


def _timeline(story: Story) -> Iterator[str]:
    yield (
        "<table class=timeline><thead><tr><th>when<th>point<th>what happens<th>the record<th>the engine<th>outside"
        "</thead><tbody>"
    )
    shown = ""
    for line in story.lines:
        lane = f"p{(line.process - 1) % 4}"
        if line.kind == "process":
            yield f'<tr class="process {lane}"><td colspan=6>{_(line.text)}'
            continue
        now = duration(line.at_ms)
        mark = {"fault": "✗ fault", "broken": "✗ broken"}.get(line.kind, now if now != shown else "")
        shown = now if line.kind not in ("fault", "broken") else shown
        yield f'<tr class="{line.kind} {lane}{" whole" if line.is_whole else ""}"><td>{_(mark)}<td>{_(line.points)}'
        if any((line.record, line.engine, line.outside)):
            yield f"<td>{_(line.text)}{''.join(_states(line))}"
        else:
            yield f"<td colspan=4>{_(line.text)}"
    yield "</tbody></table>"


def _states(line: Line) -> Iterator[str]:
    for said in (line.record, line.engine, line.outside):
        yield "<td>" + "".join(f"<div>{_(text)}</div>" for text in said)


def _table(report: Exploration) -> Iterator[str]:
    columns = columns_of(report)
    yield "<h2>What was tried</h2><div class=wide><table class=tried><thead><tr><th>what was being done"
    for name in columns:
        yield f'<th title="{_(FAULTS.get(name, "dead after it was applied, then something changed"))}">{_(name)}'  # type: ignore[call-overload]
    yield "</thead><tbody>"
    for name in report.cells:
        row = cells_of(report, name)
        yield f"<tr><th>{_(name)}"
        for column in columns:
            cell = row.get(column)
            if cell is None:
                yield "<td class=none>"
            elif cell.failed:
                yield f"<td class=bad>✗ {cell.failed} of {cell.tried}"
            else:
                yield f"<td class=good>{cell.tried}"
    yield "</tbody></table></div><dl class=faults>"
    for name in columns:
        yield f"<dt>{_(name)}<dd>{_(FAULTS.get(name, _CHANGE))}"  # type: ignore[call-overload]
    yield "</dl>"


_CHANGE = (
    "the process dies after it was applied; before its successor begins the engine is lost or restored, providers "
    "forget their keys, or another version of the workflow is deployed"
)
