"""The fixtures of the tests that are scenes here."""

from __future__ import annotations

from tests.records.test_lent import look as lent_look
from tests.records.test_lent import shop as lent_shop

__all__ = ["lent_look", "lent_shop"]
