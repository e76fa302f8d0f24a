"""A world takes no database that holds anything."""

from __future__ import annotations

import pytest


@pytest.fixture
def postgres_dsn(empty_postgres_dsn: str) -> str:
    return empty_postgres_dsn
