"""What the source of a generated program imports: others who answer as the program says, and notes of what was seen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from recordfirst import Absent, Call, CannotTell, Declined, Found, NotDone, Pending, Provider, Unknown
from recordfirst.core import codec
from recordfirst.explore.programs.ground import DAY_S, Asked, KeyReused, Outside, Refused, is_alive
from recordfirst.explore.programs.tree import DONE, PENDING, REFUSED, Reply
from recordfirst.explore.programs.values import told
from recordfirst.providers.contract import Probed, Verdict

_FAILS = 2
"""How often a probe fails before it answers."""
_LATE_MS = 240_000
"""After how long a late request is done: earlier than ``arrives_within_s``."""
_DECIDES_MS = 7_200_000
"""How long a pending request waits for its decision."""
NOT_DONE, SAYS_NO, ON_ITS_WAY, TAKEN_ON = "not done", "no", "on its way", "taken on"
"""Why a request that arrived was not done, or not yet."""


class Note(msgspec.Struct, frozen=True):
    """One observation."""

    what: str
    """``took``: the argument that a step got; ``saw``: the result that the body saw; ``raised``: the result is an
    exception; ``told``: an event that the observer got; ``called``: the writes that had rows when an effect was called;
    ``by``: the version that called it."""
    where: str
    value: str


class Notes:
    """What all processes of one run have seen. No record keeps it, so the boundary does."""

    all: list[Note]

    def __init__(self) -> None:
        self.all = []

    def tell(self, event: object) -> None:
        """Note an event that the app's observer got."""
        if is_alive():
            self.all.append(Note("told", type(event).__name__, str(event)))

    def add(self, what: str, where: str, value: object) -> None:
        """Add a note, unless the process that saw it has died."""
        if is_alive():
            self.all.append(Note(what, where, told(value)))


notes = Notes()
"""The notes of the current run."""


def took(where: str, *values: Any) -> None:
    """Note the arguments of a step."""
    notes.add("took", where, values)


async def saw(where: str, step: Awaitable[Any]) -> Any:
    """Note what the body sees of a step."""
    try:
        result = await step
    except Exception as error:
        notes.add("saw", where, error)
        notes.add("raised", where, None)
        raise
    notes.add("saw", where, result)
    return result


class Unreadable(Exception):  # noqa: N818 - what a client raises
    """An exception that cannot be read."""

    def __str__(self) -> str:
        raise TypeError("there is no text")


class OwnBank(Provider, frozen=True, kw_only=True):
    """A provider that recognises its own refusal."""

    def classify(self, error: Exception) -> Verdict:
        """Read it."""
        return Declined(error.reason) if isinstance(error, Refused) else super().classify(error)


class OddBank(Provider, frozen=True, kw_only=True):
    """A provider whose ``classify`` fails on unknown errors."""

    def classify(self, error: Exception) -> Verdict:
        """Fail."""
        raise KeyError(type(error).__name__)


class Others:
    """Everything outside, in one run."""

    def __init__(self, outside: Outside, rows: Callable[[], list[str]] = list, version: str = "first") -> None:
        """``rows`` returns the writes that have committed rows now. ``version`` is the one that asks."""
        self._outside, self._rows, self._version = outside, rows, version

    def land(self) -> None:
        """Apply requests that have arrived by now, each at the time of its arrival, which decides if its key counts."""
        asked = [*self._outside.asked]
        landed = {each.request["of"] for each in asked if each.kind == "landed"}
        for number, each in enumerate(asked):
            due_ms = _due_ms(each)
            if due_ms is None or number in landed or self._outside.now_ms() < due_ms:
                continue
            self._outside.keep(Asked(kind="landed", request={"of": number}, at_ms=due_ms, refused=NOT_DONE))
            # This is read each time, because a request that has just arrived is there already, and its key is known.
            same = [e for e in self._outside.asked if (e.kind, e.marker) == (each.kind, each.marker)]
            key = each.result["key"]
            if any(e.refused == SAYS_NO for e in same):
                continue  # it is done under its key, or an operator has decided about it meanwhile
            if each.result["answer"] == "pending, refused":
                if not any(e.refused is None for e in same):  # another call under its key was faster
                    self._outside.keep(msgspec.structs.replace(each, at_ms=due_ms, refused=SAYS_NO, result="refused"))
                continue
            arrived = msgspec.structs.replace(each, key=key, at_ms=due_ms, result=each.result["result"], refused=None)
            repeats = key is not None and any(e.refused is None and e.key == key for e in same)
            self._outside.keep(msgspec.structs.replace(arrived, repeats=repeats))

    def lands_at_ms(self) -> int | None:
        """When the last request that is on its way arrives."""
        asked = self._outside.asked
        landed = {each.request["of"] for each in asked if each.kind == "landed"}
        due = [due_ms for n, e in enumerate(asked) if (due_ms := _due_ms(e)) is not None and n not in landed]
        return max(due, default=None)

    async def ask(
        self, what: str, call: Call, value: Any, answers: tuple[Reply, ...], result: Any, *, keyed: bool
    ) -> Any:
        """Request it. The next one of the answers says what happens."""
        self.land()
        notes.add("called", what, self._rows())
        notes.add("by", what, self._version)
        key = call.key if keyed else None
        request = {"value": told(value), "attempt": call.attempt}
        before = [each for each in self._outside.asked if (each.kind, each.marker) == (what, call.marker)]
        said = next((each.result for each in before if each.refused == SAYS_NO), None)
        if said is not None:
            raise _refusal(what, said)  # a bank that has refused refuses again
        answer: Reply = answers[len(before)] if call.attempt == 1 and len(before) < len(answers) else "ok"
        is_done = any(each.refused is None for each in before)
        if is_done:
            answer = answer if answer in DONE else "ok"  # what is done cannot be refused
        on_its_way = {"key": key, "result": codec.to_builtins(result), "answer": answer}
        if not is_done and key is not None and self._has(before):
            return Pending(f"{what} at the bank")
        if answer in PENDING:
            self._keep(what, request, call.marker, TAKEN_ON, on_its_way)
            return Pending(f"{what} at the bank")
        if answer in REFUSED:
            self._keep(what, request, call.marker, SAYS_NO, answer)
            raise _refusal(what, answer)
        if answer in ("not done", "unknown", "dropped"):
            self._keep(what, request, call.marker, NOT_DONE)
            if answer == "dropped":
                await asyncio.sleep(7_200)
            raise ConnectionRefusedError(what) if answer == "not done" else Unknown(what)
        if answer == "late":
            self._keep(what, request, call.marker, ON_ITS_WAY, on_its_way)
            await asyncio.sleep(7_200)
        self._do(what, request, key, call.marker, result)
        await _replies(what, answer)
        return result

    def ask_now(self, *args: Any, **options: Any) -> Any:
        """Request it, for a caller that blocks: no answer may be one that never comes."""
        asking = self.ask(*args, **options)
        try:
            asking.send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("a function that blocks would wait for ever")

    def find(self, what: str, call: Call, mode: str, result: Any) -> Probed:
        """Look up the outcome of a call."""
        self.land()
        if mode == "cannot tell":
            return CannotTell("the bank has no such page")
        looks = sum(each.kind == "look" and each.marker == call.marker for each in self._outside.asked)
        self._outside.keep(
            Asked(kind="look", request=what, marker=call.marker, at_ms=self._outside.now_ms(), refused=NOT_DONE)
        )
        if mode == "fails first" and looks < _FAILS:
            raise TypeError(what) if looks else NotDone("too many requests")
        found = [each for each in self._outside.asked if (each.kind, each.marker) == (what, call.marker)]
        if any(each.refused is None for each in found):
            return Found(result)
        if any(each.refused == SAYS_NO for each in found):
            raise Declined(what)
        return Pending(f"{what} at the bank") if any(each.refused == TAKEN_ON for each in found) else Absent()

    def _has(self, before: list[Asked]) -> bool:
        """Whether the bank knows by the key that it has accepted this."""
        since_ms = self._outside.now_ms() - DAY_S * 1_000
        return any(each.refused == TAKEN_ON and each.at_ms > since_ms for each in before)

    def _do(self, what: str, request: Any, key: str | None, marker: str | None, result: Any) -> None:
        with contextlib.suppress(KeyReused):  # the outside has noted it
            self._outside.apply(
                what, request, key=key, marker=marker, retention_s=DAY_S, result=codec.to_builtins(result)
            )

    def _keep(self, what: str, request: Any, marker: str, why: str, result: Any = None) -> None:
        now_ms = self._outside.now_ms()
        self._outside.keep(Asked(kind=what, request=request, marker=marker, at_ms=now_ms, refused=why, result=result))


def _due_ms(asked: Asked) -> int | None:
    """When a request that has arrived, or was accepted, is decided; ``None``: it was decided at once."""
    after_ms = {ON_ITS_WAY: _LATE_MS, TAKEN_ON: _DECIDES_MS}.get(asked.refused or "")
    return None if after_ms is None else asked.at_ms + after_ms


async def _replies(what: str, answer: Reply) -> None:
    """Reply as the client does after the request is done."""
    match answer:
        case "lost":
            raise ConnectionResetError(what)
        case "odd":
            raise KeyError(what)
        case "unreadable":
            raise Unreadable(what)
        case "exits":
            raise SystemExit(3)
        case "cancelled":
            raise asyncio.CancelledError
        case "hangs":
            await asyncio.sleep(7_200)


def _refusal(what: str, answer: Reply) -> Exception:
    return Refused(what) if answer == "refused" else ExceptionGroup("all", [Declined(what)])
