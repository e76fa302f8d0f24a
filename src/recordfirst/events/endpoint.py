"""The endpoint that takes events in: plain ASGI, for any framework to mount. It verifies, stores and answers.

An event is answered 200 if the record has it, from this time or an earlier one. So no answered event is lost, and a
repeated event counts once. An unsigned event is answered 400, and nothing of it is stored.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from recordfirst.core.event import NewEvent
from recordfirst.core.identity import check_id
from recordfirst.core.text import safe_text
from recordfirst.errors import BadId, Misuse, RecordUnavailable
from recordfirst.events.store import EventStore
from recordfirst.execution.patience import fault_of
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import EventRefused, ForeignEvent
from recordfirst.providers.events import BadSignature, EventSource, NotAnEvent

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_TRIES = 3
_OK, _BAD, _NO_METHOD, _TOO_LARGE, _UNAVAILABLE = 200, 400, 405, 413, 503


class _TooLarge(Exception):  # noqa: N818 - control flow inside this module
    """The body is larger than the source reads."""


class EventEndpoint:
    """An ASGI application for one source; see ``App.events``."""

    def __init__(self, runtime: Runtime, source: EventSource) -> None:
        self._runtime, self.source = runtime, source
        self._store = EventStore(runtime.record, runtime.sealing)
        self.counts: Counter[str] = Counter()
        """What it has answered, in this process: ``new``, ``repeated``, ``other mode``, ``bad signature``, ..."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            Misuse: if it is no HTTP request, such as a websocket.
        """
        if scope["type"] != "http":
            raise Misuse(f"an endpoint for events takes HTTP requests, not {scope['type']!r}: mount it in your web app")
        status, said = await self._answered(scope, receive)
        self.counts[said] += 1
        body = json.dumps({"event": said}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status == _UNAVAILABLE:
            headers.append((b"retry-after", b"5"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answered(self, scope: Scope, receive: Receive) -> tuple[int, str]:
        if scope["method"] != "POST":
            return _NO_METHOD, "not a POST"
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            body = await self._body(headers.get("content-length", ""), receive)
            event = self.source.read(body, headers)
            check_id(event.id, "an event's id")
        except _TooLarge:
            return self._refused(_TOO_LARGE, "too large", f"more than {self.source.most_bytes:,} bytes")
        except BadSignature as bad:
            return self._refused(_BAD, "bad signature", safe_text(bad))
        except (NotAnEvent, BadId) as wrong:
            return self._refused(_BAD, "not an event", safe_text(wrong))
        try:
            return _OK, await self.take(event)
        except RecordUnavailable as away:
            return self._refused(_UNAVAILABLE, "record unavailable", safe_text(away))

    async def take(self, event: NewEvent) -> str:
        """Store an event that was verified, in one transaction; say what it is: ``new``, say.

        Raises:
            RecordUnavailable: if the record cannot be reached, or is held by another transaction.
        """
        runtime = self._runtime
        runtime.owned.check()
        ours = self.source.is_ours(event)
        added = await self._added(event, ours=ours)
        if not ours:
            runtime.observe(ForeignEvent(event.provider, event.id, event.livemode, event.account))
            return "other mode"
        runtime.nudge()
        return "new" if added else "repeated"

    async def _added(self, event: NewEvent, *, ours: bool) -> bool:
        record, tried = self._runtime.record, 1
        while True:
            try:
                return await self._stored(event, ours=ours)
            except Exception as error:
                fault = fault_of(record, error)
                if fault is None:
                    raise
                if fault == "unreachable" or tried == _TRIES:
                    raise RecordUnavailable(record.where, safe_text(error)) from error
                tried += 1

    async def _stored(self, event: NewEvent, *, ours: bool) -> bool:
        """In one statement, which is a transaction. If this process dies before it tells the workers, they look."""
        async with self._runtime.record.session() as session:
            added = await self._store.add(session, event, "open" if ours else "ignored")
            if added and ours:
                await self._runtime.record.notify(session)
            return added

    async def _body(self, length: str, receive: Receive) -> bytes:
        most = self.source.most_bytes
        if length.isascii() and length.isdigit() and int(length) > most:
            raise _TooLarge
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise NotAnEvent("the sender hung up")
            part = message.get("body", b"")
            size += len(part)
            if size > most:
                raise _TooLarge
            parts.append(part)
            more = message.get("more_body", False)
        return b"".join(parts)

    def _refused(self, status: int, said: str, why: str) -> tuple[int, str]:
        self._runtime.observe(EventRefused(self.source.name, said, why))
        return status, said
