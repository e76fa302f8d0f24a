"""All workflows of our own that the explorer breaks, by name."""

from __future__ import annotations

from recordfirst.explore import Case
from tests.explore import stories, told

CASES: dict[str, Case] = stories.CASES | told.CASES
