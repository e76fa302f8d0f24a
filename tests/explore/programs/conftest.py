"""A world for programs that is gone when a test ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from recordfirst.explore.programs.runner import quiet
from recordfirst.explore.programs.world import ProgramWorld


@pytest.fixture
def world() -> Iterator[ProgramWorld]:
    """Nothing is logged while it runs."""
    made = ProgramWorld()
    with quiet():
        yield made
    made.close()
