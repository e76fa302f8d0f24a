"""A shop, its outside, and the command line, on which findings are brought about and cleared as the how-to says."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import shlex
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from unittest import mock

import psycopg
from click.testing import CliRunner

from recordfirst.cli import main
from recordfirst.testing import StripeSimulator
from tests.cli.conftest import CommandLine
from tests.engine.double import Server
from tests.references.program import Archive, Mirror
from tests.restores.copies import FileCopies

_EXAMPLES = ("pi_1", "re_1", "transfer 7")
"""What the page shows for example, and everybody has another of."""
HERE = Path(__file__).parent
_PATIENCE_S = 100.0


class Outside(contextlib.AbstractContextManager["Outside"]):
    """A Stripe and, if wanted, an engine that workers share: servers in a thread of their own."""

    def __init__(self, *, engine: bool) -> None:
        self.stripe, self.engine = StripeSimulator(), Server() if engine else None
        self.engine_url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = contextlib.AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self._open())
        return self

    def __exit__(self, *exc: object) -> None:
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        await self._stack.enter_async_context(self.stripe)
        if self.engine is not None:
            self.engine_url = await self._stack.enter_async_context(self.engine.running())

    async def _close(self) -> None:
        await self._stack.aclose()
        left = asyncio.all_tasks() - {asyncio.current_task()}  # a worker that was killed still listens, say
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def run[T](self, what: Coroutine[Any, Any, T]) -> T:
        """Have it done there."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(_PATIENCE_S)

    def charges(self) -> Counter[str]:
        """How often each marker was charged, and stands."""
        made = (entry.metadata.get("recordfirst_key") for entry in self.stripe.ledger().charges)
        return Counter(marker for marker in made if marker is not None)


class Desk(CommandLine):
    """Somebody at a terminal, with the how-to in hand."""

    def __init__(self, url: str, home: Path, outside: Outside) -> None:
        super().__init__(url, home)
        self.home, self.outside = home, outside
        self.env |= {
            "RECORDFIRST_APP": "shop:app",
            "SHOP_RECORD": url,
            "SHOP_HOME": str(home),
            "SHOP_STRIPE": outside.stripe.url,
            "SHOP_ENGINE": outside.engine_url,
            "PYTHONPATH": str(HERE),
            "COLUMNS": "200",
        }
        self.stack = contextlib.ExitStack()
        """What stays until the end."""
        self.kept: psycopg.Connection[Any] | None = None
        """A transaction that somebody keeps open."""
        self.works: subprocess.Popen[str] | None = None
        """The worker that stays."""

    # ── the command line ────────────────────────────────────────────────────

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command in this process, on an app that is imported anew."""
        with self._imported(env):
            result = CliRunner().invoke(main, words, prog_name="recordfirst")
        if not isinstance(result.exception, SystemExit | None):
            raise result.exception
        return subprocess.CompletedProcess(words, result.exit_code, result.stdout, result.stderr)

    @contextlib.contextmanager
    def _imported(self, env: dict[str, str] | None = None) -> Iterator[None]:
        sys.modules.pop("shop", None)
        with (
            mock.patch.dict(os.environ, self.env | (env or {})),
            mock.patch.object(sys, "path", [str(HERE), *sys.path]),
        ):
            yield
        sys.modules.pop("shop", None)

    def found(self, *words: str) -> list[str]:
        """The codes that a reconcile finds; it changes nothing."""
        ended = self.run("reconcile", *words, "--json")
        assert ended.returncode in (0, 1), ended.stderr
        codes = [each["finding"]["code"] for each in _json(ended.stdout)["found"]]
        assert ended.returncode == bool(codes)
        return codes

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for what another process does."""
        deadline = time.monotonic() + _PATIENCE_S
        while not true():
            assert time.monotonic() < deadline, self.run("reconcile").stdout
            time.sleep(0.02)

    # ── the shop ────────────────────────────────────────────────────────────

    def inside[T](self, what: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Do something with the shop's module, in this process."""
        with self._imported():
            return asyncio.run(what(importlib.import_module("shop")))

    def start(self, id: str, workflow: str = "create_order") -> None:
        """Take an order."""
        self.done("start", workflow, f'{{"order": {{"id": "{id}"}}}}', "--id", f"order:{id}")

    def sell(self, *ids: str) -> None:
        """Take orders, and work until they have come to their end."""

        async def selling(shop: Any) -> None:
            async with shop.app.worker():
                for id in ids:
                    await (await shop.app.start(shop.create_order, shop.Order(id), id=f"order:{id}")).result()

        self.inside(selling)

    def work(self, true: Callable[[], bool]) -> None:
        """Have a worker in this process, until something is so."""

        async def working(shop: Any) -> None:
            async with shop.app.worker(), asyncio.timeout(_PATIENCE_S):
                while not true():
                    await asyncio.sleep(0.01)

        self.inside(working)

    def finish(self, id: str = "42") -> None:
        """Have the order come to its end: by the worker that is there, or by one of this process."""
        if self.works:
            self.until(lambda: self.state(id) == "succeeded")
        else:
            self.work(lambda: self.state(id) == "succeeded")

    def begin_work(self) -> None:
        """Have a worker, a process of its own, from here to the end."""
        self.works = self.stack.enter_context(self.worker())

    def state(self, id: str = "42") -> str | None:
        """Of an order's workflow."""
        rows = self.execute(f"SELECT state FROM {self.table('start')} WHERE id = 'order:{id}'")
        return str(rows[0][0]) if rows else None

    def dies(self, when: str, id: str = "42") -> None:
        """A worker takes the order, and is gone at a point of it."""
        self.touch(when)
        self.start(id)
        with self.worker() as worker:
            assert worker.wait(_PATIENCE_S) == 137

    def touch(self, what: str) -> None:
        """Have the shop be worse."""
        (self.home / what).touch()

    def fix(self, what: str) -> None:
        """Have it be better again."""
        (self.home / what).unlink()

    # ── the record ──────────────────────────────────────────────────────────

    @property
    def sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    def table(self, name: str) -> str:
        return f"recordfirst_{name}" if self.sqlite else f"recordfirst.{name}"

    def older(self, table: str, *times: str) -> None:
        """An hour has passed since."""
        names = [f"{time}_ms" if self.sqlite else time for time in times]
        hour = "3600000" if self.sqlite else "interval '1 hour'"
        changes = ", ".join(f"{name} = {name} - {hour}" for name in names)
        self.execute(f"UPDATE {self.table(table)} SET {changes}")

    def books(self, sql: str) -> None:
        """Change the ledger behind its back."""
        with contextlib.closing(sqlite3.connect(self.home / "books.db", autocommit=True)) as db:
            db.execute("PRAGMA ignore_check_constraints = 1")
            assert db.execute(sql).rowcount > 0

    def copies(self, name: str) -> FileCopies:
        """Of a file that is restored later."""
        return FileCopies(f"sqlite:///{self.home / name}")

    @property
    def mirror(self) -> Mirror:
        return Mirror(self.home / "mirror")

    @property
    def archive(self) -> Archive:
        return Archive(self.home / "archive")

    # ── the page ────────────────────────────────────────────────────────────

    def follow(self, block: str, exits: Mapping[str, int], seen: Callable[[Desk], dict[str, str]]) -> None:
        """Type what a block of the page says, with what is seen in the place of what the page shows for example."""
        for typed in block.splitlines():
            line = typed
            if any(example in typed for example in _EXAMPLES):
                for example, real in seen(self).items():
                    line = line.replace(example, real)
            words = shlex.split(line, comments=True)
            match words[0]:
                case "psql" | "sqlite3":
                    if (words[0] == "sqlite3") == self.sqlite:
                        self.execute(words[-1])
                case "recordfirst" if words[1] == "worker":
                    self.begin_work()
                case "recordfirst":
                    ended = self.run(*words[1:])
                    name = " ".join(words[1:3]) if words[1] == "ledger" else words[1]
                    name += " --apply" if "--apply" in words else ""
                    assert ended.returncode == exits.get(name, 0), (line, ended.stdout, ended.stderr)
                case other:
                    raise AssertionError(f"the how-to says {other!r}, which this test does not know")


def _json(text: str) -> Any:
    return json.loads(text.splitlines()[-1])
