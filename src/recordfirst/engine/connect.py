"""From what ``App(engine=...)`` was given to an engine."""

from __future__ import annotations

from typing import Any

from resonate.resonate import Resonate

from recordfirst.engine import leaf
from recordfirst.engine.contract import Engine
from recordfirst.engine.local import LocalEngine, ResonateEngine, memory_identity
from recordfirst.errors import Misuse

_HOW = "give None, the http(s) URL of a Resonate Server, or a Resonate object"


def check(given: object) -> None:
    """Raise ``Misuse`` if no engine can be made of what ``App(engine=...)`` was given."""
    if isinstance(given, str) and not given.startswith(("http://", "https://")):
        raise Misuse(f"engine={given!r}: {_HOW}")
    if given is not None and not isinstance(given, str | Resonate):
        raise Misuse(f"engine={given!r} is {type(given).__name__}: {_HOW}")


def connect(given: str | Resonate | None, *, concurrency: int, encryptor: Any) -> Engine:
    """Return the engine, not started.

    Raises:
        Misuse: if it is none that is known, or a Resonate object that worked and was stopped.
    """
    check(given)
    if isinstance(given, str):
        resonate = Resonate(
            url=given,
            max_concurrent_tasks=concurrency,
            encryptor=encryptor,
            env={},
            subscription_refresh_secs=0,
            autostart=False,
        )
        return ResonateEngine(resonate, given, exclusive=False, lasting=True)
    if given is None:
        return LocalEngine(concurrency=concurrency)
    if leaf.was_stopped(given):
        raise Misuse("the Resonate object given as engine= was stopped, and cannot be started again: make a new one")
    local = leaf.is_local(given)
    if local:
        leaf.guard_releases(given)
    # An in-memory Resonate of the caller's forgets with this process, so it is a new engine each time.
    return ResonateEngine(given, memory_identity() if local else "resonate", exclusive=local, lasting=not local)
