"""Hypothesis as these tests use it: quick, the same examples in CI every time, no files left behind."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("core", max_examples=60, deadline=None, database=None, derandomize="CI" in os.environ)
settings.load_profile("core")
