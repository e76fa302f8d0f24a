"""A process in its own event loop: it runs until it ends, dies or stalls, and can be told to go on."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Coroutine
from typing import Any

from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.clock import VirtualLoop
from recordfirst.explore.worlds.virtual.program import Stuck
from recordfirst.explore.worlds.world import End


class Running:
    """One running process, which goes on when it is told to."""

    def __init__(self, main: Coroutine[Any, Any, None], process: Process) -> None:
        self.process = process
        self._loop = VirtualLoop(process.clock)
        self._main = self._loop.create_task(main)
        self._main.add_done_callback(lambda _: self._loop.stop())

    def advance(self) -> tuple[End, str]:
        """Run until the process ends, dies, or stalls."""
        asyncio.set_event_loop(self._loop)
        try:
            with self.process.clock.installed(self.process.chance):
                if self.process.stalled is not None:
                    self.process.stalled.set_result(None)
                self._loop.run_forever()
                return self._end()
        finally:
            asyncio.set_event_loop(None)

    def _end(self) -> tuple[End, str]:
        process = self.process
        if not (process.died or process.overran or self._main.done()):
            return "stalled", ""
        error = self._main.exception() if self._main.done() and not self._main.cancelled() else None
        self.process.let_go()
        self._dispose()
        if process.died:
            return "died", ""
        if process.overran:
            return "stuck", f"a process has crossed {len(process.points):,} points: it loops"
        if isinstance(error, Stuck):
            return "stuck", str(error)
        return ("ended", "") if error is None else ("failed", f"{type(error).__name__}: {error}")

    def _dispose(self) -> None:
        """Discard its remaining tasks. They could only touch files that are not read any longer."""
        self.process.disposed = True
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)  # that is intended
            for _ in range(_TURNS_MOST):
                left = self._loop.unfinished()
                if not left:
                    break
                for task in left:
                    task.cancel()
                self._loop.call_soon(self._loop.stop)
                self._loop.run_forever()
                del left
        for close in self.process.opened:
            close()
        self._loop.close()


_TURNS_MOST = 20
