"""Sign-ups that die: a profile is staged, an account opened last; and a reader who asks the ledger first."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec

from recordfirst import (
    Account,
    AccountFlags,
    App,
    Context,
    Ledger,
    SqlLedger,
    Transfer,
    open_account,
    stage,
    transfer,
    workflow,
)
from recordfirst.core.identity import account_id
from recordfirst.ledgers.tigerbeetle import TigerBeetle
from recordfirst.records.open import record_from_url
from tests.effects.harness import Plug, Watched, die
from tests.engines import engine_for
from tests.ledgers.program import PROCESSES, WatchedLedger
from tests.references.program import Shelf


class Profiles(Shelf):
    """What is staged."""


class Customer(msgspec.Struct, frozen=True):
    id: str
    name: str


@stage(key="customer:{customer.id}:profile", into=Profiles, id="{customer.id}")
def stage_profile(customer: Customer) -> Customer:
    return customer


@open_account(key="customer:{customer.id}:account", after=stage_profile)
def open_customer(customer: Customer) -> Account:
    limited = AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS
    return Account(id=account_id(f"customer:{customer.id}"), ledger=1, code=1, flags=limited)


@transfer(key="customer:{customer.id}:welcome", after=stage_profile)
def welcome(customer: Customer) -> Transfer:
    bank, theirs = account_id(f"bank of {customer.id}"), account_id(f"customer:{customer.id}")
    return Transfer(debit_account_id=bank, credit_account_id=theirs, amount=500, ledger=1, code=1)


@workflow
async def sign_up(ctx: Context, customer: Customer) -> int:
    await stage_profile(ctx, customer)
    await open_customer(ctx, customer)
    return (await welcome(ctx, customer)).amount


@workflow
async def hasty(ctx: Context, customer: Customer) -> None:
    """Opens the account without a profile."""
    await open_customer(ctx, customer)


@workflow
async def side_by_side(ctx: Context, customer: Customer) -> None:
    """Awaits nothing in between."""
    await asyncio.gather(open_customer(ctx, customer), stage_profile(ctx, customer))


WORKFLOWS = (sign_up, hasty, side_by_side)


class Counter:
    """Makes apps on a record, with a ledger and a shelf of profiles."""

    def __init__(self, url: str, addresses: str, folder: Path, customer: Customer) -> None:
        self.url, self.addresses, self.folder, self.customer = url, addresses, folder, customer
        self.profiles, self.ledger = Profiles(folder / "profiles"), None

    @contextlib.asynccontextmanager
    async def app(self, *, plug: Plug | None = None) -> AsyncIterator[App]:
        plug = plug or Plug()
        self.profiles.plug = plug
        record = Watched(record_from_url(self.url), plug)
        app = App("bank", record=record, workflows=WORKFLOWS, engine=engine_for(self.url), random=lambda: 0.0)  # type: ignore[arg-type]
        async with contextlib.AsyncExitStack() as stack:
            books = (
                await stack.enter_async_context(TigerBeetle(self.addresses, deadline_s=20)) if self.addresses else None
            )
            self.ledger = WatchedLedger(books or SqlLedger(record), plug)  # type: ignore[arg-type, assignment]
            app.provide(self.ledger, as_=Ledger)
            app.provide(self.profiles)
            yield await stack.enter_async_context(app)

    @contextlib.asynccontextmanager
    async def working(self, **options: Any) -> AsyncIterator[App]:
        async with self.app(**options) as app, app.worker():
            yield app

    async def prepare(self) -> None:
        record = record_from_url(self.url)
        await record.open("bank")
        await record.migrate()
        await record.close()
        async with self.app():
            await self.books.create_accounts([Account(id=account_id(f"bank of {self.customer.id}"), ledger=1, code=2)])

    @property
    def books(self) -> Any:
        return self.ledger

    async def signed_up(self, name: str = "sign_up", plug: Plug | None = None) -> Any:
        wanted = next(workflow for workflow in WORKFLOWS if workflow.name == name)
        async with self.working(plug=plug) as app:
            handle = await app.start(wanted, self.customer, id=f"customer:{self.customer.id}")
            return await handle.result(if_stopped="raise")

    async def account(self) -> Account | None:
        found = await self.books.lookup_accounts([account_id(f"customer:{self.customer.id}")])
        return found[0] if found else None

    async def seen(self) -> tuple[str, int] | None:
        """What a reader is told, who asks the ledger first: nothing, or the whole."""
        async with self.app():
            account = await self.account()
            if account is None:
                return None
            profile = self.profiles.now(self.customer.id)
            assert profile is not None, "an account without the profile that was to be there before it"
            return profile.document["name"], account.credits_posted - account.debits_posted


async def work(counter: Counter, at: dict[str, Callable[[], object]]) -> None:
    await counter.signed_up(plug=Plug(at))


def run_until(url: str, addresses: str, folder: Path, customer: Customer, point: str) -> None:
    """What a process does that is to die at a point."""
    asyncio.run(work(Counter(url, addresses, folder, customer), {point: die}))


async def dies_at(counter: Counter, point: str) -> None:
    """Let a process sign somebody up until it kills itself at this point."""
    given = (counter.url, counter.addresses, counter.folder, counter.customer, point)
    dying = PROCESSES.Process(target=run_until, args=given)
    dying.start()
    await asyncio.to_thread(dying.join)
    assert dying.exitcode == -signal.SIGKILL, f"it never came to {point!r}"
    dying.close()
