"""Makes an engine from the argument of ``App(engine=...)``."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from resonate.resonate import Resonate

from recordfirst.core.text import shown
from recordfirst.engine.contract import Engine, Joined
from recordfirst.engine.options import Embedded
from recordfirst.engine.resonate import ResonateEngine
from recordfirst.engine.sdk import steps as sdk
from recordfirst.engine.server import server_engine
from recordfirst.engine.shared import Membership
from recordfirst.errors import Misuse
from recordfirst.records.contract import Record

_POSTGRES = ("postgresql://", "postgres://")
_SCHEMES = ("http://", "https://", *_POSTGRES)
_HOW = (
    "give None, Embedded(path), the http(s) URL of a Resonate Server, the postgresql URL of a database with Resonate "
    "in it, or a Resonate object"
)


def check(given: object) -> None:
    """Raise ``Misuse`` if no engine can be made of what ``App(engine=...)`` was given."""
    if isinstance(given, str) and not given.startswith(_SCHEMES):
        raise Misuse(f"engine={shown(given)}: {_HOW}")
    if given is not None and not isinstance(given, str | Embedded | Resonate):
        raise Misuse(f"engine={shown(given)} is {type(given).__name__}: {_HOW}")


def connect(given: str | Embedded | Resonate | None, membership: Membership, record: Record[Any]) -> Engine:
    """Return the engine, not opened.

    Raises:
        Misuse: if it is none that is known, or a Resonate object that worked and was stopped.
    """
    check(given)
    if isinstance(given, str) and given.startswith(_POSTGRES):
        engine: Engine = _postgres().PostgresEngine(given, membership, record)
        return engine
    if isinstance(given, str):
        return server_engine(given, os.environ.get("RESONATE_TOKEN"), membership)
    if given is None or isinstance(given, Embedded):
        from recordfirst.engine.embedded.engine import EmbeddedEngine  # noqa: PLC0415 - it brings a database along

        how = given or Embedded()
        return EmbeddedEngine(how.path or _default_path(membership, record), how.durability, membership)
    if sdk.was_stopped(given):
        raise Misuse("the Resonate object given as engine= was stopped, and cannot be started again: make a new one")
    local = sdk.is_local(given)
    if local:
        sdk.guard_releases(given)
    # An in-memory Resonate of the caller's forgets with this process, so it is a new engine each time.
    identity = f"memory:{membership.seams.new_id()}" if local else "resonate"
    return ResonateEngine(given, identity, exclusive=local, lasting=not local, errors=membership.errors)


async def join(given: object, membership: Membership, record: Record[Any]) -> Joined | None:
    """Return the engine as a part of the record's transactions, if it can be one: it is in the record's own database.

    The record is open. An engine that cannot be asked is none; then the dispatcher does after the commit what could
    have been done in it.
    """
    if not isinstance(given, str) or not given.startswith(_POSTGRES):
        return None
    joined: Joined | None = await _postgres().join(given, membership, record)
    return joined


def _postgres() -> ModuleType:
    try:
        from recordfirst.engine import postgres  # noqa: PLC0415 - an extra
    except ImportError as missing:
        if missing.name is None or not missing.name.startswith(("psycopg", "resonate_pg")):
            raise
        raise ImportError(
            f"engine='postgresql://...' needs resonate-pg, which cannot be imported ({missing}); "
            "run: pip install 'recordfirst[resonate-pg]'"
        ) from missing
    return postgres


def _default_path(membership: Membership, record: Record[Any]) -> Path:
    """Where an app's embedded engine is, if nobody says: one file for each app and record."""
    if record.path is not None:
        return record.path.with_name(f"{record.path.name}-{membership.home}-engine")
    return Path(".recordfirst") / f"{membership.home}-{hashlib.sha256(record.where.encode()).hexdigest()[:8]}-engine"
