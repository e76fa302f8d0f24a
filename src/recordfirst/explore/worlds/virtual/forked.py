"""Real processes: forked from the world's own, ended by ``os._exit``, or stalled separately.

A death is not simulated here: the kernel closes open files and frees locks, and no code of ours runs. The parent only
watches: a child reports the points that it has crossed before it ends or stalls.

A fork is expensive because the child touches memory again page by page: a process of a small workflow took 29 ms
instead of 10 (2 cores, Python 3.13). For thousands of schedules use ``deaths="abandoned"``.
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
    """What a child must know each time that it goes on."""

    state: tuple[float, int, int]


class _Report(msgspec.Struct, kw_only=True):
    """The report of a child when it ends or stalls."""

    end: End
    why: str
    points: list[Point]
    events: list[BoundaryEvent]
    struck: list[At]
    accepted: list[str]
    older: str | None
    time: tuple[float, int, int]


class Able(Protocol):
    """The code that runs in the child."""

    def advance(self) -> tuple[End, str]:
        """Run until it ends, dies, or stalls."""


class Forked:
    """One process, seen from its parent, which tells it to go on."""

    def __init__(self, trial: ForkedTrial, process: Process, make: Callable[[], Able]) -> None:
        self.process = process
        self._trial, self._make = trial, make
        self._pid = 0
        self._ours: socket.socket | None = None

    def advance(self) -> tuple[End, str]:
        """Let it go on until it ends, dies, or stalls."""
        if self._ours is None:
            self._fork()
        assert self._ours is not None
        _send(self._ours, _Time(self._trial.clock.state))
        data = _receive(self._ours)
        if data is None:
            self.kill()
            return "failed", "the process ended without a report"
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
        """End it, whatever it is doing."""
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
        gc.freeze()  # existing objects are not scanned again, so fewer pages are touched
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads, if any, are not affected by the fork
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
        except BaseException:  # noqa: BLE001 - no exception may continue as if this were the parent
            self._leave(parent, "failed", traceback.format_exc())

    def _wait(self, parent: socket.socket) -> None:
        data = _receive(parent)
        if data is None:
            os._exit(1)  # the parent is gone
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
    """One schedule, with a real process for each of its processes."""

    leave: Callable[[End, str], NoReturn] | None = None
    """In a child: ends it."""

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
        """In the child: create what runs there."""
        return super()._start(process, place, version)

    def _died(self, process: Process) -> None:
        assert self.leave is not None
        assert process.struck
        self.leave("died", "")

    def is_left_by(self, process: Process) -> None:
        """In the parent: read the state that a process has left."""
        super()._died(process)

    def older(self) -> Path | None:
        """The copy of the engine."""
        return self._older

    def adopt(self, older: str | None) -> None:
        """In the parent: remember where a child has copied the engine."""
        if older is not None and self._older is None:
            self._older = Path(older)
            self._directories.append(self._older)


def _send(to: socket.socket, what: msgspec.Struct) -> None:
    data = msgspec.msgpack.encode(what)
    with contextlib.suppress(BrokenPipeError):  # a lost peer is noticed when no answer comes
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
