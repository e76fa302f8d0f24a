"""A shop on each record."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from tests.engine.live import Live, live_engine
from tests.engine.program import TABLES
from tests.starts.harness import Shop


@pytest.fixture
def shop(record_url: str) -> Shop:
    return Shop(record_url)


@pytest.fixture
def make_shop() -> Callable[[str], Shop]:
    """For a record at an address of the test's own."""
    return Shop


@pytest.fixture(params=["resonate-pg", "server"])
def live(request, postgres_dsn) -> Live:
    """Each engine that the environment names."""
    return live_engine(request.param, postgres_dsn, TABLES)


@pytest.fixture
def quiet_sdk(caplog) -> None:
    """The SDK logs a task that was taken away with its whole traceback."""
    caplog.set_level(logging.CRITICAL, logger="resonate")
