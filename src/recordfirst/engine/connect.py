"""From what ``App(engine=...)`` was given to an engine."""

from __future__ import annotations

from typing import Any

from resonate.connections import LocalConnection
from resonate.resonate import Resonate

from recordfirst.engine.contract import Engine
from recordfirst.engine.local import LocalEngine, ResonateEngine, memory_identity
from recordfirst.errors import Misuse


def connect(given: str | Resonate | None, *, concurrency: int, encryptor: Any) -> Engine:
    """Return the engine, not started.

    Raises:
        Misuse: if it is none that is known.
    """
    if given is None:
        return LocalEngine(concurrency=concurrency)
    if isinstance(given, Resonate):
        local = isinstance(given._network, LocalConnection)
        # An in-memory Resonate of the caller's forgets with this process, so it is a new engine each time.
        return ResonateEngine(given, memory_identity() if local else "resonate", exclusive=local)
    if given.startswith(("http://", "https://")):
        resonate = Resonate(
            url=given,
            max_concurrent_tasks=concurrency,
            encryptor=encryptor,
            env={},
            subscription_refresh_secs=0,
            autostart=False,
        )
        return ResonateEngine(resonate, given, exclusive=False)
    raise Misuse(f"engine={given!r}: give None, the http(s) URL of a Resonate Server, or a Resonate object")
