"""What the source of a generated program stands on: others who answer as they are told, and notes of what was seen."""

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
"""How often a probe fails first."""
_LATE_MS = 240_000
"""How late a late request is done: sooner than ``arrives_within_s`` says."""
_DECIDES_MS = 7_200_000
"""How long it takes to decide what is pending."""
NOT_DONE, SAYS_NO, ON_ITS_WAY, TAKEN_ON = "not done", "no", "on its way", "taken on"
"""Why something that arrived was not done, or not yet."""


class Note(msgspec.Struct, frozen=True):
    """What somebody saw."""

    what: str
    """``took``: a step, of its argument; ``saw``: the body, of a result; ``raised``: that this is an exception;
    ``told``: an observer, of an event; ``called``: an effect, of the writes that have rows by then; ``by``: by which
    version it was called."""
    where: str
    value: str


class Notes:
    """What was seen in one run, by whichever of its processes: no record keeps it, so the boundary does."""

    all: list[Note]

    def __init__(self) -> None:
        self.all = []

    def tell(self, event: object) -> None:
        """Note what the app was told by recordfirst."""
        if is_alive():
            self.all.append(Note("told", type(event).__name__, str(event)))

    def add(self, what: str, where: str, value: object) -> None:
        """Note it, unless the process that saw it has died."""
        if is_alive():
            self.all.append(Note(what, where, told(value)))


notes = Notes()
"""Of the run that is under way."""


def took(where: str, *values: Any) -> None:
    """Note what a step was given."""
    notes.add("took", where, values)


async def saw(where: str, step: Awaitable[Any]) -> Any:
    """Note what a body sees of a step."""
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
    """Knows its refusal."""

    def classify(self, error: Exception) -> Verdict:
        """Read it."""
        return Declined(error.reason) if isinstance(error, Refused) else super().classify(error)


class OddBank(Provider, frozen=True, kw_only=True):
    """Cannot read what it does not know."""

    def classify(self, error: Exception) -> Verdict:
        """Fail."""
        raise KeyError(type(error).__name__)


class Others:
    """Everybody outside, as one run has them."""

    def __init__(self, outside: Outside, rows: Callable[[], list[str]] = list, version: str = "first") -> None:
        """``rows``: which writes have committed rows just now. ``version``: which one asks."""
        self._outside, self._rows, self._version = outside, rows, version

    def land(self) -> None:
        """Do what was on its way and has arrived by now: at its own time, when its key was honoured still."""
        asked = [*self._outside.asked]
        landed = {each.request["of"] for each in asked if each.kind == "landed"}
        for number, each in enumerate(asked):
            due_ms = _due_ms(each)
            if due_ms is None or number in landed or self._outside.now_ms() < due_ms:
                continue
            self._outside.keep(Asked(kind="landed", request={"of": number}, at_ms=due_ms, refused=NOT_DONE))
            # Anew each time: what has landed just now is there already, and its key is known.
            same = [e for e in self._outside.asked if (e.kind, e.marker) == (each.kind, each.marker)]
            key = each.result["key"]
            if any(e.refused == SAYS_NO for e in same):
                continue  # under its key, or by an operator who has decided about it meanwhile
            if each.result["answer"] == "pending, refused":
                if not any(e.refused is None for e in same):  # another call under its key was faster
                    self._outside.keep(msgspec.structs.replace(each, at_ms=due_ms, refused=SAYS_NO, result="refused"))
                continue
            arrived = msgspec.structs.replace(each, key=key, at_ms=due_ms, result=each.result["result"], refused=None)
            repeats = key is not None and any(e.refused is None and e.key == key for e in same)
            self._outside.keep(msgspec.structs.replace(arrived, repeats=repeats))

    def lands_at_ms(self) -> int | None:
        """When the last of what is on its way arrives."""
        asked = self._outside.asked
        landed = {each.request["of"] for each in asked if each.kind == "landed"}
        due = [due_ms for n, e in enumerate(asked) if (due_ms := _due_ms(e)) is not None and n not in landed]
        return max(due, default=None)

    async def ask(
        self, what: str, call: Call, value: Any, answers: tuple[Reply, ...], result: Any, *, keyed: bool
    ) -> Any:
        """Have it done, as the next of the answers says."""
        self.land()
        notes.add("called", what, self._rows())
        notes.add("by", what, self._version)
        key = call.key if keyed else None
        request = {"value": told(value), "attempt": call.attempt}
        before = [each for each in self._outside.asked if (each.kind, each.marker) == (what, call.marker)]
        said = next((each.result for each in before if each.refused == SAYS_NO), None)
        if said is not None:
            raise _refusal(what, said)  # a bank that has said no says so again
        answer: Reply = answers[len(before)] if call.attempt == 1 and len(before) < len(answers) else "ok"
        is_done = any(each.refused is None for each in before)
        if is_done:
            answer = answer if answer in DONE else "ok"  # what is done is refused no longer
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
        """Have it done, for a caller that cannot wait: no answer may be one that does not come."""
        asking = self.ask(*args, **options)
        try:
            asking.send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("a function that blocks was to wait for ever")

    def find(self, what: str, call: Call, mode: str, result: Any) -> Probed:
        """Look what became of it."""
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
        """Whether the bank knows by its key that it has taken this on."""
        since_ms = self._outside.now_ms() - DAY_S * 1_000
        return any(each.refused == TAKEN_ON and each.at_ms > since_ms for each in before)

    def _do(self, what: str, request: Any, key: str | None, marker: str | None, result: Any) -> None:
        with contextlib.suppress(KeyReused):  # noted as such
            self._outside.apply(
                what, request, key=key, marker=marker, retention_s=DAY_S, result=codec.to_builtins(result)
            )

    def _keep(self, what: str, request: Any, marker: str, why: str, result: Any = None) -> None:
        now_ms = self._outside.now_ms()
        self._outside.keep(Asked(kind=what, request=request, marker=marker, at_ms=now_ms, refused=why, result=result))


def _due_ms(asked: Asked) -> int | None:
    """When what has arrived, or was taken on, is decided; ``None``: it was decided at once."""
    after_ms = {ON_ITS_WAY: _LATE_MS, TAKEN_ON: _DECIDES_MS}.get(asked.refused or "")
    return None if after_ms is None else asked.at_ms + after_ms


async def _replies(what: str, answer: Reply) -> None:
    """What the client makes of it, when it is done."""
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
