"""The possible outcomes of a program, by its text alone, and the reason if there are several. Pure.

A body is read statement by statement. If the outcome depends on others (which of two branches raises first, whether a
wait times out), each way is an alternative.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Literal

import msgspec

from recordfirst.explore.programs.tree import (
    REFUSED,
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
    WriteSpec,
    walk,
)
from recordfirst.explore.programs.values import KINDS

type Flow = Literal["next", "stop", "Declined", "Sold", "Odd", "Timeout", "group", "odd group", "Sold group"]
"""How a statement ends: the next one follows, or it raises. ``stop``: by a defect, which no body sees."""

BUSINESS: frozenset[Flow] = frozenset({"Declined", "Sold", "group", "Sold group"})
"""The exceptions that the program declares, also in a group."""
_FLOWS: dict[Ending, Flow] = {
    "ok": "next",
    "declines": "Declined",
    "sold": "Sold",
    "sold out": "Sold",
    "rich": "Sold",
    "unstorable": "stop",
    "odd": "Odd",
    "nested": "Sold group",
    "bug": "stop",
    "exits": "stop",
    "cancels": "stop",
}
_MOST = 64
"""The most alternatives that are computed. A program with more may have any outcome."""


class Way(msgspec.Struct, frozen=True):
    """One way through a block."""

    flow: Flow = "next"
    done: frozenset[str] = frozenset()
    """The effects that are done outside, as ``effect:number``."""
    perhaps: frozenset[str] = frozenset()
    """The effects that may also be done: by a branch for which nothing waits."""
    known: frozenset[tuple[str, str]] = frozenset()
    """How steps have ended, as ``step:number`` and flow: a second call gets the same answer."""
    why: str = ""

    def then(self, other: Way) -> Way:
        """This way, followed by another."""
        return Way(
            other.flow,
            self.done | other.done,
            self.perhaps | other.perhaps,
            self.known | other.known,
            other.why or self.why,
        )


class TooManyError(Exception):
    """There are too many alternatives: the program may have any outcome."""


def ways(program: Program, there: frozenset[str] = frozenset()) -> frozenset[Way] | None:
    """All ways through a program; ``None`` if there are too many.

    ``there``: steps that an earlier version may have done, as ``step:number``. Their receipts answer.
    """
    try:
        return frozenset(_Reader(program).block(program.body, Way(), there))
    except TooManyError:
        return None


class _Reader:
    def __init__(self, program: Program) -> None:
        self._program = program

    def block(self, body: Sequence[Statement], since: Way, beside: frozenset[str]) -> set[Way]:
        """``beside``: writes of parallel branches, which may have committed in time."""
        found = {since}
        for statement in body:
            following: set[Way] = set()
            for way in found:
                if way.flow == "next":
                    following |= {way.then(other) for other in self._ways(statement, way, beside)}
                else:
                    following.add(way)
            found = following
            if len(found) > _MOST:
                raise TooManyError
        return found

    def _ways(self, statement: Statement, since: Way, beside: frozenset[str]) -> Iterable[Way]:  # noqa: PLR0911
        match statement:
            case Do():
                return self._do(statement, since, beside)
            case Together():
                return self._together(statement, since, beside)
            case Reused(step, numbers):
                branches = tuple((Do(step, n),) for n in numbers)
                return self._together(Together("gather", branches), since, beside)
            case Within(_, body):
                return self._within(body, since, beside)
            case Catch(what, body, handler):
                return self._catch(what, body, handler, since, beside)
            case Finally(body, final):
                return self._finally(body, final, since, beside)
            case Part(body, _):
                return self.block(body, since, beside)
            case Fail(how):
                return [Way(_FLOWS[how], why=f"the body {how}")]
            case Sleep():
                return [Way()]

    def _do(self, do: Do, since: Way, beside: frozenset[str]) -> list[Way]:
        spec = self._program.step(do.step)
        where = f"{do.step}:{do.n}" + (f"#{do.attempt}" if do.attempt > 1 else "")
        if (known := dict(since.known).get(where)) is not None:
            return [Way(known)]  # type: ignore[arg-type]
        if spec.value is not None and not KINDS[spec.value].is_sound:
            return [Way("stop", why=f"{where} is given a value that would not come back equal")]
        match spec:
            case EffectSpec():
                return self._effect(spec, do, where, since, beside)
            case WriteSpec():
                return self._write(spec, do, where, since, beside)
            case ReadSpec():
                return [
                    Way(_FLOWS[spec.ends], known=frozenset({(where, _FLOWS[spec.ends])}), why=f"{where} {spec.ends}")
                ]

    def _write(self, spec: WriteSpec, do: Do, where: str, since: Way, beside: frozenset[str]) -> list[Way]:
        """An effect that the write announces must come after this write, or after one that has committed (P1)."""
        ends = self._ended(spec, do, where)
        intended = spec.intends is not None and spec.savepoint != "taken back" and ends.flow == "next"
        after = (self._program.effect(spec.intends or "").after or spec.name) if intended else spec.name
        before = f"{after}:{do.n}"
        if after == spec.name or dict(since.known).get(before) == "next":
            return [ends]
        stop = Way("stop", why=f"{where} announces an effect that comes after another write")
        return [stop, ends] if before in beside else [stop]

    @staticmethod
    def _ended(spec: WriteSpec, do: Do, where: str) -> Way:
        flow = _FLOWS[spec.ends]
        starts = spec.starts and spec.savepoint != "taken back" and flow == "next"
        done = frozenset({f"child:{do.n}"}) if starts else frozenset()
        return Way(flow, done, known=frozenset({(where, flow)}), why=f"{where} {spec.ends}")

    def _effect(self, spec: EffectSpec, do: Do, where: str, since: Way, beside: frozenset[str]) -> list[Way]:
        known = dict(since.known)
        if spec.after is not None and known.get(f"{spec.after}:{do.n}") != "next":
            stop = Way("stop", why=f"{where} comes before its write")
            return [stop, *self._called(spec, do, where)] if f"{spec.after}:{do.n}" in beside else [stop]
        if do.attempt > 1 and known.get(f"{do.step}:{do.n}") != "Declined":
            stop = Way("stop", why=f"{where} is an attempt after one that was not declined")
            return [stop, *self._called(spec, do, where)] if f"{do.step}:{do.n}" in beside else [stop]
        return self._called(spec, do, where)

    @staticmethod
    def _called(spec: EffectSpec, do: Do, where: str) -> list[Way]:
        answers = spec.answers if do.attempt == 1 else ()
        found = []
        for answer in (*answers, "ok"):
            if answer in NOTHING:
                continue
            is_refused = answer in REFUSED or answer == "pending, refused"
            flow: Flow = "Declined" if is_refused else "next"
            done = frozenset() if is_refused else frozenset({f"{do.step}:{do.n}"})
            found.append(Way(flow, done, known=frozenset({(where, flow)}), why=f"{where}: {answer}"))
            if answer != "late":
                break  # the next call may overtake a late one, and its answer then counts for the key
        return found

    def _together(self, statement: Together, since: Way, beside: frozenset[str]) -> list[Way]:
        makes = [self._writes(branch) for branch in statement.branches]
        each_way = [
            self.block(branch, msgspec.structs.replace(since, flow="next"), beside.union(*makes[:i], *makes[i + 1 :]))
            for i, branch in enumerate(statement.branches)
        ]
        found = []
        at_once = any(
            all(
                way.flow == "stop"
                for way in self.block(branch[:1], msgspec.structs.replace(since, flow="next"), beside)
            )
            for branch in statement.branches
        )
        for combined in product(*each_way):
            found += self._joined(statement.how, combined, at_once=at_once)
            if len(found) > _MOST * 4:
                raise TooManyError
        return found

    def _writes(self, branch: Sequence[Statement]) -> frozenset[str]:
        return frozenset(f"{each.step}:{each.n}" for each in walk(tuple(branch)) if isinstance(each, Do))

    @staticmethod
    def _joined(how: str, branches: Sequence[Way], *, at_once: bool) -> list[Way]:
        """``at_once``: a branch begins with a defect, so no other can have failed before that one is in flight."""
        done = frozenset[str]().union(*(way.done for way in branches))
        perhaps = frozenset[str]().union(*(way.perhaps for way in branches))
        known = frozenset[tuple[str, str]]().union(*(way.known for way in branches))
        flows = [way.flow for way in branches]
        raised = [flow for flow in flows if flow not in ("next", "stop")]
        if "stop" in flows:
            why = next(way.why for way in branches if way.flow == "stop")
            stop = Way("stop", frozenset(), perhaps | done, known, why)
            if how in ("settled", "checked") or not raised or (how == "gather" and at_once):
                return [stop]
            # The branch that failed first may have ended the body, and then no branch begins another step.
            flows = [_group_of(raised)] if how == "group" else raised
            return [
                stop,
                *(Way(flow, frozenset(), perhaps | done, frozenset(), "it failed first") for flow in set(flows)),
            ]
        if not raised or how == "settled":
            return [Way("next", done, perhaps, known)]
        if how == "checked":
            return [Way("Declined", done, perhaps, known, "one of them failed")]
        if how == "gather":
            # The body sees the first; the others go on, some of them to their end.
            return [
                Way(way.flow, frozenset(), perhaps | done, way.known, way.why) for way in branches if way.flow in raised
            ]
        groups = {_group_of(part) for part in _parts(raised)}
        return [Way(flow, frozenset(), perhaps | done, frozenset(), "a group") for flow in groups]

    def _within(self, body: Sequence[Statement], since: Way, beside: frozenset[str]) -> list[Way]:
        inside = self.block(body, since, beside)
        given_up = [
            Way("Timeout", frozenset(), way.done | way.perhaps, frozenset(), "it is given up in time") for way in inside
        ]
        return [*inside, *given_up]

    def _catch(
        self, what: str, body: Sequence[Statement], handler: Sequence[Statement], since: Way, beside: frozenset[str]
    ) -> list[Way]:
        found = []
        for way in self.block(body, since, beside):
            if way.flow in ("next", "stop") or what not in ("Exception", way.flow):
                found.append(way)
                continue
            caught = msgspec.structs.replace(way, flow="next")
            found += self.block(handler, caught, beside)
        return found

    def _finally(
        self, body: Sequence[Statement], final: Sequence[Statement], since: Way, beside: frozenset[str]
    ) -> list[Way]:
        found = []
        for way in self.block(body, since, beside):
            if way.flow == "stop":
                found.append(way)
                continue
            for end in self.block(final, msgspec.structs.replace(way, flow="next"), beside):
                goes_on = msgspec.structs.replace(end, flow=way.flow, why=way.why)
                found += [goes_on if end.flow == "next" else end]
        return found


NOTHING = frozenset({"not done", "unknown", "dropped"})
"""Answers by which nothing is done and nothing is known: the effect is called again."""


def _group_of(raised: Iterable[Flow]) -> Flow:
    return "group" if all(each in BUSINESS for each in raised) else "odd group"


def _parts(raised: Sequence[Flow]) -> list[Sequence[Flow]]:
    """The possible groups: of all branches that raised, or of those that raised first."""
    return [raised, *([each] for each in raised)]
