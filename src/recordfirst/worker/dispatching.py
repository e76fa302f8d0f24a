"""What a dispatcher does next, decided from what it sees: pure, apart from all input and output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from recordfirst.core.start import Start


class Epoch(NamedTuple):
    """A start in the epoch in which it is to run, and its arguments."""

    start: Start
    arguments: dict[str, Any]


class Round(NamedTuple):
    """One round."""

    begin: list[Epoch]
    """To be handed to the engine."""
    here: list[Start]
    """With the engine already, and to be marked as that."""
    passed_over: int
    """Open starts that this version of the code cannot run."""
    backlog: bool
    """There is more to do than there is room for."""
    look_again: bool
    """More was passed over than was expected, so what could run may not have been seen."""


def room(most: int, running: int, waiting: int, waiting_most: int) -> int:
    """How many more bodies may be with the engine.

    Args:
        most: bodies that may work at a time.
        running: bodies that are with the engine.
        waiting: those of them that only wait.
        waiting_most: how many may wait besides.
    """
    return min(most - running + waiting, most + waiting_most - running)


def is_worth_a_look(free: int, most: int) -> bool:
    """By the half, so that a backlog costs a look at the record for many bodies and not for each."""
    return free >= most - most // 2


def limit(free: int, unmarked: int, passed_over: int) -> int:
    """How many starts to ask the record for.

    Those that were handed over without being marked come back from the query, and so does what this version cannot run:
    so many more, that they stand in nobody's way.
    """
    return free + unmarked + 2 * passed_over


def plan(
    starts: Sequence[Start],
    here: Sequence[Start],
    fit: Sequence[Epoch],
    *,
    asked_for: int,
    free: int,
    passed_over_before: int,
) -> Round:
    """Decide a round.

    Args:
        starts: what the record offered.
        here: those of them that the engine has.
        fit: those of the others that this version can run, each in its epoch.
        asked_for: how many starts the record was asked for.
        free: how many bodies there is room for.
        passed_over_before: what the round before could not run.
    """
    passed_over = len(starts) - len(here) - len(fit)
    return Round(
        begin=list(fit[:free]),
        here=list(here),
        passed_over=passed_over,
        backlog=len(starts) == asked_for or len(fit) > free,
        look_again=len(starts) == asked_for and passed_over > passed_over_before,
    )


def in_its_epoch(start: Start, engine: str) -> Start:
    """The start in the epoch in which this engine runs it: a new one, if another engine had it, which is gone."""
    if start.engine in (None, engine):
        return start
    return msgspec.structs.replace(start, epoch=start.epoch + 1)


def must_be_stored_first(epochs: Sequence[Epoch], *, restored: bool) -> list[Start]:
    """The starts whose epoch the record must have before it runs: its end counts only for the epoch that stands there.

    ``restored``: after a restore that goes for the first epoch, too: one that the record has given to no engine is of a
    time that was lost.
    """
    return [epoch.start for epoch in epochs if epoch.start.epoch > 1 or restored]


def is_asleep(start: Start | None, epoch: int) -> bool:
    """Whether the workflow that a wake is for will still park, and is woken later. One that is over parks no more."""
    return start is not None and start.state == "open" and epoch >= start.epoch


def of_held(
    start: Start | None, epoch: int, engine: str, workflows: Mapping[str, Any]
) -> Literal["stale", "unmarked", "ours"]:
    """What an epoch is that the engine holds when a worker begins.

    ``stale``: it is over, another engine went on with it, or this version cannot run it. ``unmarked``: the record does
    not know that it was handed over.
    """
    if start is None or (start.state, start.epoch) != ("open", epoch):
        return "stale"
    if start.workflow not in workflows:
        return "stale"  # it goes on from the record in the version that has it
    if start.engine is None:
        return "unmarked"
    return "ours" if start.engine == engine else "stale"


def is_ours(start: Start, engine: str, workflows: Mapping[str, Any]) -> bool:
    """Whether the record has given a start to this engine, and this app can run it."""
    return start.engine == engine and start.workflow in workflows
