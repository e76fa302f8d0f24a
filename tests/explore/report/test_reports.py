"""What an exploration tells: a history in order, where it broke, in each form, and how to see it again."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import msgspec
import pytest

from recordfirst.explore import Exploration, FastWorld, Schedule
from recordfirst.explore.report.html import page
from recordfirst.explore.report.junit import document
from recordfirst.explore.report.story import Story, tell
from recordfirst.explore.report.text import as_data, render, timeline
from recordfirst.explore.report.words import deed, duration
from recordfirst.explore.running import merge, replay
from recordfirst.explore.runs.naming import engine_name, is_keeping, name_of
from recordfirst.testing import Asked
from tests.explore.broken import BROKEN
from tests.explore.conftest import at
from tests.explore.shop import CASE


@pytest.fixture(scope="module")
def found() -> Exploration:
    """The broken shop dies after the bank was asked, and the engine is lost with it."""
    world = FastWorld(BROKEN, deaths="abandoned")
    fault = at(world.refer(), 1, "call charge_card", "crash-after", change="engine-lost")
    world.close()
    return replay(BROKEN, Schedule((fault,)))


def story_of(found: Exploration) -> Story:
    return tell(found.failures[0].smallest)


def again(_: object) -> str:
    return "recordfirst explore --case x:y --replay '1.33:crash-after+engine-lost'"


def test_a_history_is_told_in_the_order_of_things(found):
    """P10: process 1 charges and dies, the engine forgets, its successor charges again: there it is broken."""
    lines = story_of(found).lines
    told = [(line.kind, line.process) for line in lines]
    struck = told.index(("fault", 1))
    changed = next(i for i, line in enumerate(lines) if line.text.endswith("the engine forgets everything"))
    broken = told.index(("broken", 2))
    assert told.index(("provider", 1)) < struck < changed < told.index(("provider", 2)) < broken
    assert lines[broken].text == "P3, one effect: charge explored/order:1:charge was done 2 times"
    assert lines[broken].points == lines[broken - 1].points
    assert [line.text for line in lines if line.kind == "process"] == ["process 1", "process 2, its successor"]


def test_decisive_moments_show_what_was_there(found):
    """P10: at the death, what record, engine and outside held; at a commit, what it changed; then both charges."""
    lines = story_of(found).lines
    left = next(line for line in lines if line.text == "what process 1 has left")
    assert left.record == [
        "orders: id='1' amount=1999 state='new'",
        "receipt order:1/insert_order: succeeded",
        "receipt order:1:charge: intended",
        "workflow order:1: open",
    ]
    assert "order:1, step charge_card: pending" in left.engine
    assert [text.partition(", answers")[0] for text in left.outside] == ['charge {"order":"1"} done']
    paid = [text for line in lines for text in line.record if "→ 'paid'" in text]
    assert paid == ["orders id='1': state 'new' → 'paid'"]
    assert len(next(line for line in lines if line.text == "what there is in the end").outside) == 2


def test_what_a_worker_does_for_itself_is_one_line(found):
    """Nobody has to read twenty look-ups before the first thing happens."""
    first, begins = story_of(found).lines[:2]
    assert first.kind == "process"
    assert begins.text == "begins: compares record and engine, and looks for open workflows"
    assert begins.points.startswith("1.1-")


def test_a_person_and_a_process_that_stands_still_are_told(world):
    """P10: with two processes at work, whose turn it is; and what an operator was asked."""
    stall = at(world.run(), 1, "call charge_card", "stall")
    told = list(timeline(tell(world.run(Schedule((stall,))))))
    stands = next(i for i, line in enumerate(told) if "process 1 STALLS just before: call charge_card" in line)
    elsewhere = next(i for i, line in enumerate(told) if "process 2, elsewhere" in line)
    goes_on = next(i for i, line in enumerate(told) if "process 1 goes on, and does not know" in line)
    assert stands < elsewhere < goes_on
    assert "by what is no effect" not in "".join(told)


def test_what_arrives_outside_is_told_of_whoever_sent_it(world_of):
    """P3: of two processes that both charge, the second is said to have broken it, when its own call is made."""
    world = world_of(BROKEN)
    stall = at(world.refer(), 1, "call charge_card", "stall")
    lines = tell(world.run(Schedule((stall,)))).lines
    broken = next(i for i, line in enumerate(lines) if line.kind == "broken")
    assert lines[broken - 1].text.startswith("call charge_card")
    assert lines[broken - 1].outside[0].startswith('charge {"order":"1"} done, answers')
    assert [line.process for line in lines if line.outside and not line.is_whole] == [2, 1]


@pytest.mark.parametrize("form", [render, page, document])
def test_each_form_says_what_broke_and_how_to_see_it_again(found, form):
    """P10: the promise, the schedule, the fault in words, and the command."""
    text = form(found, again) if form is render else form([found], again)
    for said in ("P3, one effect", "was done 2 times", "1.33:crash-after", "forgets everything", "process 1 DIES"):
        assert said in text
    assert "--replay" in text


def test_the_page_needs_nothing_else_and_escapes(found):
    """A page can be mailed: no script, nothing from elsewhere; and whatever a row holds is text."""

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []
            self.links: list[str] = []

        def handle_starttag(self, tag, attrs):
            self.tags.append(tag)
            self.links += [value for name, value in attrs if name in ("src", "href")]

    evil = msgspec.structs.replace(found, workflow="<script>alert(1)</script>")
    reader = Reader()
    reader.feed(page([evil], again))
    assert "script" not in reader.tags
    assert [link for link in reader.links if not link.startswith("#")] == []
    assert reader.tags.count("table") == len(found.failures)


def test_junit_counts_what_failed(found):
    """CI counts failures by it."""
    suite = ET.fromstring(document([found], again)).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert suite.find("testcase").get("name") == "crash-after, engine-lost at provider: call charge_card"


def test_data_is_json(found):
    """A machine gets the history too."""
    data = msgspec.json.decode(msgspec.json.encode(as_data(found, again)))
    assert data["failures"][0]["violations"][0]["promise"] == "P3"
    assert data["failures"][0]["history"][0]["text"] == "process 1"
    assert (data["ok"], data["failed"]) == (False, 1)


def test_reports_of_several_processes_are_one(found):
    """What two have found alike is told once; what they have tried is added up."""
    both = merge([found, found])
    assert (both.schedules, both.failed, len(both.failures)) == (2, 2, 1)
    assert found.schedules == 1


def test_a_good_workflow_is_said_to_hold(world_of):
    """A replay that broke nothing says so, and shows what happened."""
    world = world_of()
    fault = at(world.refer(), 1, "call charge_card", "crash-after")
    report = replay(CASE, Schedule((fault,)))
    assert report.ok
    assert render(report, again) == f"create_order, schedule {fault}: every promise held"
    assert "process 2, its successor" in page([report], again)


@pytest.mark.parametrize(
    ("boundary", "name", "detail", "said"),
    [
        ("record", "change_receipt", "order:1:charge: succeeded", "receipt of order:1:charge: succeeded"),
        ("record", "intend", "order:1:charge: intended", "store the intent of order:1:charge"),
        ("record", "history_id", "", "what a worker does for itself"),
        ("record", "UPDATE orders SET state = ?", "paid", "UPDATE orders SET state = ? (paid)"),
        ("engine", "promise.get", "recordfirst~mark~explored~1~1", "what a worker does for itself"),
        ("engine", "task.fence promise.settle", "a~o:write_pay-28c2713e6b", "settle the promise of o, step pay"),
        ("engine", "task.fulfill promise.settle", "a~order%3A1", "end the task of order:1"),
        ("provider", "call charge_card", "explored/order:1:charge", "call charge_card"),
    ],
)  # fmt: skip
def test_points_read_well(boundary, name, detail, said):
    """P10: a receipt's point says which state of which key; what is a worker's own is said to be."""
    assert name_of(boundary, name, detail) == said
    assert is_keeping(boundary, name, detail) == (said == "what a worker does for itself")


def test_what_arrives_outside_reads_well():
    """P4, P3: done, known, refused for good, or under a key that was used for another request."""
    asked = Asked(kind="charge", request={"amount": 5}, key="k", at_ms=0, result="charge 1")
    told = [
        deed(msgspec.structs.replace(asked, **changed))
        for changed in ({}, {"repeats": True}, {"refused": "no funds"}, {"repeats": True, "differs": True})
    ]
    assert told == [
        """charge {"amount":5} done, answers 'charge 1'""",
        """charge {"amount":5}: its key is known, so nothing is done; answers 'charge 1' again""",
        """charge {"amount":5} refused: no funds""",
        """charge {"amount":5} refused: key 'k' was used for another request""",
    ]


def test_times_and_lives_read_well():
    """As people say it."""
    said = [duration(ms) for ms in (0, 1249, 120_000, 7_200_000, 40 * 86_400_000)]
    assert said == ["0 s", "1.249 s", "2 min", "2 h", "40 days"]
    assert engine_name("a~order%3A1") == "order:1"
