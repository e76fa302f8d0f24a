"""Reconcilers that die: ``python -m tests.restores.reconciler RECORD ENGINE BOOKS``.

Each line that it reads is the number of the step before which the next one dies, 0 for never; whether it accepts a
restore; and the passes that it names. It forks one, and answers with its status once it has ended: 9 if it died. A step
is a statement of the record, a COMMIT, or a request to the engine, so that it also dies between each and the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from recordfirst.engine.resonate import ResonateEngine
from recordfirst.reconcile.passes import providers as auditing
from recordfirst.reconcile.passes import references
from recordfirst.records.one_connection import OneConnection
from tests.restores.amiss import app_of


def main(record: str, engine: str, books: str) -> None:
    """Fork for each line."""
    logging.disable(logging.CRITICAL)
    references._SETTLING_S, auditing._STEP_MS = 0.0, 3 * 86_400_000  # fewer steps, and no waiting between them
    while line := sys.stdin.readline():
        at, accept, only = line.split()
        pid = os.fork()
        if pid == 0:
            app = app_of(record, engine, books)
            _die(app.runtime.record, int(at))
            asyncio.run(_reconcile(app, accept=accept == "accept", only=[] if only == "-" else only.split(",")))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


async def _reconcile(app: Any, *, accept: bool, only: list[str]) -> None:
    async with app:
        await app.reconcile(apply=True, accept_restore=accept, only=only, who="ann", why="it is time")


def _die(record: Any, at: int) -> None:
    """Let this process die at its step of this number."""
    steps = itertools.count(1)

    def step() -> None:
        if next(steps) == at:
            os._exit(9)

    def stepping(method: Any) -> Any:
        async def stepped(*args: Any, **kwargs: Any) -> Any:
            step()
            return await method(*args, **kwargs)

        return stepped

    def committing(transaction: Any) -> Any:
        @contextlib.asynccontextmanager
        async def opened() -> AsyncIterator[Any]:
            async with transaction() as tx:
                yield tx
                step()

        return opened

    OneConnection._rows = stepping(OneConnection._rows)  # type: ignore[method-assign]
    record.transaction = committing(record.transaction)
    for name in ("look", "noted", "note", "settle"):
        setattr(ResonateEngine, name, stepping(getattr(ResonateEngine, name)))


if __name__ == "__main__":
    main(*sys.argv[1:])
