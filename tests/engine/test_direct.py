"""The short way to an engine in this process, held against the SDK's own sender: same requests, same answers."""

from __future__ import annotations

import logging

import pytest
from resonate.error import DecodingError, ResonateError
from resonate.observability import BackgroundTaskFailed, Dropped, PromiseSettleReturned
from resonate.resonate import Resonate
from resonate.types import PromiseCreateReq, PromiseRegisterCallbackData, PromiseSettleReq, Value

from recordfirst.conformance.record import run
from recordfirst.engine.embedded import EmbeddedConnection
from recordfirst.engine.sdk.sender import Direct, ask_directly, faults_alone

FAR = 10**9
TARGET = {"resonate:target": "local://any@default"}


def create(id, **tags):
    return PromiseCreateReq(id=id, timeout_at=FAR, param=Value(data="cGFyYW0="), tags=tags)


def settle(id, state="resolved"):
    return PromiseSettleReq(id=id, state=state, value=Value(data="dmFsdWU="))


def callback(awaited, awaiter="w"):
    return PromiseRegisterCallbackData(awaited=awaited, awaiter=awaiter)


REQUESTS = [
    lambda s: s.promise_create(create("w", **TARGET)),
    lambda s: s.promise_get("w"),
    lambda s: s.promise_get("nowhere"),
    lambda s: s.task_acquire("w", 0, "pid", 60_000),
    lambda s: s.task_acquire("w", 0, "pid", 60_000),
    lambda s: s.task_fence_create("w", 1, create("w:1", **{"resonate:branch": "w"})),
    lambda s: s.task_fence_create("w", 7, create("w:2")),
    lambda s: s.task_fence_create("w", 1, create("w:3", **{"resonate:origin": "other"})),
    lambda s: s.task_fence_settle("w", 1, settle("w:1", "rejected")),
    lambda s: s.task_fence_settle("w", 1, settle("w:9")),
    lambda s: s.promise_create(create("w:4", **{"resonate:external": "true"})),
    lambda s: s.task_suspend("w", 1, [callback("w:4")]),
    lambda s: s.promise_settle(settle("w:4")),
    lambda s: s.task_acquire("w", 1, "pid", 60_000),
    lambda s: s.task_suspend("w", 2, [callback("w:4")]),
    lambda s: s.task_suspend("w", 9, [callback("w:4")]),
    lambda s: s.task_release("w", 2),
    lambda s: s.task_release("w", 2),
    lambda s: s.task_acquire("w", 2, "pid", 60_000),
    lambda s: s.task_fulfill("w", 3, settle("w")),
    lambda s: s.task_fulfill("w", 3, settle("w")),
]


async def answers_of(way):
    connection = EmbeddedConnection(":memory:", clock=lambda: 1_000)
    resonate = Resonate(network=connection, env={}, autostart=False)
    answers = []
    for request in REQUESTS:
        try:
            answers.append(await request(way(resonate, connection)))
        except ResonateError as error:
            known = error.args if not isinstance(error, DecodingError) else "cannot be read"
            answers.append((type(error), known))
    await connection.stop()
    return answers


def test_same_answers_as_the_sdks_sender():
    """P9: results, redirects, refusals and what cannot be read are the same by either way."""

    async def go():
        directly = await answers_of(lambda _, connection: Direct(connection))
        assert directly == await answers_of(lambda resonate, _: resonate._sender)
        refused = [answer for answer in directly if isinstance(answer, tuple)]
        assert len(refused) == 8

    run(go())


def test_tasks_and_promises_go_the_short_way():
    """P9: whatever the SDK asks for a workflow that runs, and recordfirst of its promises, goes through it."""

    async def go():
        connection = EmbeddedConnection(":memory:")
        resonate = Resonate(network=connection, heartbeat=connection.held, env={}, autostart=False)
        senders = {resonate._core.sender, resonate._core.fencing, resonate.promises.sender}
        assert senders == {resonate._sender}
        ask_directly(resonate)
        [short] = {resonate._core.sender, resonate._core.fencing, resonate.promises.sender}
        assert isinstance(short, Direct)
        await resonate.stop()

    run(go())


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (BackgroundTaskFailed(cause="it broke"), True),
        (Dropped(what="preload-record", id="w", cause="it broke"), True),
        (PromiseSettleReturned(id="w", state="resolved"), False),
    ],
)
def test_only_faults_are_logged(caplog, event, said):
    """P10: what went wrong in the engine's client is said; that all went well is not, for each step twice."""
    with caplog.at_level(logging.DEBUG):
        faults_alone(event)
    assert bool(caplog.records) is said
