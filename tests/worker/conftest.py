"""A shop on each record."""

from __future__ import annotations

import pytest

from tests.starts.harness import Shop


@pytest.fixture
def shop(record_url: str) -> Shop:
    return Shop(record_url)
