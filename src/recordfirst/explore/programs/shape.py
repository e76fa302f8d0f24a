"""What a program contains: its shape, and the features that occur together. Pure."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, starmap

import msgspec

from recordfirst.explore.programs.history import History
from recordfirst.explore.programs.tree import (
    PENDING,
    Catch,
    EffectSpec,
    Fail,
    Finally,
    Part,
    Program,
    ReadSpec,
    Reused,
    Sleep,
    Together,
    Within,
    WriteSpec,
    walk,
)

FEATURES = (
    "gather", "checked", "group", "within", "catch", "finally", "sleep", "part", "reused", "attempt", "undo", "probe",
    "keyless", "odd classify", "after", "on_success", "on_decline", "savepoint", "intend", "start", "session", "sync",
    "value", "refused", "late", "pending", "no answer", "odd answer", "bug", "declared", "undeclared", "escape",
    "deploy", "beside", "death", "fault",
)  # fmt: skip


def shape(program: Program) -> str:
    """A program without its values: two programs that differ only in these have the same shape."""
    bare = []
    for spec in program.steps:
        fields = {field: getattr(spec, field) for field in spec.__struct_fields__ if field not in ("value", "result")}
        bare.append({"kind": type(spec).__name__, **fields})
    body = msgspec.to_builtins(program.body)
    return msgspec.json.encode([bare, body, program.begin, msgspec.to_builtins(program.changes)]).decode()


def features(program: Program, history: History) -> set[str]:  # noqa: C901, PLR0912 - one line per feature
    """The features of the program and of the run."""
    found: set[str] = set()
    for statement in walk(program.body):
        match statement:
            case Together(how, _):
                found.add(how if how in ("group", "checked") else "gather")
            case Within():
                found.add("within")
            case Catch():
                found.add("catch")
            case Finally():
                found.add("finally")
            case Sleep():
                found.add("sleep")
            case Part():
                found.add("part")
            case Reused():
                found.add("reused")
            case Fail(how):
                found |= _of_ending(how)
            case _:
                if statement.attempt > 1:
                    found.add("attempt")
    for spec in program.steps:
        if spec.value is not None:
            found.add("value")
        match spec:
            case EffectSpec():
                found |= _of_effect(spec)
            case WriteSpec():
                has = {"savepoint": spec.savepoint != "none", "intend": spec.intends, "start": spec.starts}
                found |= {name for name, there in (has | {"session": spec.session}).items() if there}
                found |= _of_ending(spec.ends)
                if not spec.is_async:
                    found.add("sync")
            case ReadSpec():
                found |= _of_ending(spec.ends)
    found |= {"deploy", "beside"} & {*history.faults}
    if history.processes > 1:
        found.add("death")
    if set(history.faults) & {"fail", "lose", "contend", "hang", "redeliver"}:
        found.add("fault")
    return found


def _of_ending(ends: str) -> set[str]:
    kinds = {"odd": "undeclared", "bug": "bug", "unstorable": "bug", "exits": "escape", "cancels": "escape"}
    return {kinds.get(ends, "declared")} if ends != "ok" else set()


def _of_effect(spec: EffectSpec) -> set[str]:
    answers = set(spec.answers)
    has = {
        "undo": spec.undo,
        "probe": spec.probe != "none",
        "keyless": spec.keys == "none",
        "odd classify": spec.classify == "raises",
        "after": spec.after,
        "on_success": spec.on_success,
        "on_decline": spec.on_decline,
        "sync": not spec.is_async,
        "refused": answers & {"refused", "refused in a group"},
        "late": "late" in answers,
        "pending": answers & PENDING,
        "no answer": answers & {"dropped", "hangs"},
        "odd answer": answers & {"odd", "unreadable", "exits", "cancelled"},
    }
    return {name for name, there in has.items() if there}


def coverage(pairs: Counter[str]) -> str:
    """The table of pairs of features: how many runs had both."""
    head = "| | " + " | ".join(FEATURES) + " |\n|---" + "|---" * len(FEATURES) + "|"
    rows = []
    for one in FEATURES:
        cells = ["" if one == other else f"{pairs[_pair(one, other)]:,}" for other in FEATURES]
        rows.append(f"| {one} | " + " | ".join(cells) + " |")
    return "\n".join([head, *rows])


def missing(pairs: Counter[str]) -> list[str]:
    """The pairs of features that no run had."""
    return [pair for pair in starmap(_pair, combinations(FEATURES, 2)) if not pairs[pair]]


def _pair(one: str, other: str) -> str:
    return " x ".join(sorted((one, other)))


def pairs(program: Program, history: History) -> list[str]:
    """The pairs of features of a run."""
    return [*starmap(_pair, combinations(features(program, history), 2))]
