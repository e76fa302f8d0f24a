"""What a declaration asks of the app that runs it; a step knows no more of the app than this."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Protocol

from recordfirst.observe import Observer
from recordfirst.steps.injection import Injector


class Host(Protocol):
    """The app, as a step's declaration sees it."""

    app: str
    """Its name."""
    restores: int
    """How many restores of the record are known."""
    injector: Injector
    observe: Observer

    @property
    def executor(self) -> Executor:
        """Threads for sync functions."""

    def seal(self, text: str) -> str:
        """JSON text as it goes into the record."""

    def unseal(self, text: str) -> str:
        """JSON text as it was before :meth:`seal`."""

    def fingerprint(self, *parts: str) -> str:
        """What tells one request from another, and gives nothing of it away."""
