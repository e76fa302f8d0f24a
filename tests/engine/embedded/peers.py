"""Servers of the protocol: ours, and those that it is compared with."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, Protocol

import psycopg
from resonate.connections.local import ServerState, unwrap_request_envelope
from resonate.error import ServerError

from recordfirst.engine.embedded import machine
from recordfirst.engine.embedded.rows import TIMER
from recordfirst.engine.embedded.transition import Execute, Message, Transition, TransitionState

type Answer = tuple[int, Any]
RETRY_MS = {"sdk": 30_000, "server": 30_000, "postgres": 5_000}


class Peer(Protocol):
    """A server, at a time that the test says."""

    def apply(self, now: int, kind: str, data: dict[str, Any]) -> Answer: ...
    def tick(self, now: int) -> None: ...

    def version(self, id: str, now: int) -> int:
        """The version in which it has a task; 0 if it has none."""


def envelope(now: int, kind: str, data: Any) -> dict[str, Any]:
    head = {"corrId": "c", "version": "2026-04-01", "resonate:debug_time": now}
    return {"kind": kind, "head": head, "data": data}


class Ours[S: TransitionState]:
    """The machine, on any state."""

    def __init__(self, state: S, retry_ms: int) -> None:
        self.state, self._retry_ms = state, retry_ms
        self.messages: list[Message] = []
        self.sent: list[tuple[str, str]] = []
        """What the last request, or tick, has sent: kind, and the promise's id."""

    def apply(self, now: int, kind: str, data: dict[str, Any]) -> Answer:
        turn = self._turn(now)
        response = json.loads(machine.apply(turn, json.dumps(envelope(now, kind, data))))
        assert response["kind"] == kind
        assert response["head"]["corrId"] == "c"
        self._note(turn)
        return response["head"]["status"], response["data"]

    def tick(self, now: int) -> None:
        turn = self._turn(now)
        machine.tick(turn, 10_000)
        self._note(turn)

    def _turn(self, now: int) -> Transition:
        return Transition(self.state, now, retry_ms=self._retry_ms)

    def _note(self, turn: Transition) -> None:
        self.messages = turn.messages
        self.sent = sorted(
            ("execute", m.id) if isinstance(m, Execute) else ("unblock", m.promise.id) for m in turn.messages
        )

    def version(self, id: str, now: int) -> int:
        task = self.state.task(id)
        return 0 if task is None else task.version


class Sdk:
    """The SDK's in-memory server."""

    def __init__(self) -> None:
        self.state = ServerState()
        self.sent: list[tuple[str, str]] = []

    def apply(self, now: int, kind: str, data: dict[str, Any]) -> Answer:
        try:
            response = self.state.apply(now, unwrap_request_envelope(envelope(now, kind, data)))
        except ServerError as error:
            return error.code, str(error)
        self._note()
        body = {key: value for key, value in response.items() if key not in {"kind", "corrId", "status"}}
        return response["status"], body

    def tick(self, now: int) -> None:
        self.state.outgoing.clear()
        self.state.tick(now)
        self._note()

    def _note(self) -> None:
        messages = [message.message for message in self.state.outgoing]
        sent = [
            (m["kind"], m["data"]["task"]["id"] if m["kind"] == "execute" else m["data"]["promise"]["id"])
            for m in messages
        ]
        self.sent = sorted(each for each in sent if self.state.promises[each[1]].tags.get(TIMER) != "true")

    def version(self, id: str, now: int) -> int:
        task = self.state.tasks.get(id)
        return 0 if task is None else task.version


class Server:
    """A Resonate Server that was started with ``--debug``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._call(0, "debug.start", {})
        self._call(0, "debug.reset", {})

    def apply(self, now: int, kind: str, data: dict[str, Any]) -> Answer:
        response = self._call(now, kind, data)
        return response["head"]["status"], response["data"]

    def tick(self, now: int) -> None:
        assert self._call(now, "debug.tick", {"time": now})["head"]["status"] == 200

    def version(self, id: str, now: int) -> int:
        status, data = self.apply(now, "task.get", {"id": id})
        return data["task"]["version"] if status == 200 else 0

    def _call(self, now: int, kind: str, data: dict[str, Any]) -> Any:
        text = json.dumps(envelope(now, kind, data))
        call = urllib.request.Request(self._url, text.encode(), {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(call) as reply:
                answer = reply.read().decode()
        except urllib.error.HTTPError as error:
            answer = error.read().decode()
        return json.loads(answer)


class Postgres:
    """resonate-pg, in a database to which its ``resonate.sql`` was applied."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)
        self._connection.execute("TRUNCATE resonate.promises, resonate.schedules, resonate.outbox CASCADE")

    def apply(self, now: int, kind: str, data: dict[str, Any]) -> Answer:
        query = "SELECT resonate.resonate_rpc(%s::jsonb)"
        [[response]] = self._connection.execute(query, (json.dumps(envelope(now, kind, data)),)).fetchall()
        return response["head"]["status"], response["data"]

    def tick(self, now: int) -> None:
        self._connection.execute("SELECT resonate.process_timeouts(%s)", (now,))

    def version(self, id: str, now: int) -> int:
        status, data = self.apply(now, "task.get", {"id": id})
        return data["task"]["version"] if status == 200 else 0

    def close(self) -> None:
        self._connection.close()
