"""The Postgres world: real transactions, refusals, lost connections and leases, under processes that die for real."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from stripe import StripeClient

from recordfirst import Context, Write, inject, workflow, write
from recordfirst.demo.shop import Warehouse
from recordfirst.errors import Misuse
from recordfirst.explore import Case, Schedule
from recordfirst.explore.worlds.postgres.world import PostgresWorld
from recordfirst.testing import Outside, stripe_double
from tests.engine.live import resonate_sql
from tests.explore.conftest import at
from tests.explore.test_stripe import CASE, Shipments


@pytest.fixture
def world_of(postgres_dsn: str) -> Iterator[Callable[..., PostgresWorld]]:
    """Makes the one world that a database has."""
    made: list[PostgresWorld] = []

    def make(case: Case = CASE) -> PostgresWorld:
        made.append(PostgresWorld(case, postgres_dsn))
        return made[-1]

    yield make
    for world in made:
        world.close()


FAULTS = [
    ("call charge_card", "crash-after", "keys-expired"),
    ("call charge_card", "hang", None),
    ("call charge_card", "stall", None),
    ("call request_fulfilment", "crash-after", "engine-lost"),
    ("task.fence promise.settle", "crash-after", "engine-older"),
    ("task.fence promise.settle", "stall", None),
    ("add_receipt", "contend", None),
    ("COMMIT", "contend", None),
    ("BEGIN", "contend", None),
    ("COMMIT", "lose", None),
    ("COMMIT", "fail", None),
    ("COMMIT", "crash-after", None),
    ("change_receipt", "crash", None),
    ("INSERT INTO orders", "lose", None),
    ("intend", "redeliver", None),
    ("finish", "lose", None),
]
"""One of each kind; all singles take minutes."""


def test_the_demos_order_holds_on_a_real_server(world_of: Callable[..., PostgresWorld]) -> None:
    """P1, P2, P3, P5, P7, P9: whichever of these inject it."""
    world = world_of()
    reference = world.refer()
    assert [start.state for start in reference.seen.starts] == ["succeeded"]
    assert reference.seen.tables["orders"][0][5] == "paid"
    broken = {}
    for name, fault, change in FAULTS:
        point = next(p.name for p in reversed(reference.points[0]) if p.name.startswith(name))
        strike = at(reference, 1, point, fault, change=change)
        since = strike.point // 2 if change == "engine-older" else None
        outcome = world.run(Schedule((msgspec.structs.replace(strike, since=since),)))
        broken[name, fault, change] = outcome.violations
    assert {fault: violations for fault, violations in broken.items() if violations} == {}


def test_a_lease_that_the_server_ends_is_lost(world_of: Callable[..., PostgresWorld]) -> None:
    """P9: a successor works elsewhere meanwhile, and the process that stalled notices, and charges nothing."""
    world = world_of()
    outcome = world.run(Schedule((at(world.refer(), 1, "call charge_card", "stall"),)))
    assert outcome.violations == ()
    assert "call charge_card" in [point.name for point in outcome.points[1]]
    assert len([asked for asked in outcome.seen.applied if asked.kind.startswith("stripe")]) == 1


@write
async def insert_told(w: Write[Any], id: str, *, outside: Outside = inject()) -> None:
    try:
        await w.tx.execute("INSERT INTO told VALUES (%s)", [id])
    except psycopg.Error as error:
        told = {"kind": type(error).__name__, "state": error.sqlstate, "server": bool(error.diag.severity)}
        outside.apply("error", told)
        raise


@workflow
async def tells(ctx: Context, id: str) -> None:
    await insert_told(ctx, id)


@pytest.mark.parametrize(("fault", "kinds", "server"), [
    ("contend", {"SerializationFailure", "DeadlockDetected"}, True),
    ("lose", {"OperationalError"}, False),
    ("fail", {"OperationalError"}, False),
])  # fmt: skip
def test_errors_are_the_servers_own(
    world_of: Callable[..., PostgresWorld], fault: str, kinds: set[str], server: bool
) -> None:
    """P9: a refusal came from the server, with its SQLSTATE; a lost connection has none; the write is done once."""
    provide: Callable[[Outside], dict[Any, Any]] = lambda outside: {Outside: outside}  # noqa: E731
    world = world_of(Case(workflow=tells, args=("1",), tables="CREATE TABLE told (id text)", provide=provide))
    reference = world.refer()
    outcome = world.run(Schedule((at(reference, 1, "INSERT INTO told VALUES (%s)", fault),)))
    [told] = [asked.request for asked in outcome.seen.applied]
    assert told["kind"] in kinds
    assert told["server"] is server
    assert (told["state"] is None) is not server
    assert outcome.seen.tables == {"told": (("1",),)}


def forgetful(outside: Outside):
    """A warehouse that says that it honours keys, and does not."""

    class Forgetful(Shipments):
        async def request(self, order_id: str, quantity: int, key: str):
            outside.apply("shipment", {"order": order_id}, marker=key)
            return await super().request(order_id, quantity, key)

    return {StripeClient: stripe_double(outside), Warehouse: Forgetful(outside)}


def test_what_is_done_twice_is_found(world_of: Callable[..., PostgresWorld]) -> None:
    """P3: the world tells a provider that forgets its keys from one that keeps them."""
    world = world_of(msgspec.structs.replace(CASE, provide=forgetful))
    outcome = world.run(Schedule((at(world.refer(), 1, "call request_fulfilment", "lose"),)))
    assert any(violation.promise == "P3" for violation in outcome.violations)


def test_every_schedule_begins_with_the_same_rows(world_of: Callable[..., PostgresWorld]) -> None:
    """P10: and nothing of the last one is left, whoever still had a session."""
    stock = "CREATE TABLE stock (n int, twice int GENERATED ALWAYS AS (2 * n) STORED); INSERT INTO stock VALUES (7)"
    tables = f"{CASE.tables}; {stock}"
    world = world_of(msgspec.structs.replace(CASE, tables=tables))
    first, second = world.run(), world.run()
    assert first.seen == second.seen
    assert first.seen.tables["stock"] == (("7", "14"),)


def test_a_database_that_holds_something_is_refused(postgres_dsn: str) -> None:
    """P7: a world deletes whatever its database holds."""
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (id int)")
    with pytest.raises(Misuse, match="is not empty"):
        PostgresWorld(CASE, postgres_dsn)


@pytest.mark.parametrize(("name", "fault", "change"), [
    ("call charge_card", "crash-after", None),
    ("call charge_card", "crash-after", "engine-lost"),
    ("call charge_card", "crash-after", "engine-older"),
    ("COMMIT", "crash-after", "engine-older"),
    ("call charge_card", "crash-after", "keys-expired"),
    ("call charge_card", "stall", None),
    ("BEGIN", "contend", None),
    ("COMMIT", "lose", None),
    ("finish", "crash", None),
])  # fmt: skip
def test_the_demos_order_holds_on_resonate_in_postgres(
    postgres_dsn: str, name: str, fault: str, change: str | None
) -> None:
    """P1, P2, P3, P6, P7: the engine's requests are statements, and its clock is the world's."""
    with (Path(os.environ["RECORDFIRST_TEST_HOME"]) / "roles").open("w") as lock:
        text = resonate_sql().decode()
        fcntl.flock(lock, fcntl.LOCK_EX)
        world = PostgresWorld(CASE, postgres_dsn, resonate_sql=text)
    try:
        reference = world.refer()
        assert [start.state for start in reference.seen.starts] == ["succeeded"]
        last = sum(point.name == name for point in reference.points[0])
        strike = at(reference, 1, name, fault, nth=last, change=change)
        since = strike.point // 2 if change == "engine-older" else None
        outcome = world.run(Schedule((msgspec.structs.replace(strike, since=since),)))
        assert outcome.violations == ()
        assert outcome.struck
        if since is not None:  # something was copied, to be restored to
            assert len(world.connection.execute("SELECT 1 FROM recordfirst_explore.older_promises").fetchall()) > 0
        assert max(map(len, outcome.points)) < 1_000  # the dead process's lease ends by the world's time
    finally:
        world.close()
