"""Makes a module of a program's source, and a case of the module."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import msgspec

from recordfirst.explore.programs.change import later
from recordfirst.explore.programs.ground import Case
from recordfirst.explore.programs.kit import Others
from recordfirst.explore.programs.source import TABLES, source
from recordfirst.explore.programs.tree import Program
from recordfirst.steps.workflow import Workflow

MODULE = "generated"
"""The package of a program: its exception classes count as the app's own."""


class Version(msgspec.Struct, frozen=True):
    """One version of a program, as a worker runs it."""

    name: str
    module: ModuleType
    workflows: list[Workflow[..., Any]]

    @property
    def main(self) -> Workflow[..., Any]:
        """The workflow that is explored."""
        return self.workflows[0]

    def enter(self) -> None:
        """Make this version the module that is imported under the program's name."""
        sys.modules[MODULE] = self.module


def build(text: str, name: str = "first") -> Version:
    """Execute the source of a version."""
    module = ModuleType(MODULE)
    before, sys.modules[MODULE] = sys.modules.get(MODULE), module
    try:
        exec(compile(text, f"<{MODULE}>", "exec", dont_inherit=True), vars(module))  # noqa: S102 - our own source
    finally:
        if before is not None:
            sys.modules[MODULE] = before
    return Version(name, module, module.WORKFLOWS)


def versions(program: Program) -> list[Version]:
    """The first version and, if the program has changes, the next one."""
    next_one = [build(source(later(program)), "next")] if program.changes else []
    return [build(source(program)), *next_one]


def case(made: list[Version]) -> Case:
    """The case that the explorer runs."""
    first, *others = (each.main for each in made)
    return Case(
        workflow=first,
        id=ID,
        tables=TABLES,
        provide=lambda outside: {Others: Others(outside)},
        versions=tuple(others),
    )


ID = "p"
"""The id of the workflow."""
