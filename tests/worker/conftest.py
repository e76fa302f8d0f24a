"""Async tests, and a shop on each record."""

from __future__ import annotations

import inspect

import pytest

from recordfirst.conformance.record import run
from tests.starts.harness import Shop


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True


@pytest.fixture
def shop(record_url: str) -> Shop:
    return Shop(record_url)
