"""A whole exploration: the same in several processes, replays that reproduce, the smallest schedule, mistakes."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from recordfirst import Context, Read, Write, inject, invariant, workflow, write
from recordfirst.errors import Misuse
from recordfirst.explore import At, Budget, Exploration, Schedule, Violation, parse
from recordfirst.explore.report.text import render
from recordfirst.explore.running import explore, parse_budget, replay
from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.runs.run import RunOutcome
from recordfirst.explore.runs.schedule import Point
from recordfirst.explore.runs.violation import by_weight
from recordfirst.explore.search.shrinking import kind_of, shrink
from tests.explore.broken import BROKEN
from tests.explore.shop import CASE, Bank, Order, charge_card, insert_order

FEW = Budget(schedules=4)
SOME = Budget(schedules=40)


@pytest.fixture(scope="module")
def explored() -> Exploration:
    """What a small budget tries of the broken shop, in one process."""
    return explore(BROKEN, SOME)


def test_several_processes_try_what_one_tries(explored):
    """The shards of two are together what one tries, and find the same broken promises; the workflow's own points
    come first, so that a small budget finds what there is.
    """
    one, two = explored, explore(BROKEN, SOME, jobs=2)
    assert one.schedules == two.schedules == SOME.schedules
    assert (one.cells, one.struck, one.failed) == (two.cells, two.struck, two.failed)
    assert [{each.smallest.violations for each in report.failures} for report in (one, two)] == [
        {one.failures[0].smallest.violations}
    ] * 2
    assert one.failed > 0


def test_a_mistake_reaches_the_one_who_made_it_from_every_process():
    """P8: also when it is a process of its own that notices."""
    with pytest.raises(Misuse, match=r"provide= of the case must return a mapping"):
        explore(msgspec.structs.replace(CASE, provide=lambda _: None), jobs=2)  # type: ignore[arg-type,return-value]


def test_what_was_found_is_found_again(explored):
    """P10: each failure's smallest schedule, given as text, breaks the same promises."""
    assert explored.failures != []
    for each in explored.failures:
        shown = replay(BROKEN, parse(str(each.smallest.schedule)))
        assert shown.failures[0].smallest.violations == each.smallest.violations
        assert shown.failures[0].smallest.events == each.smallest.events


def test_a_replay_of_a_point_that_is_not_there_is_refused():
    """P8: a replay that tries nothing must not look like one that held."""
    with pytest.raises(Misuse, match=r"no process reaches 1\.999:crash"):
        replay(CASE, parse("1.999:crash"))


def test_what_is_broken_without_faults_is_said_so():
    """Faults add nothing to a workflow that breaks its invariant by itself."""
    report = explore(msgspec.structs.replace(CASE, invariants=("SELECT id FROM orders",)))
    assert (report.schedules, report.failed) == (0, 1)
    assert report.failures[0].smallest.schedule == Schedule()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"provide": lambda _: {}}, r"MissingDependency: .* let provide= of the case return it:.* needs bank: Bank"),
        ({"provide": lambda _: 1 / 0}, r"provide= of the case raised ZeroDivisionError"),
        ({"provide": lambda _: {Bank: 1}}, r"fails without faults: EffectStopped: .*AttributeError: 'int' object"),
        ({"tables": "", "invariants": ()}, r"fails without faults: .*no such table: orders; check tables="),
        ({"tables": "CREATE TABEL x"}, r"tables= of the case cannot be created: near \"TABEL\": syntax error"),
        ({"invariants": ("SELECT x FROM y",)}, r"the invariant SELECT x FROM y cannot be asked: OperationalError"),
        ({"invariants": (lambda _: [],)}, r"the invariant <lambda> cannot be asked: TypeError"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_case_is_no_broken_promise(changed, said):
    """P8: it is one error that names what is wrong with the case."""
    with pytest.raises(Misuse, match=f"(?s){said}"):
        explore(msgspec.structs.replace(CASE, **changed), FEW)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"workflow": print}, "must be a @workflow, not <built-in function print>"),
        ({"args": []}, r"args= must be a tuple, not \[\]"),
        ({"args": ()}, "missing a required argument: 'order'"),
        ({"invariants": "SELECT 1"}, "invariants= must be a tuple of queries and functions, not 'SELECT 1'"),
        ({"invariants": (1,)}, "an invariant must be a query, a function or an @invariant, not 1"),
        ({"ignore": frozenset({"created"})}, "names columns as 'table.column', not 'created'"),
        ({"id": ""}, "must be text and not empty"),
        ({"versions": (print,)}, "a version must be a @workflow"),
        ({"provide": {}}, "must be a function that takes the Outside"),
    ],
)
def test_a_case_that_cannot_be_is_refused_where_it_is_made(changed, said):
    """P8: by its own name, before anything runs."""
    with pytest.raises(Misuse, match=said):
        msgspec.structs.replace(CASE, **changed)


def test_an_invariant_may_assert():
    """A function's own assertion that fails is an invariant that was broken, and says what it says."""

    def paid_once(connection, outside):
        assert len(outside.applied) == 0, "somebody was charged"

    report = explore(msgspec.structs.replace(CASE, invariants=(paid_once,)))
    assert report.failures[0].smallest.violations == (Violation("yours", "paid_once: somebody was charged"),)


@pytest.mark.parametrize(
    ("text", "budget"),
    [(None, Budget()), ("60s", Budget(seconds=60)), ("1.5m", Budget(seconds=90)), ("2h", Budget(seconds=7200)),
     ("10000", Budget(schedules=10_000))],
)  # fmt: skip
def test_budgets_are_read(text, budget):
    """A time or a number."""
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "1 week", "s"])
def test_budgets_that_are_none_are_refused(text):
    """P8: nothing that tries nothing."""
    with pytest.raises(Misuse, match="budget"):
        parse_budget(text)


def test_one_bug_is_one_failure():
    """What differs by a time or a number alone is told once, and how to leave out what may differ."""
    case = msgspec.structs.replace(CASE, workflow=stamped, tables=f"{CASE.tables}; CREATE TABLE log (at INTEGER)")
    report = explore(case, SOME)
    assert report.failed > len(report.failures) > 0
    assert len({kind_of(each.smallest) for each in report.failures}) == len(report.failures)
    assert "ignore=['table.column']" in render(report, str)
    held = explore(msgspec.structs.replace(case, ignore=frozenset({"log.at"})), SOME)
    assert held.ok


@write
async def stamp(w: Write) -> None:
    await w.tx.execute("INSERT INTO log VALUES (?)", (time.time_ns(),))


@workflow(name="create_order")
async def stamped(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    await stamp(ctx)
    return await charge_card(ctx, order)


# ── the smallest schedule ───────────────────────────────────────────────────

POINTS = tuple(Point(n, "provider", f"call step_{n}") for n in range(1, 6))


def outcome(schedule: Schedule, *promises: str) -> RunOutcome:
    return RunOutcome(
        schedule=schedule,
        violations=tuple(Violation(promise, "broken") for promise in promises),
        events=(),
        points=(POINTS, POINTS, POINTS),
        seen=Observed(),
        struck=schedule.faults,
    )


def shrunk(broken, text: str) -> str:
    """What is left of a schedule, where ``broken`` says what each breaks."""
    tried: list[str] = []

    def run(schedule: Schedule) -> RunOutcome:
        tried.append(str(schedule))
        return outcome(schedule, *broken(set(map(str, schedule.faults))))

    first = run(parse(text))
    smallest = shrink(run, first, outcome(Schedule()))
    assert len(tried) < 60
    return str(smallest.schedule)


def test_shrinking_keeps_what_is_needed_alone():
    """Of three faults, the two that it takes."""
    needs = {"1.2:crash", "2.4:lose"}
    assert (
        shrunk(lambda faults: ["P3"] if needs <= faults else [], "1.2:crash 2.1:fail 2.4:lose") == "1.2:crash 2.4:lose"
    )


def test_shrinking_takes_away_the_change():
    """A plain death shows more than one with an engine lost besides."""
    assert (
        shrunk(lambda faults: ["P3"] if any("crash-after" in f for f in faults) else [], "1.2:crash-after+engine-lost")
        == "1.2:crash-after"
    )


def test_shrinking_goes_to_the_first_process():
    """What inject a successor in the same way inject the first one: no death is needed before."""
    assert shrunk(
        lambda faults: ["P3"] if any(f.endswith(".4:lose") for f in faults) else [], "1.2:crash 2.4:lose"
    ) in ("1.4:lose", "2.4:lose")


def test_shrinking_does_not_change_the_subject():
    """A smaller schedule that breaks something else is another failure."""

    def broken(faults):
        return ["P3"] if len(faults) == 2 else ["P9"] if faults else []

    assert shrunk(broken, "1.2:crash 2.4:lose") == "1.2:crash 2.4:lose"


def test_shrinking_drops_what_never_struck():
    """A fault at a point that nobody came to has shown nothing."""
    never = At(7, 1, "crash")
    start = msgspec.structs.replace(
        outcome(parse("1.2:crash"), "P3"), schedule=Schedule((*parse("1.2:crash").faults, never))
    )
    smallest = shrink(
        lambda schedule: outcome(schedule, *(["P3"] if schedule.faults else [])), start, outcome(Schedule())
    )
    assert str(smallest.schedule) == "1.2:crash"


def test_what_says_most_comes_first():
    """That the end is another (P9) mostly follows from what else was broken."""
    assert [v.promise for v in by_weight((Violation("P9", ""), Violation("yours", ""), Violation("P3", "")))] == [
        "P3",
        "yours",
        "P9",
    ]


@invariant
async def paid_in_the_loop(r: Read[Any], *, bank: Bank = inject()):
    """As an app has it: through the driver's own connection, in the ways in which drivers let it be asked."""
    assert type(r.tx).__module__.startswith("aiosqlite")
    assert type(bank) is Bank
    cursor = await r.tx.execute("SELECT id FROM orders WHERE state <> ?", ("paid",))
    found = [row[0] async for row in cursor]
    async with r.tx.execute("SELECT id FROM orders WHERE state <> 'paid'") as again:
        assert [row[0] for row in await again.fetchall()] == found
    return found


@invariant
def paid_in_a_thread(r: Read[Any]):
    return r.tx.execute("SELECT id FROM orders WHERE state <> 'paid'").fetchall()


@pytest.mark.parametrize(
    "ours", [paid_in_the_loop, paid_in_a_thread, invariant(sql="SELECT id FROM orders WHERE state <> 'paid'", name="q")]
)
def test_an_apps_own_invariant(ours):
    """It is held against every end; what offends is told by its name."""
    assert explore(msgspec.structs.replace(CASE, invariants=(ours,)), FEW).ok
    spoiling = CASE.tables + ";CREATE TRIGGER spoils AFTER UPDATE ON orders BEGIN UPDATE orders SET state = 'lost'; END"
    report = explore(msgspec.structs.replace(CASE, invariants=(ours,), tables=spoiling), FEW)
    assert report.failures[0].smallest.violations[0].what.startswith(f"{ours.name}: ")


class Never:
    def __await__(self):
        yield


def test_an_apps_own_invariant_that_cannot_be_asked():
    """P8: it waits for something else, or for what nobody provides: that is said, with its name."""

    @invariant(name="patient")
    async def patient(r: Read[Any]):
        await Never()

    @invariant(name="needy")
    def needy(r: Read[Any], *, rate: float = inject()): ...

    for ours, said in ((patient, "waits for something that is not the record"), (needy, "needs <class 'float'>")):
        with pytest.raises(Misuse, match=f"the invariant {ours.name} cannot be asked: Misuse: it {said}"):
            explore(msgspec.structs.replace(CASE, invariants=(ours,)), FEW)
