"""The start: the row, in the record, that says that a workflow must run (P7). Pure data."""

from __future__ import annotations

from typing import Literal

import msgspec

type StartState = Literal["open", "succeeded", "failed", "cancelled", "collected"]


class NewStart(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow as accepted."""

    id: str
    workflow: str
    """Name of the workflow function."""
    arguments: str
    """Canonical JSON, an object by parameter name; encrypted if the app has an encryptor."""
    fingerprint: str


class Start(NewStart, frozen=True, kw_only=True):
    """A start as the record holds it. Times are milliseconds since 1970 by the record's clock."""

    state: StartState = "open"
    epoch: int = 1
    """Numbers the workflow's lives in the engine."""
    engine: str | None = None
    """Identity of the engine that was given this start; ``None`` until one was."""
    result: str | None = None
    error: str | None = None
    """JSON with ``type`` and ``message``."""
    created_at_ms: int
    finished_at_ms: int | None = None
    lives_from: int | None = None
    """Lives of an earlier epoch are over, wherever they run: none of their steps begins any more."""

    @property
    def is_being_cancelled(self) -> bool:
        """Whether the life that it has undoes what was done, and nothing else."""
        return self.state == "open" and self.lives_from is not None


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a workflow's life; counts only for the epoch that it names."""

    id: str
    epoch: int
    state: Literal["succeeded", "failed", "cancelled"]
    result: str | None = None
    error: str | None = None
