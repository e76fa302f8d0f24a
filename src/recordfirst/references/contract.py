"""What a reference is: a store that only stages or mirrors (a search index, a cache, rows elsewhere). Pure protocol.

A reference never says that something exists; the record does. So it may be behind the record, and it is written in two
ways: *staged*, before the record, under version 0; *projected*, after it, under versions that go up with the record.
All that it must do is to refuse, in one step, what is not newer than what it has. Any reference that passes
``recordfirst.conformance.reference`` will do.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What a reference has under one id."""

    id: str
    document: Any
    """JSON's own types. ``None``: the record has it no more; nobody is shown it, and its version stays."""
    version: int = 0
    """0: staged. From 1 on: projected, and higher the newer."""


class Reference(Protocol):
    """A store that stages or mirrors. Whatever its methods raise counts as *not known whether it was stored*."""

    where: str
    """How an operator names it."""

    async def put(self, entry: Entry) -> Entry | None:
        """Store ``entry``, and return ``None``; unless there is one of its id with the same version or a later one:
        then return that, and change nothing. Both in one step, so that of two at once the later version stays.
        """

    async def find(self, id: str) -> Entry | None:
        """What there is under this id, as :meth:`put` left it."""
