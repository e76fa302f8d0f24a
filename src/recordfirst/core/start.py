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
    """Numbers the workflow's epochs in the engine."""
    engine: str | None = None
    """Identity of the engine that was given this start; ``None`` until one was."""
    result: str | None = None
    error: str | None = None
    """JSON with ``type`` and ``message``."""
    created_at_ms: int
    finished_at_ms: int | None = None
    min_epoch: int | None = None
    """Earlier epochs are over, wherever they run: none of their steps begins."""
    undo_only: bool = False
    """Its epoch undoes what was done, and nothing else: it was cancelled, or stopped while it undid a failure."""
    stop: str | None = None
    """The defect that has stopped it: JSON with ``type``, ``message``, ``at``, ``step`` and ``undoing``."""
    stopped_at_ms: int | None = None
    stopped_in: str | None = None
    """Versions of the app that a defect has stopped it in, each with a space on both sides."""
    tries: int = 0
    """How often its body was begun by a process that died under it, since it last came to a wait."""
    again: str | None = None
    """Attempts that a retry has put behind it: JSON, a number by key."""

    @property
    def is_undoing(self) -> bool:
        """Whether the epoch that it has undoes what was done, and nothing else."""
        return self.state == "open" and self.undo_only

    @property
    def is_stopped(self) -> bool:
        """Whether a defect has stopped it: it is open, and nothing of it runs."""
        return self.state == "open" and self.stopped_at_ms is not None


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a workflow's epoch; counts only for the epoch that it names."""

    id: str
    epoch: int
    state: Literal["succeeded", "failed", "cancelled"]
    result: str | None = None
    error: str | None = None
