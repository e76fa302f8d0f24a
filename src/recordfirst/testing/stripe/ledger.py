"""What the simulator has applied, so that a test or a demo can compare it with the record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

import msgspec

METADATA_KEY = "recordfirst_key"
"""The metadata key of an effect's marker. The provider has the same constant, but its import needs ``stripe``."""


type EntryKind = Literal["charge", "refund", "decline", "refund_failed", "dispute", "dispute_won"]


class StoredReply(msgspec.Struct, frozen=True, kw_only=True):
    """One entry: money that was taken or given back, by us or by a customer's bank, or a card that was declined."""

    kind: EntryKind
    id: str
    payment_intent: str
    amount_minor: int
    currency: str
    metadata: dict[str, str]
    key: str
    """The idempotency key of the request."""
    requests: int = 0
    """How many requests came with that key."""
    created_ms: int
    code: str | None = None
    """Why it was declined."""


class ReplyStore(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was applied, oldest first."""

    entries: list[StoredReply]

    @property
    def charges(self) -> list[StoredReply]:
        """The charges that succeeded."""
        return [entry for entry in self.entries if entry.kind == "charge"]

    @property
    def refunds(self) -> list[StoredReply]:
        """The refunds."""
        return [entry for entry in self.entries if entry.kind == "refund"]

    @property
    def declines(self) -> list[StoredReply]:
        """The charges that were declined."""
        return [entry for entry in self.entries if entry.kind == "decline"]

    def charges_by(self, metadata_key: str = METADATA_KEY) -> dict[str, list[StoredReply]]:
        """Return the charges under each value of a metadata key."""
        return _group(self.charges, metadata_key)

    def duplicates(self, metadata_key: str = METADATA_KEY) -> dict[str, list[str]]:
        """Return, by metadata value, the ids of charges or refunds if there is more than one under it."""
        found: dict[str, list[str]] = {}
        for entries in (self.charges, self.refunds):
            for value, group in _group(entries, metadata_key).items():
                if len(group) > 1:
                    found.setdefault(value, []).extend(entry.id for entry in group)
        return found

    def totals(self) -> dict[str, dict[str, int]]:
        """Return counts and sums by kind: ``{"charge": {"count": 2, "usd": 3998}, ...}``."""
        sums: dict[str, dict[str, int]] = {kind: {"count": 0} for kind in ("charge", "refund", "decline")}
        for entry in self.entries:
            total = sums.setdefault(entry.kind, {"count": 0})
            total["count"] += 1
            total[entry.currency] = total.get(entry.currency, 0) + entry.amount_minor
        return sums


def _group(entries: Iterable[StoredReply], metadata_key: str) -> dict[str, list[StoredReply]]:
    groups: dict[str, list[StoredReply]] = defaultdict(list)
    for entry in entries:
        if metadata_key in entry.metadata:
            groups[entry.metadata[metadata_key]].append(entry)
    return dict(groups)
