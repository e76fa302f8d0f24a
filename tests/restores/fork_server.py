"""A process that has everything imported, and forks others: one is there in some milliseconds, and is a real process.

``python -m tests.restores.fork_server``, with the shop's setting in the environment. Each line that it reads is a JSON
list: a file for what the process says, and nothing more for a worker, or the words of a ``recordfirst`` command. It
answers with the new process's pid. When its input ends, all end.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from recordfirst.cli import main as command
from tests.restores import shop


def main() -> None:
    """Fork for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are gone at once
    os.setpgid(0, 0)
    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _be(json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    os.killpg(0, signal.SIGKILL)


def _be(words: list[str]) -> None:
    assert shop.app is not None
    output, *rest = words
    if not rest:
        asyncio.run(shop.work(shop.app, Path(output)))
        os._exit(1)
    with Path(output).open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    status = 0
    try:
        command(rest, prog_name="recordfirst")
    except SystemExit as end:
        status = int(end.code or 0)
    sys.stdout.flush()
    sys.stderr.flush()
    Path(f"{output}.status").write_text(str(status))
    os._exit(status)


if __name__ == "__main__":
    main()
