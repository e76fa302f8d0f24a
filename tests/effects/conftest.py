"""Async tests, and a shop with its bank on each record."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from recordfirst.conformance.record import run
from tests.effects.harness import Bank, Shop


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True


@pytest.fixture
def shop(record_url: str, tmp_path: Path) -> Shop:
    return Shop(record_url, Bank(tmp_path / "bank.db"))
