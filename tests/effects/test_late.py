"""P3: a probe's *absent* is believed when the call can no longer arrive, and a second success is never dropped."""

from __future__ import annotations

import asyncio

import pytest

from recordfirst import Absent, App, Call, Context, Found, Misuse, Provider, effect, inject, workflow
from recordfirst.core import decide as d
from recordfirst.observe import LateSuccess
from recordfirst.providers.contract import Probed
from recordfirst.providers.stripe import Stripe
from tests.effects.harness import ORDER, Bank, Order, pass_time, receipt, until
from tests.effects.program import KEYED

SLOW = Provider(name="slow bank", retention_s=24 * 3600, arrives_within_s=3_000)


async def find_charge(call: Call, order: Order, *, bank: Bank = inject()) -> Probed:
    found = bank.find("charge", call.marker)
    return Found(found) if found else Absent()


@effect(key="order:{order.id}:refund", provider=KEYED, after=None)
async def refund(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return bank.post("refund", order, key=call.key, marker=call.marker)


class Calls(list[Call]):
    """Those that are on their way."""


@effect(key="order:{order.id}:charge", provider=SLOW, after=None, undo=refund, probe=find_charge, timeout_s=0.1)
async def charge(call: Call, order: Order, *, calls: Calls = inject()) -> str:
    calls.append(call)
    await asyncio.sleep(60)
    return "never"


@workflow
async def pay(ctx: Context, order: Order) -> str:
    return await charge(ctx, order)


async def waits(app: App) -> bool:
    """The probe has said absent, and is asked again later."""
    stored = await receipt(app, "order:1:charge")
    assert stored.calls == 1
    assert (await start_of(app)).state == "open"
    async with app.runtime.record.session() as session:
        now_ms = await session.now_ms()
    return stored.claim_until_ms is not None and (stored.next_at_ms or 0) > now_ms + 5_000


@pytest.mark.parametrize("arrives", [True, False], ids=["it arrives late", "it never arrives"])
async def test_cancelling_waits_for_what_may_still_arrive(shop, arrives):
    """P3, P7: open until then, with the time in the receipt; what arrived is taken back."""
    calls = Calls()
    async with shop.working(pay, provide={Calls: calls}) as app:
        await app.start(pay, ORDER, id="a")
        await until(lambda: asyncio.sleep(0, bool(calls)))
        await app.cancel("a", undo=True)

    async with shop.app(pay, provide={Calls: calls}) as app:
        await pass_time(app, 600)  # its claim is over, and nothing was found
        async with app.worker():
            await until(lambda: waits(app))
        if arrives:
            shop.bank.post("charge", ORDER, key=calls[0].key, marker=calls[0].marker)
        await pass_time(app, 3_000)
    async with shop.working(pay, provide={Calls: calls}) as app:
        handle = await app.handle("a")
        with pytest.raises(Exception, match="cancelled"):
            await handle.result()
        assert (await start_of(app)).state == "cancelled"
    kinds = [kind for kind, *_ in shop.bank.applied]
    assert kinds == (["charge", "refund"] if arrives else [])
    assert len(calls) == 1


async def start_of(app):
    async with app.runtime.record.session() as session:
        return await session.find_start("a")


# ── a second success ──


class Meddler:
    """Another worker: it stores an outcome while the call is on its way."""

    def __init__(self, *changes):
        self.changes, self.app = changes, None

    async def __call__(self, key):
        async with self.app.runtime.record.session() as session:
            seen = (await session.find_receipt(key)).receipt
            for change in self.changes:
                seen = await session.change_receipt(seen, change(seen))
                assert seen is not None


def absent(receipt):
    return d.carried(receipt, doubts=0)


def begin(receipt):
    return d.begin_call(receipt, claim="another", claim_ms=1_000)


def succeeded(receipt):
    return d.succeeded(receipt, '"done"')


def declined(receipt):
    return d.declined(receipt, '{"reason":"no","code":null}')


@effect(key="order:{order.id}:mail", provider=Provider(name="post"), after=None)
async def mail(call: Call, order: Order, *, meddle: Meddler = inject()) -> str:
    await meddle("order:1:mail")
    return "done"


@effect(key="order:{order.id}:keyed", provider=KEYED, after=None)
async def mail_keyed(call: Call, order: Order, *, meddle: Meddler = inject()) -> str:
    await meddle("order:1:keyed")
    return "done"


@workflow
async def mailing(ctx: Context, order: Order) -> str:
    return await mail(ctx, order)


@workflow
async def mailing_keyed(ctx: Context, order: Order) -> str:
    return await mail_keyed(ctx, order)


@pytest.mark.parametrize(
    ("work", "changes", "late"),
    [
        (mailing, [absent, begin, succeeded], "succeeded"),
        (mailing, [declined], "declined"),
        (mailing_keyed, [begin, succeeded], None),
        (mailing_keyed, [declined], "declined"),
    ],
    ids=["another call succeeded", "declined meanwhile", "the same key", "the same key was declined"],
)
async def test_second_success(shop, work, changes, late):
    """P3: told by an event and a finding, which only an operator closes; under one key it is the same success."""
    meddler = Meddler(*changes)
    async with shop.working(work, provide={Meddler: meddler}) as app:
        meddler.app = app
        handle = await app.start(work, ORDER, id="a")
        await asyncio.wait([asyncio.ensure_future(handle.result())])
        told = shop.seen(LateSuccess)
        found = [each.finding for each in (await app.reconcile(apply=True)).found]
        assert [event.stored for event in told] == ([late] if late else [])
        found = [each for each in found if each.code == "RF-EFFECT-LATE"]
        assert len(found) == (1 if late else 0)
        if not late:
            return
        assert (found[0].subject, found[0].workflow) == ("order:1:mail" if work is mailing else "order:1:keyed", "a")
        await app.dismiss("RF-EFFECT-LATE", found[0].subject, why="seen at the post")
        again = [each.finding.code for each in (await app.reconcile(apply=True)).found]
        assert "RF-EFFECT-LATE" not in again


# ── what a provider says of itself ──


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"retention_s": 3600, "margin_s": 3600}, "margin_s=3600 leaves nothing of retention_s=3600"),
        ({"retention_s": 60, "margin_s": 61}, "margin_s=61 leaves nothing"),
        ({"retention_s": 0}, "retention_s="),
        ({"retention_s": -1}, "retention_s="),
        ({"retention_s": "a day"}, "retention_s="),
        ({"margin_s": -1}, "margin_s="),
        ({"lag_s": -1}, "lag_s="),
        ({"lag_s": float("nan")}, "lag_s="),
        ({"arrives_within_s": -1}, "arrives_within_s="),
        ({"arrives_within_s": float("inf")}, "arrives_within_s="),
        ({"arrives_within_s": None}, "arrives_within_s="),
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", [Provider, Stripe])
def test_provider_that_cannot_work(kind, options, why):
    """P3: refused where it is written, not found out when a reply is lost."""
    with pytest.raises(Misuse, match=why):
        kind(name="bank", **options)


@pytest.mark.parametrize(
    ("options", "honoured_s"),
    [
        ({"retention_s": None}, None),
        ({"retention_s": 24 * 3600}, 23 * 3600),
        ({"retention_s": 3600}, 1800),
        ({"retention_s": 60}, 30),
        ({"retention_s": 60, "margin_s": 0}, 60),
        ({"retention_s": 60, "margin_s": 59}, 1),
    ],
    ids=repr,
)
def test_how_long_a_key_is_honoured(options, honoured_s):
    """P3: the default margin is an hour, and half of a retention that is shorter than two."""
    honoured_ms = Provider(name="bank", **options).key_honoured_ms
    assert honoured_ms == (None if honoured_s is None else honoured_s * 1000)
