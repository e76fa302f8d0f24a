"""The embedded engine, as an app has it: one file, no server; one worker process works with it at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from resonate.resonate import Resonate

from recordfirst.core import identity
from recordfirst.engine.embedded.connection import EmbeddedConnection
from recordfirst.engine.options import Durability
from recordfirst.engine.resonate import ResonateEngine
from recordfirst.engine.sdk import steps as sdk
from recordfirst.engine.sdk.sender import ask_directly, faults_alone
from recordfirst.engine.shared import Membership

_LEASE = timedelta(seconds=60)
"""For tasks that nothing runs, though they were not given back. While one runs here its lease does not end."""
_PAGE = 1_000
"""Epochs looked at in one go."""


def _is_of(home: str, id: str) -> bool:
    """Whether a task is the app's whose workflows start in this group: two apps may have one file in turn."""
    try:
        app, *_ = identity.parse_engine_id(id)
    except ValueError:
        return True  # no app's
    return identity.group(app) == home


class EmbeddedEngine(ResonateEngine):
    """The engine on its connection; see the module."""

    def __init__(self, path: str | Path, durability: Durability, membership: Membership) -> None:
        self._folder = None if str(path) == ":memory:" else Path(path).parent
        self._connection = EmbeddedConnection(
            path,
            durability=durability,
            group=membership.group,
            serves=partial(_is_of, membership.home),
            clock=membership.seams.now_ms,
            seams=membership.seams,
        )
        resonate = Resonate(
            network=self._connection,
            heartbeat=self._connection.held,
            ttl=_LEASE,
            max_concurrent_tasks=membership.concurrency,
            group=membership.group,
            retry_policy=sdk.PLAIN_RETRIES,
            subscription_refresh_secs=0,
            encryptor=membership.encryptor,
            observer=faults_alone,
            clock=membership.seams.now_ms,
            env={},
            autostart=False,
        )
        self._shut: Callable[[], None] = ask_directly(resonate)
        super().__init__(resonate, "", exclusive=True, lasting=self._folder is not None, errors=membership.errors)

    async def open(self) -> None:
        if self._folder is not None:
            with contextlib.suppress(OSError):  # opening the file says what is wrong
                self._folder.mkdir(exist_ok=True)
        self.identity = f"embedded:{self._connection.identity}"

    async def stop(self, *, at_once: bool = False) -> None:
        self._shut()
        self.places.closing = True
        if not at_once:
            # The file stays open for what runs. What waits for its turn stays pending.
            await sdk.finish_tasks(self.resonate)
        await super().stop()

    async def drop(self, stale: Callable[[Sequence[str]], Awaitable[Sequence[str]]]) -> None:
        after = ""
        while page := await self._connection.roots(after, _PAGE):
            await self._connection.drop(await stale(page))
            after = page[-1]

    async def ended(self, after: str) -> list[str]:
        return await self._connection.ended(after, _PAGE)

    def forget(self, id: str) -> None:
        self._connection.collect(id)
