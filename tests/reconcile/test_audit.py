"""What Stripe has, against receipts, both ways (P3, P10): its own SDK, over HTTP, to the simulator."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from stripe import CardError, StripeClient

from recordfirst import Call, Context, Pending, effect, inject, workflow
from recordfirst.conformance.record import run
from recordfirst.core.identity import marker
from recordfirst.core.receipt import NewReceipt
from recordfirst.providers.stripe import (
    METADATA_KEY,
    PAYMENT_INTENTS,
    REFUNDS,
    Payment,
    Refund,
    Stripe,
    payment_of,
    refund_of,
    stripe_client,
)
from recordfirst.reconcile.passes import providers as auditing
from recordfirst.testing import StripeSimulator
from tests.reconcile.test_passes import codes, open_findings


@effect(key="order:{id}:charge", provider=Stripe(listing=PAYMENT_INTENTS, lag_s=0.0, arrives_within_s=0), after=None)
async def charge(call: Call, id: str, *, client: StripeClient = inject()) -> Payment | Pending:
    return await paid(client, call.marker, call.key)


async def paid(client, marker, key, amount=1999):
    given = {"amount": amount, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    metadata = {METADATA_KEY: marker} if marker is not None else {}
    return payment_of(
        await client.v1.payment_intents.create_async({**given, "metadata": metadata}, {"idempotency_key": key})
    )


@effect(key="order:{id}:refund", provider=Stripe(listing=REFUNDS, lag_s=0.0, arrives_within_s=0), after=None)
async def refund(call: Call, id: str, payment: str, *, client: StripeClient = inject()) -> Refund | Pending:
    return await repaid(client, call.marker, call.key, payment)


async def repaid(client, marker, key, payment, amount=1999):
    metadata = {METADATA_KEY: marker} if marker is not None else {}
    given = {"payment_intent": payment, "amount": amount, "metadata": metadata}
    return refund_of(await client.v1.refunds.create_async(given, {"idempotency_key": key}))


@workflow
async def order(ctx: Context, id: str) -> str:
    return (await charge(ctx, id)).id


@workflow
async def returned(ctx: Context, id: str) -> str:
    payment = await charge(ctx, id)
    return (await refund(ctx, id, payment.id)).id


def receipt(id, **what):
    given = {
        "key": f"order:{id}:charge", "function": "charge", "state": "succeeded",
        "result": '{"id": "pi_lost", "amount_minor": 1999, "currency": "usd"}',
    }  # fmt: skip
    return NewReceipt(kind="effect", workflow=id, fingerprint="f", request=f'{{"id": "{id}"}}', **(given | what))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Look at what was made just now, too."""
    monkeypatch.setattr(auditing, "_SETTLING_MS", -3_000)


@contextlib.asynccontextmanager
async def shop_at(shop, sim, **options):
    async with (
        stripe_client("sk_test_audit", base_url=sim.url) as client,
        shop.app(order, provide={StripeClient: client}, **options) as app,
    ):
        yield app


async def audited(app, **options):
    return await app.reconcile(only=["providers"], **options)


async def charge_three(app):
    async with app.worker():
        return [await (await app.start(order, id, id=id)).result() for id in "123"]


def test_both_ways(shop):
    """P3, P10: charged and no receipt, a receipt and nothing charged, another amount: named; closed when fixed."""

    async def go():
        async with StripeSimulator() as sim, shop_at(shop, sim) as app:
            await charge_three(app)
            report = await audited(app)
            assert codes(report) == []
            assert report.looked["providers"] >= 6
            async with stripe_client("sk_test_x", base_url=sim.url) as client:
                orphan = await paid(client, "shop/order:9:charge", "by hand 9")
                await paid(client, "shop/order:9:charge#2", "by hand 9 again")
                await paid(client, "another/order:9:charge", "another app's")
                await paid(client, None, "nobody's")
                wrong = await paid(client, "shop/order:7:charge", "by hand 7", 500)
            async with app.runtime.record.session() as session:
                seven = f'{{"id": "{wrong.id}", "amount_minor": 1999, "currency": "usd"}}'
                await session.add_receipts([receipt("7", result=seven), receipt("8")])
            report = await audited(app, apply=True)
            assert sorted(codes(report)) == [
                ("RF-EFFECT-DIFFERS", "order:7:charge"),
                ("RF-EFFECT-MISSING", "order:8:charge"),
                ("RF-ORPHAN-EFFECT", "order:9:charge"),
                ("RF-ORPHAN-EFFECT", "order:9:charge#2"),
            ]
            details = {each.finding.subject: each.finding.detail.split(": ", 1)[1] for each in report.found}
            assert details["order:9:charge"] == f"the provider has {orphan.id} of 1999 usd, and there is no receipt"
            assert details["order:7:charge"] == (
                f"the provider has {wrong.id} of 500 usd; it differs from the receipt in amount_minor 500, not 1999"
            )
            assert details["order:8:charge"].endswith("Stripe payment intents have nothing of it")
            assert len(await open_findings(app)) == 4
            async with app.runtime.record.session() as session:
                fixed = f'{{"id": "{orphan.id}", "amount_minor": 1999, "currency": "usd"}}'
                await session.add_receipts([receipt("9", result=fixed)])
            assert ("RF-ORPHAN-EFFECT", "order:9:charge") not in codes(await audited(app, apply=True))
            assert len(await open_findings(app)) == 3

    run(go())


def test_a_payment_that_is_not_confirmed_is_there(shop):
    """P10: a payment that its customer has yet to confirm is what a probe finds; one that was declined is not."""

    async def go():
        async with StripeSimulator() as sim, shop_at(shop, sim) as app:
            async with stripe_client("sk_test_x", base_url=sim.url) as client:
                create: Any = client.v1.payment_intents.create_async
                given = {"amount": 1999, "currency": "usd"}
                of = {id: {**given, "metadata": {METADATA_KEY: f"shop/order:{id}:charge"}} for id in "123"}
                waits = await create(of["1"], {"idempotency_key": "1"})
                chosen = await create({**of["2"], "payment_method": "pm_card_visa"}, {"idempotency_key": "2"})
                with pytest.raises(CardError):
                    declined = {"confirm": True, "payment_method": "pm_card_chargeDeclined"}
                    await create({**of["3"], **declined}, {"idempotency_key": "3"})
            assert (waits.status, chosen.status) == ("requires_payment_method", "requires_confirmation")
            results = [f'{{"id": "{id}"}}' for id in (waits.id, chosen.id, "pi_3")]
            async with app.runtime.record.session() as session:
                rows = [receipt(id, result=text) for id, text in zip("123", results, strict=True)]
                await session.add_receipts(rows)
            assert codes(await audited(app)) == [("RF-EFFECT-MISSING", "order:3:charge")]

    run(go())


def test_refunds_both_ways(shop):
    """P3, P10: money that went back and has no receipt, a receipt and no money back, another amount; each listing for
    itself: a charge is not missing among refunds, nor a refund among charges.
    """

    async def go():
        async with (
            StripeSimulator() as sim,
            stripe_client("sk_test_audit", base_url=sim.url) as client,
            shop.app(returned, provide={StripeClient: client}) as app,
        ):
            async with app.worker():
                for id in "12":
                    await (await app.start(returned, id, id=id)).result()
            report = await audited(app)
            assert (codes(report), report.looked["providers"] >= 8) == ([], True)
            payment = (await paid(client, "shop/order:9:charge", "by hand 9")).id
            orphan = await repaid(client, "shop/order:9:refund", "by hand 9 back", payment, 900)
            await repaid(client, None, "nobody's", payment, 1)
            await repaid(client, "another/order:9:refund", "another app's", payment, 1)
            wrong = await repaid(client, "shop/order:7:refund", "by hand 7 back", payment, 500)
            async with app.runtime.record.session() as session:
                charged = {"key": "order:9:charge", "result": f'{{"id": "{payment}"}}'}
                seven = f'{{"id": "{wrong.id}", "amount_minor": 1999, "currency": "usd"}}'
                back = {"function": "refund"}
                await session.add_receipts(
                    [
                        receipt("9", **charged),
                        receipt("7", key="order:7:refund", result=seven, **back),
                        receipt("8", key="order:8:refund", **back),
                    ]
                )
            report = await audited(app, apply=True)
            details = {each.finding.subject: each.finding.detail.split(": ", 1)[1] for each in report.found}
            assert dict(sorted((subject, code) for code, subject in codes(report))) == {
                "order:7:refund": "RF-EFFECT-DIFFERS",
                "order:8:refund": "RF-EFFECT-MISSING",
                "order:9:charge": "RF-EFFECT-REVERSED",
                "order:9:refund": "RF-ORPHAN-EFFECT",
            }
            assert " of 1 usd (minor units), refunded re_" in details.pop("order:9:charge")
            assert details == {
                "order:7:refund": f"the provider has {wrong.id} of 500 usd; it differs from the receipt in "
                "amount_minor 500, not 1999",
                "order:8:refund": "the receipt says succeeded, and Stripe refunds have nothing of it",
                "order:9:refund": f"the provider has {orphan.id} of 900 usd, and there is no receipt",
            }
            async with app.runtime.record.session() as session:
                fixed = f'{{"id": "{orphan.id}", "amount_minor": 900, "currency": "usd"}}'
                await session.add_receipts([receipt("9", key="order:9:refund", result=fixed, **back)])
            again = codes(await audited(app, apply=True))
            assert [code for code, _ in sorted(again)] == ["RF-EFFECT-DIFFERS", "RF-EFFECT-MISSING"], (
                "the rest is stored"
            )
            kept = [code for code, _ in await open_findings(app)]
            assert sorted(kept) == ["RF-EFFECT-DIFFERS", "RF-EFFECT-MISSING", *["RF-REVERSAL-UNHANDLED"] * 2]

    run(go())


def test_a_key_that_ends_as_an_attempt_does(shop, monkeypatch):
    """P10: what was found of it, in time that is no longer walked, is closed when it is gone, as any other."""

    async def go():
        async with StripeSimulator() as sim, shop_at(shop, sim) as app:
            async with app.runtime.record.session() as session:
                await session.add_receipts([receipt("9", key="order-#5")])
            assert codes(await audited(app, apply=True)) == [("RF-EFFECT-MISSING", "order-#5")]
            monkeypatch.setattr(auditing, "WINDOW_MS", -60_000)
            assert codes(await audited(app, apply=True)) == [("RF-EFFECT-MISSING", "order-#5")]
            async with stripe_client("sk_test_x", base_url=sim.url) as client:
                await paid(client, marker("shop", "order-#5", 1, 255), "by hand")
            assert codes(await audited(app, apply=True)) == []
            assert await open_findings(app) == []

    run(go())


def test_stripe_that_does_not_answer(shop):
    """P9: asked to come back later, the audit does; one that fails says so, closes nothing, and goes on from there."""

    async def go():
        async with StripeSimulator() as sim, shop_at(shop, sim) as app:
            await charge_three(app)
            async with app.runtime.record.session() as session:
                await session.add_receipts([receipt("8")])
            sim.next("rate_limited", on="GET /v1/payment_intents")
            assert codes(await audited(app, apply=True)) == [("RF-EFFECT-MISSING", "order:8:charge")]
            sim.next("error_before", on="GET /v1/payment_intents")
            report = await audited(app, apply=True)
            assert set(codes(report)) == {
                ("RF-AUDIT-INCOMPLETE", "Stripe payment intents"),
                ("RF-EFFECT-MISSING", "order:8:charge"),
            }
            assert len(await open_findings(app)) == 2
            assert codes(await audited(app, apply=True)) == [("RF-EFFECT-MISSING", "order:8:charge")]
            assert len(await open_findings(app)) == 1

    run(go())


def test_memory_is_that_of_a_window(shop, monkeypatch):
    """P10: a window with too much in it is made smaller, and what is found is the same."""
    monkeypatch.setattr(auditing, "_ITEMS", 2)
    monkeypatch.setattr(auditing, "_SETTLING_MS", -600_000)
    monkeypatch.setattr(auditing, "_SLACK_MS", 0)

    async def go():
        async with StripeSimulator() as sim, shop_at(shop, sim) as app:
            async with stripe_client("sk_test_x", base_url=sim.url) as client:
                for n in range(6):
                    await paid(client, f"shop/order:{n}:charge", f"{n}")
                    sim.clock.advance(60)
            found = codes(await audited(app))
            assert sorted(found) == [("RF-ORPHAN-EFFECT", f"order:{n}:charge") for n in range(6)]

    run(go())


def test_another_goes_on_where_one_has_died(shop):
    """P6: the windows that were compared are not compared again."""

    async def go():
        async with StripeSimulator() as sim, shop_at(shop, sim) as app:
            with pytest.raises(ZeroDivisionError):
                await audited(app, apply=True, tell=lambda _name, _looked: 1 // (sim.api.count < 20))
            before = sim.api.count
            await audited(app, apply=True)
            async with app.runtime.record.session() as session:
                assert (await session.find_pass("providers")).finished_at_ms is not None
            assert sim.api.count - before < 168 - 15

    run(go())


def test_what_somebody_has_refunded_by_hand_is_found(shop):
    """P6, P10: the record says paid, and the money is back, all of it or a part. A refund of ours is none."""

    async def go():
        async with (
            StripeSimulator() as sim,
            stripe_client("sk_test_audit", base_url=sim.url) as client,
            shop.app(order, returned, provide={StripeClient: client}) as app,
        ):
            payments = await charge_three(app)
            async with app.worker():
                await (await app.start(returned, "4", id="4")).result()
            foreign = await paid(client, None, "nobody's")
            await repaid(client, None, "of nobody's", foreign.id)
            assert codes(await audited(app)) == []
            await repaid(client, None, "part", payments[1], 500)
            await repaid(client, None, "another part", payments[1], 400)
            await repaid(client, "another app/order:3:refund", "by another app", payments[2])
            report = await audited(app)
            assert sorted(codes(report)) == [
                ("RF-EFFECT-REVERSED", "order:2:charge"), ("RF-EFFECT-REVERSED", "order:3:charge"),
            ]  # fmt: skip
            [of_2, of_3] = sorted((each.finding for each in report.found), key=lambda found: found.subject)
            assert (of_2.workflow, of_3.workflow) == ("2", "3")
            assert "of 500 usd" in of_2.detail
            assert "of 400 usd" in of_2.detail
            assert sorted(codes(await audited(app))) == sorted(codes(report)), (
                "it is found again for as long as it is so"
            )

    run(go())


@effect(key="order:{id}:bare", provider=Stripe(listing=PAYMENT_INTENTS, lag_s=0.0, arrives_within_s=0), after=None)
async def charge_without_marker(call: Call, id: str, *, client: StripeClient = inject()) -> Payment | Pending:
    return await paid(client, None, call.key)


@workflow
async def bare_order(ctx: Context, id: str) -> str:
    return (await charge_without_marker(ctx, id)).id


def test_what_has_no_marker_is_known_by_its_id(shop):
    """P10: its receipt has the id: it is not missing; another amount, a refund by hand and a dispute are found."""

    async def go():
        async with (
            StripeSimulator() as sim,
            stripe_client("sk_test_audit", base_url=sim.url) as client,
            shop.app(bare_order, returned, provide={StripeClient: client}) as app,
        ):
            async with app.worker():
                payments = [await (await app.start(bare_order, id, id=id)).result() for id in "1234"]
            assert codes(await audited(app)) == []
            sim.api.books.intents[payments[0]].amount = 500
            await repaid(client, None, "by hand", payments[1], 700)
            sim.do("dispute", payments[2])
            report = await audited(app, apply=True)
            assert sorted(codes(report)) == [
                ("RF-EFFECT-DIFFERS", "order:1:bare"),
                ("RF-EFFECT-REVERSED", "order:2:bare"),
                ("RF-EFFECT-REVERSED", "order:3:bare"),
            ]
            said = {each.finding.subject: each.finding.detail for each in report.found}
            assert "amount_minor 500, not 1999" in said["order:1:bare"]
            assert "refunded" in said["order:2:bare"]
            assert "disputed" in said["order:3:bare"]
            assert codes(await audited(app, apply=True)) == [("RF-EFFECT-DIFFERS", "order:1:bare")]

    run(go())


def test_what_is_stored_as_taken_back_and_is_not_so_is_found(shop):
    """P10: the record has a refund of another amount than the provider."""

    async def go():
        async with (
            StripeSimulator() as sim,
            stripe_client("sk_test_audit", base_url=sim.url) as client,
            shop.app(order, returned, provide={StripeClient: client}) as app,
        ):
            [payment, *_] = await charge_three(app)
            made = await repaid(client, None, "by hand", payment, 700)
            await audited(app, apply=True)
            assert codes(await audited(app)) == []
            next(each for each in sim.api.books.refunds.all if each.id == made.id).amount = 600
            report = await audited(app)
            assert codes(report) == [("RF-EFFECT-DIFFERS", "order:1:charge")]
            assert "of 700 usd (minor units) is stored, and the provider has 600 usd" in report.found[0].finding.detail

    run(go())
