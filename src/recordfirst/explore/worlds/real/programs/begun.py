"""Starts the programs of a real world: the outside, the fork server, and the workers that it forks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from recordfirst.errors import Misuse
from recordfirst.explore.worlds.real.programs.sending import Sent
from recordfirst.explore.worlds.real.proxies.http import HttpProxy
from recordfirst.explore.worlds.real.proxies.postgres import PostgresProxy
from recordfirst.explore.worlds.real.proxies.side import Side

_LOOK_S = 0.01
"""The pause between two checks whether a worker is alive; not every system reports another process's child."""
_TAIL = 400
"""How many characters of a worker's log are shown if it ends by itself."""


class _Answer(msgspec.Struct):
    pid: int = 0
    error: str = ""
    url: str = ""


class Program:
    """A program that gets messages line by line, and ends with its input."""

    def __init__(self, module: str, *words: str) -> None:
        # It has its own process group: an interrupt does not reach it, and at the end all that it has forked is killed.
        self._popen = subprocess.Popen(  # noqa: S603 - this interpreter, and modules of ours
            [sys.executable, "-m", f"recordfirst.explore.worlds.real.programs.{module}", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def hear(self) -> _Answer:
        """Wait for its next line.

        Raises:
            Misuse: if it reports an error, or is gone.
        """
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise Misuse("a program of the real world has ended by itself; its output is above")
        answer = msgspec.json.decode(line, type=_Answer)
        if answer.error:
            raise Misuse(answer.error)
        return answer

    def tell(self, line: bytes) -> _Answer:
        """Send a line, and wait for the answer."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(line + b"\n")
        self._popen.stdin.flush()
        return self.hear()

    def end(self) -> None:
        """End it, with all that it has forked."""
        if self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()


class Programs:
    """The programs of a world: the outside and the fork server. Both start together, because imports take a second."""

    def __init__(self, outside_file: Path) -> None:
        self.outside = Program("outside_server", str(outside_file))
        self.fork_server = Program("fork_server")

    def begin(self, sent: Sent) -> str:
        """Wait until both are ready, and the fork server has imported the case; return the outside's URL.

        Raises:
            Misuse: if the case cannot be imported.
        """
        self.fork_server.tell(base64.b64encode(msgspec.msgpack.encode(sent)))
        return self.outside.hear().url

    def end(self) -> None:
        """End both, and all workers."""
        for program in (self.fork_server, self.outside):
            program.end()


class WorkerProgram:
    """A worker: a process of the machine, with its proxies."""

    def __init__(self, side: Side, log: Path, record: PostgresProxy | None, others: list[HttpProxy]) -> None:
        self.side, self.record, self._others, self._log = side, record, others, log
        self.pid = 0
        self.has_ended = False
        """Whether it has reported that the workflow has ended."""
        self.why = ""
        """The error with which it reports that it failed."""
        self.gone = asyncio.Event()
        self.stalled = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def open(self) -> None:
        """Open its proxies."""
        if self.record is not None:
            await self.record.open()
        for proxy in self._others:
            await proxy.open()

    def is_born(self, pid: int) -> None:
        """Watch it from now on."""
        self.pid = pid
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        """Poll its process id: it is another process's child, and vanishes at its end. Ids are not reused so soon."""
        while not self.gone.is_set():
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                self.gone.set()
            else:
                await asyncio.sleep(_LOOK_S)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is alive."""
        if not self.gone.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def end(self) -> None:
        """Kill it, and wait until nothing of it is left."""
        self.goes_on.set()
        if self.pid:
            self.signal(signal.SIGKILL)
            await self.gone.wait()
        if self.record is not None:
            await self.record.close()
        for proxy in self._others:
            await proxy.close()
        self.side.open.clear()

    def tail(self) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            return " ".join(self._log.read_text(errors="replace")[-_TAIL:].split())
        return ""
