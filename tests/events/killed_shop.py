"""The web server and the worker of ``examples/fastapi_stripe`` as processes of their own, which are killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import socket
from multiprocessing.process import BaseProcess

import aiohttp

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["uvicorn", "fastapi", "recordfirst.cli.main", "recordfirst.records.postgres", "recordfirst.providers.stripe"]
)
SHOP = "examples.fastapi_stripe.shop"


def serve(env: dict[str, str], port: int) -> None:
    """Be ``uvicorn shop:web``."""
    os.environ.update(env)
    import uvicorn  # noqa: PLC0415 - the shop looks at the environment when it is imported

    uvicorn.run(f"{SHOP}:web", port=port, log_level="warning", ws="none")


def work(env: dict[str, str]) -> None:
    """Be ``recordfirst worker --app shop:app``."""
    os.environ.update(env)
    from recordfirst.cli.main import main  # noqa: PLC0415

    main(["worker", "--app", f"{SHOP}:app"])


class Killed:
    """A web server and a worker; each is killed and begun anew, at a time of chance."""

    def __init__(self, env: dict[str, str], seed: int) -> None:
        self.env, self.chance = env, random.Random(seed)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.web = self._web()
        self.worker = self._worker()

    async def kill(self, times: int) -> None:
        """Kill each so often; a web server when it answers, a worker some time after it has begun."""
        await asyncio.gather(self._kill_web(times), self._kill_worker(times))

    async def _kill_web(self, times: int) -> None:
        for _ in range(times):
            await self.until_it_answers()
            await asyncio.sleep(self.chance.uniform(0, 0.4))
            await kill(self.web)
            self.web = self._web()

    async def _kill_worker(self, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(self.chance.uniform(0.3, 1.2))
            await kill(self.worker)
            self.worker = self._worker()

    async def until_it_answers(self) -> None:
        """Wait for the web server."""
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while True:
                try:
                    async with session.get(f"{self.url}/orders/none") as reply:
                        if reply.status == 404:
                            return
                except (aiohttp.ClientError, OSError):
                    await asyncio.sleep(0.02)

    async def close(self) -> None:
        """End both."""
        await kill(self.web)
        await kill(self.worker)

    def _web(self) -> BaseProcess:
        return begun(PROCESSES.Process(target=serve, args=(self.env, self.port)))

    def _worker(self) -> BaseProcess:
        return begun(PROCESSES.Process(target=work, args=(self.env,)))


def begun(process: BaseProcess) -> BaseProcess:
    process.start()
    return process


async def kill(process: BaseProcess) -> None:
    """With SIGKILL. One that ended by itself is a failure."""
    assert process.exitcode is None, f"it ended by itself, with {process.exitcode}"
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    while process.exitcode is None:  # not join() in a thread: start() polls too, and one of the two would read 255
        await asyncio.sleep(0.002)
    assert process.exitcode == -signal.SIGKILL
    process.close()
