"""References pass the suite that is published for any: the one of the docs, and the one of these tests."""

from __future__ import annotations

import contextlib

import pytest

from recordfirst.conformance.reference import ReferenceConformance
from tests.references.program import Mirror
from tests.test_examples import EXAMPLES, load


class TestTheDocs(ReferenceConformance):
    """What the how-to shows."""

    @pytest.fixture
    def open_reference(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        documents = load(EXAMPLES / "howto" / "references.py").Documents

        @contextlib.asynccontextmanager
        async def opened():
            yield documents(tmp_path / "search.db")

        return opened


class TestTheShelf(ReferenceConformance):
    """What these tests stage and project to."""

    @pytest.fixture
    def open_reference(self, tmp_path):
        @contextlib.asynccontextmanager
        async def opened():
            yield Mirror(tmp_path / "mirror")

        return opened
