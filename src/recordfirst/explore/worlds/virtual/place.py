"""Where a process of a world runs: its record, its engine and its outside, and what is to be seen there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from recordfirst.engine.options import Embedded
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.records.contract import Record
from recordfirst.testing.outside import Asked, Outside


class Place(Protocol):
    """What a world gives to each process."""

    @property
    def record(self) -> Record[Any]: ...
    @property
    def engine(self) -> Embedded | str: ...
    @property
    def outside(self) -> Outside: ...
    @property
    def files(self) -> Path: ...

    def arrived(self) -> tuple[Asked, ...]:
        """What has arrived outside since this was last asked."""

    def accepted(self, id: str) -> bool:
        """Whether the record has the workflow's start."""

    def written(self, key: str) -> bool:
        """Whether the record has the receipt of this write."""

    def next_due_ms(self) -> int | None:
        """When the next thing happens by itself, as record and engine have it."""

    def events_due_ms(self) -> int | None:
        """When the next event or reversal that the record has is to be taken up, or was; ``None``: there is none."""


class OwnOutside(Outside):
    """One that nobody but this process of the machine writes to: it looks at its file when it has written."""

    _looked = -1

    @property
    def asked(self) -> list[Asked]:
        if self._looked != Outside.kept_here:
            self._looked = Outside.kept_here
            return super().asked
        return self._asked


class WithFiles:
    """What places have in common: an engine and an outside in files."""

    def __init__(self, files: Path, host: str, process: Process, outside: type[Outside] = Outside) -> None:
        self.engine: Embedded | str = Embedded(files / ("engine" if host == "1" else f"engine-{host}"))
        self.outside = outside(files / "outside", process.clock.now_ms)
        self.files = files
        self._process = process
        self._arrived = len(self.outside.asked)

    def arrived(self) -> tuple[Asked, ...]:
        asked = self.outside.asked
        before, self._arrived = self._arrived, len(asked)
        return tuple(asked[before:])
