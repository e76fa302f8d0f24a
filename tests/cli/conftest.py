"""The command line as its users run it: as processes, in a folder with a shop of theirs."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHOP = """
import os
import sqlite3
import msgspec
from recordfirst import App, Call, Context, Declined, Provider, Unknown, Write, effect, workflow, write
from recordfirst.records.open import record_from_url

class Order(msgspec.Struct, frozen=True):
    id: str
    amount_minor: int

@write
async def insert_order(w: Write, order: Order) -> None:
    mark = "?" if "aiosqlite" in type(w.tx).__module__ else "%s"
    await w.tx.execute(f"INSERT INTO orders VALUES ({mark}, {mark})", (order.id, order.amount_minor))

@effect(key="order:{order.id}:mail", provider=Provider(name="mail"), after=insert_order)
async def send_mail(call: Call, order: Order) -> str:
    if order.amount_minor == 13:
        raise Unknown("the line went dead")
    if order.amount_minor == 14:
        raise Declined("no such address", "550")
    return f"mail {order.id}"

@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    if order.amount_minor == 15 and not os.path.exists("mended"):
        raise ValueError("a bug")
    return await send_mail(ctx, order)

@write
async def unstorable(w: Write) -> object:
    await w.tx.execute("INSERT INTO orders VALUES ('unstorable', 1)")
    return object()

@workflow
async def returns_nonsense(ctx: Context) -> None:
    await unstorable(ctx)

app = App("shop", record=record_from_url(os.environ["SHOP_RECORD"]), workflows=[create_order, returns_nonsense])
nothing = 42
"""


@dataclasses.dataclass
class Said:
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def is_one_clear_line(self, *needles: str, status: int = 1) -> bool:
        """One line on standard error that says all of these; no traceback; nothing on standard output."""
        lines = [line for line in self.err.strip().splitlines() if not line.startswith(("Usage:", "Try '"))]
        clear = len([line for line in lines if line.strip()]) == 1 and "Traceback" not in self.err
        missing = [needle for needle in needles if needle not in self.err]
        assert (self.status, self.out, clear, missing) == (status, "", True, []), self
        return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder, with ``shop.py``."""
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


@pytest.fixture
def environment(record_url: str) -> dict[str, str]:
    """The user's environment."""
    return {**os.environ, "SHOP_RECORD": record_url, "PYTHONWARNINGS": "error", "COLUMNS": "200"}


@pytest.fixture
def recordfirst(folder: Path, environment: dict[str, str]) -> Callable[..., Said]:
    """Run a command."""

    def run(*words: str, **more: str) -> Said:
        command = [sys.executable, "-m", "recordfirst.cli", *words]
        done = subprocess.run(
            command, cwd=folder, env=environment | more, capture_output=True, text=True, timeout=60, check=False
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def shop(recordfirst: Callable[..., Said], folder: Path, environment: dict[str, str]) -> Callable[..., Said]:
    """The same, with the shop's tables in place and ``--app`` given."""
    assert recordfirst("migrate", "--app", "shop:app", "--apply").status == 0
    make = (
        "import asyncio, shop\n"
        "async def go():\n"
        "    async with shop.app, shop.app.record.write() as w:\n"
        "        await w.tx.execute('CREATE TABLE orders (id TEXT PRIMARY KEY, amount_minor INTEGER)')\n"
        "asyncio.run(go())"
    )
    subprocess.run([sys.executable, "-c", make], cwd=folder, env=environment, check=True, timeout=60)

    def run(command: str, *words: str, **more: str) -> Said:
        return recordfirst(command, "--app", "shop:app", *words, **more)

    return run


@pytest.fixture
def worker(folder: Path, environment: dict[str, str], shop: Callable[..., Said]) -> Any:
    """``recordfirst worker``, working, and told to end at the end."""
    command = [sys.executable, "-m", "recordfirst.cli", "worker", "--app", "shop:app"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "standing by" in process.stdout.readline()
        assert "working" in process.stdout.readline()
        yield process
        process.terminate()
        out, err = process.communicate(timeout=30)
        assert (process.returncode, "stopping" in out, "Traceback" in err) == (0, True, False), err
