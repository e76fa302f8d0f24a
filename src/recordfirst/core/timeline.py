"""The timeline: by what a restore of the record, or of the engine, is noticed (P6). Pure.

Record and engine count marks together: the record announces a mark under a random token, the engine keeps it as a note,
the record confirms it. So the engine never has a mark that the record has not announced, and has each that the record
has confirmed; whatever else is seen, one of the two was set back. The record also keeps what its product says of its
own history (Postgres: the cluster and its timeline, which a restore or a fail-over changes).

Not noticed: both sides set back to one moment by a copy of the whole machine; the record set back to later than its
last mark; and files put back where the engine is lost or as old, unless they are an SQLite record, and what is kept
beside it was not put back with it.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The record's own identity, and what restores it has been through. Times by the record's clock."""

    record: str
    """A random name, made once."""
    witness: str | None
    """What the product says of its history; ``None`` if it says nothing."""
    restores: int
    """How many were accepted."""
    held: str | None
    """The finding for which effects are held; ``None``: they are not."""
    held_at_ms: int | None
    seen_at_ms: int
    """When a worker last said that all is as it should be: what was lost, was lost after that."""
    accepted_at_ms: int | None
    """When a person last accepted a restore."""
    doubted_until_ms: int | None
    """Effects of workflows that were accepted before this may have been called in the time that was lost."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The newest mark that the record has announced to an engine."""

    space: int
    """Marks are counted anew after each restore, in a space that the engine has not seen."""
    number: int
    """0: a restore was accepted, and the next mark is the first of a new space."""
    token: str
    confirmed: bool


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The newest mark once more, as it is kept beside a record that is a file."""

    engine: str
    space: int
    number: int
    token: str


type Verdict = Literal["as it should be", "engine behind", "record behind"]


def judge(mark: Mark | None, *, restored: bool, own: str | None, before: str | None, behind: bool) -> Verdict:
    """Compare the record's newest mark with the engine's notes: that mark's own, the one before, any behind it.

    Without a mark the record knows nothing of this engine, and must find nothing there, unless it was restored: then
    the marks of the lost time are no news.
    """
    if mark is None or mark.number == 0:
        return "record behind" if behind and mark is None and not restored else "as it should be"
    if behind or (own is not None and own != mark.token):
        return "record behind"
    if own is None and (mark.confirmed or (mark.number > 1 and before is None)):
        return "engine behind"
    return "as it should be"


def has_less(mark: Mark | None, kept: Kept) -> bool:
    """Whether the record's newest mark for an engine is older than what is kept beside it, or of another past.

    What is kept is written after the mark was announced, so it is as new as the record at most. It may be older:
    whoever left the last mark may have died before.
    """
    if mark is None:
        return True
    if mark.number == 0:
        return kept.space > mark.space
    if (kept.space, kept.number) == (mark.space, mark.number):
        return kept.token != mark.token
    return (kept.space, kept.number) > (mark.space, mark.number)
