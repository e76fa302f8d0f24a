"""Only what began at a time or later: a part of everything, which says nothing of the rest."""

from __future__ import annotations

from recordfirst.conformance.record import run
from recordfirst.core.start import Finish
from recordfirst.providers.stripe import stripe_client
from recordfirst.testing import StripeSimulator
from tests.reconcile.harness import Bank
from tests.reconcile.test_audit import _at_once, paid, shop_at
from tests.reconcile.test_passes import codes, in_doubt, make_older, open_findings

HOUR_MS = 3_600_000

__all__ = ["_at_once"]  # a fixture


async def half_an_hour_ago(app):
    async with app.runtime.record.session() as session:
        return await session.now_ms() - HOUR_MS // 2


def test_effects(shop):
    """P5, P10: of effects without an outcome and of unknown ones; what was found earlier stays open."""

    async def go():
        bank = Bank()
        bank.can_be_asked = False
        async with in_doubt(shop, bank) as app:
            async with app.runtime.record.session() as session:
                await session.finish([Finish(id="ann", epoch=1, state="failed", error="{}")])
            await make_older(app, "receipt")
            recent = await half_an_hour_ago(app)
            for passes, found in (["intents"], "RF-EFFECT-ABANDONED"), (["unknown"], "RF-EFFECT-UNKNOWN"):
                assert codes(await app.reconcile(only=passes, since_ms=recent, apply=True)) == []
                older = await app.reconcile(only=passes, since_ms=recent - HOUR_MS, apply=True)
                assert codes(older) == [(found, "ann:charge")]
            await app.reconcile(since_ms=recent, apply=True)
            assert await open_findings(app) == [("RF-EFFECT-UNKNOWN", "ann:charge")]

    run(go())


def test_providers(shop):
    """P3, P10: of what a provider has, and of the receipts that should be there."""

    async def go():
        async with StripeSimulator() as sim, shop_at(shop, sim) as app:
            async with stripe_client("sk_test_x", base_url=sim.url) as client:
                await paid(client, "shop/order:9:charge", "by hand 9")
            recent = await half_an_hour_ago(app)
            later = await app.reconcile(only=["providers"], since_ms=recent + HOUR_MS)
            assert (codes(later), later.looked) == ([], {"providers": 0})
            earlier = await app.reconcile(only=["providers"], since_ms=recent)
            assert (codes(earlier), earlier.looked) == ([("RF-ORPHAN-EFFECT", "order:9:charge")], {"providers": 1})

    run(go())
