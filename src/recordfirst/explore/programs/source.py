"""A program as Python source. The source that is printed is the source that runs. Pure."""
# ruff: noqa: S608 - the statements are the program's own text, without any input

from __future__ import annotations

from recordfirst.explore.programs.statements import body_lines
from recordfirst.explore.programs.tree import (
    PENDING,
    EffectSpec,
    Ending,
    Part,
    Program,
    ReadSpec,
    Spec,
    WriteSpec,
    walk,
)
from recordfirst.explore.programs.values import KINDS, types

IMPORTS = """\
import asyncio
import contextlib
import dataclasses
import datetime as dt
import enum
from collections import Counter
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from recordfirst import Call, Context, Declined, Pending, Read, Write, effect, inject, read, workflow, write
from recordfirst.explore.programs.kit import OddBank, Others, OwnBank, Refused, saw, took
from recordfirst.providers.contract import Provider
"""
TABLES = "CREATE TABLE rows (step TEXT NOT NULL, n INTEGER NOT NULL, part INTEGER NOT NULL);\n"
"""The table has no unique key: only receipts prevent that rows are stored twice."""
_CLASSES = '''
class Sold(Exception):
    """Declared."""

    def __init__(self, article: str, left: int) -> None:
        self.article, self.left = article, left
        super().__init__(f"{article}: {left} left")


class SoldOut(Sold):
    """A subclass of a declared class is declared, too."""


def with_more(**more: Any) -> Sold:
    """Sold, with attributes that no ``__init__`` gives it."""
    error = Sold('pen', 0)
    vars(error).update(more)
    return error


class Odd(Exception):
    """A class of the program's own that is not declared."""
'''
_RAISES: dict[Ending, str] = {
    "declines": "raise Declined('no')",
    "sold": "raise Sold('pen', 0)",
    "sold out": "raise SoldOut('pen', 0)",
    "rich": "raise with_more(at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC), price=Decimal('1.10'))",
    "unstorable": "raise with_more(connection=object())",
    "odd": "raise Odd('by surprise')",
    "nested": "raise ExceptionGroup('all', [Sold('pen', 0)])",
    "bug": "raise KeyError('sku')",
    "exits": "raise SystemExit(3)",
    "cancels": "raise asyncio.CancelledError",
}
_DECLARED: frozenset[Ending] = frozenset({"sold", "sold out", "rich", "unstorable", "nested"})
_BANKS = {"plain": "Provider", "own": "OwnBank", "raises": "OddBank"}


def source(program: Program) -> str:
    """The module that declares the program's steps and its workflow, ``program``."""
    kinds = {each for spec in program.steps for each in (spec.value, spec.result)}
    written: list[str] = [IMPORTS, types(kinds), _CLASSES]
    effects = [each for each in program.steps if isinstance(each, EffectSpec)]
    undone_first = sorted(effects, key=lambda each: each.undo is not None)
    plain_writes = [w for w in program.steps if isinstance(w, WriteSpec) and w.intends is None]
    written += [_write(w) for w in plain_writes]
    announcing = [w for w in program.steps if isinstance(w, WriteSpec) and w.intends is not None]
    early = [e for e in undone_first if e.after is None or any(w.name == e.after for w in plain_writes)]
    written += [_effect(e) for e in early]
    # A write may announce an effect that is declared later: it looks up the name only when it runs.
    written += [_write(w) for w in announcing]
    written += [_effect(e) for e in undone_first if e not in early]
    written += [_read(r) for r in program.steps if isinstance(r, ReadSpec)]
    if any(isinstance(each, WriteSpec) and each.starts for each in program.steps) or "taken" in program.begin:
        written.append(_CHILD)
    steps = "".join(f"{e.name}, " for e in program.steps if not (isinstance(e, ReadSpec) and e.is_plain))
    parts = [each for each in walk(program.body) if isinstance(each, Part)]
    for part in parts:
        written.append(_workflow(f"part{part.number}", steps, body_lines(program, part.body)))
    written.append(_workflow("program", steps, body_lines(program, program.body)))
    names = ["program", *(f"part{part.number}" for part in parts)]
    if _CHILD in written:
        names.append("child")
    written.append(f"\nWORKFLOWS = [{', '.join(names)}]\n")
    return "\n".join(written)


_CHILD = """
@effect(key="{n}:child", provider=Provider(name="bank", retention_s=86_400), after=None)
async def called_by_child(call: Call, n: int, *, others: Others = inject()) -> str:
    return await others.ask(f"child:{n}", call, (), (), "done", keyed=True)


@workflow
async def child(ctx: Context, n: int) -> str:
    return await called_by_child(ctx, n)
"""


def _workflow(name: str, steps: str, lines: list[str]) -> str:
    body = "\n".join(f"    {line}" for line in lines) or "    pass"
    return f"""
@workflow(steps=({steps}), fails=Sold)
async def {name}(ctx: Context) -> str:
{body}
    return "done"
"""


def parameters(spec: Spec) -> str:
    """The parameters of its function, after the first one."""
    text = "n: int"
    if spec.value is not None:
        text += f", v: {KINDS[spec.value].type}"
    default = getattr(spec, "default", None)
    return text if default is None else f"{text}, d: int = {default}"


def _given(spec: Spec) -> str:
    names = ["v"] if spec.value is not None else []
    names += ["d"] if getattr(spec, "default", None) is not None else []
    return f"({', '.join(names)},)" if names else "()"


def _returns(spec: Spec) -> tuple[str, str]:
    """The type of its result, and its result."""
    return (KINDS[spec.result].type, KINDS[spec.result].value) if spec.result is not None else ("str", "'done'")


def _write(spec: WriteSpec) -> str:
    type_, result = _returns(spec)
    options = [f'key="{spec.template.replace("{name}", spec.name)}"'] if spec.has_key else []
    options += [f'name="{spec.function}"'] if spec.function is not None else []
    options += ["fails=Sold"] if spec.ends in _DECLARED else []
    waits, is_def = ("await ", "async def") if spec.is_async else ("", "def")
    lines = [f"took(f'{spec.name}:{{n}}', *{_given(spec)})"]
    if spec.session:
        lines.append(f"{waits}w.tx.execute('CREATE TEMP TABLE IF NOT EXISTS scratch (x)')")
        lines.append(f"{waits}w.tx.execute('INSERT INTO scratch VALUES (1)')")
    last = [f"{waits}w.tx.execute('INSERT INTO rows VALUES (?, ?, ?)', ('{spec.name}', n, {spec.rows - 1}))"]
    if spec.intends is not None:
        last.append(f"w.intend({spec.intends}, n{_second(spec)})")
    if spec.starts:
        last.append("w.start(child, n, id=f'child:{n}')")
    rows = [
        f"{waits}w.tx.execute('INSERT INTO rows VALUES (?, ?, ?)', ('{spec.name}', n, {part}))"
        for part in range(spec.rows - 1)
    ]
    lines += rows
    if spec.savepoint != "none":
        lines.append(f"{waits}w.tx.execute('SAVEPOINT a')")
    lines += last
    if spec.savepoint == "taken back":
        lines.append(f"{waits}w.tx.execute('ROLLBACK TO a')")
    if spec.savepoint != "none":
        lines.append(f"{waits}w.tx.execute('RELEASE a')")
    if spec.asks:
        lines.append(f"found = {waits}w.tx.execute('SELECT count(*) FROM rows WHERE step = ?', ('{spec.name}',))")
        lines.append(f"{waits}found.fetchone()")
    lines.append(_RAISES.get(spec.ends, f"return {result}"))
    return _function(
        f"@write({', '.join(options)})" if options else "@write",
        f"{is_def} {spec.name}(w: Write[Any], {parameters(spec)}) -> {type_}:",
        lines,
    )


def _second(spec: WriteSpec) -> str:
    return f", {KINDS[spec.value].value}" if spec.value is not None else ""


def _effect(spec: EffectSpec) -> str:
    type_, result = _returns(spec)
    what = f"f'{spec.name}:{{n}}'"
    retention = "retention_s=86_400" if spec.keys == "day" else "retention_s=None"
    options = [
        f'key="{spec.template.replace("{name}", spec.name)}"',
        f'provider={_BANKS[spec.classify]}(name="{spec.classify} {spec.keys}", {retention})',
        f"after={spec.after}",
        f'name="{spec.function or spec.name}"',
        "timeout_s=3",
    ]
    found = ""
    if spec.probe != "none":
        options.append(f"probe=find_{spec.name}")
        found = _function(
            "",
            f"async def find_{spec.name}(call: Call, {parameters(spec)}, *, others: Others = inject()) -> Any:",
            [f"return others.find({what}, call, {spec.probe!r}, {result})"],
        )
    if spec.undo is not None:
        options.append(f"undo={spec.undo}")
    if spec.repeats:
        options.append('in_doubt="repeat"')
    is_def = "async def" if spec.is_async else "def"
    asks = "await others.ask" if spec.is_async else "others.ask_now"
    if PENDING & {*spec.answers}:
        type_ = f"{type_} | Pending"
    call = f"return {asks}({what}, call, {_given(spec)}, {spec.answers!r}, {result}, keyed={spec.keys == 'day'})"
    lines = [f"took({what}, *{_given(spec)})"]
    if spec.classify == "own":
        lines.append(call)
    else:
        lines += ["try:", f"    {call}", "except Refused as no:", "    raise Declined(str(no)) from None"]
    head = f"{is_def} {spec.name}(call: Call, {parameters(spec)}, *, others: Others = inject()) -> {type_}:"
    text = found + _function(f"@effect({', '.join(options)})", head, lines)
    for hook in ("on_success", "on_decline", "on_pending"):
        if getattr(spec, hook):
            text += _function(
                f"@{spec.name}.{hook}",
                f"async def {hook}_{spec.name}(w: Write[Any], n: int) -> None:",
                [f"await w.tx.execute('INSERT INTO rows VALUES (?, ?, 0)', ('{hook} {spec.name}', n))"],
            )
    return text


def _read(spec: ReadSpec) -> str:
    type_, result = _returns(spec)
    lines = [f"took(f'{spec.name}:{{n}}', *{_given(spec)})", _RAISES.get(spec.ends, f"return {result}")]
    if spec.is_plain:
        return _function("", f"async def {spec.name}(ctx: Context, {parameters(spec)}) -> {type_}:", lines)
    lines.insert(1, "(await (await r.tx.execute('SELECT count(*) FROM rows')).fetchone())")
    options = [f'name="{spec.function}"'] if spec.function is not None else []
    options += ["fails=Sold"] if spec.ends in _DECLARED else []
    return _function(
        f"@read({', '.join(options)})" if options else "@read",
        f"async def {spec.name}(r: Read[Any], {parameters(spec)}) -> {type_}:",
        lines,
    )


def _function(decorator: str, head: str, lines: list[str]) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"\n{decorator + chr(10) if decorator else ''}{head}\n{body}\n"


def may_block(spec: EffectSpec) -> bool:
    """Whether its function may block: every answer comes at once."""
    return all(answer not in ("dropped", "late", "hangs") for answer in spec.answers)
