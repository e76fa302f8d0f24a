"""Tests of records begin with nothing: what makes the tables is a part of what they try."""

from __future__ import annotations

import pytest


@pytest.fixture
def postgres_dsn(empty_postgres_dsn: str) -> str:
    return empty_postgres_dsn


@pytest.fixture
def record_url(empty_record_url: str) -> str:
    return empty_record_url
