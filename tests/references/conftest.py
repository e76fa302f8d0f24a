"""A desk on each record."""

from __future__ import annotations

import inspect

import pytest

from recordfirst.conformance.record import run
from tests.effects.harness import Bank, Shop
from tests.references.program import Desk


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}))
    return True


@pytest.fixture
def desk(record_url, tmp_path) -> Desk:
    return Desk(Shop(record_url, Bank(tmp_path / "bank")), tmp_path)
