"""A program that has imported a case, and forks workers.

``python -m recordfirst.explore.worlds.real.programs.fork_server``

It has one thread, no event loop and no connection, so a fork can break nothing. A forked worker is ready in some
milliseconds, where imports alone would take a second, and is a process like any other. The program reads a case, then
one order per line, and answers each with the worker's process id. When its input ends, all workers end.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import importlib
import os
import signal
import sys
import traceback

import msgspec

from recordfirst.errors import Misuse
from recordfirst.explore.case import Case
from recordfirst.explore.worlds.real.programs import worker
from recordfirst.explore.worlds.real.programs.sending import Sent, receive

_RECORDS = ("recordfirst.records.postgres", "recordfirst.records.sqlite")


class ForkReply(msgspec.Struct, omit_defaults=True):
    """The fork server's answer to each line."""

    pid: int = 0
    error: str = ""


def main() -> None:
    """Import, then fork for each line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this ends it
    case = _case(base64.b64decode(sys.stdin.readline()))
    gc.collect()
    gc.freeze()  # what is there is not looked through again, so fewer pages are touched
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are gone at once
    while line := sys.stdin.readline():
        order = msgspec.json.decode(line, type=worker.Order)
        pid = os.fork()
        if pid == 0:
            _be(case, order)
        _say(ForkReply(pid=pid))
    os.killpg(0, signal.SIGKILL)


def _case(data: bytes) -> Case:
    try:
        case = receive(msgspec.msgpack.decode(data, type=Sent))
        # What a worker needs, before it is forked.
        for module in ("aiohttp", "recordfirst.engine.embedded.engine", *_RECORDS):
            with contextlib.suppress(ModuleNotFoundError):  # one of the two is an extra that nobody needs here
                importlib.import_module(module)
    except Misuse as error:
        _say(ForkReply(error=str(error)))
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - a user's module, which may raise anything
        _say(ForkReply(error=f"the case cannot be imported by another program: {type(error).__name__}: {error}"))
        sys.exit(1)
    _say(ForkReply())
    return case


def _say(answer: ForkReply) -> None:
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


def _be(case: Case, order: worker.Order) -> None:
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, nothing), (1, log), (2, log)):
            os.dup2(source, target)
        worker.be(case, order)
        status = 0
    except BaseException:  # noqa: BLE001 - its log tells
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
