"""The one way to a terminal or pipe: ids, keys and messages come from others, and must not control a screen (P10).

Everything that a command prints goes through here, where it is escaped (``core/text.py``); JSON is escaped by JSON.
"""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

import click

from recordfirst.core.text import escaped, escaped_lines, masked

_BEGIN, _NAMED, _END = "\ufdd0", "\ufdd1", "\ufdd2"
"""Around what is styled, until all of it is escaped: characters that stand for nothing, in any text."""
_STYLES: dict[str, dict[str, Any]] = {}


def say(text: object = "", *, err: bool = False) -> None:
    """Print one line."""
    click.echo(escaped(text), err=err)


def say_over(text: object) -> None:
    """Print a line on standard error over the one before, without an end: how far something is."""
    click.echo("\r" + escaped(text), err=True, nl=False)


def say_lines(text: str, *, err: bool = False) -> None:
    """Print several lines, which may have parts in a :func:`style`."""
    click.echo(_coloured(escaped_lines(text)), err=err)


def say_failure(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback, as ``sys.excepthook``."""
    say_lines(masked("".join(traceback.format_exception(kind, error, trace)).rstrip()), err=True)


def style(text: str, name: str, **how: Any) -> str:
    """Mark a text for :func:`say_lines` to print as :func:`click.style` does with ``how``."""
    if not how:
        return text
    _STYLES[name] = how
    return f"{_BEGIN}{name}{_NAMED}{text}{_END}"


def _coloured(text: str) -> str:
    if _BEGIN not in text:
        return text
    for name, how in _STYLES.items():
        text = text.replace(f"{_BEGIN}{name}{_NAMED}", click.style("", reset=False, **how))
    return text.replace(_END, click.style("", reset=True))
