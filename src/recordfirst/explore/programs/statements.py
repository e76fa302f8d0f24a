"""The body of a program as lines of Python. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from recordfirst.explore.programs.tree import (
    Catch,
    Do,
    EffectSpec,
    Ending,
    Fail,
    Finally,
    Part,
    Program,
    ReadSpec,
    Reused,
    Sleep,
    Statement,
    Together,
    Within,
)
from recordfirst.explore.programs.values import KINDS

_RAISES: dict[Ending, str] = {
    "declines": "raise Declined('the body')",
    "sold": "raise Sold('body', 1)",
    "sold out": "raise SoldOut('body', 1)",
    "rich": "raise with_more(at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC))",
    "unstorable": "raise with_more(connection=object())",
    "odd": "raise Odd('the body')",
    "nested": "raise ExceptionGroup('body', [Sold('body', 1)])",
    "bug": "raise KeyError('body')",
    "exits": "raise SystemExit(4)",
    "cancels": "raise asyncio.CancelledError",
}


def body_lines(program: Program, body: Sequence[Statement]) -> list[str]:
    """The lines of a block."""
    return _Lines(program).block(body)


class _Lines:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._branches = 0

    def block(self, body: Sequence[Statement]) -> list[str]:
        return [line for statement in body for line in self._lines(statement)] or ["pass"]

    def _indented(self, body: Sequence[Statement]) -> list[str]:
        return [f"    {line}" for line in self.block(body)]

    def _lines(self, statement: Statement) -> list[str]:  # noqa: PLR0911 - one return per kind
        match statement:
            case Do(step, n, attempt):
                return [f"await {self._call(step, n, attempt)}"]
            case Together():
                return self._together(statement)
            case Reused(step, numbers):
                calls = [f"line['n'] = {n}; calls.append(saw('{step}:{n}', {step}(ctx, {n}, line)))" for n in numbers]
                return ["line, calls = {}, []", *calls, "await asyncio.gather(*calls)"]
            case Within(seconds, body):
                return [f"async with asyncio.timeout({seconds}):", *self._indented(body)]
            case Catch(what, body, handler):
                return ["try:", *self._indented(body), f"except {what}:", *self._indented(handler)]
            case Finally(body, final):
                return ["try:", *self._indented(body), "finally:", *self._indented(final)]
            case Sleep(seconds):
                return [f"await ctx.sleep(dt.timedelta(seconds={seconds}))"]
            case Part(_, number):
                return [f"await saw('part{number}', ctx.rpc(part{number}))"]
            case Fail(how):
                return [_RAISES[how]]

    def _call(self, name: str, n: int, attempt: int) -> str:
        spec = self._program.step(name)
        given = f"ctx, {n}" + (f", {KINDS[spec.value].value}" if spec.value is not None else "")
        called = f"{name}({given})"
        if isinstance(spec, EffectSpec) and attempt > 1:
            called = f"{name}.attempt({attempt})({given})"
        if isinstance(spec, ReadSpec) and spec.is_plain:
            called = f"ctx.run({name}{given.removeprefix('ctx')})"
        where = f"{name}:{n}" + (f"#{attempt}" if attempt > 1 else "")
        return f"saw('{where}', {called})"

    def _together(self, statement: Together) -> list[str]:
        lines, names = [], []
        for branch in statement.branches:
            self._branches += 1
            names.append(f"branch{self._branches}")
            lines += [f"async def {names[-1]}():", *self._indented(branch)]
        called = [f"{name}()" for name in names]
        if statement.how == "group":
            lines.append("async with asyncio.TaskGroup() as group:")
            return [*lines, *(f"    group.create_task({call})" for call in called)]
        if statement.how == "gather":
            return [*lines, f"await asyncio.gather({', '.join(called)})"]
        gathered = f"await asyncio.gather({', '.join(called)}, return_exceptions=True)"
        if statement.how == "settled":
            return [*lines, gathered]
        lines.append(f"if any(isinstance(each, BaseException) for each in ({gathered})):")
        return [*lines, "    raise Declined('one of them failed')"]
