"""A program as data: its steps, its body, how others answer, and what its next version changes. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

type Reply = Literal[
    "ok", "refused", "refused in a group", "not done", "unknown", "dropped", "late", "lost", "odd", "unreadable",
    "hangs", "exits", "cancelled", "pending", "pending, refused",
]  # fmt: skip
ANSWERS: dict[Reply, str] = {
    "ok": "does it, and answers",
    "refused": "refuses for good",
    "refused in a group": "refuses, in an exception group of one",
    "not done": "refuses the connection",
    "unknown": "does nothing, and the client says that the outcome is unknown",
    "dropped": "does nothing, and never answers",
    "late": "does it minutes later, after the call was given up",
    "lost": "does it, and the connection breaks",
    "odd": "does it, and the client raises a KeyError on its answer",
    "unreadable": "does it, and the client raises an exception whose text cannot be read",
    "hangs": "does it, and never answers",
    "exits": "does it, and the client raises SystemExit",
    "cancelled": "does it, and the client raises CancelledError",
    "pending": "accepts it, and does it hours later",
    "pending, refused": "accepts it, and refuses it hours later",
}
DONE: frozenset[Reply] = frozenset({"ok", "late", "lost", "odd", "unreadable", "hangs", "exits", "cancelled"})
"""After these answers it is done, sooner or later."""
REFUSED: frozenset[Reply] = frozenset({"refused", "refused in a group"})
PENDING: frozenset[Reply] = frozenset({"pending", "pending, refused"})
"""After these answers it is decided later, and the probe knows the decision."""

type Keys = Literal["day", "none"]
"""How long the provider honours a key."""
type Probing = Literal["none", "true", "fails first", "cannot tell"]
type Classify = Literal["plain", "own", "raises"]
"""How the provider's errors are read: by the default, by a method that recognises its refusal, or by one that fails."""
type Ending = Literal[
    "ok", "declines", "sold", "sold out", "rich", "unstorable", "odd", "nested", "bug", "exits", "cancels"
]
"""How a write, a read or a plain function ends: well, or with which exception."""
ENDINGS: dict[Ending, str] = {
    "ok": "returns",
    "declines": "raises Declined",
    "sold": "raises Sold, which the program declares",
    "sold out": "raises a subclass of Sold",
    "rich": "raises Sold with a time and a Decimal as its attributes",
    "unstorable": "raises Sold with an attribute that cannot be stored",
    "odd": "raises Odd, a class of its own that is not declared",
    "nested": "raises an exception group of one Sold",
    "bug": "raises KeyError",
    "exits": "raises SystemExit",
    "cancels": "raises CancelledError",
}
type Savepoint = Literal["none", "kept", "taken back"]


class WriteSpec(msgspec.Struct, frozen=True, kw_only=True, tag="write"):
    """A write: its rows, and what it announces and starts."""

    name: str
    rows: int = 1
    ends: Ending = "ok"
    savepoint: Savepoint = "none"
    """A savepoint around its last row and what it announces and starts."""
    intends: str | None = None
    """The effect that it announces, for the same number."""
    starts: bool = False
    """It starts another workflow, which calls one effect."""
    asks: bool = False
    """It reads the rows that it has written."""
    session: bool = False
    """It changes the state of the session."""
    is_async: bool = True
    has_key: bool = True
    value: str | None = None
    result: str | None = None
    default: int | None = None
    """The default of a parameter that no call gives."""
    template: str = "{n}:{name}"
    function: str | None = None
    """The name of its function, if not its own."""


class EffectSpec(msgspec.Struct, frozen=True, kw_only=True, tag="effect"):
    """An effect, and the answers to its calls in the order of their arrival. After the last one, calls succeed."""

    name: str
    answers: tuple[Reply, ...] = ()
    keys: Keys = "day"
    probe: Probing = "none"
    classify: Classify = "plain"
    after: str | None = None
    undo: str | None = None
    on_success: bool = False
    on_decline: bool = False
    on_pending: bool = False
    repeats: bool = False
    """``in_doubt="repeat"``."""
    is_async: bool = True
    value: str | None = None
    result: str | None = None
    template: str = "{n}:{name}"
    default: int | None = None
    function: str | None = None
    """The name of its function, if not its own."""

    @property
    def is_sure(self) -> bool:
        """Whether its outcome becomes known in the end without an operator, whatever happens before."""
        return self.keys == "day" or self.probe in ("true", "fails first")


class ReadSpec(msgspec.Struct, frozen=True, kw_only=True, tag="read"):
    """A read, or a plain function that the body runs."""

    name: str
    ends: Ending = "ok"
    is_plain: bool = False
    value: str | None = None
    result: str | None = None
    function: str | None = None


type Spec = WriteSpec | EffectSpec | ReadSpec


class Do(msgspec.Struct, frozen=True, tag="do"):
    """A call of a step, for a number."""

    step: str
    n: int
    attempt: int = 1


class Together(msgspec.Struct, frozen=True, tag="together"):
    """Branches side by side."""

    how: Literal["gather", "settled", "checked", "group"]
    """``settled``: errors are returned as results; ``checked``: the body also declines if there is one."""
    branches: tuple[tuple[Statement, ...], ...]


class Reused(msgspec.Struct, frozen=True, tag="reused"):
    """One dict that is changed before each call of an effect that takes a dict."""

    step: str
    numbers: tuple[int, ...]


class Within(msgspec.Struct, frozen=True, tag="within"):
    """A block with a time-out of some seconds."""

    seconds: int
    body: tuple[Statement, ...]


class Catch(msgspec.Struct, frozen=True, tag="catch"):
    """``try``, ``except``."""

    what: Literal["Declined", "Sold", "Exception"]
    body: tuple[Statement, ...]
    handler: tuple[Statement, ...] = ()


class Finally(msgspec.Struct, frozen=True, tag="finally"):
    """``try``, ``finally``."""

    body: tuple[Statement, ...]
    final: tuple[Statement, ...]


class Sleep(msgspec.Struct, frozen=True, tag="sleep"):
    """A durable sleep."""

    seconds: int


class Part(msgspec.Struct, frozen=True, tag="part"):
    """Another workflow, by ``ctx.rpc``."""

    body: tuple[Statement, ...]
    number: int = 0
    """Its name, which is the same in every version."""


class Fail(msgspec.Struct, frozen=True, tag="fail"):
    """The body itself raises."""

    how: Ending


type Statement = Do | Together | Reused | Within | Catch | Finally | Sleep | Part | Fail

type EditKind = Literal["rename", "rekey", "undo", "remove", "add", "reorder", "default", "retype", "return", "fix"]
CHANGES: dict[EditKind, str] = {
    "rename": "a step's function has another name",
    "rekey": "the key of an effect or a write has another template",
    "undo": "an effect is undone by another effect, or by none",
    "remove": "a statement is removed",
    "add": "a call is added before all others",
    "reorder": "two consecutive statements change places",
    "default": "a parameter that no call gives has another default",
    "retype": "a step takes another type",
    "return": "a step returns another type",
    "fix": "a bug is fixed",
}


class Edit(msgspec.Struct, frozen=True):
    """A change in the next version, and the step or statement that it changes."""

    kind: EditKind
    step: str = ""
    place: int = 0
    """Which statement, counted through all blocks. For ``undo``: no undo if even, another effect if odd."""


type Begin = Literal["start", "transaction", "savepoint", "savepoint taken back"]
"""How it is started: by ``app.start``, in a transaction of the caller, or within a savepoint of one. In the last case
another start may be rolled back to a savepoint."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    steps: tuple[Spec, ...]
    body: tuple[Statement, ...]
    begin: Begin = "start"
    changes: tuple[Edit, ...] = ()

    def step(self, name: str) -> Spec:
        """The step with this name."""
        return next(each for each in self.steps if each.name == name)

    def effect(self, name: str) -> EffectSpec:
        """The effect with this name."""
        found = self.step(name)
        assert isinstance(found, EffectSpec)
        return found


def blocks_of(statement: Statement) -> tuple[tuple[Statement, ...], ...]:
    """The statements within a statement, block by block."""
    match statement:
        case Together():
            return statement.branches
        case Within() | Part():
            return (statement.body,)
        case Catch():
            return (statement.body, statement.handler)
        case Finally():
            return (statement.body, statement.final)
        case _:
            return ()


def with_blocks(statement: Statement, blocks: tuple[tuple[Statement, ...], ...]) -> Statement:
    """The statement with other blocks: as many as :func:`blocks_of` returns."""
    replace = msgspec.structs.replace
    match statement:
        case Together():
            return replace(statement, branches=blocks)
        case Within() | Part():
            return replace(statement, body=blocks[0])
        case Catch():
            return replace(statement, body=blocks[0], handler=blocks[1])
        case Finally():
            return replace(statement, body=blocks[0], final=blocks[1])
        case _:
            return statement


def walk(body: tuple[Statement, ...]) -> list[Statement]:
    """Every statement, also those within others."""
    found: list[Statement] = []
    for statement in body:
        found.append(statement)
        for block in blocks_of(statement):
            found += walk(block)
    return found
