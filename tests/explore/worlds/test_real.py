"""The real world: programs that are killed, stopped and cut off, on a real Postgres and over real HTTP."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from recordfirst.errors import Misuse
from recordfirst.explore import Budget, Case, RunOutcome, parse
from recordfirst.explore.judge.checks import at_a_call
from recordfirst.explore.report.story import tell
from recordfirst.explore.report.text import timeline
from recordfirst.explore.running import replay
from recordfirst.explore.search.explorer import Explorer
from recordfirst.explore.search.shrinking import shrink
from recordfirst.explore.worlds.named import Where, opened
from recordfirst.explore.worlds.real.programs.sending import found
from recordfirst.explore.worlds.real.world import RealWorld
from tests.engine.live import SQL, engine_url, resonate_sql
from tests.explore import broken, shop

_TRIES = 5
"""Two runs in real time are not alike: one that a fault does not come to, for a loaded machine, say, is run again."""


def _world(url: str, reference: str) -> Iterator[RealWorld]:
    """A world after its run without faults; a module's tests share it, since programs take a second to start."""
    case: Case = found(reference)
    with opened(case, Where(world="real", record=url, case=reference), 1) as world:
        assert isinstance(world, RealWorld)
        outcome = world.refer()
        assert (outcome.violations, outcome.why) == ((), "")
        yield world


@pytest.fixture(scope="module")
def order(postgres_url: str) -> Iterator[RealWorld]:
    """The demo's order, with Stripe's own client."""
    yield from _world(postgres_url, "tests.explore.test_stripe:CASE")


@pytest.fixture(scope="module")
def careless(postgres_url: str) -> Iterator[RealWorld]:
    """A shop whose bank never sees the key."""
    yield from _world(postgres_url, "tests.explore.broken:case")


def run(world: RealWorld, schedule: str) -> RunOutcome:
    """Run until all of the schedule has struck."""
    faults = parse(schedule)
    outcomes = (world.run(faults) for _ in range(_TRIES))
    outcome = next((each for each in outcomes if len(each.struck) == len(faults.faults)), None)
    assert outcome is not None, f"nothing came to {schedule}"
    return outcome


HOLDS = [
    "1.call-charge_card#1:crash",
    "1.call-charge_card#1:crash-after+engine-lost",
    "1.call-charge_card#1:lose",
    "1.COMMIT#2:lose",
    "1.COMMIT#3:contend",
    "1.add_receipt#1:fail",
    "1.call-request_fulfilment#1:crash-after 2.COMMIT#2:lose",
]
"""One of each kind; all singles take minutes."""


def test_the_demos_order_holds(order: RealWorld) -> None:
    """P1, P2, P3, P6, P7, P9: over HTTP, whichever of these inject its worker."""
    assert order.judge.reference is not None
    assert order.judge.reference.tables["orders"][0][5] == "paid"
    violations = {schedule: run(order, schedule).violations for schedule in HOLDS}
    assert {schedule: broken for schedule, broken in violations.items() if broken} == {}


def test_a_zombie_is_a_process_that_was_stopped_and_goes_on(order: RealWorld) -> None:
    """P3: its request arrives when its successor has done everything, and is answered as the first was."""
    outcome = run(order, "1.call-charge_card#1:stall")
    assert outcome.violations == ()
    assert [len(points) > 0 for points in outcome.points] == [True, True]
    told = "\n".join(timeline(tell(outcome)))
    late = told.split("process 1 goes on, and does not know that it stalled")[1]
    assert "its key is known, so nothing is done" in " ".join(late.split())


def test_singles_are_named_by_what_is_done(order: RealWorld) -> None:
    """P10: numbers would not hold from run to run, and what this world cannot do is not tried."""
    singles = [str(schedule) for schedule in Explorer(order, "create_order")._schedules(Budget())]
    assert {"1.intend#1:lose", "1.COMMIT#2:crash-after+engine-lost", "1.call-charge_card#1:hang"} <= set(singles)
    assert not [each for each in singles if "keys-expired" in each or "redeliver" in each]


@pytest.mark.parametrize("kind", ["resonate-pg", "server"])
def test_the_demos_order_holds_on_engines_that_workers_share(kind: str, postgres_url: str, postgres_dsn: str) -> None:
    """P1, P3, P6, P7: requests of the engine pass a proxy, too, and leases end by time."""
    reference = "tests.explore.test_stripe:CASE"
    given: dict[str, Any] = {"engine": engine_url("server", postgres_dsn)} if kind == "server" else {}
    if kind == "resonate-pg":
        resonate_sql()  # is skipped aloud if it is not there
        given = {"resonate_sql": os.environ[SQL]}
    case, where = found(reference), Where(world="real", record=postgres_url, case=reference, **given)
    with _roles(), opened(case, where, 1) as world:
        assert isinstance(world, RealWorld)
        assert world.refer().violations == ()
        for fault in ("call-charge_card#1:crash-after", "call-charge_card#1:stall", "task.fence-promise.settle#1:lose"):
            assert run(world, f"1.{fault}").violations == ()


@contextlib.contextmanager
def _roles() -> Iterator[None]:
    """One at a time: resonate.sql makes a role, and roles are the whole server's."""
    with (Path(os.environ["RECORDFIRST_TEST_HOME"]) / "roles").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_what_a_careless_workflow_does_is_found_and_made_smaller(careless: RealWorld) -> None:
    """P3: the card is charged twice, whether the worker was killed or the reply lost; one fault is enough."""
    for fault in ("crash-after", "lose"):
        outcome = run(careless, f"1.call-charge_card#1:{fault}")
        assert "P3" in {violation.promise for violation in outcome.violations}
    both = run(careless, "1.COMMIT#2:lose 1.call-charge_card#1:crash-after")
    smaller = (shrink(careless.run, both, careless.refer()) for _ in range(_TRIES))
    assert "1.call-charge_card#1:crash-after" in (str(outcome.schedule) for outcome in smaller)


def test_what_is_wrong_at_once_is_seen_at_once(careless: RealWorld) -> None:
    """P1: a call whose write has no receipt is a broken promise, by what the record says just then."""
    outcome = run(careless, "1.call-charge_card#1:lose")
    assert "P1" not in {violation.promise for violation in outcome.violations}
    careless.around.record.connection.execute("DELETE FROM recordfirst.receipt WHERE kind = 'write'")
    assert careless._trial is not None
    called = careless._trial._providers.called("explored/order:1:charge")
    assert called is not None
    [violation] = at_a_call(called)
    assert violation.promise == "P1"


def test_on_sqlite_faults_strike_at_providers() -> None:
    """P3: nothing lies between a worker and a file, so what is not tried there is not said to have been."""
    where = Where(world="real", record="sqlite", case="tests.explore.broken:case")
    with opened(broken.case(), where, 1) as world:
        assert isinstance(world, RealWorld)
        assert {point.boundary for point in world.refer().points[0]} == {"provider"}
        promises = {violation.promise for violation in run(world, "1.call-charge_card#1:crash-after").violations}
        assert "P3" in promises
        assert not {"stall", "contend"} & world.tries
    where = Where(world="real", record="sqlite", case="tests.explore.shop:CASE")
    with opened(shop.CASE, where, 1) as world:
        world.refer()
        assert isinstance(world, RealWorld)
        for fault in ("crash-after", "lose"):
            assert run(world, f"1.call-charge_card#1:{fault}").violations == ()


def test_a_replay_by_name(postgres_url: str) -> None:
    """P10: as command line and fixture do it, with a case whose parts are found by their names."""
    where = Where(world="real", record=postgres_url)
    report = replay(broken.BROKEN, parse("1.call-charge_card#1:crash-after"), where=where)
    assert report.failures[0].smallest.violations[0].promise == "P3"
    assert report.world == "real"


def test_a_case_that_another_program_cannot_find_is_refused(postgres_dsn: str) -> None:
    """P8: with the part that it cannot find, and what would do; nothing is begun."""
    closure = msgspec.structs.replace(shop.CASE, provide=lambda outside: {shop.Bank: shop.Bank(outside)})
    with pytest.raises(Misuse, match=r"provide= of the case cannot be found by another program .* as module:name"):
        RealWorld(closure, postgres_dsn)
    with psycopg.connect(postgres_dsn) as connection:
        assert connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'recordfirst'").fetchall() == []


def test_nothing_is_left_running(postgres_dsn: str) -> None:
    """P10: no worker, fork_server or outside outlives its world, not even one that stalled."""
    world = RealWorld(broken.BROKEN, postgres_dsn)
    groups = [program._popen.pid for program in (world.around.programs.fork_server, world.around.programs.outside)]
    try:
        run(world, "1.intend#1:stall")
        assert all(Path(f"/proc/{pid}").exists() for pid in groups)
    finally:
        world.close()
    assert [pid for pid in groups if Path(f"/proc/{pid}").exists()] == []
    assert not world.around.home.exists()
