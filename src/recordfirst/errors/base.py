"""The root of recordfirst's errors."""

from __future__ import annotations

from typing import ClassVar, Literal

type Fate = Literal["done", "not done", "unknown"]


class RecordfirstError(Exception):
    """The root: ``except RecordfirstError`` catches all that this library raises on purpose."""

    fate: ClassVar[Fate] = "not done"
