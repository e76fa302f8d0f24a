"""Random programs: the same seed makes the same program. Pure.

A program is small, three to eight calls, so that its failures can be read. What is rare in one program is likely among
some thousand.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from recordfirst.explore.programs.source import may_block
from recordfirst.explore.programs.tree import (
    ANSWERS,
    CHANGES,
    PENDING,
    Begin,
    Catch,
    Classify,
    Do,
    Edit,
    EditKind,
    EffectSpec,
    Ending,
    Fail,
    Finally,
    Keys,
    Part,
    Probing,
    Program,
    ReadSpec,
    Reply,
    Reused,
    Savepoint,
    Sleep,
    Spec,
    Statement,
    Together,
    Within,
    WriteSpec,
    walk,
)
from recordfirst.explore.programs.values import kinds

_WELL: tuple[Ending, ...] = ("ok",) * 14
_BAD: tuple[Ending, ...] = ("declines", "sold", "sold out", "rich", "odd", "nested", "bug", "bug", "exits", "cancels")
_OF_BODIES: tuple[Ending, ...] = ("sold", "sold out", "rich", "declines", "odd", "bug", "nested")
_REPLIES: tuple[Reply, ...] = (*ANSWERS, "refused in a group")
_UNREADABLE: tuple[Reply, ...] = ("lost", "odd", "unreadable")
"""The answers that a failing `classify` must read. The effect is done with each of them."""


def generate(seed: int) -> Program:
    """The program of a seed."""
    return _Generator(random.Random(f"program {seed}")).program()  # noqa: S311 - no secret: the same each time


class _Generator:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._steps: list[Spec] = []
        self._numbers = self._parts = self._fails = 0
        self._reusing: set[str] = set()
        """Effects that are called with one shared dict: another call would have another request."""

    def program(self) -> Program:
        writes = [self._write(f"w{i}") for i in range(self._times(1, 2))]
        effects = [e for i in range(self._times(1, 3)) for e in self._effects(f"e{i}", writes)]
        reads = [self._read(f"r{i}") for i in range(self._times(0, 1))]
        # A write can only announce an effect that takes the same values.
        self._steps = [*self._announcing(writes, effects), *effects, *reads]
        body = [*self._first(), *self._block(self._times(1, 4), depth=0)]
        if self._is(0.4):
            body.append(Fail(self._one(*_OF_BODIES)))
        begin: Begin = self._one("start", "start", "start", "transaction", "savepoint", "savepoint taken back")
        program = Program(steps=tuple(self._steps), body=tuple(body), begin=begin)
        if self._is(0.25):
            program = Program(steps=program.steps, body=program.body, begin=begin, changes=self._changes(program))
        return program

    # ── steps ───────────────────────────────────────────────────────────────

    def _write(self, name: str) -> WriteSpec:
        savepoint: Savepoint = self._one("none", "none", "none", "kept", "taken back")
        return WriteSpec(
            name=name,
            rows=self._times(2, 3) if savepoint != "none" else self._times(1, 2),
            ends=self._one(*_WELL, *_BAD, "unstorable"),
            savepoint=savepoint,
            starts=self._is(0.15),
            asks=self._is(0.2),
            session=self._is(0.1),
            is_async=self._is(0.9),
            value=self._value(),
            result=self._result(),
            default=7 if self._is(0.2) else None,
        )

    def _announcing(self, writes: list[WriteSpec], effects: list[EffectSpec]) -> list[WriteSpec]:
        found = []
        for write in writes:
            fitting = [e for e in effects if e.value == write.value and e.default is None]
            intends = self._one(*fitting).name if fitting and self._is(0.4) else None
            found.append(WriteSpec(**{**{f: getattr(write, f) for f in write.__struct_fields__}, "intends": intends}))
        return found

    def _effects(self, name: str, writes: Sequence[WriteSpec]) -> list[EffectSpec]:
        """An effect, after the one that undoes it."""
        undo = None
        found = []
        value = self._value()
        if self._is(0.5):
            undo = EffectSpec(name=f"u{name}", answers=self._answers(undo=True), probe=self._one("none", "true"))
            found.append(undo)
        keys: Keys = self._one("day", "day", "day", "none")
        classify: Classify = self._one("plain", "plain", "own", "raises")
        answers = self._answers()
        probe: Probing = self._one("none", "none", "true", "true", "fails first", "cannot tell")
        if classify == "raises" and self._is(0.85):
            answers, keys = (self._one(*_UNREADABLE), *answers[1:]), self._one("day", "none", "none")
            probe = self._one("true", "true", "fails first")
        elif self._is(0.15):
            answers, probe = ("refused in a group", *answers[1:]), "none"
        if PENDING & {*answers}:
            probe = self._one("true", "true", "fails first")
        spec = EffectSpec(
            name=name,
            answers=answers,
            keys=keys,
            probe=probe,
            classify=classify,
            after=self._one(*writes).name if self._is(0.6) else None,
            undo=undo.name if undo is not None else None,
            on_success=self._is(0.3),
            on_decline=self._is(0.2),
            on_pending=bool(PENDING & {*answers}) and self._is(0.5),
            value=value,
            result=self._result(),
            default=3 if self._is(0.2) else None,
        )
        if may_block(spec) and self._is(0.08):
            spec = EffectSpec(**{**{f: getattr(spec, f) for f in spec.__struct_fields__}, "is_async": False})
        return [*found, spec]

    def _answers(self, *, undo: bool = False) -> tuple[Reply, ...]:
        if self._is(0.4):
            return ()
        answers: list[Reply] = [self._one(*_REPLIES) for _ in range(self._times(1, 3))]
        return tuple(
            each
            for each in answers
            if not undo or not (each in PENDING or (each.startswith("refused") and self._is(0.7)))
        )

    def _read(self, name: str) -> ReadSpec:
        ends = self._one(*_WELL, *_BAD)
        if self._is(0.4):
            return ReadSpec(name=name, ends=ends, is_plain=True)  # its arguments and results are left to the engine
        return ReadSpec(name=name, ends=ends, value=self._value(), result=self._result())

    def _value(self) -> str | None:
        if self._is(0.5):
            return None
        return self._one(*kinds(sound=not self._is(0.08)))

    def _result(self) -> str | None:
        return self._one(*kinds(sound=True)) if self._is(0.4) else None

    # ── the body ────────────────────────────────────────────────────────────

    def _first(self) -> list[Statement]:
        """Mostly, the writes that effects come after."""
        afters = [each.name for each in self._steps if isinstance(each, WriteSpec)]
        return [Do(name, 1) for name in afters if self._is(0.8)]

    def _block(self, length: int, depth: int) -> list[Statement]:
        return [self._statement(depth) for _ in range(length)]

    def _statement(self, depth: int) -> Statement:  # noqa: PLR0911 - one return per kind
        if depth >= 2 or self._is(0.5):  # noqa: PLR2004 - deep enough
            return self._do()
        kind = self._one("together", "together", "catch", "catch", "finally", "within", "sleep", "part", "reused")
        match kind:
            case "together":
                branches = tuple(tuple(self._block(self._times(1, 2), depth + 1)) for _ in range(self._times(2, 3)))
                return Together(self._one("gather", "gather", "settled", "checked", "group"), branches)
            case "catch":
                body = (*self._failing(), *self._block(self._times(1, 2), depth + 1))
                return Catch(self._one("Declined", "Sold", "Exception", "Exception"), body, self._handler(body, depth))
            case "finally":
                body = (*self._failing(), *self._block(1, depth + 1))
                return Finally(body, tuple(self._block(1, depth + 1)))
            case "within":
                return Within(self._one(1, 30, 3_600), tuple(self._block(self._times(1, 2), depth + 1)))
            case "sleep":
                return Sleep(self._one(1, 60, 7 * 86_400))
            case "part":
                number = self._parts
                self._parts += 1
                return Part(tuple(self._block(self._times(1, 2), depth + 1)), number)
            case _:
                return self._reused()

    def _failing(self) -> list[Statement]:
        """A call that mostly fails, so that there is something to catch. It has no other purpose."""
        if not self._is(0.7):
            return []
        name = f"f{self._fails}"
        self._fails += 1
        ends = self._one(*_BAD)
        self._steps.append(WriteSpec(name=name, ends=ends) if self._is(0.7) else ReadSpec(name=name, ends=ends))
        return [Do(name, 1)]

    def _handler(self, body: tuple[Statement, ...], depth: int) -> tuple[Statement, ...]:
        declined = [each for each in body if isinstance(each, Do) and each.step.startswith("e")]
        if declined and self._is(0.6):
            return (Do(declined[0].step, declined[0].n, 2),)
        return tuple(self._block(self._times(0, 1), depth + 1))

    def _do(self) -> Do:
        known = [each for each in self._steps if each.name not in self._reusing]
        effects = [each for each in known if isinstance(each, EffectSpec)]
        spec = self._one(*effects, *effects, *known)
        return Do(spec.name, self._number(spec))

    def _number(self, spec: Spec) -> int:
        """Mostly 1, because an effect has the number of the write that it comes after."""
        del spec
        if self._is(0.75):
            return 1
        self._numbers += 1
        return self._numbers % 3 + 1

    def _reused(self) -> Statement:
        name = f"e{90 + len(self._steps)}"
        self._reusing.add(name)
        self._steps.append(EffectSpec(name=name, value="dict", keys=self._one("day", "day", "none")))
        return Reused(name, (1, 2, 3)[: self._times(2, 3)])

    # ── the next version ────────────────────────────────────────────────────

    def _changes(self, program: Program) -> tuple[Edit, ...]:
        names = [each.step for each in walk(program.body) if isinstance(each, Do)]
        kinds: tuple[EditKind, ...] = (*CHANGES,)
        places = len(walk(program.body)) - 1
        edits = [
            Edit(self._one(*kinds), self._one(*names) if names else "", self._times(0, max(0, places)))
            for _ in range(self._times(1, 2))
        ]
        # With another name and another key at once it is another step: nothing in the record says what it was.
        rekeyed = {each.step for each in edits if each.kind == "rekey"}
        return tuple(each for each in edits if each.kind != "rename" or each.step not in rekeyed)

    # ── chance ──────────────────────────────────────────────────────────────

    def _is(self, share: float) -> bool:
        return self._chance.random() < share

    def _times(self, least: int, most: int) -> int:
        return self._chance.randint(least, most)

    def _one[T](self, *of: T) -> T:
        return of[self._chance.randrange(len(of))]
