"""The outside as a program: ``python -m recordfirst.explore.worlds.real.programs.outside_server FILE``.

It serves an :class:`Outside` under ``/outside/`` and Stripe's API, from the simulator, under ``/v1/``. Both keep their
state in FILE. When it is ready, it prints ``{"url": ...}``. It ends with its input.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from recordfirst.testing.outside import Asked, KeyReused, Outside, Refused
from recordfirst.testing.stripe.double import double_of


class _Apply(msgspec.Struct):
    kind: str
    request: Any
    options: dict[str, Any]


class _Server:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._forget()

    def _forget(self) -> None:
        self._path.unlink(missing_ok=True)
        self._outside = Outside(self._path, lambda: time.time_ns() // 1_000_000)
        self._stripe = double_of(self._outside)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if request.path.startswith("/outside/"):
            what = request.path.removeprefix("/outside/")
            return _json(self._applies(body) if what == "apply" else self._answers(what, dict(request.query), body))
        reply, late_s = self._stripe.ask(request.method, str(request.url), request.headers, body.decode())
        await asyncio.sleep(late_s)
        if reply.delivery != "send" and request.transport is not None:
            request.transport.abort()
        return web.Response(
            status=reply.status or 500, body=reply.body, headers=reply.headers, content_type="application/json"
        )

    def _applies(self, body: bytes) -> Any:
        given = msgspec.json.decode(body, type=_Apply)
        try:
            return {"result": self._outside.apply(given.kind, given.request, **given.options)}
        except KeyReused as reused:
            return {"reused": str(reused)}
        except Refused as refused:
            return {"refused": refused.reason}

    def _answers(self, what: str, query: dict[str, str], body: bytes) -> Any:
        match what:
            case "find":
                return self._outside.find(query["kind"], query["marker"])
            case "asked":
                return self._outside.asked[int(query["since"]) :]
            case "keep":
                self._outside.keep(msgspec.json.decode(body, type=Asked))
            case "forget":
                self._forget()
            case _:
                raise web.HTTPNotFound
        return None


def _json(shown: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(shown), content_type="application/json")


async def _serve(path: Path) -> None:
    with contextlib.suppress(ModuleNotFoundError):  # an extra; the import takes a second, as the fork server's does
        importlib.import_module("recordfirst.providers.stripe")
    runner = web.ServerRunner(web.Server(_Server(path).answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    sys.stdout.write(msgspec.json.encode({"url": f"http://{host}:{port}"}).decode() + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
