"""What a record can do besides its contract, if an engine can be in its database.

The engine then joins the record's transactions. A record that cannot host one has nothing of this, and lacks nothing:
code that needs it asks for it by :func:`hosted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from recordfirst.records.contract import Record, Session


@runtime_checkable
class HostsEngine(Protocol):
    """A record in whose database an engine can be: Resonate in Postgres."""

    async def shares(self, dsn: str) -> bool:
        """Whether the Postgres database at ``dsn`` is this record's own, under whatever address."""

    async def may_ask_engine(self) -> bool:
        """Whether :meth:`ask_engine` can be used: Resonate is in this database, and we have the right."""

    async def ask_engine(self, session: Session[Any], requests: Sequence[str]) -> list[str]:
        """Put requests to the Resonate in this database, in the session's transaction; return its replies, in order."""


def hosted(record: Record[Any]) -> HostsEngine | None:
    """Return the record as one that can host an engine; ``None`` if it cannot.

    Its class says so: a record that wraps another one and passes its methods on hosts none, unless it has these three.
    """
    return record if isinstance(record, HostsEngine) else None
