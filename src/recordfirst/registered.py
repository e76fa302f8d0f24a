"""What an app was given, by name: two of one name are refused (P8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from recordfirst.effect import Effect
from recordfirst.errors import Misuse
from recordfirst.invariant import Invariant
from recordfirst.project import ProjectStep
from recordfirst.step import Step
from recordfirst.version import version_of
from recordfirst.workflow import Workflow


def version_of_app(workflows: Iterable[Workflow[..., Any]]) -> str:
    """A hash of the code of these workflows; see ``version.py``."""
    functions: dict[Any, None] = {}
    options: list[str] = []
    for workflow in workflows:
        functions |= dict.fromkeys(workflow.functions())
        options.append(f"{workflow.name} {[each.__qualname__ for each in workflow.declared.fails]}")
        options += [step.told for step in workflow.steps()]
    return version_of(functions, options)


def distinct(invariants: Iterable[Invariant]) -> list[Invariant]:
    """Invariants by name."""
    found: dict[str, Invariant] = {}
    for each in invariants:
        if not isinstance(each, Invariant):
            raise Misuse(f"invariants= takes what @invariant makes, not {each!r}")
        if each.name in found:
            raise Misuse(f"two invariants named {each.name!r}")
        found[each.name] = each
    return list(found.values())


def by_name(workflows: Iterable[Workflow[..., Any]], what: str) -> dict[str, Workflow[..., Any]]:
    """Workflows by name."""
    found: dict[str, Workflow[..., Any]] = {}
    if isinstance(workflows, Workflow):
        raise Misuse(f"workflows= takes a list: workflows=[{workflows.name}]")
    for workflow in workflows:
        if not isinstance(workflow, Workflow):
            raise Misuse(f"workflows= takes @workflow functions, not {workflow!r}")
        first = found.setdefault(workflow.name, workflow)
        if first is not workflow:
            raise Misuse(f"two {what}s named {workflow.name!r}: {first.function.place} and {workflow.function.place}")
    return found


def effects_of(steps: Iterable[Step[..., Any]]) -> dict[str, Effect[..., Any]]:
    """Effects by name, with those that undo them."""
    found: dict[str, Effect[..., Any]] = {}
    queue = [step for step in steps if isinstance(step, Effect)]
    while queue:
        effect = queue.pop()
        first = found.setdefault(effect.name, effect)
        if first.function.fn is not effect.function.fn:
            raise Misuse(f"two effects named {effect.name!r}: {first.function.place} and {effect.function.place}")
        if effect.undo is not None and effect.undo.name not in found:
            queue.append(effect.undo)
    return found


def projections_of(steps: Iterable[Step[..., Any]]) -> dict[str, ProjectStep[...]]:
    """Projections by name."""
    found: dict[str, ProjectStep[...]] = {}
    for step in steps:
        if isinstance(step, ProjectStep):
            first = found.setdefault(step.name, step)
            if first is not step:
                places = f"{first.function.place} and {step.function.place}"
                raise Misuse(f"two projections named {step.name!r}: {places}")
    return found
