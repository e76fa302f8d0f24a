"""A reconcile takes its time."""

from __future__ import annotations

import pytest

from recordfirst.conformance.record import run
from recordfirst.reconcile.reconciler import PAGE
from tests.reconcile.harness import sleeper


@pytest.mark.parametrize("apply", [False, True])
def test_felt_by_nobody(shop, apply):
    """P10: behind each page it waits until no more than 2,000 rows a second have been looked at."""
    looked: list[int] = []
    pauses: list[tuple[int, float]] = []

    async def wait(seconds: float) -> None:
        pauses.append((looked[-1], seconds))

    async def go():
        async with shop.app(sleeper, sleeper=wait) as app:
            for number in range(PAGE + 1):
                await app.start(sleeper, "ann", id=f"ann:{number}")
            pauses.clear()
            report = await app.reconcile(only=["epochs"], apply=apply, tell=lambda _name, count: looked.append(count))
        assert report.looked == {"epochs": PAGE + 1}
        assert pauses == [(PAGE, PAGE / 2_000), (PAGE + 1, 1 / 2_000)]

    run(go())
