"""The environment of a process: its record, its engine and its outside, and what can be seen there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from recordfirst.engine.options import Embedded
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.records.contract import Record
from recordfirst.testing.outside import Asked, Outside


class Place(Protocol):
    """The environment that a world gives to each process."""

    @property
    def record(self) -> Record[Any]: ...
    @property
    def engine(self) -> Embedded | str: ...
    @property
    def outside(self) -> Outside: ...
    @property
    def files(self) -> Path: ...

    def arrived(self) -> tuple[Asked, ...]:
        """The requests that have arrived outside since the last call."""

    def accepted(self, id: str) -> bool:
        """Whether the record has the workflow's start."""

    def written(self, key: str) -> bool:
        """Whether the record has the receipt of this write."""

    def next_due_ms(self) -> int | None:
        """When the next change happens by itself, by record and engine."""

    def events_due_ms(self) -> int | None:
        """When the next event or reversal that the record has is to be taken up, or was; ``None``: there is none."""


class OwnOutside(Outside):
    """An outside to which only this process of the machine writes, so it reads its file only after it has written."""

    _looked = -1

    @property
    def asked(self) -> list[Asked]:
        if self._looked != Outside.kept_here:
            self._looked = Outside.kept_here
            return super().asked
        return self._asked


class WithFiles:
    """The base of places: an engine and an outside in files."""

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
