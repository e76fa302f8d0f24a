"""A shop on each record, a simulated Stripe, and a web app that takes its events, over HTTP."""

from __future__ import annotations

import pytest
import stripe

from tests.starts.harness import Shop


@pytest.fixture
def shop(record_url: str) -> Shop:
    return Shop(record_url)


@pytest.fixture(autouse=True)
def no_telemetry(monkeypatch):
    """The SDK would write an id into the home directory."""
    monkeypatch.setattr(stripe, "enable_telemetry", False)
