"""An engine that several workers share: what a Resonate Server and Resonate in Postgres have in common.

Workers of one group share its work; a workflow is started in the group of its app. A worker that dies holds its tasks
for the rest of their lease, and then the engine gives them to others. One that is told to stop gives them back at once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
from resonate.resonate import Resonate
from resonate_base.connections import Network, Source

from recordfirst.core.exceptions import AllowedErrors
from recordfirst.engine.resonate import ResonateEngine
from recordfirst.engine.sdk import steps as sdk
from recordfirst.process.seams import NO_SEAMS, Seams

LEASE = timedelta(seconds=15)
"""How long the tasks of a worker that was killed wait for another one. It is twice the time between two heartbeats: a
process that is held up for longer works on beside its successor, and receipts keep that from doing harm."""


class Membership(msgspec.Struct, frozen=True):
    """Which part of an engine's work a worker has."""

    group: str
    """Whose work it takes."""
    home: str
    """Where the workflows of its app are started."""
    concurrency: int
    encryptor: Any
    errors: AllowedErrors | None = None
    """The classes that an error from the engine may be rebuilt as."""
    seams: Seams = NO_SEAMS


class SharedEngine(ResonateEngine):
    """An engine on connections of our own, so that the one which brings work can be closed before the other."""

    def __init__(
        self,
        network: Network,
        source: Source,
        identity: str,
        pid: str,
        membership: Membership,
        token: str | None = None,
    ) -> None:
        """``token``: goes into each request, beside what the connections do with it."""
        self._source = source
        resonate = Resonate(
            network=network,
            sources=[source],
            group=membership.group,
            pid=pid,
            ttl=membership.seams.lease or LEASE,
            retry_policy=sdk.PLAIN_RETRIES,
            max_concurrent_tasks=membership.concurrency,
            encryptor=membership.encryptor,
            token=token,
            clock=membership.seams.now_ms,
            env={},
            subscription_refresh_secs=0,
            autostart=False,
        )
        self._shut: Callable[[], None] = sdk.gate(resonate)
        super().__init__(
            resonate, identity, exclusive=False, lasting=True, home=membership.home, errors=membership.errors
        )

    def busy_tasks(self) -> int:
        """How many tasks work in this worker, or were delivered and are to be taken. Those that only wait take no room,
        unless there are so many that none is to be added.
        """
        here = sdk.tasks_here(self.resonate)
        return here if self.places.is_crowded else here - self.places.waiting

    async def stop(self, *, at_once: bool = False) -> None:
        del at_once  # others wait for leases, and not for this worker
        self._shut()
        self.places.closing = True
        await self._source.stop()
        # The leases are kept meanwhile: a step that takes long is not begun by somebody else.
        await sdk.finish_tasks(self.resonate)
        await self.resonate.stop()
