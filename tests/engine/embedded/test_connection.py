"""The connection: one process at a time, one commit for what comes together, time that passes whatever clocks do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from resonate.context import Context
from resonate.resonate import Resonate
from resonate_base import ConnectorError

from recordfirst import App, Embedded, EngineInUse, EngineUnreadable, Misuse
from recordfirst.conformance.record import run
from recordfirst.engine.embedded import EmbeddedConnection
from recordfirst.engine.embedded.store import Store
from recordfirst.records.sqlite import SqliteRecord
from recordfirst.testing import SimClock
from tests.engine.embedded.operations import ADDRESS
from tests.engine.embedded.peers import envelope


def create(id: str, **tags: str) -> str:
    data = {"id": id, "timeoutAt": 10**15, "param": {}, "tags": {"resonate:target": ADDRESS} | tags}
    return json.dumps(envelope(0, "promise.create", data))


def ask(kind: str, **data: Any) -> str:
    return json.dumps(envelope(0, kind, data))


async def answer(connection: EmbeddedConnection, request: str) -> Any:
    response = json.loads(await connection.send(request))
    return response["head"]["status"], response["data"]


@contextlib.asynccontextmanager
async def connected(path: Path | str, **options: Any) -> AsyncIterator[tuple[EmbeddedConnection, list[Any]]]:
    """A connection, started, and the messages that came out of it."""
    connection, messages = EmbeddedConnection(path, **options), []
    connection.recv(lambda text: messages.append(json.loads(text)))
    await connection.start()
    try:
        yield connection, messages
    finally:
        await connection.stop()


async def until(look: Any) -> None:
    async with asyncio.timeout(20):
        while not look():
            await asyncio.sleep(0.005)


# ── whose file it is ────────────────────────────────────────────────────────

HOLD = """
import asyncio, sys
from recordfirst.engine.embedded import EmbeddedConnection
from recordfirst.engine.embedded.store import Store
async def main():
    EmbeddedConnection(sys.argv[1]).open()
    print("open", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_second_process_is_told_whose_it_is(tmp_path):
    """P9: one process at a time; the second one is named the first, and how to share."""
    path = tmp_path / "engine"
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "open\n"

        async def second() -> None:
            with pytest.raises(EngineInUse, match=rf"in use by process {first.pid}: end it.*Resonate Server.*postgres"):
                EmbeddedConnection(path).open()
            first.kill()
            first.wait()
            third = EmbeddedConnection(path)
            third.open()
            await third.stop()

        run(second())


def test_bad_files(tmp_path):
    """P8: what is not an engine's file is left alone, and named."""
    (tmp_path / "text").write_text("no database, but long enough to be taken for one" * 40)
    with contextlib.closing(sqlite3.connect(tmp_path / "newer")) as file, file:
        file.execute("CREATE TABLE meta (identity TEXT, version INTEGER)")
        file.execute("INSERT INTO meta VALUES ('x', 99)")

    async def go() -> None:
        for path, why in [
            (tmp_path / "text", "not a database"),
            (tmp_path / "newer", "its format is 99, this version of recordfirst knows 1"),
            (tmp_path / "nowhere" / "engine", "No such file or directory"),
        ]:
            with pytest.raises(EngineUnreadable, match=why):
                EmbeddedConnection(path).open()
        with pytest.raises(Misuse, match="durability='tape': say 'record' or 'disk'"):
            EmbeddedConnection("any", durability="tape")  # type: ignore[arg-type]
        with pytest.raises(Misuse, match="durability='tape'"):
            Embedded(durability="tape")  # type: ignore[arg-type]

    run(go())


def test_default_places(tmp_path, monkeypatch):
    """P7: beside a SQLite record, and one for each app; a record elsewhere has its own in the current directory."""
    monkeypatch.chdir(tmp_path)

    async def go() -> None:
        record = SqliteRecord(tmp_path / "shop.db")
        await record.open("shop")
        await record.migrate()
        await record.close()
        async with App("shop", record=record, workflows=[]).worker() as worker:
            await worker.working.wait()
            assert (tmp_path / "shop.db-shop-engine").exists()

    run(go())


# ── a file that cannot be read or written for a while ───────────────────────


@pytest.mark.parametrize("broken", ["next_due", "commit"])
def test_time_goes_on_behind_a_file_that_failed(tmp_path, monkeypatch, broken):
    """P7, P9: a look at the clock that met an error of the disk is not the last one: what sleeps wakes up."""
    failed: list[str] = []

    async def go() -> None:
        async with connected(tmp_path / "engine") as (connection, messages):
            works = getattr(Store, broken)

            def fails(store: Store) -> Any:
                if len(failed) < 2:
                    failed.append(broken)
                    raise sqlite3.OperationalError("disk I/O error")
                return works(store)

            await answer(connection, create("w", **{"resonate:delay": str(int(time.time() * 1000) + 300)}))
            monkeypatch.setattr(Store, broken, fails)
            await until(lambda: messages)
            assert failed

    run(go())


def test_many_that_wait_are_not_all_in_memory(tmp_path, monkeypatch):
    """P7: of many tasks that become due in one moment, those that wait are in the file alone, and are run."""
    monkeypatch.setattr("recordfirst.engine.embedded.store._WAITING_MOST", 10)

    async def go() -> None:
        async with connected(tmp_path / "engine") as (connection, messages):
            due = str(int(time.time() * 1000) + 100)
            requests = [create(f"w{number}", **{"resonate:delay": due}) for number in range(100)]
            await asyncio.gather(*(connection.send(request) for request in requests))
            await until(lambda: len(messages) == 100)
            assert len(connection.open()._lineages) <= 10
            for message in messages:
                task = message["data"]["task"]
                status, got = await answer(connection, ask("task.acquire", **task, pid="p", ttl=60_000))
                assert (status, got["promise"]["id"]) == (200, task["id"])

    run(go())


# ── commits ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("durability", ["record", "disk"])
def test_what_comes_together_shares_a_commit(tmp_path, durability):
    """P7: a hundred requests at once: one commit, and all of them are in the file."""

    async def go() -> None:
        async with connected(tmp_path / "engine", durability=durability) as (connection, _):
            statements: list[str] = []
            connection.open()._sql.set_trace_callback(statements.append)
            await asyncio.gather(*[connection.send(create(f"p{n}")) for n in range(100)])
            assert statements.count("COMMIT") == 1
            [[synchronous]] = connection.open()._sql.execute("PRAGMA synchronous").fetchall()
            assert synchronous == {"record": 1, "disk": 2}[durability]

    run(go())
    with contextlib.closing(sqlite3.connect(tmp_path / "engine")) as file:
        assert file.execute("SELECT count(*) FROM promises").fetchall() == [(100,)]


class Full:
    """A database whose disk is full for as long as told."""

    def __init__(self, real: sqlite3.Connection) -> None:
        self._real, self.full = real, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, sql: str, *values: Any) -> Any:
        if self.full and sql == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        return self._real.execute(sql, *values)


@pytest.mark.parametrize("durability", ["record", "disk"])
def test_batch_that_cannot_be_committed_has_not_happened(tmp_path, durability):
    """P9: everyone in it is told, nothing of it is seen or sent, and the next batch goes on as before."""

    async def go() -> None:
        async with connected(tmp_path / "engine", durability=durability) as (connection, messages):
            await connection.send(create("there"))
            store = connection.open()
            store._sql = full = Full(store._sql)  # type: ignore[assignment]
            both = [connection.send(create("a")), connection.send(ask("promise.settle", id="there", state="resolved"))]
            for outcome in await asyncio.gather(*both, return_exceptions=True):
                assert isinstance(outcome, ConnectorError)
            assert [message["data"]["task"]["id"] for message in messages] == ["there"]
            full.full = False
            assert (await answer(connection, ask("promise.get", id="a")))[0] == 404
            _, data = await answer(connection, ask("promise.get", id="there"))
            assert data["promise"]["state"] == "pending"
            assert (await answer(connection, create("a")))[0] == 200

    run(go())


def test_nothing_is_held_of_what_sleeps_or_has_ended(tmp_path):
    """P6: lineages in which nothing runs are in the file alone; asking about one leaves nothing behind."""

    async def go() -> None:
        async with connected(tmp_path / "engine") as (connection, _):
            for n in range(50):
                tags = {"resonate:target": ADDRESS}
                action = {
                    "kind": "promise.create",
                    "head": {},
                    "data": {"id": f"w{n}", "timeoutAt": 10**15, "tags": tags},
                }
                await connection.send(ask("task.create", pid="p", ttl=60_000, action=action))
                timer = {"resonate:timer": "true", "resonate:target": ADDRESS}
                sleep = {"id": f"w{n}:1", "timeoutAt": 10**14, "tags": timer}
                fenced = {"kind": "promise.create", "head": {}, "data": sleep}
                await connection.send(ask("task.fence", id=f"w{n}", version=1, action=fenced))
                callback = {"kind": "c", "head": {}, "data": {"awaited": f"w{n}:1", "awaiter": f"w{n}"}}
                status, _ = await answer(connection, ask("task.suspend", id=f"w{n}", version=1, actions=[callback]))
                assert status == 200
            await connection.send(ask("promise.get", id="w7"))
            await connection.send(ask("promise.get", id="nobody"))
            assert connection.open()._lineages == {}

    run(go())


# ── messages ────────────────────────────────────────────────────────────────


def test_more_tasks_than_can_be_delivered_wait_in_the_file(tmp_path):
    """P7: a worker is told of a thousand tasks at a time; as it acquires them it hears of the rest, of each once."""

    async def go() -> None:
        async with connected(tmp_path / "engine") as (connection, messages):
            await asyncio.gather(*[connection.send(create(f"p{n:04}")) for n in range(2_500)])
            assert len(messages) == 1_000
            done = 0
            while done < 2_500:
                await until(lambda done=done: len(messages) > done)
                task = messages[done]["data"]["task"]
                acquire = ask("task.acquire", id=task["id"], version=task["version"], pid="p", ttl=60_000)
                assert (await answer(connection, acquire))[0] == 200
                done += 1
            assert len({message["data"]["task"]["id"] for message in messages}) == len(messages) == 2_500

    run(go())


def test_what_was_under_way_is_delivered_when_the_file_is_opened_again(tmp_path):
    """P7: the holder is gone with its process: no lease is waited for. What sleeps or is delayed is not delivered."""

    async def go() -> None:
        clock = SimClock()
        later = str(clock.now_ms() + 60_000)
        async with connected(tmp_path / "engine", clock=clock.now_ms) as (connection, messages):
            for id in ("acquired", "pending"):
                await connection.send(create(id))
            await connection.send(create("suspended", **{"resonate:timer": "true"}))
            await connection.send(create("delayed", **{"resonate:delay": later}))
            await connection.send(ask("task.acquire", id="acquired", version=0, pid="p", ttl=60_000))
            assert len(messages) == 2
        async with connected(tmp_path / "engine", clock=clock.now_ms) as (_, messages):
            told = [(message["data"]["task"]["id"], message["data"]["task"]["version"]) for message in messages]
            assert sorted(told) == [("acquired", 1), ("pending", 0)]
            clock.advance(61)
            await until(lambda: "delayed" in [message["data"]["task"]["id"] for message in messages])

    run(go())


# ── time ────────────────────────────────────────────────────────────────────


async def nap(ctx: Context, seconds: float) -> str:
    await ctx.sleep(timedelta(seconds=seconds))
    naps.append(seconds)
    return "woke"


naps: list[float] = []


@contextlib.asynccontextmanager
async def resonating(path: Path | str, *functions: Any, **options: Any) -> AsyncIterator[Resonate]:
    connection = EmbeddedConnection(path, **options)
    resonate = Resonate(
        network=connection, heartbeat=connection.held, env={}, autostart=False, subscription_refresh_secs=0
    )
    for function in functions:
        resonate.register(function, name=function.__name__)
    resonate.start()
    try:
        yield resonate
    finally:
        await resonate.stop()


@pytest.mark.parametrize("step_s", [3_600, -3_600], ids=["forward", "back"])
def test_clock_steps(tmp_path, step_s):
    """P7: NTP, DST, a laptop that was closed: a wake comes when its time has come by the clock, and comes once."""

    async def go() -> None:
        naps.clear()
        offset_s = 0

        def clock() -> int:
            return time.time_ns() // 1_000_000 + offset_s * 1_000

        async with resonating(tmp_path / "engine", nap, clock=clock) as resonate:
            # Longer than the test: only the step, or a second one that takes it back, brings its time.
            handle = resonate.run("n", nap, 3_000 if step_s > 0 else 1)
            sleeping = EmbeddedConnection.open(resonate._network)  # type: ignore[arg-type]
            await until(lambda: (p := sleeping.promise("n:1")) is not None and p.state == "pending")
            offset_s = step_s
            if step_s < 0:
                await asyncio.sleep(1.5)
                assert naps == []
                offset_s = 0
            began = time.monotonic()
            assert await handle.result() == "woke"
            assert time.monotonic() - began < 3
            await asyncio.sleep(0.2)
            assert len(naps) == 1

    run(go())


def test_wakes_within_a_second_of_its_time_after_a_restart(tmp_path):
    """P7: whoever slept while nobody ran wakes as soon as somebody does."""

    async def go() -> None:
        naps.clear()
        async with resonating(tmp_path / "engine", nap) as resonate:
            resonate.run("n", nap, 0.5)
            sleeping = EmbeddedConnection.open(resonate._network)  # type: ignore[arg-type]
            await until(lambda: sleeping.promise("n:1") is not None and not sleeping._lineage("n").live)
        assert naps == []
        await asyncio.sleep(0.6)
        async with resonating(tmp_path / "engine", nap):
            began = time.monotonic()
            await until(lambda: len(naps) == 1)
            assert time.monotonic() - began < 1

    run(go())


starts: list[int] = []


async def stubborn(ctx: Context, seconds: float) -> str:
    starts.append(os.getpid())
    time.sleep(seconds)  # noqa: ASYNC251 - a step that blocks the event loop, heartbeats and all
    await asyncio.sleep(seconds)
    return "done"


def test_step_that_outlasts_its_lease_is_started_once(tmp_path):
    """P9, trap 22: the engine sees that it is under way, whatever blocks the loop and whatever the clock does."""

    async def go() -> None:
        starts.clear()
        offset_s = 0

        def clock() -> int:
            return time.time_ns() // 1_000_000 + offset_s * 1_000

        async with resonating(tmp_path / "engine", stubborn, clock=clock) as resonate:
            handle = resonate.run("s", stubborn, 0.6)
            await until(lambda: starts)
            offset_s = 10 * 60
            await asyncio.sleep(1.2)  # a tick, at a time when every lease is over
            assert await handle.result() == "done"
        assert len(starts) == 1

    run(go())


def test_lease_of_what_nobody_runs_ends(tmp_path):
    """P7: a task whose holder did not give it back comes again when its lease is over."""

    async def go() -> None:
        clock = SimClock()
        async with connected(tmp_path / "engine", clock=clock.now_ms) as (connection, messages):
            await connection.send(create("p"))
            await connection.send(ask("task.acquire", id="p", version=0, pid="gone", ttl=60_000))
            clock.advance(61)
            await until(lambda: len(messages) == 2)
            assert messages[1]["data"]["task"] == {"id": "p", "version": 1}

    run(go())


def test_schedule(tmp_path):
    """P7: a cron schedule makes one promise for each time, also for those that passed while nobody ran."""

    async def go() -> None:
        clock = SimClock(start_ms=1_700_000_000_000)
        path, tags = tmp_path / "engine", {"resonate:target": ADDRESS}
        schedule = ask(
            "schedule.create", id="s", cron="* * * * *", promiseId="{{.id}}.{{.timestamp}}", promiseTimeout=10**9,
            promiseTags=tags,
        )  # fmt: skip
        async with connected(path, clock=clock.now_ms) as (connection, _):
            assert (await answer(connection, schedule))[0] == 200
            bad = ask("schedule.create", id="b", cron="61 * * * *", promiseId="x", promiseTimeout=1, promiseTags=tags)
            assert (await answer(connection, bad))[0] == 400
        clock.advance(3 * 60)
        async with connected(path, clock=clock.now_ms) as (connection, messages):
            await until(lambda: len(messages) == 3)
            _, found = await answer(connection, ask("promise.search", tags={"resonate:schedule": "s"}, limit=2))
            assert [promise["id"] for promise in found["promises"]] == ["s.1700000040000", "s.1700000100000"]
            _, rest = await answer(connection, ask("promise.search", limit=2, cursor=found["cursor"]))
            assert [promise["id"] for promise in rest["promises"]] == ["s.1700000160000"]
            assert (await answer(connection, ask("schedule.delete", id="s")))[0] == 200
            assert (await answer(connection, ask("schedule.get", id="s")))[0] == 404

    run(go())
