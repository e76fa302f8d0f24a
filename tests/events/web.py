"""A FastAPI app on uvicorn, with the endpoint as the how-to mounts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.routing import Route

PATH = "/stripe/events"


def web_of(endpoint: Any) -> FastAPI:
    return FastAPI(routes=[Route(PATH, endpoint, methods=["POST"])])


@asynccontextmanager
async def served(web: Any) -> AsyncIterator[str]:
    """Serve it, and give its URL."""
    server = uvicorn.Server(uvicorn.Config(web, port=0, log_config=None, ws="none", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(20):
            while not server.started:
                await asyncio.sleep(0.005)
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await serving
