"""``recordfirst explore --programs``: generated programs, until one breaks a promise."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from recordfirst.cli.common import print_json
from recordfirst.cli.screen import say, say_lines

if TYPE_CHECKING:
    from recordfirst.explore.programs.search import Sum

_SAY_EVERY_S = 10.0
_SECONDS = 60.0
_INTERRUPTED = 130


def explore_programs(given: Mapping[str, Any]) -> int:
    """Search, say what came of it, and keep what was found; return the status.

    Ctrl-C ends it behind the run that is under way, which takes a moment; a second one ends it at once.
    """
    from recordfirst.explore.programs.search import search, told  # noqa: PLC0415 - other commands need not wait for it
    from recordfirst.explore.programs.shape import coverage, missing  # noqa: PLC0415 - as above

    if given["only"] is not None and given["since"] is not None:
        raise click.UsageError("--only and --since exclude each other: one program, or all from one on")
    if given["seconds"] is not None and not math.isfinite(given["seconds"]):
        raise click.UsageError(f"--seconds {given['seconds']}: write a number of seconds")
    seconds = given["seconds"] if given["seconds"] is not None or given["runs"] is not None else _SECONDS
    places = {"only": given["only"], "since": given["since"] or 0}
    with _interruptible() as interrupted:
        if not given["quiet"] and not given["as_json"]:
            say(f"programs of seed {given['seed']}; Ctrl-C ends it, and says how far it came", err=True)
        whole = search(
            given["seed"],
            runs=given["runs"],
            seconds=seconds,
            **places,
            tell=_teller(given),
            interrupted=interrupted.is_set,
        )
    status = _INTERRUPTED if interrupted.is_set() else 1 if whole.failed else 0
    tests = [told(found) for found in whole.found]
    for found, text in zip(whole.found, tests, strict=True):
        if given["keep"] is not None:
            _keep(given["keep"], f"test_program_{found.seed}.py", text)
    if given["as_json"]:
        print_json(as_data(whole) | {"found": tests})
        return status
    for text in tests:
        say_lines(f"\n{text}")
    if given["pairs"]:
        say_lines(coverage(whole.pairs))
        say_lines(f"\nnot together in any run: {', '.join(missing(whole.pairs)) or 'none'}\n")
    counted = f"{_count(whole.runs, 'run')} of {_count(whole.programs, 'program')}"
    say_lines(
        f"{counted} ({len(whole.shapes):,} different by shape) in "
        f"{whole.seconds:,.0f} s, seed {whole.seed}: {whole.failed:,} broke a promise\n"
    )
    if given["only"] is None:
        say_lines(f"go on with --since {whole.following}\n")
    return status


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Let Ctrl-C be noticed where there is nothing to tear apart: a run has threads, files and an event loop."""
    interrupted = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        del number, frame
        interrupted.set()
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def as_data(whole: Sum) -> dict[str, Any]:
    """What was run, as JSON builtins."""
    return {
        "seed": whole.seed,
        "runs": whole.runs,
        "programs": whole.programs,
        "shapes": len(whole.shapes),
        "seconds": round(whole.seconds, 1),
        "failed": whole.failed,
        "following": whole.following,
        "faults": dict(whole.faults),
        "pairs": dict(whole.pairs),
        "ends": dict(whole.ends),
    }


def _keep(folder: Path, name: str, text: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    except OSError as error:
        raise click.UsageError(f"cannot be written: {error}") from None


def _teller(given: Mapping[str, Any]) -> Any:
    said = time.monotonic()

    def tell(whole: Sum) -> None:
        nonlocal said
        if not given["quiet"] and not given["as_json"] and time.monotonic() - said >= _SAY_EVERY_S:
            said = time.monotonic()
            so_far = f"{whole.seconds:,.0f} s: {whole.runs:,} runs, {whole.failed:,} broke a promise"
            say(f"{so_far}; next is {whole.following}", err=True)
            sys.stderr.flush()

    return tell
