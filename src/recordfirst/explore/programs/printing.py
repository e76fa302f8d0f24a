"""Prints a run that broke a promise as a test to keep: its program, its schedule, and what was seen. Pure."""

from __future__ import annotations

import msgspec

from recordfirst.explore.programs.history import History
from recordfirst.explore.programs.source import source
from recordfirst.explore.programs.tree import Program


def as_test(program: Program, schedule: str, broken: list[str], history: History, again: str) -> str:
    """A module of pytest."""
    first = source(program)
    own = first[first.index("class Odd") :].split("\n\n\n", 1)[1].strip() if "class Odd" in first else first
    said = "\n".join(f"    {line}" for line in broken)
    return f'''"""Found by `{again}`.

{said}

The program, as it ran:

{_indented(own)}

What was seen of the run under `{schedule}`:

{_indented(chr(10).join(story(history)))}
"""

from __future__ import annotations

from recordfirst.explore.programs.replay import check

PROGRAM = r"""
{msgspec.json.format(msgspec.json.encode(program), indent=1).decode()}
"""


def test_it() -> None:
    """It breaks nothing."""
    assert check(PROGRAM, "{schedule}") == []
'''


_TOLD = ("took", "saw", "told")


def story(history: History) -> list[str]:
    """What was seen, in order, in few lines."""
    lines = [f"{note.what} {note.where}: {note.value[:160]}" for note in history.notes if note.what in _TOLD]
    lines += [f"outside: {each.kind} {_became(each.refused, repeats=each.repeats)}" for each in history.asked]
    lines += [f"receipt: {each.key}#{each.attempt} {each.state}" for each in history.receipts]
    lines += [f"start: {each.id} {each.state}{', stopped' if each.is_stopped else ''}" for each in history.starts]
    return [*lines, f"rows: {list(history.rows)}"]


def _became(refused: str | None, *, repeats: bool) -> str:
    if refused is not None:
        return refused
    return "again, under its key" if repeats else "done"


def lines_of(program: Program) -> int:
    """The number of lines of its steps and body, as a measure of how much there is to read."""
    text = source(program)
    own = text[text.index("class Odd") :].split("\n\n\n", 1)[1]
    return sum(bool(line.strip()) for line in own.splitlines())


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.replace("\\", "\\\\").replace('"""', "'''").splitlines())
