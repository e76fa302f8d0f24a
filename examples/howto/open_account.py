"""A customer's row in one store, the account in the ledger, written last, read first. Run: open_account.py ada."""

import asyncio
import os
import sys

import aiosqlite
import msgspec

from recordfirst import (
    Account,
    AccountFlags,
    App,
    Context,
    Entry,
    Ledger,
    Reference,
    SqlLedger,
    Transfer,
    account_id,
    open_account,
    stage,
    transfer,
    workflow,
)
from recordfirst.records.sqlite import SqliteRecord

EUR, CUSTOMER, BANK, WELCOME = 1, 1, 2, 1


# [reference]
class Profiles(Reference):
    """Rows about customers, in a database of their own. They never say that one has an account; the ledger does."""

    where = "crm.db"
    table = "CREATE TABLE IF NOT EXISTS customers (id TEXT PRIMARY KEY, name TEXT, version INTEGER NOT NULL)"

    async def put(self, entry: Entry) -> Entry | None:
        name = None if entry.document is None else entry.document["name"]
        async with aiosqlite.connect(self.where, timeout=30) as db:
            await db.execute(self.table)
            stored = await db.execute(
                "INSERT INTO customers VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE "
                "SET name = excluded.name, version = excluded.version WHERE excluded.version > version",
                (entry.id, name, entry.version),
            )
            await db.commit()
        return None if stored.rowcount == 1 else await self.find(entry.id)

    async def find(self, id: str) -> Entry | None:
        async with aiosqlite.connect(self.where, timeout=30) as db:
            await db.execute(self.table)
            row = await (await db.execute("SELECT name, version FROM customers WHERE id = ?", (id,))).fetchone()
        if row is None:
            return None
        return Entry(id=id, document={"id": id, "name": row[0]} if row[0] is not None else None, version=row[1])


# [/reference]


class Customer(msgspec.Struct, frozen=True):
    id: str
    name: str


# [steps]
@stage(key="customer:{customer.id}:profile", into=Profiles, id="{customer.id}")
def stage_profile(customer: Customer) -> Customer:
    return customer


@open_account(key="customer:{customer.id}:account", after=stage_profile)
def open_customer(customer: Customer) -> Account:
    if os.environ.get("PULL_THE_PLUG"):
        os._exit(137)  # as kill -9 does: the profile is there, the account is not
    limited = AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS
    return Account(id=account_id(f"customer:{customer.id}"), ledger=EUR, code=CUSTOMER, flags=limited)


@transfer(key="customer:{customer.id}:welcome", after=stage_profile)
def welcome(customer: Customer) -> Transfer:
    return Transfer(
        debit_account_id=account_id("bank"),
        credit_account_id=account_id(f"customer:{customer.id}"),
        amount=500,
        ledger=EUR,
        code=WELCOME,
    )


@workflow
async def sign_up(ctx: Context, customer: Customer) -> int:
    await stage_profile(ctx, customer)  # the reference, before
    await open_customer(ctx, customer)  # the ledger: from here on the account exists
    return (await welcome(ctx, customer)).amount


# [/steps]


# [read]
class Owned(msgspec.Struct, frozen=True):
    name: str
    balance_minor: int


async def look_up(ledger: Ledger, profiles: Profiles, id: str) -> Owned | None:
    """Ask the ledger first: without an account there is no customer, whatever profile was staged."""
    found = await ledger.lookup_accounts([account_id(f"customer:{id}")])
    if not found:
        return None
    profile = await profiles.find(id)
    if profile is None:
        raise LookupError(f"customer {id} has an account, and no profile: the order was not kept, or it was removed")
    return Owned(profile.document["name"], found[0].credits_posted - found[0].debits_posted)


# [/read]

record = SqliteRecord("bank.db")
ledger = SqlLedger(record)  # or TigerBeetle("3000")
profiles = Profiles()
app = App("bank", record=record, workflows=[sign_up])
app.provide(ledger, as_=Ledger)
app.provide(profiles)


async def main(id: str) -> None:
    async with app.worker():
        await ledger.create_accounts([Account(id=account_id("bank"), ledger=EUR, code=BANK)])
        print("before:", await look_up(ledger, profiles, id))
        await (await app.start(sign_up, Customer(id, id.title()), id=f"customer:{id}")).result()
        print("after:", await look_up(ledger, profiles, id))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
