"""The environment of a process of the fast world."""

from __future__ import annotations

from pathlib import Path

from recordfirst.explore.worlds.fast.record import SimRecord
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.place import WithFiles
from recordfirst.testing.outside import Outside


class SqlitePlace(WithFiles):
    """A directory with a record in it."""

    def __init__(self, files: Path, host: str, process: Process, outside: type[Outside] = Outside) -> None:
        super().__init__(files, host, process, outside)
        self.record = SimRecord(files / "record.db", host, process)

    def accepted(self, id: str) -> bool:
        there = self.record.peek().execute("SELECT 1 FROM recordfirst_start WHERE id = ?", (id,)).fetchone()
        return there is not None

    def written(self, key: str) -> bool:
        return self.record.peek().execute(_WRITTEN, (key,)).fetchone() is not None

    def next_due_ms(self) -> int | None:
        found = self.record.peek().execute(_DUE, {"now_ms": self._process.clock.now_ms()}).fetchall()
        return min(
            [due for due in (*(due for (due,) in found), self._process.next_due()) if due is not None], default=None
        )

    def events_due_ms(self) -> int | None:
        [due] = self.record.peek().execute(_EVENTS_DUE).fetchone()
        return None if due is None else int(due)


_DUE = """
SELECT min(next_at_ms) FROM recordfirst_receipt WHERE next_at_ms > :now_ms
UNION SELECT min(claim_until_ms) FROM recordfirst_receipt WHERE claim_until_ms > :now_ms
"""


_EVENTS_DUE = """
SELECT min(next_at_ms) FROM (
    SELECT next_at_ms FROM recordfirst_event UNION SELECT next_at_ms FROM recordfirst_reversal
)
"""


_WRITTEN = "SELECT 1 FROM recordfirst_receipt WHERE key = ? AND kind = 'write' AND state = 'succeeded'"
