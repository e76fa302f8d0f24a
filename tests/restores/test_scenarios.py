"""Loss and rewind of either side, with workers that are killed at random, and providers whose books nobody restores.

``RESTORE_ORDERS=1200 RESTORE_SEED=7`` runs them at that size, with other chances, and with every way of putting back;
``RESTORE_ALL=1`` does that at the small size.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.restores.copies import BaseCopies, Cluster, Copies, DatabaseCopies, FileCopies, LogCopies
from tests.restores.shop import TIMEOUT_S
from tests.restores.world import ORDERS, PATIENCE_S, SMALL, World

EARLY = range(ORDERS - ORDERS // 7)
"""Accepted before the record is copied; the others in the time that is lost."""
pytestmark = pytest.mark.timeout(8 * PATIENCE_S)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What a run without faults comes to; the products of the record do not differ in that."""
    folder = tmp_path_factory.mktemp("fine")

    async def scenario():
        async with World(f"sqlite:///{folder}/record.db", folder, faults=False).open() as fine:
            await fine.take(range(ORDERS))
            await fine.until(lambda: fine.ended() == ORDERS, kills=0)
            return fine.state()

    return asyncio.run(scenario())


def some(*cases: tuple[str, str], also: list[tuple[str, str]]) -> Any:
    """Ways to put a record back, with what else differs: a few, or all of them when there is time."""
    chosen = [*cases, *also] if ORDERS > SMALL or os.environ.get("RESTORE_ALL") else cases
    return pytest.mark.parametrize(("copies", "how"), chosen, indirect=["copies"])


@pytest.fixture
def copies(request) -> Iterator[Copies]:
    """A record, and a way to put it back."""
    if request.param == "file":
        yield FileCopies(f"sqlite:///{request.getfixturevalue('sqlite_path')}")
    elif request.param == "database":
        yield DatabaseCopies(request.getfixturevalue("postgres_dsn"))
    else:
        request.getfixturevalue("postgres_url")  # the wheel is set up
        with cluster() as own:
            yield BaseCopies(own) if request.param == "base copy" else LogCopies(own)


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """In a short path, because a socket's must be."""
    with tempfile.TemporaryDirectory(dir=os.environ["RECORDFIRST_TEST_HOME"]) as folder:
        own = Cluster(Path(folder))
        try:
            yield own
        finally:
            own.stop()


def still_open(world: World, accepted: int) -> None:
    """What the loss meets: at least half is open, and a thousand where it is to be seen at size."""
    least = ORDERS // 2 + 1 if ORDERS == SMALL else ORDERS * 5 // 6
    assert accepted - world.ended() >= least, world.ended()


def go(world: World, scenario: Any) -> None:
    async def run() -> None:
        async with world.open():
            await scenario(world)

    asyncio.run(run())


async def half_way(world):
    """All are accepted, some are charged, hardly any has ended; nobody works."""
    await world.take(range(ORDERS))
    await world.until(lambda: world.charged() >= ORDERS // 2)
    world.kill()
    still_open(world, ORDERS)


def test_engine_is_lost(record_url, expected, tmp_path):
    """P6, P3: its file is deleted while all is open: all begins a new epoch, and nothing is called again."""

    async def scenario(world):
        await half_way(world)
        world.lose_engine()
        await world.end()
        world.check(expected)
        assert world.count("{start} WHERE epoch > 1") > 0

    go(World(record_url, tmp_path), scenario)


def test_engine_is_set_back(record_url, expected, tmp_path):
    """P6, P3: it is restored from an old copy: epochs that it runs again are answered by receipts, or end."""

    async def scenario(world):
        await half_way(world)
        world.copy_engine("old")
        await world.until(lambda: world.ended() >= ORDERS // 2)
        world.kill()
        world.restore_engine("old")
        await world.end()
        world.check(expected)
        assert world.count("{finding} WHERE code = 'RF-ENGINE-BEHIND'") == 1

    go(World(record_url, tmp_path), scenario)


async def set_back(world, copies, *, at_work=False):
    """Some orders are on their way; the record is copied, work goes on and comes far, and the copy is put back."""
    await world.take(EARLY)
    await world.until(lambda: world.charged() >= ORDERS // 4)
    world.kill()
    early = world.ended()
    world.copy_engine("earlier")
    copies.take()
    await world.take(range(ORDERS))
    await world.until(lambda: world.charged() >= ORDERS // 2)
    world.kill()
    world.copy_engine("later")
    await world.until(lambda: world.ended() >= ORDERS // 2)
    if not at_work:
        world.kill()
    copies.put_back()
    assert world.ended() == early
    still_open(world, len(EARLY))


async def held(world, copies):
    """Noticed; nobody works, no call is begun, until an operator has accepted."""
    code = "RF-RECORD-MOVED" if isinstance(copies, LogCopies | DatabaseCopies) else "RF-RECORD-BEHIND"
    world.work()
    await world.seen(lambda: world.count(f"{{timeline}} WHERE held = '{code}'") == 1)
    await asyncio.sleep(TIMEOUT_S)  # what was called before that has ended
    before = world.outside()
    status, said = world.command("reconcile", "--apply")
    assert (status, code in said) == (1, True), said
    assert "Effects are held. If this is the record to go on with" in said
    assert world.outside() == before


async def accepted(world, expected):
    """An operator accepts; who sent the lost orders sends them again; all comes to its end, and no call was made
    twice.
    """
    if world.setting.forgets:
        await asyncio.sleep(2.1)  # the keys are older than Stripe says it honours them
        world.control("clock", {"advance_s": 25 * 3600})
    status, said = world.command("reconcile", "--apply", "--accept-restore", "--who", "ann", "--why", "a disk was lost")
    assert (status, said.startswith("Restore accepted; ")) == (0, True), said
    await world.take(range(ORDERS))
    await world.end()
    world.check(expected)
    audit = world.rows("SELECT who, why FROM {audit} WHERE command = 'accept restore'")
    assert audit == [("ann", "a disk was lost")]


@some(
    ("file", "keys forgotten"), ("database", "keys honoured"), ("base copy", "keys forgotten"),
    ("log", "keys forgotten"), also=[("file", "keys honoured"), ("database", "keys forgotten"),
    ("base copy", "keys honoured"), ("log", "keys honoured")],
)  # fmt: skip
def test_record_is_set_back(copies, how, expected, tmp_path):
    """P6, P3: charges since then stand. Held, accepted, asked for: none is made again, and all are written back."""

    async def scenario(world):
        await set_back(world, copies)
        await held(world, copies)
        await accepted(world, expected)

    go(World(copies.url, tmp_path, forgets=how == "keys forgotten"), scenario)


@some(("file", "later"), ("log", "lost"), also=[
    ("file", "earlier"), ("file", "lost"), ("database", "later"), ("database", "earlier"), ("database", "lost"),
    ("base copy", "later"), ("base copy", "earlier"), ("base copy", "lost"), ("log", "later"), ("log", "earlier"),
])  # fmt: skip
def test_both_are_set_back(copies, how, expected, tmp_path):
    """P6, P3: to different times, or the engine is lost with it; what nothing can notice, an operator says."""

    async def scenario(world):
        await set_back(world, copies)
        world.lose_engine()
        if how != "lost":
            world.restore_engine(how)
        if how == "later" or not isinstance(copies, BaseCopies):
            await held(world, copies)
        await accepted(world, expected)

    go(World(copies.url, tmp_path, forgets=True), scenario)


@some(("database", ""), also=[("base copy", ""), ("log", "")])
def test_record_is_set_back_under_workers(copies, how, expected, tmp_path):
    """P6, P3: nobody has stopped them. They notice, and what they had begun is no failure."""

    async def scenario(world):
        await set_back(world, copies, at_work=True)
        await held(world, copies)
        await accepted(world, expected)

    go(World(copies.url, tmp_path, forgets=True), scenario)
