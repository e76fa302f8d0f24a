"""What became of a workflow, or of one of its steps."""

from __future__ import annotations

import shlex

from recordfirst.errors.base import RecordfirstError


class OutcomeLost(RecordfirstError):
    """A stored outcome cannot be rebuilt: its exception class was removed, renamed, or changed."""

    fate = "done"

    def __init__(self, key: str, stored: str) -> None:
        self.key, self.stored = key, stored
        super().__init__(key, stored)

    def __str__(self) -> str:
        return (
            f"the outcome of {self.key!r} is stored as an exception that cannot be rebuilt: {self.stored}; give the "
            "class back its name and module, or name it in fails="
        )


class ProcessDied(RecordfirstError):
    """Each process that ran the workflow has died: it was killed, or ran out of memory, or its loop was blocked."""

    fate = "unknown"

    def __init__(self, id: str, tries: int) -> None:
        self.id, self.tries = id, tries
        super().__init__(id, tries)

    def __str__(self) -> str:
        return (
            f"workflow {self.id!r} was begun by {self.tries - 1} processes in a row, and each has died under it (out "
            "of memory, killed, or blocked); look at what its steps do, and at the logs of those processes"
        )


class Escaped(RecordfirstError):
    """User code raised what is no ``Exception``: ``SystemExit``, ``KeyboardInterrupt``, a stray ``CancelledError``."""

    fate = "unknown"

    def __init__(self, what: str, error: BaseException | str) -> None:
        self.what = what
        self.error = error if isinstance(error, str) else type(error).__name__
        super().__init__(what, self.error)

    def __str__(self) -> str:
        return (
            f"{self.what} raised {self.error}, which is no Exception; it would have ended the worker: let it raise "
            "an exception of your own, or return"
        )


class ResultNotStored(RecordfirstError):
    """The effect happened, but its result could not be stored; it is not called again (P3).

    ``on_success`` has not run, and a retry comes to the same until an operator has said the result (``App.resolve``).
    """

    fate = "done"

    def __init__(self, key: str, cause: str) -> None:
        self.key, self.cause = key, cause
        super().__init__(key, cause)

    def __str__(self) -> str:
        return (
            f"effect {self.key!r} succeeded, but its result could not be stored: {self.cause}; it is not called again, "
            "and on_success has not run: look its result up at the provider, and say it: "
            f"recordfirst resolve {shlex.quote(self.key)} --succeeded JSON"
        )


class WorkflowFailed(RecordfirstError):
    """A workflow ended in failure; says with which error, and where in the user's code it was raised (``at``)."""

    def __init__(self, id: str, type_name: str, message: str, at: str | None = None) -> None:
        self.id, self.type_name, self.message, self.at = id, type_name, message, at
        super().__init__(id, type_name, message, at)

    def __str__(self) -> str:
        place = f"; at {self.at}" if self.at else ""
        return (
            f"workflow {self.id!r} failed: {self.type_name}: {self.message}{place}; "
            f"when the cause is fixed, run: recordfirst retry {shlex.quote(self.id)}"
        )


class WorkflowStopped(RecordfirstError):
    """A defect has stopped the workflow: it is open, the stop undoes nothing, and it goes on when the defect is fixed.

    ``undoing``: an undo of what it did had begun before it was stopped; that counts.
    """

    fate = "unknown"

    def __init__(self, id: str, type_name: str, message: str, at: str | None = None, *, undoing: bool = False) -> None:
        self.id, self.type_name, self.message, self.at, self.undoing = id, type_name, message, at, undoing
        super().__init__(id, type_name, message, at)

    def __str__(self) -> str:
        place, id = f"; at {self.at}" if self.at else "", shlex.quote(self.id)
        undone, hint = "nothing was undone", " If this is an outcome of your business, declare it: fails="
        if self.undoing:
            undone, hint = f"an undo of what it did had begun, which counts: recordfirst show {id}", ""
        return (
            f"workflow {self.id!r} is stopped by a defect: {self.type_name}: {self.message}{place}; {undone}. It goes "
            f"on by itself with the next version of the app, or when told to: recordfirst retry {id}.{hint}"
        )


class WorkflowCancelled(WorkflowFailed):
    """An operator has cancelled the workflow; says who, and why."""

    def __str__(self) -> str:
        return (
            f"workflow {self.id!r} was {self.message}; it runs no more, and what is still to be done needs another id"
        )


class Collected(RecordfirstError):
    """The workflow ended long ago, and its rows were collected; nothing of it runs again (P3)."""

    fate = "done"

    def __init__(self, id: str, message: str) -> None:
        self.id, self.message = id, message
        super().__init__(id, message)

    def __str__(self) -> str:
        return f"workflow {self.id!r} was collected: {self.message}; its id stays taken: use another one"
