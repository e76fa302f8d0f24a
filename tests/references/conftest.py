"""A desk on each record."""

from __future__ import annotations

import pytest

from tests.effects.harness import Bank, Shop
from tests.references.program import Desk


@pytest.fixture
def desk(record_url, tmp_path) -> Desk:
    return Desk(Shop(record_url, Bank(tmp_path / "bank")), tmp_path)
