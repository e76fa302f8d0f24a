"""The model of a receipt is the record's: the same changes make the same rows, whatever the product."""

from __future__ import annotations

import asyncio

import msgspec

from recordfirst.core import decide as d
from recordfirst.core import model
from recordfirst.core.receipt import NewReceipt, Receipt

PROBE = d.Guarantee(key_honoured_ms=None, can_probe=True, lag_ms=30)
INTENT = NewReceipt(
    key="k", kind="effect", function="charge", workflow="w", state="intended", fingerprint="f", request="{}"
)


def assert_between(got: Receipt, earliest: Receipt | None, latest: Receipt | None) -> None:
    """Equal, where the model does not depend on the time; in between, where it does."""
    for name in Receipt.__struct_fields__:
        value, low, high = (getattr(receipt, name) for receipt in (got, earliest, latest))
        assert value == low == high or low <= value <= high, name


async def compare(record) -> None:
    await record.open("app")
    try:
        await record.migrate()
        async with record.session() as session:
            before = await session.now_ms()
            receipt = (await session.intend(INTENT, after=None, claim="a", claim_ms=65)).receipt
            after = await session.now_ms()
            made = [model.intended(INTENT, claim="a", claim_ms=65, now_ms=now) for now in (before, after)]
            assert_between(receipt, *made)
            for step in STEPS:
                change = step(receipt)
                before = await session.now_ms()
                changed = await session.change_receipt(receipt, change)
                after = await session.now_ms()
                assert_between(changed, *(model.changed(receipt, receipt, change, now) for now in (before, after)))
                assert await session.change_receipt(receipt, change) is None
                assert model.changed(changed, receipt, change, after) is None
                receipt = changed
    finally:
        await record.close()


STEPS = [
    lambda r: d.in_doubt(r, '{"reason":"timeout"}', 200, claim="a", replayed=False),
    lambda r: d.begin_call(r, claim="b", claim_ms=65),
    lambda r: d.in_doubt(r, '{"reason":"500"}', 0, claim="b", replayed=True),
    lambda r: d.absent(r, 0, PROBE),
    lambda r: d.absent(r, 2**50, PROBE),
    lambda r: d.begin_call(r, claim="c", claim_ms=65),
    lambda r: d.not_done(r, '{"reason":"429"}', 50, claim="zombie"),
    lambda r: d.not_done(r, '{"reason":"429"}', 50, claim="c"),
    lambda r: d.unknown(r, '{"reason":"who knows"}'),
    lambda r: d.parked(r, "promise"),
    lambda r: d.replied(r, '{"state":"succeeded"}', '{"reason":"mark_paid failed"}'),
    lambda r: d.succeeded(r, '{"id":"ch_1"}'),
    lambda r: d.undone(r, "k/undo"),
]


def test_model_of_a_receipt_is_the_records(record):
    """P3: what the properties are shown of is what the record does, times and stale revisions included."""
    asyncio.run(compare(record))


def test_model_provider_honours_a_key_for_its_retention():
    """P3: the same key gets the same answer, a 500 too, and is forgotten in the end."""
    provider = model.ModelProvider(retention_ms=100, lag_ms=10)
    call = {"key": "k", "marker": "m", "request": "{}"}
    assert provider.call(**call, now_ms=0, deed="refuse") == ("refused", False)
    assert provider.call(**call, now_ms=0, deed="apply and fail") == ("failed", True)
    assert provider.call(**call, now_ms=99, deed="apply") == ("failed", True)
    assert (provider.find("m", 9), provider.find("m", 10), provider.find("x", 10)) == (False, True, False)
    assert provider.call(**call | {"request": "[]"}, now_ms=99, deed="apply") == ("declined", True)
    assert provider.call(**call, now_ms=100, deed="apply") == ("succeeded", True)
    assert len(provider.applied) == 2


def test_model_provider_without_keys():
    """P3: each call is another effect."""
    provider = model.ModelProvider(retention_ms=None)
    for now_ms in range(3):
        assert provider.call(key="k", marker="m", request="{}", now_ms=now_ms, deed="apply") == ("succeeded", False)
    assert len(provider.applied) == 3


def test_history_begins_with_the_write():
    """P1: the model's executors do nothing before it."""
    world = model.ModelWorld(d.Guarantee(key_honoured_ms=None), model.ModelProvider(retention_ms=None), claim_ms=65)
    world.step(world.executors[0])
    assert (world.receipt, world.history) == (None, [])
    assert msgspec.structs.asdict(world.executors[0])["stage"] == "idle"
