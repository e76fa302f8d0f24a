"""Each known difference between the embedded engine and another server of the protocol, by an example of its own.

``docs/explanation/embedded-engine.md`` says who is right and why; ``test_differential.py`` leaves these requests out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import msgspec
import pytest

from tests.engine.embedded.memory import Memory
from tests.engine.embedded.peers import RETRY_MS, Answer, Ours, Peer, Postgres, Sdk, Server

NOW, FAR = 1_000_000, 10**9
ADDRESS = "http://worker.invalid/"
TARGET, EXTERNAL = {"resonate:target": ADDRESS}, {"resonate:external": "true"}
TIMER = TARGET | {"resonate:timer": "true"}
type Request = tuple[str, dict[str, Any]]


@contextmanager
def sdk() -> Iterator[Peer]:
    yield Sdk()


@contextmanager
def server() -> Iterator[Peer]:
    url = os.environ.get("RESONATE_DEBUG_URL")
    if url is None:
        pytest.skip("NOT TESTED against a Resonate Server: RESONATE_DEBUG_URL names none that was started with --debug")
    yield Server(url)


@contextmanager
def postgres() -> Iterator[Peer]:
    dsn = os.environ.get("RESONATE_PG_DSN")
    if dsn is None:
        pytest.skip("NOT TESTED against resonate-pg: RESONATE_PG_DSN names no database with resonate.sql applied")
    with closing(Postgres(dsn)) as peer:
        yield peer


# ── requests ────────────────────────────────────────────────────────────────


def action(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "head": {"corrId": "c", "version": "2026-04-01"}, "data": data}


def promise(id: str, tags: dict[str, str]) -> dict[str, Any]:
    return {"id": id, "timeoutAt": FAR, "param": {}, "tags": tags}


def create(id: str, tags: dict[str, str]) -> Request:
    return "promise.create", promise(id, tags)


def task_create(id: str) -> Request:
    return "task.create", {"pid": "p", "ttl": 60_000, "action": action("promise.create", promise(id, TARGET))}


def acquire(id: str, version: int) -> Request:
    return "task.acquire", {"id": id, "version": version, "pid": "p", "ttl": 60_000}


def settled(id: str) -> dict[str, Any]:
    return {"id": id, "state": "resolved", "value": {}}


def settle(id: str) -> Request:
    return "promise.settle", settled(id)


def fulfill(id: str, version: int) -> Request:
    return "task.fulfill", {"id": id, "version": version, "action": action("promise.settle", settled(id))}


def awaits(awaited: str, awaiter: str = "a") -> dict[str, Any]:
    return {"awaited": awaited, "awaiter": awaiter}


def suspend(*awaited: str, version: int = 1) -> Request:
    actions = [action("promise.register_callback", awaits(id)) for id in awaited]
    return "task.suspend", {"id": "a", "version": version, "actions": actions}


def callback(awaited: str, awaiter: str = "a") -> Request:
    return "promise.register_callback", awaits(awaited, awaiter)


def fence(create: dict[str, Any]) -> Request:
    return "task.fence", {"id": "a", "version": 1, "action": action("promise.create", create)}


def of(kind: str, id: str = "a") -> Request:
    return kind, {"id": id}


class Difference(msgspec.Struct, frozen=True):
    """What leads to it, and the statuses that the two give to the last request."""

    peer: Callable[[], AbstractContextManager[Peer]]
    requests: list[Request]
    ours: int
    theirs: int


HELD = [task_create("a")]
"""Acquired, in the version that is the first here and at the SDK; the servers' own is asked for."""
DIFFERENCES = {
    # the version on requests that act on a task
    "stale acquire": Difference(sdk, [create("a", TARGET), acquire("a", 7)], 409, 200),
    "stale release": Difference(sdk, [*HELD, ("task.release", {"id": "a", "version": 7})], 409, 200),
    "stale fulfill": Difference(sdk, [*HELD, fulfill("a", 7)], 409, 200),
    "stale suspend": Difference(sdk, [*HELD, create("a:1", EXTERNAL), suspend("a:1", version=7)], 409, 200),
    # what the SDK's server does not know
    "no callbacks": Difference(sdk, [*HELD, create("a:1", EXTERNAL), callback("a:1")], 200, 400),
    "no task.get": Difference(sdk, [*HELD, of("task.get")], 200, 400),
    "no task.halt": Difference(sdk, [*HELD, of("task.halt")], 200, 400),
    "no task.continue": Difference(sdk, [*HELD, of("task.continue")], 409, 400),
    # what a task may wait for
    "for what is not there": Difference(sdk, [*HELD, suspend("a:9")], 422, 200),
    "for itself": Difference(sdk, [*HELD, suspend("a")], 400, 200),
    "for another lineage": Difference(sdk, [*HELD, create("b", EXTERNAL), suspend("b")], 400, 200),
    "for another lineage, in Postgres": Difference(postgres, [*HELD, create("b", EXTERNAL), suspend("b")], 400, 200),
    "for what never times out": Difference(sdk, [*HELD, create("a:1", {}), suspend("a:1")], 422, 200),
    "for what never times out, at the server": Difference(server, [*HELD, create("a:1", {}), suspend("a:1")], 422, 200),
    "for what never times out, by callback": Difference(server, [*HELD, create("a:1", {}), callback("a:1")], 422, 200),
    # ids
    "fence on itself": Difference(sdk, [*HELD, fence(promise("a", {}))], 400, 200),
    "child of another": Difference(sdk, [*HELD, fence(promise("b:1", {"resonate:parent": "a"}))], 400, 200),
    "task of a promise without target": Difference(sdk, [create("a", EXTERNAL), task_create("a")], 422, 409),
    # heartbeats for many
    "heartbeat for two lineages": Difference(
        server,
        [
            *HELD,
            task_create("b"),
            ("task.heartbeat", {"pid": "p", "tasks": [{"id": "a", "version": 1}, {"id": "b", "version": 1}]}),
        ],
        200,
        400,
    ),
}


def made(peer: Peer, requests: list[Request], now: int = NOW) -> Answer:
    """The answer to the last of these; the peer's own first version stands for ours."""
    answer: Answer = (0, None)
    for kind, data in requests:
        given = dict(data)
        if given.get("version") == 1:
            given["version"] = peer.version(given["id"], now)
        answer = peer.apply(now, kind, given)
    return answer


@pytest.mark.parametrize("name", DIFFERENCES)
def test_answers_that_differ(name):
    """P9: what the table in the docs says of both sides is what both sides do."""
    difference = DIFFERENCES[name]
    assert made(Ours(Memory(), 5_000), difference.requests)[0] == difference.ours
    with difference.peer() as peer:
        assert made(peer, difference.requests)[0] == difference.theirs


def test_redirected_for_what_is_not_awaited():
    """P9: the SDK's server redirects a suspend for whatever settled since the acquisition, ours for what is awaited."""
    promises = [create(id, EXTERNAL) for id in ("a:1", "a:2", "a:3")]

    def suspended_on_the_third(peer):
        made(peer, [*HELD, *promises, suspend("a:1", "a:2"), settle("a:1")])
        peer.apply(NOW, *acquire("a", peer.version("a", NOW)))
        made(peer, [settle("a:2")])
        return peer.apply(NOW, *suspend("a:3", version=peer.version("a", NOW)))[0]

    assert suspended_on_the_third(Ours(Memory(), 5_000)) == 200
    assert suspended_on_the_third(Sdk()) == 300


def test_a_sleeps_task_is_not_delivered():
    """P9: nothing runs for a durable sleep, so nobody is told of it; the SDK's server tells of it at once."""
    ours, theirs = Ours(Memory(), 5_000), Sdk()
    for peer in (ours, theirs):
        made(peer, [create("a:1", TIMER)])
    assert ours.messages == []
    assert [message.message["kind"] for message in theirs.state.outgoing] == ["execute"]


@pytest.mark.parametrize("kind", [server, postgres])
def test_a_sleeps_task_is_delivered_elsewhere(kind):
    """P9: the server and resonate-pg send it to a worker, and again with each lease."""
    with kind() as peer:
        made(peer, [create("a:1", TIMER)])
        assert executes(peer) == ["a:1"]


def executes(peer: Peer) -> list[str]:
    if isinstance(peer, Postgres):
        rows = peer._connection.execute("SELECT task_id FROM resonate.outbox WHERE kind = 'execute'").fetchall()
        return [id for (id,) in rows]
    assert isinstance(peer, Server)
    messages = peer._call(NOW, "debug.snap", {})["data"]["messages"]
    return [m["message"]["data"]["task"]["id"] for m in messages if m["message"]["kind"] == "execute"]


def test_a_callback_on_what_has_settled_resumes():
    """P9: a suspended task that asks to hear of a settled promise goes on here; in resonate-pg it sleeps on."""
    requests = [*HELD, create("a:1", EXTERNAL), create("a:2", EXTERNAL), suspend("a:1"), settle("a:2"), callback("a:2")]

    def state_at(peer):
        made(peer, requests)
        return peer.apply(NOW, *of("task.get"))[1]["task"]["state"]

    assert state_at(Ours(Memory(), 5_000)) == "pending"
    with postgres() as peer:
        assert state_at(peer) == "suspended"


def test_preload_of_a_fence_is_the_servers_whole_branch():
    """P9: it is sent with the acquisition here, and with each step by the server."""
    branch = {"resonate:branch": "a", "resonate:origin": "a"}
    requests = [*HELD, create("a:1", branch)]

    def preloaded(peer):
        tagged = promise("a", TARGET | branch)
        made(peer, [("task.create", {"pid": "p", "ttl": 60_000, "action": action("promise.create", tagged)})])
        made(peer, requests[1:])
        return [each["id"] for each in made(peer, [fence(promise("a:2", branch))])[1]["preload"]]

    assert preloaded(Ours(Memory(), 5_000)) == []
    with server() as peer:
        assert "a:1" in preloaded(peer)


@pytest.mark.parametrize(("kind", "again_ms"), [(postgres, RETRY_MS["postgres"]), (server, RETRY_MS["server"])])
def test_pending_again_after(kind, again_ms):
    """P9: what nobody acquired is delivered again after resonate-pg's time here, after six times that by the server."""

    def again(peer, after_ms):
        """Whether it is due again: a delivery has put it off."""
        made(peer, [create("a", TARGET)])
        before = due(peer)
        peer.tick(NOW + after_ms)
        return due(peer) != before

    for late, expected in ((-1, False), (1, True)):
        ours = Ours(Memory(), 5_000)
        assert again(ours, 5_000 + late) == expected
        with kind() as peer:
            assert again(peer, again_ms + late) == expected


def due(peer: Peer) -> Any:
    if isinstance(peer, Ours):
        return peer.state.task("a").due_at
    if isinstance(peer, Postgres):
        return peer._connection.execute("SELECT to_jsonb(p) FROM resonate.tasks p WHERE id = 'a'").fetchall()
    assert isinstance(peer, Server)
    return peer._call(NOW, "debug.snap", {})["data"]["taskTimeouts"]
