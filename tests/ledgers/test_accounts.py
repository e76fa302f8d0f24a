"""P1, P3, P8: which store says that it exists: a profile is staged before, the account opened last and read first."""

from __future__ import annotations

import uuid

import pytest

from recordfirst import Account, WorkflowStopped
from recordfirst.core.identity import account_id
from tests.effects.harness import Plug, pass_time
from tests.ledgers.accounts import Counter, Customer, dies_at
from tests.ledgers.program import lost


@pytest.fixture(params=["sqlite", "postgres", "tigerbeetle"])
def counter(request: pytest.FixtureRequest, tmp_path) -> Counter:
    """On each ledger: in each record, and in TigerBeetle beside a SQLite record."""
    addresses = request.getfixturevalue("tigerbeetle_addresses") if request.param == "tigerbeetle" else ""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_dsn")
    else:
        url = f"sqlite:///{request.getfixturevalue('sqlite_path')}"
    return Counter(url, addresses, tmp_path, Customer(uuid.uuid4().hex, "Ada"))


async def test_signed_up(counter):
    """Nobody is seen before the account is open, whatever profile was staged."""
    await counter.prepare()
    counter.profiles.set(counter.customer.id, {"id": counter.customer.id, "name": "Ada"})
    assert await counter.seen() is None
    assert await counter.signed_up() == 500
    assert await counter.seen() == ("Ada", 500)


POINTS = ["profiles calling", "profiles stored", "after succeeded", "after intend", "opened", "sending", "sent"]


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_any_point(counter, point):
    """A reader sees nothing, or a profile with its account; the next run ends it, with one of each."""
    await counter.prepare()
    await dies_at(counter, point)
    assert await counter.seen() in (None, ("Ada", 0), ("Ada", 500))
    async with counter.app() as app:
        await pass_time(app, 100)
    assert await counter.signed_up() == 500
    assert await counter.seen() == ("Ada", 500)
    assert counter.profiles.changes(counter.customer.id) == [({"id": counter.customer.id, "name": "Ada"}, 0)]


async def test_again_and_again(counter):
    """Every successor dies as well, each at another point."""
    await counter.prepare()
    for point in ("profiles stored", "opened", "opened", "sent"):
        await dies_at(counter, point)
        async with counter.app() as app:
            await pass_time(app, 100)
    assert await counter.signed_up() == 500
    assert await counter.seen() == ("Ada", 500)


async def test_lost_answers(counter):
    """The profile's, the account's and the transfer's: what exists is the same success as what is created."""
    await counter.prepare()
    away = TimeoutError("no answer")
    assert await counter.signed_up(plug=Plug({"profiles stored": away, "opened": lost, "sent": lost})) == 500
    assert await counter.seen() == ("Ada", 500)


async def test_p8_an_account_before_its_profile(counter):
    """Opened by another way, with the very fields: said at the first try, and nothing is given to it."""
    await counter.prepare()
    async with counter.app():
        theirs = Account(id=account_id(f"customer:{counter.customer.id}"), ledger=1, code=1, flags=2)  # type: ignore[arg-type]
        [made] = await counter.books.create_accounts([theirs])
        assert made.status == "created"
    with pytest.raises(WorkflowStopped, match=r"DifferentTransfer: .*user_data_128 0, not "):
        await counter.signed_up()
    assert (await counter.seen()) == ("Ada", 0)


async def test_p8_another_profile(counter):
    """Somebody else's profile under this id: said, and no account is opened."""
    await counter.prepare()
    counter.profiles.set(counter.customer.id, {"id": counter.customer.id, "name": "Bob"})
    with pytest.raises(WorkflowStopped, match=r"DifferentEntry: .*name='Bob', not with name='Ada'"):
        await counter.signed_up()
    assert await counter.seen() is None


async def test_p1_an_account_without_a_profile(counter):
    """Refused before anything is sent; side by side, the account waits for the profile."""
    await counter.prepare()
    with pytest.raises(WorkflowStopped, match="AfterMissing: effect open_customer runs after stage_profile"):
        await counter.signed_up("hasty")
    assert await counter.seen() is None
    counter.customer = Customer(uuid.uuid4().hex, "Bea")
    await counter.signed_up("side_by_side")
    assert await counter.seen() == ("Bea", 0)
