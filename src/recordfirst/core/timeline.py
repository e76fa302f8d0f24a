"""The timeline: how a restore of the record, or of the engine, is noticed (P6). Pure.

Record and engine count marks (high-water marks) together: the record announces a mark under a random token, the engine
keeps it as a note, the record confirms it. So the engine never has a mark that the record has not announced, and has
the newest confirmed one. Otherwise one of the two was restored. Older marks leave the engine, except for those that are
needed to tell a record that was restored to any earlier mark from an engine that was (:func:`is_needed`). The record
also keeps what its product says of its own history (Postgres: the cluster and its timeline, which a restore or a
fail-over changes).

Not noticed: both sides restored to one moment by a copy of the whole machine; the record restored to later than its
last mark; and files put back where the engine is lost or as old, unless they are an SQLite record, and what is kept
beside it was not put back with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

NEWEST = 100
"""How many of the newest marks stay in the engine, and how many of the first of a generation. Of the marks whose number
is a multiple of it 100 stay as well, of the multiples of its square another 100, and so on: after a year 400 in all."""
_LEVELS = 6
"""Of multiples: a mark every ten seconds comes to the last after 300,000 years."""


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The record's own identity, and what restores it has been through. Times by the record's clock."""

    record: str
    """A random name, made once."""
    history_id: str | None
    """What the product says of its history; ``None`` if it says nothing."""
    restores: int
    """How many were accepted."""
    held: str | None
    """The finding for which effects are held; ``None``: they are not."""
    held_at_ms: int | None
    seen_at_ms: int
    """When a worker last said that record and engine are consistent: what was lost, was lost after that."""
    accepted_at_ms: int | None
    """When an operator last accepted a restore."""
    doubted_until_ms: int | None
    """Effects of workflows that were accepted before this may have been called in the time that was lost."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The newest mark that the record has announced to an engine."""

    generation: int
    """Marks are counted anew after each restore, in a generation that the engine has not seen."""
    number: int
    """0: a restore was accepted, and the next mark is the first of a new generation."""
    token: str
    confirmed: bool


class Kept(msgspec.Struct, frozen=True, kw_only=True, rename={"generation": "space"}):
    """The newest mark once more, kept beside a record that is a file: under the names that it has had there."""

    engine: str
    generation: int
    number: int
    token: str


type TimelineVerdict = Literal["consistent", "engine behind", "record behind"]


def judge(mark: Mark | None, *, restored: bool, own: str | None, before: str | None, behind: bool) -> TimelineVerdict:
    """Compare the record's newest mark with the engine's notes: that mark's own, the one before, any behind it.

    Without a mark the record knows nothing of this engine, and must find nothing there, unless it was restored: then
    the marks of the lost time are no news.
    """
    if mark is None or mark.number == 0:
        return "record behind" if behind and mark is None and not restored else "consistent"
    if behind or (own is not None and own != mark.token):
        return "record behind"
    if own is None and (mark.confirmed or (mark.number > 1 and before is None)):
        return "engine behind"
    return "consistent"


def later(number: int) -> Iterator[int]:
    """Numbers of which an engine with a later mark has at least one, whichever it has forgotten by :func:`is_needed`.

    The next mark is left out: everybody looks for that.
    """
    for level in range(1, _LEVELS):
        step = NEWEST**level
        yield (number // step + 1) * step


def next_tells(number: int, own: str | None) -> bool:
    """Whether it is enough to look for the next mark, to know that there is no later one: it left no earlier."""
    return own is not None and number % NEWEST != 0


def is_needed(mark: Mark | None, generation: int, number: int) -> bool:
    """Whether a mark in the engine may still tell that one side was restored; ``mark``: the record's newest.

    What is later than the record's newest tells so. So does the first of each generation. Where the record knows
    nothing of the engine, or the next mark is the first of a new generation, all of them may.
    """
    if mark is None or mark.number == 0 or generation > mark.generation or number == 1:
        return True
    return generation == mark.generation and _stays(number, mark.number)


def leave_at(newest: int) -> list[int]:
    """The marks that are needed no more now that this one was left."""
    windows = (NEWEST**level for level in range(1, _LEVELS + 1))
    return [each for window in windows if (each := newest - window) > NEWEST and _window(each) == window]


def _stays(number: int, newest: int) -> bool:
    return number <= NEWEST or newest - number < _window(number)


def _window(number: int) -> int:
    """For how many marks that follow it a mark stays."""
    window = NEWEST
    while number % window == 0 and window < NEWEST**_LEVELS:
        window *= NEWEST
    return window


def has_less(mark: Mark | None, kept: Kept) -> bool:
    """Whether the record's newest mark for an engine is older than what is kept beside it, or of another past.

    What is kept is written after the mark was announced, so it is as new as the record at most. It may be older:
    the worker that left the last mark may have died before.
    """
    if mark is None:
        return True
    if mark.number == 0:
        return kept.generation > mark.generation
    if (kept.generation, kept.number) == (mark.generation, mark.number):
        return kept.token != mark.token
    return (kept.generation, kept.number) > (mark.generation, mark.number)
