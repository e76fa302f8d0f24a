"""The Stripe inside of a process: the SDK's answers and errors, and a state that outlives whoever asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import stripe
from stripe import StripeClient

from recordfirst import Absent, CannotTell, Declined, Found
from recordfirst.errors import Unknown
from recordfirst.providers.stripe import METADATA_KEY, Stripe, find_payment_intent
from recordfirst.testing import Outside, stripe_double

DAY_MS = 24 * 3_600_000
MARKER = "shop/order:1:charge"


class World:
    """One outside, and clients of one process after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.now_ms = 1_800_000_000_000

    def client(self, **options) -> StripeClient:
        """A client of a new process."""
        return stripe_double(self.outside(), **options)

    def outside(self) -> Outside:
        return Outside(self._path, lambda: self.now_ms)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "outside")


async def pay(client: StripeClient, *, key: str = MARKER, card: str = "pm_card_visa", amount: int = 1999):
    return await client.v1.payment_intents.create_async(
        {
            "amount": amount,
            "currency": "usd",
            "confirm": True,
            "payment_method": card,
            "metadata": {METADATA_KEY: MARKER},
        },
        {"idempotency_key": key},
    )


async def test_a_key_gets_its_first_answer_from_any_process(world: World) -> None:
    """P3: and one payment was made."""
    first, again = await pay(world.client()), await pay(world.client())
    assert first.id == again.id
    assert [(asked.marker, asked.repeats) for asked in world.outside().asked] == [(MARKER, False), (MARKER, True)]
    assert len(world.outside().applied) == 1


async def test_a_key_is_honoured_for_a_day_of_the_outside(world: World) -> None:
    """P3: then the same key pays again, as Stripe's documentation says."""
    first = await pay(world.client())
    world.now_ms += DAY_MS - 1
    assert (await pay(world.client())).id == first.id
    world.now_ms += 1
    assert (await pay(world.client())).id != first.id
    assert world.outside().repeated() == [f"stripe /v1/payment_intents {MARKER} was done 2 times"]


async def test_a_key_with_another_request_is_refused(world: World) -> None:
    """P8: whichever process sent the first."""
    await pay(world.client())
    with pytest.raises(stripe.IdempotencyError):
        await pay(world.client(), amount=2000)
    assert len(world.outside().applied) == 1


@pytest.mark.parametrize(("fault", "done"), [("error_after", True), ("error_before", False)])
async def test_a_500_stays_under_its_key(world: World, fault: str, done: bool) -> None:
    """P5: every process gets it again, and only a probe can tell whether it was done."""
    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            await pay(world.client(next=[fault]))
        verdict = Stripe().classify(caught.value)
        assert isinstance(verdict, Unknown)
        assert verdict.replayed
    found = await find_payment_intent(world.client(next=[fault]), marker=MARKER, since_ms=world.now_ms)
    assert isinstance(found, Found if done else Absent)
    assert len(world.outside().applied) == done


async def test_a_decline_is_final_and_was_not_done(world: World) -> None:
    """P5: it is replayed, a probe finds it, and nobody outside did anything."""
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            await pay(world.client(), card="pm_card_chargeDeclinedInsufficientFunds")
        verdict = Stripe().classify(caught.value)
        assert isinstance(verdict, Declined)
        assert verdict.code == "insufficient_funds"
    with pytest.raises(Declined):
        await find_payment_intent(world.client(), marker=MARKER, since_ms=world.now_ms)
    assert world.outside().applied == []
    assert [asked.refused for asked in world.outside().asked] == ["card_declined"] * 2


@pytest.mark.parametrize(
    ("fault", "done"), [("lost_reply", True), ("timeout_after_applying", True), ("reset_before", False)]
)
async def test_no_answer_is_unknown(world: World, fault: str, done: bool) -> None:
    """P5: the same key, in another process, gets the answer."""
    client = world.client(next=[fault], timeout_s=0.01)
    with pytest.raises(stripe.APIConnectionError) as caught:
        await pay(client)
    assert isinstance(Stripe().classify(caught.value), Unknown)
    assert len(world.outside().applied) == done
    assert (await pay(world.client(next=[fault]))).status == "succeeded"
    assert len(world.outside().applied) == 1


async def test_two_processes_see_what_each_other_did(world: World) -> None:
    """P3: one that stalled has missed nothing when it goes on."""
    one, other = world.client(), world.client()
    first = await pay(one)
    assert (await pay(other)).id == first.id
    refund = await other.v1.refunds.create_async({"payment_intent": first.id}, {"idempotency_key": "r"})
    listed = await one.v1.refunds.list_async({"payment_intent": first.id})
    assert [each.id for each in listed.data] == [refund.id]
    world.now_ms += DAY_MS
    await pay(other)
    assert isinstance(await find_payment_intent(one, marker=MARKER, since_ms=world.now_ms - DAY_MS), CannotTell)


def test_blocking_methods_are_answered_too(world: World) -> None:
    """P3: an effect may be an ordinary function; what came too late for it has happened."""
    client = world.client(next=["timeout_after_applying"])
    with pytest.raises(stripe.APIConnectionError):
        client.v1.payment_intents.create({"amount": 1999, "currency": "usd"}, {"idempotency_key": "k"})
    intent = client.v1.payment_intents.create({"amount": 1999, "currency": "usd"}, {"idempotency_key": "k"})
    [made] = world.outside().applied
    assert made.result["id"] == intent.id


async def test_what_was_done_is_kept_as_the_effect_reads_it(world: World) -> None:
    """P5: an operator who looks what became of a call answers with the result that the effect would have had."""
    intent = await pay(world.client(read=lambda made: made.id))
    assert [made.result for made in world.outside().applied] == [intent.id]


def test_testing_imports_without_stripe() -> None:
    """The double is there when the extra is; nothing else waits for it."""
    program = (
        "import sys; sys.modules['stripe'] = None\n"
        "from recordfirst.testing import stripe_double\n"
        "try: stripe_double(None)\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install 'recordfirst[stripe]'" in shown.stdout
