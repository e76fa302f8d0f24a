"""A shop with its record, its engine, a Stripe, a carrier, and workers that are killed at random."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from recordfirst.errors import Misuse
from tests.restores.carrier import Books
from tests.restores.shop import TABLE, Order, Setting, app_of, sell

ROOT = Path(__file__).parents[2]
SMALL = 14
ORDERS = int(os.environ.get("RESTORE_ORDERS", SMALL))
SEED = int(os.environ.get("RESTORE_SEED", "1"))
KILLS = 2 if ORDERS == SMALL else 8
"""In each stretch of work."""
PATIENCE_S = 40 + ORDERS / 3
WAIT_MS = 1_500 + 30 * ORDERS
"""Each order sleeps for so long between charge and shipment, so that all are open together, on a busy machine too."""
_LOOK_S = 0.05 if ORDERS == SMALL else 0.25
"""Between two looks of the test, each by a connection of its own."""
_BAD_DAY = {"lost-reply": 0.04, "error-after": 0.02, "error-before": 0.02, "rate-limited": 0.02, "reset-before": 0.02}


def order_of(number: int) -> Order:
    """They differ in what they cost."""
    return Order(number, 1_000 + number)


class World:
    """One shop and all around it; see the module. Not to be used by two tests at once."""

    def __init__(self, url: str, folder: Path, *, forgets: bool = False, faults: bool = True) -> None:
        self.url, self.folder, self.faults = url, folder, faults
        self.engine = folder / "engine"
        self.books = Books(folder / "carrier.db")
        self.chance = random.Random(SEED)
        self.workers: list[int] = []
        self.forks = 0
        self._forgets = forgets

    # ── all around ──────────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def open(self) -> Any:
        """Have all of it run."""
        simulator = self._start_simulator()
        try:
            self._nursery = self._start_nursery()
            try:
                self.app = app_of(self.setting)
                await self._make_tables()
                yield self
            finally:
                self.kill()
                self._end(self._nursery)
        finally:
            simulator.kill()
            self._end(simulator)

    def _start_simulator(self) -> subprocess.Popen[str]:
        rates = [word for name, rate in _BAD_DAY.items() for word in (f"--{name}", str(rate))] if self.faults else []
        words = [sys.executable, "-m", "recordfirst.testing.stripe", "--seed", str(SEED), *rates]
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        self.stripe = json.loads(process.stdout.readline())["url"]
        engine, books = str(self.engine), self.books.path
        reconcile_s = max(1.0, ORDERS / 240)
        self.setting = Setting(self.url, engine, self.stripe, books, WAIT_MS, reconcile_s, forgets=self._forgets)
        return process

    def _start_nursery(self) -> subprocess.Popen[str]:
        env = os.environ | {"RESTORES": msgspec.json.encode(self.setting).decode()}
        words = [sys.executable, "-m", "tests.restores.fork_server"]
        return subprocess.Popen(words, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def _end(process: subprocess.Popen[str]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()

    async def _make_tables(self) -> None:
        store = self.app.runtime.record
        await store.open("shop")
        await store.migrate()
        async with store.transaction() as tx:
            await tx.connection.execute(TABLE)
        await store.close()

    def _fork(self, *words: str) -> int:
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write(json.dumps(words) + "\n")
        self._nursery.stdin.flush()
        return int(self._nursery.stdout.readline())

    def work(self) -> None:
        """Two workers: one works, the other stands by."""
        assert all(Path(f"/proc/{pid}").exists() for pid in self.workers), "a worker ended by itself"
        while len(self.workers) < 2:
            self.forks += 1
            self.workers.append(self._fork(str(self.folder / f"worker-{self.forks}.log")))

    def kill(self, count: int = 2) -> None:
        """SIGKILL so many of them, whichever; all, if nothing is said."""
        self.chance.shuffle(self.workers)
        for pid in self.workers[:count]:
            os.kill(pid, signal.SIGKILL)
            _gone(pid)
        del self.workers[:count]

    def command(self, *words: str) -> tuple[int, str]:
        """``recordfirst ...``: its status, and what it said."""
        self.forks += 1
        output = self.folder / f"command-{self.forks}"
        _gone(self._fork(str(output), *words, "--app", "tests.restores.shop:app"), PATIENCE_S)
        return int(output.with_name(f"{output.name}.status").read_text()), output.read_text()

    def control(self, what: str, body: dict[str, Any] | None = None) -> Any:
        """Ask, or order, the simulator."""
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(f"{self.stripe}/_sim/{what}", data=data, timeout=30) as reply:
            return json.load(reply)

    # ── the work ────────────────────────────────────────────────────────────

    async def take(self, numbers: Iterable[int]) -> None:
        """Orders are accepted; again, if whoever sent them sends them again."""
        wanted = list(numbers)
        async with self.app:
            for first in range(0, len(wanted), 100):
                async with self.app.record.write() as w:
                    for number in wanted[first : first + 100]:
                        w.start(sell, order_of(number), id=f"order:{number}")

    async def until(self, condition: Callable[[], bool], *, kills: int = KILLS) -> None:
        """Work until it is so, while workers die at random moments, and an operator answers for the post."""
        deadline = time.monotonic() + PATIENCE_S
        left, next_kill = kills, time.monotonic() + self._moment()
        async with self.app:
            while left > 0 or not condition():
                self.work()
                assert time.monotonic() < deadline, self.told()
                if left and time.monotonic() > next_kill:
                    self.kill(self.chance.randint(1, 2))
                    left, next_kill = left - 1, time.monotonic() + self._moment()
                await self._answer()
                await asyncio.sleep(_LOOK_S)

    async def seen(self, condition: Callable[[], bool]) -> None:
        """Wait until it is so, whoever works or does not."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self.told()
            await asyncio.sleep(_LOOK_S)

    def _moment(self) -> float:
        return self.chance.uniform(0.1, 0.6 if ORDERS == SMALL else 2.0)

    async def _answer(self) -> None:
        """Be the person who asks the post: what it has, was sent, and what it has not, was not."""
        parked = self.rows(
            "SELECT key FROM {receipt} WHERE function = 'send_letter' AND state = 'unknown' AND parked_on IS NOT NULL"
        )
        for (key,) in parked:
            sent = self.books.has(f"shop/{key}")
            with contextlib.suppress(Misuse):  # somebody's execution has moved it meanwhile: look again
                if sent:
                    await self.app.resolve(key, outcome="succeeded", result="arrived")
                else:
                    await self.app.resolve(key, outcome="not done")

    async def end(self) -> None:
        """Work under kills until everything has ended, and the workers' own reconciles have nothing more to say."""
        await self.until(lambda: self.ended() == ORDERS)
        await self.until(lambda: self.count("{finding} WHERE closed_because IS NULL") == 0, kills=0)
        self.kill()

    # ── what there is to see ────────────────────────────────────────────────

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What the record says; ``{receipt}`` and so on are its tables."""
        postgres = self.url.startswith("postgresql")
        names = ("receipt", "start", "timeline", "finding", "audit", "mark")
        tables = {name: f"recordfirst.{name}" if postgres else f"recordfirst_{name}" for name in names}
        statement = statement.format(**tables)
        if postgres:
            with psycopg.connect(self.url, autocommit=True) as connection:
                return connection.execute(statement.encode()).fetchall()
        with contextlib.closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=30)) as file:
            return file.execute(statement).fetchall()

    def count(self, rest: str) -> int:
        """How many rows."""
        return int(self.rows(f"SELECT count(*) FROM {rest}")[0][0])

    def ended(self) -> int:
        """Orders that have ended."""
        return self.count("{start} WHERE state <> 'open'")

    def charged(self) -> int:
        """Orders that are paid, or were, as far as the record knows."""
        return self.count("orders WHERE payment IS NOT NULL")

    def told(self) -> str:
        """For whoever reads a failure."""
        starts = self.rows("SELECT state, epoch, engine, count(*) FROM {start} GROUP BY 1, 2, 3")
        receipts = self.rows("SELECT function, state, doubts, count(*) FROM {receipt} GROUP BY 1, 2, 3")
        findings = self.rows("SELECT code, subject, detail, closed_because FROM {finding}")
        logs = [file.read_text()[-2_000:] for file in self.folder.glob("worker-*.log")]
        is_open = "(SELECT id FROM {start} WHERE state = 'open')"
        left = self.rows(f"SELECT * FROM {{start}} WHERE id IN {is_open}")
        left += self.rows(f"SELECT * FROM {{receipt}} WHERE workflow IN {is_open}")
        said: list[Any] = [
            starts,
            receipts,
            self.rows("SELECT * FROM {timeline}"),
            self.rows("SELECT * FROM {mark}"),
            findings,
        ]
        said += [*left, *self._orders_in_engine()]
        return "\n".join([*map(str, said), *logs])

    def _orders_in_engine(self) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.engine, timeout=30)) as file:
            return file.execute("SELECT id, state, task, body FROM promises WHERE id LIKE '%order%'").fetchall()

    def outside(self) -> dict[str, dict[str, int]]:
        """How often each call was applied at the providers."""
        ledger = self.control("ledger")
        kinds = {"charges": "charged", "refunds": "refunded", "declines": "declined"}
        applied = {
            name: dict(Counter(entry["metadata"]["recordfirst_key"] for entry in ledger[kind]))
            for kind, name in kinds.items()
        }
        return applied | {"carrier": self.books.counts()}

    def state(self) -> dict[str, Any]:
        """All that must be as it would have been without faults; what each run draws anew is left out."""
        # An epoch that finishes the undo of one that was lost says that, and not why the first one failed.
        starts = self.rows(
            "SELECT id, workflow, fingerprint, state, result, CASE WHEN NOT EXISTS (SELECT 1 FROM {receipt} AS done "
            "WHERE done.workflow = a.id AND done.undone_by IS NOT NULL) THEN error END FROM {start} AS a"
        )
        receipts = self.rows(
            "SELECT key, attempt, kind, function, workflow, request, undo, undone_by, state, doubts, "
            "result, CASE WHEN state = 'declined' THEN error END FROM {receipt}"
        )
        return {
            "starts": {tuple(map(_bare, row)) for row in starts},
            "receipts": {tuple(map(_bare, row)) for row in receipts},
            "orders": set(self.rows("SELECT number, amount, status, payment IS NULL FROM orders")),
            "outside": {name: set(counts) for name, counts in self.outside().items()},
        }

    def check(self, expected: dict[str, Any]) -> None:
        """As in a run without faults; each call applied once; nothing left to find."""
        repeated = [(name, key, n) for name, counts in self.outside().items() for key, n in counts.items() if n != 1]
        assert repeated == [], self.told()
        state = self.state()
        for name, wanted in expected.items():
            if name != "outside":
                assert state[name] == wanted, (name, state[name] ^ wanted)
        assert state["outside"] == expected["outside"]
        payments = {entry["payment_intent"] for entry in self.control("ledger")["charges"]}
        assert {payment for (payment,) in self.rows("SELECT payment FROM orders")} == payments
        status, said = self.command("reconcile")
        assert (status, said.startswith("0 found, 0 left")) == (0, True), said
        assert self.command("findings") == (0, "no findings\n")

    # ── copies ──────────────────────────────────────────────────────────────

    def copy_engine(self, name: str) -> None:
        """A copy of its file; nobody works."""
        _copy(self.engine, self.folder / name)

    def restore_engine(self, name: str) -> None:
        """Put the copy in its place."""
        self.lose_engine()
        _copy(self.folder / name, self.engine)

    def lose_engine(self) -> None:
        """Delete its file."""
        for suffix in ("", "-wal", "-shm"):
            self.engine.with_name(self.engine.name + suffix).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    for suffix in ("", "-wal"):
        file = source.with_name(source.name + suffix)
        if file.exists():
            shutil.copy(file, target.with_name(target.name + suffix))


def _gone(pid: int, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.005)


_DRAWN = {"id", "charge", "created_s", "payment_intent"}


def _bare(value: Any) -> Any:
    """A value without what each run draws anew; comparable."""
    if isinstance(value, str) and (value[:1] in ("{", '"') or value == "null"):
        value = json.loads(value)
    if isinstance(value, dict):
        if "code" in value and "reason" in value:
            value = {"code": value["code"]}  # a probe has other words for it
        return json.dumps({name: _bare(part) for name, part in value.items() if name not in _DRAWN}, sort_keys=True)
    return value
