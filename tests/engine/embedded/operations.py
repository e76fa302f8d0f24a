"""Random requests: few ids, so that they meet; versions that are mostly right; time that mostly passes a little."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

IDS = ["a", "a:1", "a:1.1", "a:2", "a:3", "b", "b:1"]
PIDS = ["p1", "p2"]
ADDRESS = "http://worker.invalid/"
LISTENER = "http://listener.invalid/"
KINDS = [
    "promise.create", "promise.get", "promise.settle", "promise.settle", "promise.register_callback",
    "promise.register_listener",
    "task.create", "task.get", "task.acquire", "task.acquire", "task.acquire", "task.release", "task.fulfill",
    "task.suspend", "task.suspend", "task.suspend", "task.suspend", "task.fence", "task.fence", "task.heartbeat",
    "task.halt", "task.continue", "tick",
]  # fmt: skip
STATES = ["resolved", "rejected", "rejected_canceled"]
TTL_MS = 700


class Op(msgspec.Struct, frozen=True):
    """A request but for the version, which each server has its own of."""

    kind: str
    id: str
    other: str
    wait_ms: int
    offset: int
    """Which version: the task's own, or one beside it."""
    timeout_ms: int
    flavour: str
    state: str
    pid: str
    text: str


ops = st.builds(
    Op,
    kind=st.sampled_from(KINDS),
    id=st.sampled_from(["a"] * 8 + ["a:1"] * 4 + ["a:2", "b"] + IDS),
    other=st.sampled_from(["a:1"] * 5 + ["a:2"] * 4 + ["a:3", "a"] + IDS),
    wait_ms=st.sampled_from([0] * 12 + [1, 10, 100, 800, 40_000]),
    offset=st.sampled_from([0] * 8 + [-1, 1]),
    timeout_ms=st.sampled_from([10**7] * 8 + [0, 50, 500, 2_000]),
    flavour=st.sampled_from(["target"] * 4 + ["plain", "external", "external", "timer", "delayed"]),
    state=st.sampled_from(STATES),
    pid=st.sampled_from(PIDS),
    text=st.sampled_from(["x", "y"]),
)


def _first(kind: str, id: str, flavour: str) -> Op:
    return Op(kind, id, id, 0, 0, 10**7, flavour, "resolved", "p1", "x")


BEGINNING = [
    _first("task.create", "a", "target"),
    _first("promise.create", "a:1", "target"),
    _first("promise.create", "a:2", "external"),
]
"""A worker has a task, with a child and somebody else's promise to wait for."""
sequences = st.lists(ops, min_size=20, max_size=60).map(lambda more: BEGINNING + more)


def request(op: Op, now: int, version: int) -> dict[str, Any]:  # noqa: PLR0911 - one for each kind
    """The data of a request, in the form of the protocol."""
    version = version + op.offset if version + op.offset >= 0 else version + 7
    value = {"headers": {}, "data": op.text}
    match op.kind:
        case "promise.create":
            return _create(op, op.id, now)
        case "promise.settle":
            return {"id": op.other, "state": op.state, "value": value}
        case "promise.register_callback":
            return {"awaited": op.other, "awaiter": op.id}
        case "promise.register_listener":
            return {"awaited": op.id, "address": LISTENER + op.text}
        case "task.create":
            plain = msgspec.structs.replace(op, flavour="target")
            return {"pid": op.pid, "ttl": TTL_MS, "action": _action("promise.create", _create(plain, op.id, now))}
        case "task.acquire":
            return {"id": op.id, "version": version, "pid": op.pid, "ttl": TTL_MS}
        case "task.release":
            return {"id": op.id, "version": version}
        case "task.fulfill":
            settle = {"id": op.id, "state": op.state, "value": value}
            return {"id": op.id, "version": version, "action": _action("promise.settle", settle)}
        case "task.suspend":
            callback = _action("promise.register_callback", {"awaited": op.other, "awaiter": op.id})
            return {"id": op.id, "version": version, "actions": [callback]}
        case "task.fence":
            settle = {"id": op.other, "state": op.state, "value": value}
            creates = op.text == "x"
            data = _create(op, op.other, now) if creates else settle
            kind = "promise.create" if creates else "promise.settle"
            return {"id": op.id, "version": version, "action": _action(kind, data)}
        case "task.heartbeat":
            return {"pid": op.pid, "tasks": [{"id": op.id, "version": version}]}
        case _:
            return {"id": op.id}


def _action(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "head": {"corrId": "c", "version": "2026-04-01"}, "data": data}


def _create(op: Op, id: str, now: int) -> dict[str, Any]:
    tags = dict.fromkeys(("resonate:origin", "resonate:branch"), id.partition(":")[0])
    if op.flavour != "plain":
        tags |= {
            "target": {"resonate:target": ADDRESS},
            "external": {"resonate:external": "true"},
            "timer": {"resonate:target": ADDRESS, "resonate:timer": "true"},
            "delayed": {"resonate:target": ADDRESS, "resonate:delay": str(now + 300)},
        }[op.flavour]
    timeout_at = now + (10**7 if op.flavour == "delayed" else op.timeout_ms)
    return {"id": id, "timeoutAt": timeout_at, "param": {"headers": {}, "data": op.text}, "tags": tags}
