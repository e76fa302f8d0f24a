"""Reports of explorations as JUnit XML: a test case for each fault at each kind of point. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from xml.etree import ElementTree as ET

from recordfirst.core.text import escaped_lines
from recordfirst.explore.report.text import failure, headline
from recordfirst.explore.report.words import titled
from recordfirst.explore.runs.naming import name_of
from recordfirst.explore.runs.violation import by_weight
from recordfirst.explore.search.explorer import Exploration, Failure


def document(reports: Iterable[Exploration], replay: Callable[[Failure], str]) -> str:
    """The whole file."""
    root = ET.Element("testsuites", name="recordfirst explore")
    for report in reports:
        _suite(root, report, replay)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, report: Exploration, replay: Callable[[Failure], str]) -> None:
    suite = ET.SubElement(
        root, "testsuite", name=_clean(report.workflow), time=f"{report.seconds:.3f}", errors="0", skipped="0"
    )
    properties = ET.SubElement(suite, "properties")
    for name in ("seed", "schedules", "points", "singles", "pairs", "failed"):
        ET.SubElement(properties, "property", name=name, value=str(getattr(report, name)))
    told = {_place(each): (index, each) for index, each in reversed(list(enumerate(report.failures, 1)))}
    rows = [(name, fault) for name, row in report.cells.items() for fault in row]
    for where in [*rows, *(place for place in told if place not in rows)]:
        name = _clean(f"{where[1]} at {where[0]}")
        case = ET.SubElement(suite, "testcase", classname=_clean(report.workflow), name=name)
        cell = report.cells.get(where[0], {}).get(where[1])
        found = told.get(where)
        if found is not None:
            index, each = found
            first = titled(by_weight(each.smallest.violations)[0])
            ET.SubElement(case, "failure", message=_clean(first)).text = _clean(
                failure(each, index, report, replay(each))
            )
        elif cell is not None and cell.failed:
            said = f"{cell.failed} of {cell.tried} schedules broke a promise that another failure of this suite shows"
            ET.SubElement(case, "failure", message=said)
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    ET.SubElement(suite, "system-out").text = _clean(headline(report))


def _place(each: Failure) -> tuple[str, str]:
    if not each.smallest.struck:
        return "any point", "no fault"
    at = each.smallest.struck[-1]
    point = each.smallest.points[at.process - 1][at.point - 1]
    what = at.fault if at.change is None else f"{at.fault}, {at.change}"
    return f"{point.boundary}: {name_of(point.boundary, point.name, point.detail)}", what


def _clean(text: str) -> str:
    """Remove characters that XML cannot hold, or that control a terminal."""
    return escaped_lines(text)
