"""The payment service, as a process of its own: it honours idempotency keys, and costs as little as it can.

It prints its URL and ends when its standard input does, so it cannot outlive the run.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec
from aiohttp import web


class Service:
    """Charges by path and key, in memory."""

    def __init__(self) -> None:
        self._charges: dict[tuple[str, str], tuple[bytes, bytes]] = {}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Charge once per key; the same key with another request is refused."""
        key, asked = (request.path, request.headers["Idempotency-Key"]), await request.read()
        charge = msgspec.json.encode({"id": f"ch_{len(self._charges) + 1}"})
        first, stored = self._charges.setdefault(key, (asked, charge))
        return web.Response(body=stored) if first == asked else web.Response(status=400)


async def main() -> None:
    """Serve until standard input ends."""
    runner = web.ServerRunner(web.Server(Service().answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
