"""The contract of an engine. The engine coordinates; the record decides, whatever the engine says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from resonate.context import Context

from recordfirst.process.places import Places
from recordfirst.records.contract import Session

type EngineState = Literal["running", "settled"]


class Engine(Protocol):
    """One connection to Resonate, with workflows registered on it."""

    identity: str
    """Stored with each start that it was given. A new identity means that it knows nothing of older starts."""
    exclusive: bool
    """Whether only one worker process may work with it at a time."""
    lasting: bool
    """Whether what it was given outlives the worker's process."""
    places: Places
    """What the bodies that it hands over run in."""

    def register(self, name: str, function: Callable[..., Any], alias: object) -> None:
        """Make a workflow's body runnable by name, and by ``alias``, the object users know. Before :meth:`start`."""

    def register_unknown(self, of: Callable[[str], Callable[..., Any]]) -> None:
        """Run what ``of`` makes for the name of any other workflow. Before :meth:`start`."""

    async def open(self) -> None:
        """Come into possession of what it keeps; from here on ``identity`` is known. Nothing runs yet.

        Raises:
            EngineInUse: if it is another process's.
            EngineUnreadable: if it cannot be used.
        """

    async def drop(self, stale: Callable[[Sequence[str]], Awaitable[Sequence[str]]]) -> None:
        """Drop what ``stale`` says of the epochs that it holds, page by page: another engine has them, or none (P6)."""

    async def start(self) -> None:
        """Let run what it has, and what it is given."""

    async def stop(self, *, at_once: bool = False) -> None:
        """Take no new work, let what runs come to its end, close.

        An engine that others work for, too, begins no new step, and gives the workflow back to them. ``at_once``: the
        lease is lost, and a successor waits for an engine that only one can have open: it does not wait for what runs.
        """

    async def create(self, id: str, name: str, arguments: Mapping[str, Any]) -> EngineState:
        """Create the promise of a workflow's epoch, which makes a worker run it; the same again changes nothing."""

    async def look(self, id: str) -> EngineState | None:
        """Say what became of a promise; ``None`` if the engine does not have it. Changes nothing."""

    async def settle(self, id: str) -> bool:
        """Settle a promise that a parked workflow waits on; ``False`` if the engine does not have it (yet)."""

    async def note(self, id: str, text: str) -> str:
        """Keep a text under this id, unless there is one; return the one that is kept. It runs nothing."""

    async def noted(self, id: str) -> str | None:
        """Return the text that is kept under this id, if there is one."""

    async def ended(self, after: str) -> list[str]:
        """Return the next ids behind ``after``, in order, of what has ended and could be forgotten; at the end none."""

    def tell_unreadable(self, found: Callable[[str], None]) -> None:
        """Call ``found`` with the id of each promise that cannot be read: it was encrypted with another key, say."""

    def forget(self, id: str) -> None:
        """A workflow's epoch has ended and the record says so, or a note was settled: drop what is held of it.

        An engine in a server has no request that deletes, and collects what is settled by its own rules.
        """


class Joined(Protocol):
    """An engine in the record's own database: what a transaction asks of it commits with that transaction.

    ``App`` has one, or has not (:func:`recordfirst.engine.connect.join`); nothing asks which engine it is.
    """

    identity: str
    """As :attr:`Engine.identity`."""

    async def create(self, tx: Session[Any], epochs: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[EngineState]:
        """Create the promises of epochs, each with its id, workflow and arguments, as :meth:`Engine.create` does."""

    async def settle(self, tx: Session[Any], ctx: Context, value: Any) -> Callable[[], None] | None:
        """Settle the step that runs in ``ctx``. The last statement before COMMIT: it locks heartbeats out until then.

        Returns what is to be called after COMMIT; ``None`` if the step is not ours to settle: then roll back.
        """
