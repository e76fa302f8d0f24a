"""A stage for one run of a scene: a scene is a test that stands elsewhere, called with what it needs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from recordfirst.conformance.record import run
from tests.effects import harness as effects
from tests.explore.mutants.mutant import Edit
from tests.starts import harness as starts

LONGEST_S = 30.0
"""A scene takes a second or two."""

HUNG_S = 12.0
"""A scene of which a mutant makes one that never ends has failed by then."""


class Stage:
    """Everything is new for each run: a record, a shop, a bank."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request

    def fixture(self, name: str) -> Any:
        return self._request.getfixturevalue(name)

    @property
    def path(self) -> Path:
        """Where a record on SQLite is to be."""
        return self.fixture("sqlite_path")

    @property
    def dsn(self) -> str:
        """Of a database on Postgres that is empty."""
        return self.fixture("postgres_dsn")

    @property
    def patch(self) -> pytest.MonkeyPatch:
        return self.fixture("monkeypatch")

    def shop(self, url: str | None = None) -> starts.Shop:
        return starts.Shop(url or f"sqlite:///{self.path}")

    def bank_shop(self, url: str | None = None) -> effects.Shop:
        """A shop with a bank of its own, for the tests of effects."""
        return effects.Shop(url or f"sqlite:///{self.path}", effects.Bank(self.fixture("tmp_path") / "bank.db"))

    def plays(self, scene: Callable[[Stage], Any], within_s: float = LONGEST_S) -> None:
        """Run a scene to its end."""
        played = scene(self)
        if inspect.iscoroutine(played):
            run(asyncio.wait_for(played, within_s))


class Mutant(NamedTuple):
    """A defect of an earlier version, put back, and the scene that shows it."""

    rule: int
    name: str
    scene: Callable[[Stage], Any]
    says: str
    """A part of what the failing scene says, so that it fails by this and not by a mistake in the mutant."""
    edits: tuple[Edit, ...]
