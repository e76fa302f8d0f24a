"""P3, P5, P8: a workflow that moved money is collected; a ledger keeps what it has, and the record whose it is."""

from __future__ import annotations

import pytest

from recordfirst import WorkflowStopped
from tests.ledgers.program import paying, with_fee


async def fee(app, till, id, amount):
    handle = await app.start(with_fee, till.purchase, amount, id=f"{till.purchase.id}:{id}")
    return await handle.result(if_stopped="raise")


async def collected(app, **options):
    """It is old enough as soon as the record's clock has moved on."""
    while (done := await app.collect(older_than_s=0, **options)).collected == 0:
        pass
    return done


async def test_p3_another_workflow_asks_for_the_same_transfer(till):
    """It is the one that was made; another under its key is a conflict, as it was before."""
    await till.prepare()
    async with till.working() as app:
        first = await fee(app, till, "one", 5)
        assert (await collected(app)).receipts == 0
        assert await fee(app, till, "two", 5) == first
        with pytest.raises(WorkflowStopped, match="fee"):
            await fee(app, till, "three", 6)
        assert (await till.balances())["customer"] == (0, 4995)
        assert [len(sent) for sent in till.ledger.sent] == [1]


async def test_p5_what_was_refused_stays_refused(till):
    """Also when there is money by now: a new try is a new attempt, and the caller's to ask for."""
    await till.prepare()
    async with till.working() as app:
        assert await fee(app, till, "one", 5001) == "exceeds_credits"
        await collected(app)
        await till.fund(2, 5000)
        assert await fee(app, till, "two", 5001) == "exceeds_credits"
        assert (await till.balances())["customer"] == (0, 10_000)


async def test_p10_the_books_are_compared_with_what_was_collected(till):
    """Of the purchase's receipts that of its write goes, and that of its transfer stays, with what it was for."""
    await till.prepare()
    async with till.working() as app:
        assert await (await app.start(paying, till.purchase, id=till.purchase.id)).result() == 1999
        tried = await collected(app, dry_run=True)
        done = await collected(app)
        assert (tried.receipts, done.receipts) == (1, 1)
        async with app.runtime.record.session() as session:
            [left] = await session.receipts_of(till.purchase.id)
        assert (left.function, left.state) == ("pay", "succeeded")
