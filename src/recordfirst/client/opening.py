"""Opens an app's record: connects, checks tables and encryptor, and closes it again if one of them is wrong."""

from __future__ import annotations

from typing import Any, Protocol

from recordfirst.client.engines import Engines
from recordfirst.execution.runtime import Runtime
from recordfirst.operations.schema import Schema
from recordfirst.records.contract import Record


class _Opens(Protocol):
    """What is needed of an app."""

    name: str
    runtime: Runtime
    engines: Engines
    schema: Schema


async def open_record(app: _Opens, record: Record[Any], *, joins: bool) -> None:
    """Open it; ``joins``: for steps, too, and not to be read alone."""
    await record.open(app.name)
    try:
        await app.schema.check()
        record.cover_errors(app.runtime.sealing if app.runtime.sealing.on else None)
        if joins:
            await app.runtime.sealing.open(record)
            app.runtime.joined = await app.engines.joined()
    except BaseException:
        await record.close()
        raise
