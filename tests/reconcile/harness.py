"""Apps whose effects go wrong, and a clock of the record that can be behind what happened."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from recordfirst import Absent, Call, CannotTell, Context, Found, Provider, effect, inject, workflow, write
from recordfirst.providers.contract import Probed

BANK = Provider(name="bank", arrives_within_s=0)
"""It honours no keys: a call without an answer is in doubt."""


class Bank:
    """What was charged, and how it answers."""

    def __init__(self) -> None:
        self.charged: Counter[str] = Counter()
        self.loses_replies = False
        self.can_be_asked = True

    def charge(self, marker: str) -> str:
        self.charged[marker] += 1
        if self.loses_replies:
            raise TimeoutError("no answer")
        return "charged"

    def asked(self, marker: str) -> Probed:
        if not self.can_be_asked:
            return CannotTell("closed on Sundays")
        return Found("found") if self.charged[marker] else Absent()


@write
async def visit(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


async def find_charge(call: Call, who: str, *, bank: Bank = inject()) -> Probed:
    return bank.asked(call.marker)


@effect(key="{who}:charge", provider=BANK, after=visit, probe=find_charge, in_doubt="park")
async def charge(call: Call, who: str, *, bank: Bank = inject()) -> str:
    return bank.charge(call.marker)


@charge.on_success
async def paid(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who} has paid')")


@workflow
async def order(ctx: Context, who: str) -> str:
    await visit(ctx, who)
    return await charge(ctx, who)


@workflow
async def sleeper(ctx: Context, who: str) -> None:
    await visit(ctx, who)
    await ctx.sleep(timedelta(days=30))


async def quick(_seconds: float) -> None:
    """A sleeper for reconciles, which wait for what is under way."""
