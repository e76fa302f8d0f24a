"""A Resonate Server for tests: the SDK's own in-memory state, spoken to over HTTP and server-sent events.

It keeps its state as long as it lives, delivers each task to one worker of the group in turn, and can take a task away
from a worker as a lapsed lease does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web
from resonate.connections.local import ServerState, unwrap_request_envelope, wrap_response_envelope
from resonate.ids import origin_of
from resonate.timing import now_ms

_TICK_S = 0.05
_FENCED = {"task.acquire", "task.release", "task.fulfill", "task.suspend"}


class Server:
    """One server; ``async with server.running() as url``."""

    def __init__(self) -> None:
        self.state = ServerState()
        self.requests: Counter[str] = Counter()
        self.deliveries: list[tuple[str, str]] = []
        """Which worker (by its pid) was given which task."""
        self.refusing = False
        """Set to have it create nothing."""
        self.refused: Counter[str] = Counter()
        self.stalling: set[str] = set()
        """Kinds of which the next request is never answered."""
        self.token: str | None = None
        """What each request's head, and the header of whoever listens, must hold."""
        self._workers: dict[str, asyncio.Queue[str]] = {}
        self._turn = itertools.count()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/", self._request)
        app.router.add_get("/poll/{group}/{pid}", self._poll)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ticking = asyncio.create_task(self._tick())
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
            await runner.cleanup()

    def take_away(self, task: str) -> None:
        """The lease of this task has lapsed: somebody else is to have it, in a new version."""
        for timeout in self.state.t_timeouts:
            if timeout.id == task:
                timeout.timeout = 0
        self._run(lambda: self.state.tick(now_ms()))

    @property
    def workers(self) -> int:
        """How many listen."""
        return len(self._workers)

    def _run(self, work: Any) -> Any:
        self.state.outgoing = []
        result = work()
        messages, self.state.outgoing = self.state.outgoing, []
        for message in messages:
            self._deliver(message.address, message.message)
        return result

    def _deliver(self, address: str, message: Any) -> None:
        """To the one that is named, or to one of all in turn. Whom nobody hears is delivered again by a later tick."""
        kind, _, name = address.removeprefix("poll://").partition("@")
        if kind == "uni":
            pid = name.partition("/")[2]
        elif self._workers:
            pids = list(self._workers)
            pid = pids[next(self._turn) % len(pids)]
        else:
            return
        if pid in self._workers:
            if message["kind"] == "execute":
                self.deliveries.append((pid, message["data"]["task"]["id"]))
            self._workers[pid].put_nowait(msgspec.json.encode(message).decode())

    async def _request(self, request: web.Request) -> web.Response:
        envelope = msgspec.json.decode(await request.read())
        flat = unwrap_request_envelope(envelope)
        if envelope["head"].get("auth") != self.token:
            refused = {"kind": flat["kind"], "corrId": flat["corrId"], "status": 401, "error": "Unauthorized"}
            return web.Response(status=401, body=msgspec.json.encode(wrap_response_envelope(refused)))
        self.requests[flat["kind"]] += 1
        if flat["kind"] in self.stalling:
            self.stalling.remove(flat["kind"])
            await asyncio.Event().wait()
        refusal = self._refusal(flat)
        self.refused[flat["kind"]] += refusal is not None
        answer = refusal or self._run(lambda: self.state.apply(now_ms(), flat))
        return web.Response(body=msgspec.json.encode(wrap_response_envelope(answer)), content_type="application/json")

    def _refusal(self, flat: dict[str, Any]) -> dict[str, Any] | None:
        """What the SDK's state is too kind to say: a task's version fences all that is asked in its name."""
        if flat["kind"] == "promise.create" and self.refusing:
            return {"kind": flat["kind"], "corrId": flat["corrId"], "status": 500, "error": "not today"}
        if flat["kind"] == "task.heartbeat" and len({origin_of(task["id"]) for task in flat["tasks"]}) > 1:
            return {"kind": flat["kind"], "corrId": flat["corrId"], "status": 400, "error": "more than one origin"}
        task = self.state.tasks.get(flat.get("id", "")) if flat["kind"] in _FENCED else None
        if task is None or task.version == flat["version"]:
            return None
        return {"kind": flat["kind"], "corrId": flat["corrId"], "status": 409, "error": "another version"}

    async def _poll(self, request: web.Request) -> web.StreamResponse:
        pid = request.match_info["pid"]
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._workers[pid] = queue
        self.requests["poll"] += 1
        try:
            self._deliver_again()  # what nobody was there to hear
            while True:
                await response.write(f"data: {await queue.get()}\n\n".encode())
        finally:
            if self._workers.get(pid) is queue:  # it may listen anew
                del self._workers[pid]
            self._deliver_again()  # what this one has not heard

    def _deliver_again(self) -> None:
        for task in self.state.t_timeouts:
            if task.typ == 0 and self.state.promises[task.id].tags.get("resonate:timer") != "true":
                task.timeout = 0

    async def _tick(self) -> None:
        while True:
            self._run(lambda: self.state.tick(now_ms()))
            await asyncio.sleep(_TICK_S)
