"""A mutant: one function, or one statement, with a line changed, for as long as a block lasts."""

from __future__ import annotations
import __future__

import contextlib
import importlib
import inspect
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple
from unittest import mock

import msgspec

from recordfirst.records import statements


class Edit(NamedTuple):
    """One line that is changed."""

    where: str
    """``module:Class.function``, or ``sqlite:statement``, or ``postgres:statement``."""
    was: str
    becomes: str


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """What is changed, and what must come of it."""

    name: str
    promise: str
    """The promise that it breaks."""
    story: str
    """The workflow that shows it."""
    edits: tuple[Edit, ...]
    shown_by: frozenset[str]
    """The faults, and changes before a successor, each of which shows it; ``none``: it needs no fault."""
    within: int | None = None
    """In how many schedules each of them does, at most; ``None``: it is not said."""

    @contextlib.contextmanager
    def at_large(self) -> Iterator[None]:
        """Let it loose."""
        with edited(self.edits):
            yield


at_large: list[Edit] = []
"""What is changed now."""


@contextlib.contextmanager
def edited(edits: Sequence[Edit]) -> Iterator[None]:
    """Run the block with these lines changed."""
    with contextlib.ExitStack() as stack:
        stack.callback(at_large.__setitem__, slice(None), [*at_large])
        at_large.extend(edits)
        for where in dict.fromkeys(edit.where for edit in edits):
            place, _, name = where.partition(":")
            there = [edit for edit in edits if edit.where == where]
            stack.enter_context((_statement if place in ("sqlite", "postgres") else _code)(place, name, there))
        yield


@contextlib.contextmanager
def _code(module_name: str, path: str, edits: Sequence[Edit]) -> Iterator[None]:
    owner = importlib.import_module(module_name)
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    fn = inspect.unwrap(getattr(owner, name))
    # Those of the module that it was written in, which may not be the one that is to find the mutant.
    names = dict(vars(importlib.import_module(fn.__module__)))
    text = _edited(inspect.getsource(fn), edits)
    if classes:
        # Indented as it stands, so that an edit can be read beside the file; super() finds its class.
        source = f"def _made(__class__):\n{text}\n    return {name}\n"
        exec(compile(source, f"<mutant of {path}>", "exec", _ANNOTATIONS, True), names)
        mutated = names["_made"](owner)
    else:
        exec(compile(text, f"<mutant of {path}>", "exec", _ANNOTATIONS, True), names)
        mutated = names[name]
    with mock.patch.object(owner, name, mutated):
        yield


_ANNOTATIONS = __future__.annotations.compiler_flag


@contextlib.contextmanager
def _statement(product: str, name: str, edits: Sequence[Edit]) -> Iterator[None]:
    load = statements.load

    @cache
    def mutated(package: str) -> statements.Statements:
        all_of_it = load(package)
        if not package.endswith(product):
            return all_of_it
        return all_of_it.changed(lambda each, text: _edited(text, edits) if each == name else text)

    with mock.patch.object(statements, "load", mutated):
        yield


def _edited(text: str, edits: Sequence[Edit]) -> str:
    for edit in edits:
        assert text.count(edit.was) == 1, f"{edit.where} does not have {edit.was!r} once; adapt the mutant"
        text = text.replace(edit.was, edit.becomes)
    return text
