"""Points, faults, and schedules: what is done to a workflow, and where. Pure.

A *point* is one crossing of a boundary by one process: a statement to the record, a request to the engine, a call of
a provider, or a provider event that comes in. Processes and points are counted from 1, and a run is the same each
time, so ``1.17:crash`` names one moment and nothing else. A *schedule* is a few of those, as one line of text that an
operator can keep and give back.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

from recordfirst.errors import Misuse

type Boundary = Literal["record", "engine", "provider", "event", "time"]

type Fault = Literal[
    "crash", "crash-after", "fail", "lose", "contend", "stall", "redeliver", "hang",
    "early", "twice", "never", "late", "overtaken",
]  # fmt: skip
FAULTS: dict[Fault, str] = {
    "crash": "the process dies before it",
    "crash-after": "the process dies after it was applied, before it sees the reply",
    "fail": "it is not applied, and an error comes back",
    "lose": "it is applied, and the reply is lost",
    "contend": "the record refuses it: deadlock, serialization failure, busy",
    "stall": "the process stalls for longer than its lease; a successor works meanwhile; then it goes on",
    "redeliver": "the task's lease ends here, and the engine delivers it a second time to this process",
    "hang": "it is applied, and the reply does not come until the caller gives up",
    "early": "its reply takes seconds, and what the provider tells of it by itself comes first",
    "twice": "the event is delivered twice at the same time, and once more 40 days later",
    "never": "the event never arrives; where nothing else is to come, an operator catches up with it",
    "late": "the event arrives 40 days later",
    "overtaken": "the event arrives behind the one that comes after it",
}

_OF_BOUNDARY: dict[Boundary, tuple[Fault, ...]] = {
    "record": ("crash", "crash-after", "fail", "lose", "contend", "stall", "redeliver"),
    "engine": ("crash", "crash-after", "fail", "lose", "stall"),
    "provider": ("crash", "crash-after", "fail", "lose", "hang", "stall", "redeliver"),
    "event": ("crash", "crash-after", "fail", "lose", "stall", "twice", "never", "late", "overtaken"),
    "time": ("crash",),
}

ENDS: tuple[Fault, ...] = ("crash", "crash-after")
"""The faults that end the process."""

MISHAPS: tuple[Fault, ...] = ("twice", "never", "late", "overtaken")
"""What befalls a provider event on its way; the process has no part in it."""

type ChangeBetween = Literal["engine-lost", "engine-older", "keys-expired", "deploy"]
CHANGES: dict[ChangeBetween, str] = {
    "engine-lost": "before the successor begins, the engine forgets everything",
    "engine-older": "before the successor begins, the engine is restored to what it was at an earlier point",
    "keys-expired": "so much time passes before the successor begins that providers have forgotten their keys",
    "deploy": "the successor runs another version of the workflow",
}


class Point(msgspec.Struct, frozen=True):
    """One crossing of a boundary by a process."""

    number: int
    boundary: Boundary
    name: str
    """The name of what crosses, for an operator: ``commit``, ``promise.create``, ``call charge_card``."""
    in_transaction: bool = False
    """Whether a transaction of the record is open here: a process that stalls would hold its locks."""
    detail: str = ""
    """The subject: a key, an id, a state."""
    blind: bool = False
    """Whether this is a call that no key protects, or one is under way. If its process stalls, no other process can
    know that the call will still be made, and nothing is promised.
    """
    label: str = ""
    """Its name in a schedule of the real world, where numbers differ from run to run."""
    tells: bool = False
    """Whether it is a call of which the provider may send events."""


class At(msgspec.Struct, frozen=True, order=True):
    """A fault at a point of a process, and the change before that process's successor begins, if any."""

    process: int
    point: int
    fault: Fault
    change: ChangeBetween | None = None
    since: int | None = None
    """For ``engine-older``: the point of this process at which the engine is copied."""
    label: str = ""
    """The point's label, if it has one. Its number then only says where it was when the fault was chosen."""

    def meets(self, point: Point) -> bool:
        """Whether the fault strikes at this point."""
        return self.label == point.label if self.label else self.point == point.number

    def __str__(self) -> str:
        text = f"{self.process}.{self.label or self.point}:{self.fault}"
        if self.change is not None:
            text += f"+{self.change}"
        return text if self.since is None else f"{text}@{self.since}"


class Schedule(msgspec.Struct, frozen=True):
    """The faults of one run of the workflow, in the order in which they strike."""

    faults: tuple[At, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.faults)) or "none"

    def of(self, process: int) -> list[At]:
        """The faults that strike this process."""
        return [at for at in self.faults if at.process == process]

    def but(self, index: int) -> Schedule:
        """The schedule without one of its faults."""
        return Schedule((*self.faults[:index], *self.faults[index + 1 :]))


def parse(text: str) -> Schedule:
    """Parse the text of a :class:`Schedule`.

    Raises:
        Misuse: if a word is not a fault at a point; the text names the word.
    """
    return Schedule(tuple(_parse_at(word) for word in text.split() if word != "none"))


def _parse_at(word: str) -> At:
    place, colon, what = word.partition(":")
    process, dot, point = place.partition(".")
    what, _, since = what.partition("@")
    fault, _, change = what.partition("+")
    label = "" if point.isdigit() else point
    fits = colon and dot and process.isdigit() and (not label or _LABEL.fullmatch(label)) and fault in FAULTS
    if not fits or (change and change not in CHANGES) or (since and not since.isdigit()):
        raise Misuse(
            f"{word!r} is not a fault at a point; write PROCESS.POINT:FAULT, such as 1.17:crash or "
            f"1.17:crash+engine-lost; faults are {', '.join(FAULTS)}; changes are {', '.join(CHANGES)}"
        )
    number = 0 if label else int(point)
    return At(int(process), number, fault, change or None, int(since) if since else None, label)  # type: ignore[arg-type]


_LABEL = re.compile(r"[\w.-]+#\d+")


def faults_at(point: Point) -> list[Fault]:
    """The faults that can strike at a point."""
    faults = (*_OF_BOUNDARY[point.boundary], *(("early",) if point.tells else ()))
    return [fault for fault in faults if not (fault == "stall" and (point.in_transaction or point.blind))]


def worth_trying(points: Iterable[Point]) -> list[Point]:
    """Drop most of the polls that a worker repeats while nothing happens: a few of each kind are enough."""
    times: Counter[str] = Counter()
    found = []
    for point in points:
        times[point.name] += 1
        if point.name not in _POLLS or times[point.name] <= _POLLS_TRIED:
            found.append(point)
    return found


_POLLS = frozenset({"find_timeline", "find_starts", "wakes", "undispatched", "due", "event_is_due", "reversal_due"})
_POLLS_TRIED = 4


def every_single(process: int, points: list[Point], *, versions: int) -> list[At]:
    """Each fault at each of these points of a process; for a death, also with each change before its successor."""
    found: list[At] = []
    for point in points:
        for fault in faults_at(point):
            at = At(process, point.number, fault, label=point.label)
            found.append(at)
            if fault != "crash-after":
                continue
            found += [msgspec.structs.replace(at, change=change) for change in ("engine-lost", "keys-expired")]
            # The engine is restored to the beginning, or half-way: the record may or may not know what it had by then.
            since = 1 if point.number % 2 else (1 + point.number) // 2
            if since < point.number:
                found.append(msgspec.structs.replace(at, change="engine-older", since=since))
            if versions > 1:
                found.append(msgspec.structs.replace(at, change="deploy"))
    return found


assert set(FAULTS) == set(get_args(Fault.__value__))
assert set(CHANGES) == set(get_args(ChangeBetween.__value__))
