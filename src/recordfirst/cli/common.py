"""What the commands share: finding the app, one clear line for what we can name, JSON where a machine reads."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import gc
import getpass
import importlib
import io
import json
import os
import re
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from recordfirst.cli.screen import say, say_failure
from recordfirst.client.app import App
from recordfirst.core import codec
from recordfirst.core.text import escaped, masked
from recordfirst.errors import RecordfirstError
from recordfirst.operations.schema import Schema
from recordfirst.records.open import record_from_url

_DRIVERS = {"psycopg", "psycopg_pool", "sqlite3", "aiosqlite"}
"""Whose exceptions say what the record has against a command: rights that are missing, say."""

LISTED = click.IntRange(1, 100_000)
"""How many rows a command lists."""


def collect_seldom() -> None:
    """Look for cycles rarely, in a process that works: what is loaded stays, and a workflow's run leaves few behind.

    Each look costs by what there is. With Python's own 700 to 2,000 new objects between two of them, they took about a
    fifteenth of a worker's time.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop: uvloop, where it is installed (``recordfirst[uvloop]``), else Python's own.

    A worker is busy with waking up, and takes a tenth less of its core so.
    """
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return uvloop.new_event_loop


def app_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--app module:app``."""
    return click.option(
        "--app",
        "app_path",
        required=True,
        envvar="RECORDFIRST_APP",
        metavar="MODULE:APP",
        help="Where the App object is, such as shop.app:app. Or set RECORDFIRST_APP.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for a machine.")(command)


def audited(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--who`` and ``--why``, for the audit row."""
    who = click.option(
        "--who",
        envvar="RECORDFIRST_WHO",
        default=_user,
        help="Who does it, for the audit row. Default: your name in the system. Or set RECORDFIRST_WHO.",
    )
    return who(click.option("--why", metavar="TEXT", help="The reason, for the audit row.")(command))


def dry_run_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--dry-run``."""
    return click.option("--dry-run", is_flag=True, help="Change nothing; say what would be done.")(command)


def _user() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):  # a number without a name, as containers have it; before Python 3.13 a KeyError
        return f"somebody@{socket.gethostname()}"


def load_app(path: str, option: str = "--app") -> App:
    """Import the app that ``module:name`` names, from the current folder if need be."""
    app = load_object(path, option, "MODULE:APP, such as shop.app:app")
    if not isinstance(app, App):
        module_name, _, name = path.partition(":")
        raise click.UsageError(f"{option} {path!r}: {module_name} has a {type(app).__name__}, not an App, as {name!r}")
    return app


def load_object(path: str, option: str, form: str) -> Any:
    """Import what ``module:name`` names, from the current folder if need be."""
    module_name, colon, name = path.partition(":")
    if not colon or not module_name or not name:
        raise click.UsageError(f"{option} {path!r}: write {form}")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        with _interrupted_at_once():
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.startswith(error.name):
            raise click.UsageError(
                f"{option} {path!r}: there is no module {error.name!r} here ({Path.cwd()})"
            ) from None
        fail(f"{module_name} could not be imported: {error}")
    except RecordfirstError as error:
        fail(f"{module_name} could not be imported: {error}")
    except Exception as error:  # noqa: BLE001 - it is the user's module, and whatever it raises is told, with the place
        fail(f"{module_name} could not be imported: {type(error).__name__}: {error} ({_place(error)})")
    if not hasattr(module, name):
        raise click.UsageError(f"{option} {path!r}: {module_name} has no {name!r}")
    return getattr(module, name)


@contextlib.contextmanager
def _interrupted_at_once() -> Iterator[None]:
    """Let Ctrl-C end what runs here: an event loop's own handler cancels a task, which an import does not notice."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _place(error: Exception) -> str:
    """Where it was raised, as an editor finds it."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def load_schema(app_path: str | None, url: str | None) -> Schema:
    """The tables of the record of ``--app`` or ``--record``."""
    if (app_path is None) == (url is None):
        raise click.UsageError("give either --app MODULE:APP or --record URL")
    if app_path is not None:
        return load_app(app_path).schema
    return Schema(record_from_url(url or ""), "recordfirst")


def runs(command: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async command; what it meets that we can name becomes one line and a non-zero status."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            asyncio.run(command(*args, **kwargs), loop_factory=loop_factory())
        except RecordfirstError as error:
            fail(str(error))
        except ModuleNotFoundError as error:
            if "pip install" not in str(error):
                raise
            fail(str(error))
        except KeyboardInterrupt:
            fail("interrupted; what is stored stays, and the same command may be run again", status=130)
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in _DRIVERS:
                raise
            fail(f"the record refuses: {type(error).__name__}: {error}")

    return run


def fix_hashing() -> None:
    """Begin again with hashes that are the same each time, so that the order of a set changes no schedule's meaning."""
    if os.environ.get("PYTHONHASHSEED", "random") == "random":
        again = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, again, os.environ | {"PYTHONHASHSEED": "0"})  # noqa: S606 - ourselves


class OneLine(click.Group):
    """A group of commands whose mistakes in usage are told in one line, as everything else that goes wrong."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        if args is None and sys.argv[1:2] == ["explore"]:
            fix_hashing()
        _show_what_can_be_shown()
        sys.excepthook = say_failure
        for word in sys.argv[1:] if args is None else args:
            if not word.isascii() and codec.told(word) != word:
                fail(f"{word!r} is no text in this terminal's encoding", status=2)
        try:
            status = super().main(args, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx is not None else "recordfirst"
            option = error.param if isinstance(error, click.MissingParameter) else None
            variable = f" Or set {option.envvar}." if option is not None and option.envvar else ""
            fail(f"{error.format_message()}{variable} (see {path} --help)", status=error.exit_code)
        except click.ClickException as error:
            fail(error.format_message(), status=error.exit_code)
        except click.Abort:
            fail("interrupted", status=130)
        sys.exit(status if isinstance(status, int) else 0)


def _show_what_can_be_shown() -> None:
    """Print as an escape what the terminal's encoding lacks: what was done is done, and must not end in an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def fail(message: str, status: int = 1) -> NoReturn:
    """End with one line on standard error."""
    say("recordfirst: " + masked(re.sub(r"\s*\n\s*", " ", message.strip())), err=True)
    sys.exit(status)


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    say(json.dumps(codec.to_builtins(value), default=str))


def parse_json(text: str, what: str) -> Any:
    """JSON that an operator typed."""
    try:
        return json.loads(text)
    except ValueError as error:
        quoted = "; a text is JSON in quotes: '\"ch_123\"'" if re.fullmatch(r"\w+", text) else ""
        raise click.UsageError(f"{what} is not JSON: {error}; got {text!r}{quoted}") from None


def table(rows: list[tuple[Any, ...]]) -> None:
    """Aligned columns, plain text."""
    if not rows:
        return
    shown = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    for row in shown:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say(line.rstrip())


def time_of(at_ms: int | None) -> str | None:
    """A time of the record's clock, as people read it."""
    if at_ms is None:
        return None
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).isoformat(timespec="milliseconds")


_AGE = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def age_in_s(option: str, text: str) -> float:
    """Read an age as people write it, such as ``90d``."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise click.UsageError(f"{option} {text!r}: write a number and s, m, h, d or w, such as 90d")
    try:
        return dt.timedelta(**{_UNITS[found[2]]: int(found[1])}).total_seconds()
    except OverflowError:
        raise click.UsageError(f"{option} {text!r}: that is longer than there is time") from None
