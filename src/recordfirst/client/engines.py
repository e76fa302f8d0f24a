"""The engine of an app: a worker connects to it, an operator's command asks it from outside."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from resonate.error import ResonateError
from resonate.resonate import Resonate
from resonate_base.error import ConnectorError

from recordfirst.core import identity
from recordfirst.core.text import safe_text
from recordfirst.engine.connect import connect, join
from recordfirst.engine.contract import Engine, Joined
from recordfirst.engine.options import Embedded
from recordfirst.engine.shared import Membership
from recordfirst.errors import EngineUnavailable
from recordfirst.execution.runtime import Runtime
from recordfirst.execution.sealing import Encryptor
from recordfirst.worker.dispatcher import Dispatcher


class Engines:
    """One app's engine, as often as it is opened."""

    def __init__(
        self,
        runtime: Runtime,
        given: str | Embedded | Resonate | None,
        concurrency: int,
        encryptor: Encryptor | None,
    ) -> None:
        self._runtime, self.given = runtime, given
        self._concurrency, self._encryptor = concurrency, encryptor

    @property
    def have_groups(self) -> bool:
        """Whether workers of other groups can share it: a Resonate Server, or resonate-pg."""
        return isinstance(self.given, str)

    def membership(self, group: str | None = None) -> Membership:
        """A worker's part in an engine: of the app's own group, or of another."""
        home = identity.group(self._runtime.app)
        runtime = self._runtime
        return Membership(group or home, home, self._concurrency, self._encryptor, runtime.errors, runtime.seams)

    def connect(self, group: str | None = None) -> Engine:
        """Return the engine, not opened yet."""
        return connect(self.given, self.membership(group), self._runtime.record)

    async def joined(self) -> Joined | None:
        """The engine as a part of the record's transactions, where it is in the record's database."""
        return await join(self.given, self.membership(), self._runtime.record)

    @contextlib.asynccontextmanager
    async def to_ask(self, dispatcher: Dispatcher | None) -> AsyncIterator[Engine | None]:
        """The worker's own engine, or one that can be asked from outside; ``None`` if it is in another process."""
        if dispatcher is not None:
            yield dispatcher.engine
            return
        engine = self.connect()
        if engine.exclusive:
            yield None
            return
        try:
            await engine.open()
            yield engine
        except (ResonateError, ConnectorError) as error:
            raise EngineUnavailable(engine.identity, safe_text(error)) from error
        finally:
            await engine.stop()
