"""A shop on each record."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.starts.harness import Shop


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks at an epoch passes no more time than these tests need."""
    monkeypatch.setattr("recordfirst.reconcile.passes.starts._SETTLING_S", 0.05)


@pytest.fixture
def shop(record_url: str) -> Shop:
    return Shop(record_url)


@pytest.fixture
def make_shop() -> Callable[[str], Shop]:
    """For a record at an address of the test's own."""
    return Shop
