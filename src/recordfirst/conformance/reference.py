"""What a reference must do, as tests. Inherit, and say how yours is opened::

    from recordfirst.conformance.reference import ReferenceConformance

    class TestSearch(ReferenceConformance):
        @pytest.fixture
        def open_reference(self, tmp_path):
            return functools.partial(my_search, tmp_path / "search.db")

``open_reference`` gives a function without arguments: whenever it is called, it returns an async context manager that
opens one and the same reference. It need not be empty: every test takes new ids.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from recordfirst.conformance.record import run
from recordfirst.references.contract import Entry, Reference

type OpenReference = Callable[[], AbstractAsyncContextManager[Reference]]

DOCUMENT = {"name": "Zoë 🙂 \u0001", "tags": ["a", "", None], "nested": {"amount": 2**53 - 1, "rate": 0.5, "on": True}}


def entry(version: int = 0, document: Any = DOCUMENT, id: str | None = None) -> Entry:
    """An entry, with an id of its own unless it is given one."""
    return Entry(id=id or f"odd/id: {uuid.uuid4()} ä", document=document, version=version)


class ReferenceConformance:
    """Newer goes in, everything else is refused, in one step."""

    def test_p8_what_is_there_first_stays(self, open_reference: OpenReference) -> None:
        """Staged again, the same or something else, it is returned as it is."""

        async def go() -> None:
            first = entry()
            async with open_reference() as reference:
                assert await reference.find(first.id) is None
                assert await reference.put(first) is None
                assert await reference.put(first) == first
                assert await reference.put(entry(id=first.id, document={"name": "other"})) == first
            async with open_reference() as reference:
                assert await reference.find(first.id) == first

        run(go())

    def test_p6_a_newer_version_goes_in(self, open_reference: OpenReference) -> None:
        """Over what was staged, and over what was projected."""

        async def go() -> None:
            async with open_reference() as reference:
                staged = entry()
                await reference.put(staged)
                for version in (1, 2, 1 << 40):
                    newer = entry(version, {"version": version}, staged.id)
                    assert await reference.put(newer) is None
                    assert await reference.find(staged.id) == newer

        run(go())

    def test_p6_it_never_goes_back(self, open_reference: OpenReference) -> None:
        """An older version, and the same one with something else, change nothing; who comes with it is told."""

        async def go() -> None:
            async with open_reference() as reference:
                newest = entry(7)
                await reference.put(newest)
                for version in (7, 6, 1, 0):
                    assert await reference.put(entry(version, "late", newest.id)) == newest
                assert await reference.find(newest.id) == newest

        run(go())

    def test_p6_what_is_no_more_keeps_its_version(self, open_reference: OpenReference) -> None:
        """Without a document it is not shown, and what is late does not bring it back."""

        async def go() -> None:
            async with open_reference() as reference:
                gone = entry(3, None)
                await reference.put(entry(2, DOCUMENT, gone.id))
                assert await reference.put(gone) is None
                assert await reference.put(entry(2, DOCUMENT, gone.id)) == gone
                assert await reference.find(gone.id) == gone
                assert await reference.put(entry(4, DOCUMENT, gone.id)) is None

        run(go())

    def test_p6_of_many_at_once_the_newest_stays(self, open_reference: OpenReference) -> None:
        """In whatever order they come, from several connections."""

        async def go() -> None:
            id = entry().id
            versions = list(range(1, 41))
            random.Random(7).shuffle(versions)  # noqa: S311 - an order, the same each time

            async def come(given: list[int]) -> None:
                async with open_reference() as reference:
                    for version in given:
                        there = await reference.put(entry(version, {"version": version}, id))
                        assert there is None or there.version >= version

            await asyncio.gather(*(come(versions[number::4]) for number in range(4)))
            async with open_reference() as reference:
                assert await reference.find(id) == entry(40, {"version": 40}, id)

        run(go())
