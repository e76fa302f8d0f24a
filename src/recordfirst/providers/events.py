"""What recordfirst must know of a provider's signed events: who verifies them, and what they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from recordfirst.core.event import NewEvent

MOST_BYTES = 1_000_000
"""The largest body that is read, if a source says nothing else."""
TOLERANCE_S = 300
"""How old a signature may be, in seconds."""


class BadSignature(Exception):  # noqa: N818 - what the endpoint answers 400 to
    """The request was not signed with a secret of ours, or too long ago. Nothing of it is to be believed."""


class NotAnEvent(Exception):  # noqa: N818 - what the endpoint answers 400 to
    """The request is signed, and is none of the events that the source reads."""


class EventSource(Protocol):
    """One provider's events."""

    @property
    def name(self) -> str:
        """The provider's, as its effects have it."""

    @property
    def most_bytes(self) -> int:
        """The largest body that is read."""

    def read(self, body: bytes, headers: Mapping[str, str]) -> NewEvent:
        """Verify, and say what it is. Headers are by small letters.

        Raises:
            BadSignature: if none of the secrets has signed it, or too long ago.
            NotAnEvent: if it is something else.
        """

    def is_ours(self, event: NewEvent) -> bool:
        """Whether it may touch the app's rows: a test event never touches live ones."""


class ListsEvents(EventSource, Protocol):
    """A source that can also be asked what it has sent."""

    @property
    def client(self) -> Any:
        """What the app provides, and :meth:`page` is called with."""

    @property
    def lists_s(self) -> float:
        """How far back it can be asked, in seconds."""

    async def page(self, client: Any, since_ms: int, after: str | None) -> tuple[list[NewEvent], str | None]:
        """Events since then, newest first, and what ``after`` is for the next page; ``None`` at the end."""
