"""P9: a grant that is missing is waited for; what it does not come back for is a defect, unless it was declared."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from recordfirst import Context, WorkflowFailed, WorkflowStopped, Write, inject, workflow, write
from recordfirst.observe import Repeated

DENIED = "DO $$ BEGIN RAISE insufficient_privilege USING MESSAGE = 'permission denied for table stock'; END $$"


class Grants:
    """How often the server refuses, and how often it was asked."""

    def __init__(self, refusals: int) -> None:
        self.refusals, self.asked = refusals, 0


async def _take(w: Write[Any], grants: Grants) -> str:
    grants.asked += 1
    if grants.asked <= grants.refusals:
        await w.tx.execute(DENIED)
    return "taken"


@write
async def take(w: Write[Any], *, grants: Grants = inject()) -> str:
    return await _take(w, grants)


class NotYoursError(Exception):
    """What a row-level policy means to the shop."""


@write(fails=NotYoursError)
async def take_by_policy(w: Write[Any], *, grants: Grants = inject()) -> str:
    try:
        return await _take(w, grants)
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotYoursError("not yours") from error


@workflow
async def plain(ctx: Context) -> str:
    return await take(ctx)


@workflow(fails=NotYoursError)
async def by_policy(ctx: Context) -> str:
    return await take_by_policy(ctx)


class Asleep:
    """A sleeper that does not sleep, and counts."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    async def __call__(self, seconds: float) -> None:
        self.slept_s += seconds


@pytest.mark.parametrize("refusals", [1, 5])
async def test_a_grant_that_comes_back_is_waited_for(postgres_dsn: str, make_shop: Any, refusals: int) -> None:
    """A migration that makes a table anew grants a moment later: the workflow goes on by itself."""
    shop, grants = make_shop(postgres_dsn), Grants(refusals)
    async with shop.working(plain, provide={Grants: grants}, sleeper=Asleep()) as app:
        assert await (await app.start(plain, id="o")).result(if_stopped="raise") == "taken"
    assert grants.asked == refusals + 1
    assert {event.fault for event in shop.events if isinstance(event, Repeated)} == {"denied"}


async def test_a_grant_that_stays_away_stops_the_workflow(postgres_dsn: str, make_shop: Any) -> None:
    """It is tried for 20 s, by pauses that grow; nothing is undone, and the place is told."""
    shop, grants, asleep = make_shop(postgres_dsn), Grants(10_000), Asleep()
    async with shop.working(plain, provide={Grants: grants}, sleeper=asleep, random=lambda: 0.5) as app:
        handle = await app.start(plain, id="o")
        with pytest.raises(WorkflowStopped, match="permission denied for table stock"):
            await handle.result(if_stopped="raise")
    assert 20 <= asleep.slept_s < 30
    assert 5 < grants.asked < 60


async def test_a_denial_that_was_declared_is_an_outcome(postgres_dsn: str, make_shop: Any) -> None:
    """A row-level policy refuses by the same code: what the app makes of that counts, and at once."""
    shop, grants = make_shop(postgres_dsn), Grants(1)
    async with shop.working(by_policy, provide={Grants: grants}, sleeper=Asleep()) as app:
        with pytest.raises(WorkflowFailed, match="not yours"):
            await (await app.start(by_policy, id="o")).result()
    assert grants.asked == 1
