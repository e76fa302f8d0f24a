"""The same random requests to the machine and to other servers of the protocol: the same statuses, answers and state.

Requests on which a peer is known to differ are listed, with who is right and why, and left out: what follows would
differ for them. ``test_differences.py`` shows each. ``EMBEDDED_EXAMPLES`` sets how many sequences are run.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from recordfirst.engine.embedded.rows import TARGET, TIMER
from recordfirst.engine.embedded.store import Store
from tests.engine.embedded.memory import Memory
from tests.engine.embedded.operations import IDS, Op, request, sequences
from tests.engine.embedded.peers import RETRY_MS, Answer, Ours, Peer, Postgres, Sdk, Server

EXAMPLES = int(os.environ.get("EMBEDDED_EXAMPLES", "100"))
START_MS = 1_000_000
PHASES = [Phase.generate] if "EMBEDDED_EXAMPLES" in os.environ else [Phase.generate, Phase.shrink]
"""A long run says what it found; a short one makes it small."""
run_many = settings(
    max_examples=EXAMPLES,
    derandomize="EMBEDDED_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=[*HealthCheck],
    phases=PHASES,
)
seen: Counter[str] = Counter()
pytestmark = pytest.mark.timeout(60 + 2 * EXAMPLES)


@pytest.fixture(scope="module", autouse=True)
def report() -> Iterator[None]:
    """Say what was compared, and which differences were met how often (seen with ``-s``)."""
    yield
    for why, times in seen.most_common():
        print(f"{times:>8}  {why}")  # noqa: T201


class Case:
    """One request at one peer and at ours, before it is made."""

    def __init__(self, op: Op, ours: Ours[Memory], now: int) -> None:
        self.op, self.state, self.now = op, ours.state, now
        self.task = self.state.task(op.id)
        self.awaited = self.state.promise(op.other)
        self.created = self.state.promise(op.id if op.kind != "task.fence" else op.other)


def stale(case: Case) -> bool:
    """A version that is not the task's."""
    return case.op.offset != 0


def is_timer(case: Case) -> bool:
    promise = case.state.promise(case.op.id)
    return promise is not None and promise.tags.get(TIMER) == "true"


def awaits_internal(case: Case) -> bool:
    return case.awaited is not None and not case.awaited.awaitable


UNFENCED = {"task.acquire", "task.release", "task.fulfill", "task.suspend"}

SDK: dict[str, Callable[[Case], bool]] = {
    "ours: the in-memory server does not look at the version on acquire, release, fulfill and suspend, which the"
    " protocol does: a stale worker could end what its successor runs": lambda case: (
        stale(case) and case.op.kind in UNFENCED
    ),
    "ours: it does not know callback, get, halt and continue": lambda case: (
        case.op.kind in {"promise.register_callback", "task.get", "task.halt", "task.continue"}
    ),
    "ours: it lets a task wait for a promise that is not there, for itself, or for one of another lineage, and is then"
    " never woken": lambda case: (
        case.op.kind == "task.suspend"
        and (
            case.awaited is None
            or case.op.other == case.op.id
            or case.op.other.split(":")[0] != case.op.id.split(":")[0]
        )
    ),
    "ours, with resonate-pg: a promise without target, timer or external tag never times out by itself, so nobody may"
    " wait for it": lambda case: case.op.kind == "task.suspend" and awaits_internal(case),
    "either: it redirects a suspend for what settled since the acquisition, awaited or not; servers look at what is"
    " awaited": lambda case: case.op.kind == "task.suspend" and case.task is not None and bool(case.task.resumes),
    "ours: it checks no ids: a fence on its own task, a child that is not below its parent": lambda case: (
        case.op.kind == "task.fence" and case.op.other == case.op.id
    ),
    "ours: task.create on a promise without a task is 422, it says 409": lambda case: (
        case.op.kind == "task.create" and case.created is not None and TARGET not in case.created.tags
    ),
}
SERVER: dict[str, Callable[[Case], bool]] = {
    "ours, with resonate-pg: nobody may wait for a promise that never times out by itself": lambda case: (
        case.op.kind in {"task.suspend", "promise.register_callback"} and awaits_internal(case)
    ),
    "ours: a sleep's task is not delivered: nothing runs for it": is_timer,
}
PG: dict[str, Callable[[Case], bool]] = {
    "ours, with the server: a task waits for promises of its own lineage alone": lambda case: (
        case.op.kind in {"task.suspend", "promise.register_callback"}
        and case.op.other.split(":")[0] != case.op.id.split(":")[0]
    ),
    "ours, with the server: a callback on a settled promise resumes a suspended task": lambda case: (
        case.op.kind == "promise.register_callback"
    ),
    "ours: a sleep's task is not delivered: nothing runs for it": is_timer,
}


def close(answer: Answer) -> Any:
    """What of an answer is compared: all but texts of errors, versions (checked by the fence) and preloads."""
    status, data = answer
    if status >= 400:
        return status
    data = data if isinstance(data, dict) else {}
    action = data.get("action")
    if isinstance(action, dict):
        inner = action.get("data")
        promise = inner.get("promise") if isinstance(inner, dict) else None
    else:
        promise = data.get("promise")
    task = data.get("task")
    return (
        200 if status == 201 else status,
        None if promise is None else plain(promise),
        None if task is None else (task["id"], task["state"], task.get("pid"), task.get("ttl")),
    )


def plain(promise: dict[str, Any]) -> Any:
    value, param = (promise.get(name) or {} for name in ("value", "param"))
    fields = [promise[name] for name in ("id", "state", "timeoutAt", "createdAt")]
    tags = sorted(promise["tags"].items())
    return (*fields, promise.get("settledAt"), value.get("data"), param.get("data"), tags)


def ordered(answer: Answer) -> Answer:
    """An answer whose preload is in the order of ids: it has none of its own."""
    if isinstance(answer[1], dict) and "preload" in answer[1]:
        answer[1]["preload"].sort(key=lambda promise: promise["id"])
    return answer


def counted(sent: list[tuple[str, str]], state: Memory, now: int) -> list[tuple[str, str]]:
    """The messages of the SDK's server, but for those to workers about a task whose own promise is over.

    It resumes what waited without a look whether that has still time. Whoever asks for it is refused: harmless,
    and nothing that ours should say.
    """

    def is_over(id: str) -> bool:
        promise = state.promise(id)
        return promise is not None and promise.state == "pending" and promise.timeout_at <= now

    told = [message for message in sent if not (message[0] == "execute" and is_over(message[1]))]
    seen["ours: no task is delivered whose promise's time is over"] += len(sent) - len(told)
    return told


def compare(sequence: list[Op], ours: Ours[Memory], peer: Peer, differences: dict[str, Callable[[Case], bool]]) -> None:
    """Run a sequence on both, but for requests on which they are known to differ."""
    now = START_MS
    for op in sequence:
        now += op.wait_ms
        # resonate-pg lets a task be halted, say, whose time is over, until it ticks.
        if op.kind == "tick" or isinstance(peer, Postgres):
            ours.tick(now)
            peer.tick(now)
        if op.kind != "tick":
            case = Case(op, ours, now)
            known = next((why for why, applies in differences.items() if applies(case)), None)
            if known is not None:
                seen[known] += 1
                continue
            mine, theirs = (
                each.apply(now, op.kind, request(op, now, each.version(op.id, now))) for each in (ours, peer)
            )
            assert close(mine) == close(theirs), (op, mine, theirs)
        if isinstance(peer, Sdk):
            assert ours.sent == counted(peer.sent, ours.state, now), (op, ours.sent, peer.sent)
        seen["requests compared"] += 1
    now += 1
    for id in IDS:
        for kind in ("promise.get", *(() if isinstance(peer, Sdk) else ("task.get",))):
            mine, theirs = (each.apply(now, kind, {"id": id}) for each in (ours, peer))
            assert close(mine) == close(theirs), (id, mine, theirs)


@run_many
@given(sequences)
def test_same_as_the_sdks_server_in_memory(sequence):
    """P9: what the SDK's tests run against, and what the machine says, are one protocol."""
    compare(sequence, Ours(Memory(), RETRY_MS["sdk"]), Sdk(), SDK)


@run_many
@given(sequences)
def test_same_in_the_file_as_in_memory(sequence):
    """P7: what goes through the file comes out of it: every batch is committed and its lineages are read again."""
    store = Store(":memory:", "record")
    ours, memory = Ours(store, 5_000), Ours(Memory(), 5_000)
    now = START_MS
    try:
        for op in sequence:
            now += op.wait_ms
            if op.kind == "tick":
                ours.tick(now)
                memory.tick(now)
            else:
                data = request(op, now, memory.version(op.id, now))
                assert ordered(ours.apply(now, op.kind, data)) == ordered(memory.apply(now, op.kind, data))
            assert ours.sent == memory.sent
            store.commit()
            store.settle()
        for id in IDS:
            assert store.promise(id) == memory.state.promise(id)
            assert store.task(id) == memory.state.task(id)
    finally:
        store.close()


@pytest.mark.skipif(
    "RESONATE_DEBUG_URL" not in os.environ,
    reason="NOT TESTED against a Resonate Server: RESONATE_DEBUG_URL names none that was started with --debug",
)
@run_many
@given(sequences)
def test_same_as_a_resonate_server(sequence):
    """P9: the machine answers as the server does."""
    compare(sequence, Ours(Memory(), RETRY_MS["server"]), Server(os.environ["RESONATE_DEBUG_URL"]), SERVER)


@pytest.mark.skipif(
    "RESONATE_PG_DSN" not in os.environ,
    reason="NOT TESTED against resonate-pg: RESONATE_PG_DSN names no database to which resonate.sql was applied",
)
@run_many
@given(sequences)
def test_same_as_resonate_in_postgres(sequence):
    """P9: the machine answers as resonate-pg does."""
    peer = Postgres(os.environ["RESONATE_PG_DSN"])
    try:
        compare(sequence, Ours(Memory(), RETRY_MS["postgres"]), peer, PG)
    finally:
        peer.close()
