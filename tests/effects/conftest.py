"""Async tests, and a shop with its bank on each record."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.effects.harness import Bank, Shop


@pytest.fixture
def shop(record_url: str, tmp_path: Path) -> Shop:
    return Shop(record_url, Bank(tmp_path / "bank.db"))
