"""The demo's other processes: the simulator, and the workers that it kills."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process

from recordfirst.errors import Misuse

_START_S = 30.0
"""The time that a process has to report that it is ready."""


async def simulator(seed: int) -> tuple[Process, str]:
    """Start the Stripe simulator with its faults; return it with its URL."""
    # Rates per request: a bad day, compressed into a few seconds.
    faults = {
        "decline": 0.04,
        "lost-reply": 0.02,
        "error-before": 0.01,
        "error-after": 0.01,
        "rate-limited": 0.01,
        "reset-before": 0.01,
        "slow": 0.01,
    }
    options = [word for name, rate in faults.items() for word in (f"--{name}", str(rate))]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "recordfirst.testing.stripe", "--port", "0", "--seed", str(seed), *options, stdout=PIPE
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), _START_S)
    if not line:
        raise Misuse("the Stripe simulator did not start; its output is above")
    return process, json.loads(line)["url"]


async def end(process: Process) -> None:
    """Ask a process to end, and wait until it has."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    await process.wait()


class Workers:
    """``count`` worker processes. With an embedded engine one works, the others stand by. A killed one is replaced."""

    def __init__(self, count: int, module: str, arguments: list[str], seed: int) -> None:
        self._count, self._module, self._arguments = count, module, arguments
        self._processes: list[Process] = []
        self._working: list[Process] = []
        self._chance = random.Random(seed)  # noqa: S311 - kills, not secrets
        self._watchers: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Condition()
        self._ending = False
        self.kills = 0
        self.failed: str | None = None

    async def start(self) -> None:
        """Start all of them."""
        for _ in range(self._count):
            await self._spawn()

    async def kill_working(self) -> None:
        """SIGKILL a random working process, start a replacement, and wait until one works again."""
        async with self._turn:
            await self._turn.wait_for(lambda: self._working or self.failed is not None)
            if not self._working:
                return
            victim = self._working.pop(self._chance.randrange(len(self._working)))
        victim.kill()
        await victim.wait()
        self.kills += 1
        await self._spawn()
        async with self._turn:
            await self._turn.wait_for(lambda: self._working or self.failed is not None)

    async def end(self) -> None:
        """Ask all processes to end, and wait until they have."""
        self._ending = True
        await asyncio.gather(*(end(process) for process in self._processes))
        await asyncio.gather(*self._watchers)

    async def _spawn(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module, *self._arguments, stdout=PIPE
        )
        self._processes.append(process)
        task = asyncio.create_task(self._watch(process))
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def _watch(self, process: Process) -> None:
        assert process.stdout is not None
        if await process.stdout.readline():
            async with self._turn:
                self._working.append(process)
                self._turn.notify_all()
        status = await process.wait()
        self._processes.remove(process)
        if status != -signal.SIGKILL and not self._ending:
            async with self._turn:
                self.failed = f"a worker ended by itself with status {status}; its output is above"
                self._turn.notify_all()
