"""A second process for the conformance suite: real, so that it can be killed.

It reads a pickled function that makes the record, says in lines what it has done, and ends when its input does.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from recordfirst.core.receipt import NewReceipt
from recordfirst.core.start import NewStart
from recordfirst.records.contract import Record

type MakeRecord = Callable[[], Record[Any]]


class ActingProcess:
    """One running action."""

    def __init__(self, make_record: MakeRecord, action: str, app: str = "shop") -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", __name__, action, app], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.say(base64.b64encode(pickle.dumps(make_record)).decode())

    def say(self, line: str) -> None:
        """Let it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        """Wait for its next line; empty if it ended."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is said good-bye to."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Leave nothing behind."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@contextlib.contextmanager
def process(make_record: MakeRecord, action: str, app: str = "shop") -> Iterator[ActingProcess]:
    """Run an action of this module beside the test."""
    running = ActingProcess(make_record, action, app)
    try:
        yield running
    finally:
        running.end()


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _next() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


async def _lease(record: Record[Any]) -> None:
    async with record.lease("worker"):
        _say("held")
        await _next()


async def _migrate(record: Record[Any]) -> None:
    _say("ready")
    await _next()
    _say(len(await record.migrate()))
    await _next()


async def _notify(record: Record[Any]) -> None:
    _say("ready")
    await _next()
    async with record.transaction() as tx:
        await tx.add_starts([NewStart(id="far", workflow="w", arguments="{}", fingerprint="f")])
        await record.notify(tx)
    _say("notified")
    await _next()


async def _write(record: Record[Any]) -> None:
    """Try to store 50 keys that another process wants as well."""
    _say("ready")
    await _next()
    stored = 0
    for number in range(50):
        stored += await _store(record, f"contended:{number}")
    _say(stored)
    await _next()


async def _store(record: Record[Any], key: str) -> int:
    receipt = NewReceipt(
        key=key, kind="write", function="f", workflow="w", state="succeeded", fingerprint="f", request="{}"
    )
    while True:
        try:
            async with record.transaction() as tx:
                return len(await tx.add_receipts([receipt]))
        except Exception as error:
            if record.fault(error) != "contention":
                raise


_ACTIONS = {"lease": _lease, "migrate": _migrate, "notify": _notify, "write": _write}


async def _main(action: str, app: str) -> None:
    make_record: MakeRecord = pickle.loads(base64.b64decode(sys.stdin.readline()))  # noqa: S301 - from our parent
    record = make_record()
    await record.open(app)
    try:
        await _ACTIONS[action](record)
    finally:
        await record.close()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
