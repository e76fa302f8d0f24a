"""Processes that are processes: forked from the world's own, ended by ``os._exit``, or stalled on their own.

Nothing is simulated about a death here: the kernel closes what was open and frees what was locked, and no line of ours
runs. The parent only watches: a child reports what it crossed before it ends or stalls.

A fork is dear where memory is touched again page by page: a process of a small workflow took 29 ms instead of 10 (2
cores, Python 3.13). What is explored by the thousand is explored with ``deaths="abandoned"``.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Protocol

import msgspec

from recordfirst.explore.runs.event import BoundaryEvent
from recordfirst.explore.runs.schedule import At, Point
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.place import Place
from recordfirst.explore.worlds.virtual.trial import VirtualTrial
from recordfirst.explore.worlds.world import End
from recordfirst.steps.workflow import Workflow

_LENGTH_BYTES = 8


class _Time(msgspec.Struct):
    """What a child must know whenever it goes on."""

    state: tuple[float, int, int]


class _Report(msgspec.Struct, kw_only=True):
    """What a child has to say when it ends or stalls."""

    end: End
    why: str
    points: list[Point]
    events: list[BoundaryEvent]
    struck: list[At]
    accepted: list[str]
    older: str | None
    time: tuple[float, int, int]


class Able(Protocol):
    """What runs in the child."""

    def advance(self) -> tuple[End, str]:
        """Run until it ends, dies, or stalls."""


class Forked:
    """One process, seen from its parent: goes on whenever it is told to."""

    def __init__(self, trial: ForkedTrial, process: Process, make: Callable[[], Able]) -> None:
        self.process = process
        self._trial, self._make = trial, make
        self._pid = 0
        self._ours: socket.socket | None = None

    def advance(self) -> tuple[End, str]:
        """Let it go on, until it ends, dies, or stalls."""
        if self._ours is None:
            self._fork()
        assert self._ours is not None
        _send(self._ours, _Time(self._trial.clock.state))
        data = _receive(self._ours)
        if data is None:
            self.kill()
            return "failed", "the process ended without a word"
        report = msgspec.msgpack.decode(data, type=_Report)
        process = self.process
        process.points, process.events, process.struck = report.points, report.events, report.struck
        process.accepted = set(report.accepted)
        self._trial.clock.state = report.time
        self._trial.adopt(report.older)
        if report.end != "stalled":
            self._reap()
        if report.end == "died":
            self._trial.is_left_by(process)
            process.died = True
        return report.end, report.why

    def kill(self) -> None:
        """End it, wherever it stands."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._reap()

    def _reap(self) -> None:
        os.waitpid(self._pid, 0)
        self._pid = 0
        if self._ours is not None:
            self._ours.close()

    def _fork(self) -> None:
        ours, theirs = socket.socketpair()
        gc.freeze()  # what is there is not looked through again, so fewer pages are touched
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads, if any, have nothing to do with it
            self._pid = os.fork()
        if not self._pid:
            gc.disable()
            ours.close()
            self._be(theirs)
        theirs.close()
        gc.unfreeze()
        self._ours = ours
        self._trial.children.append(self)

    # ── in the child ────────────────────────────────────────────────────────

    def _be(self, parent: socket.socket) -> NoReturn:
        try:
            self._trial.leave = lambda end, why: self._leave(parent, end, why)
            self._wait(parent)
            able = self._make()
            end, why = able.advance()
            while end == "stalled":
                self._say(parent, end, why)
                self._wait(parent)
                end, why = able.advance()
            self._leave(parent, end, why)
        except BaseException:  # noqa: BLE001 - whatever it is, this is not the parent
            self._leave(parent, "failed", traceback.format_exc())

    def _wait(self, parent: socket.socket) -> None:
        data = _receive(parent)
        if data is None:
            os._exit(1)  # nobody is there to go on for
        self._trial.clock.state = msgspec.msgpack.decode(data, type=_Time).state

    def _say(self, parent: socket.socket, end: End, why: str) -> None:
        process, older = self.process, self._trial.older()
        report = _Report(
            end=end,
            why=why,
            points=process.points,
            events=process.events,
            struck=process.struck,
            accepted=sorted(process.accepted),
            older=None if older is None else str(older),
            time=self._trial.clock.state,
        )
        _send(parent, report)

    def _leave(self, parent: socket.socket, end: End, why: str) -> NoReturn:
        self._say(parent, end, why)
        os._exit(0)


class ForkedTrial(VirtualTrial):
    """One schedule, with a process of the machine for each of its processes."""

    leave: Callable[[End, str], NoReturn] | None = None
    """In a child: end it."""

    def __init__(self, *args: Any) -> None:
        self.children: list[Forked] = []
        super().__init__(*args)

    def clean_up(self) -> None:
        for child in self.children:
            child.kill()
        super().clean_up()

    def _start(self, process: Process, place: Place, version: Workflow[..., Any]) -> Any:
        return Forked(self, process, lambda: self._inside(process, place, version))

    def _inside(self, process: Process, place: Place, version: Workflow[..., Any]) -> Able:
        """In the child: make what runs there."""
        return super()._start(process, place, version)

    def _died(self, process: Process) -> None:
        assert self.leave is not None
        assert process.struck
        self.leave("died", "")

    def is_left_by(self, process: Process) -> None:
        """In the parent: look at what a process has left."""
        super()._died(process)

    def older(self) -> Path | None:
        """Where the engine was copied to."""
        return self._older

    def adopt(self, older: str | None) -> None:
        """In the parent: know where a child has copied the engine to."""
        if older is not None and self._older is None:
            self._older = Path(older)
            self._directories.append(self._older)


def _send(to: socket.socket, what: msgspec.Struct) -> None:
    data = msgspec.msgpack.encode(what)
    with contextlib.suppress(BrokenPipeError):  # who is gone is noticed by its silence
        to.sendall(len(data).to_bytes(_LENGTH_BYTES) + data)


def _receive(since: socket.socket) -> bytes | None:
    """Return a whole message; ``None`` if the other side is gone."""
    head = _exactly(since, _LENGTH_BYTES)
    return None if head is None else _exactly(since, int.from_bytes(head))


def _exactly(since: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = since.recv(min(1 << 20, size - len(parts)))
        if not part:
            return None
        parts += part
    return bytes(parts)
