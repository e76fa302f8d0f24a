"""How the embedded engine is to be."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from recordfirst.errors import Misuse

type Durability = Literal["record", "disk"]


class Embedded(msgspec.Struct, frozen=True):
    """``App(engine=Embedded(...))``: the engine in a file of this process, with a say in where and how.

    Args:
        path: the file, made if it is missing, on a local disk. Default: beside a SQLite record; else in
            ``.recordfirst/`` in the current directory. ``":memory:"``: nothing outlives the worker but what is in the
            record, from which each worker rebuilds what is open.
        durability: ``"record"``: survives the end of the process, ``kill -9`` too; after a power cut the last moments
            may be missing, and are rebuilt from the record. ``"disk"``: nothing is missing after a power cut either,
            which costs an fsync for each batch of requests.

    Raises:
        Misuse: if ``durability`` is neither.
    """

    path: str | Path | None = None
    durability: Durability = "record"

    def __post_init__(self) -> None:
        if self.durability not in {"record", "disk"}:
            raise Misuse(f"Embedded(durability={self.durability!r}): say 'record' or 'disk'")
