"""``python -m benchmarks.pending.web DSN``: the web server that takes Stripe's events in; a line says its address."""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from benchmarks.pending.shop import events, shop
from recordfirst.cli.common import collect_seldom, loop_factory


async def serve(dsn: str) -> None:
    """Serve until SIGTERM."""
    async with shop(dsn) as app:
        web = Starlette(routes=[Route("/events", app.events(events()), methods=["POST"])])
        listening = socket.create_server(("127.0.0.1", 0))
        sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{listening.getsockname()[1]}/events"}) + "\n")
        sys.stdout.flush()
        await uvicorn.Server(uvicorn.Config(web, log_config=None, ws="none", lifespan="off")).serve([listening])


if __name__ == "__main__":
    collect_seldom()
    asyncio.run(serve(sys.argv[1]), loop_factory=loop_factory())
