"""An app's workflows, steps, invariants and handlers, by name: two of one name are refused (P8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from recordfirst.errors import Misuse, UnknownWorkflow
from recordfirst.providers.events import EventSource
from recordfirst.steps.effect import Effect
from recordfirst.steps.function import Function
from recordfirst.steps.invariant import Invariant
from recordfirst.steps.on_event import EventHandler
from recordfirst.steps.projection import ProjectStep
from recordfirst.steps.step import Step
from recordfirst.steps.workflow import Workflow


class Registrations(msgspec.Struct, frozen=True):
    """What an app was given, by name; see :func:`registrations`."""

    workflows: dict[str, Workflow[..., Any]]
    steps: list[Step[..., Any]]
    effects: dict[str, Effect[..., Any]]
    """With those that undo them."""
    projections: dict[str, ProjectStep[...]]
    invariants: list[Invariant]
    handlers: list[EventHandler] = []
    sources: list[EventSource] = []
    """Whose events the app takes in."""

    def workflow(self, name: str, app: str) -> Workflow[..., Any]:
        """Return the workflow of this name.

        Raises:
            UnknownWorkflow: if the app has none of that name; lists those that it has.
        """
        if name not in self.workflows:
            known = ", ".join(self.workflows) or "none"
            raise UnknownWorkflow(f"app {app!r} has no workflow {name!r}; it has: {known}")
        return self.workflows[name]

    def functions(self) -> list[Function]:
        """Every function of the user's, for the check of what they need injected."""
        found = [function for step in self.steps for function in step.functions()]
        found += [function for handler in self.handlers for function in handler.functions()]
        return [*found, *(function for each in self.invariants for function in each.functions())]


def registrations(
    workflows: Iterable[Workflow[..., Any]], invariants: Iterable[Invariant], handlers: Iterable[EventHandler] = ()
) -> Registrations:
    """Take what an app is given.

    Raises:
        Misuse: if two workflows, or two different effects, have one name, or something is none of these.
        SharedKey: if two effects declare one key, or would be undone under one (P8).
    """
    named = _by_name(workflows)
    steps = [step for workflow in named.values() for step in workflow.steps()]
    effects, projections = _effects_of(steps), _projections_of(steps)
    made = Registrations(named, steps, effects, projections, _distinct(invariants), _handlers(handlers))
    seen: dict[str, Step[..., Any]] = {}
    for workflow in named.values():
        workflow.check_keys(seen)
        workflow.check_undos()
    return made


def _distinct(invariants: Iterable[Invariant]) -> list[Invariant]:
    """Invariants by name."""
    found: dict[str, Invariant] = {}
    for each in invariants:
        if not isinstance(each, Invariant):
            raise Misuse(f"invariants= takes what @invariant makes, not {each!r}")
        if each.name in found:
            raise Misuse(f"two invariants named {each.name!r}")
        found[each.name] = each
    return list(found.values())


def _handlers(handlers: Iterable[EventHandler]) -> list[EventHandler]:
    """Handlers of events; two of one name would share their receipts."""
    found: dict[str, EventHandler] = {}
    for each in handlers:
        if not isinstance(each, EventHandler):
            raise Misuse(f"event_handlers= takes what @on_event makes, not {each!r}")
        first = found.setdefault(each.name, each)
        if first is not each:
            places = f"{first.function.place} and {each.function.place}"
            raise Misuse(f"two event handlers named {each.name!r}: {places}")
    return list(found.values())


def _by_name(workflows: Iterable[Workflow[..., Any]]) -> dict[str, Workflow[..., Any]]:
    """Workflows by name."""
    found: dict[str, Workflow[..., Any]] = {}
    if isinstance(workflows, Workflow):
        raise Misuse(f"workflows= takes a list: workflows=[{workflows.name}]")
    for workflow in workflows:
        if not isinstance(workflow, Workflow):
            raise Misuse(f"workflows= takes @workflow functions, not {workflow!r}")
        first = found.setdefault(workflow.name, workflow)
        if first is not workflow:
            raise Misuse(f"two workflows named {workflow.name!r}: {first.function.place} and {workflow.function.place}")
    return found


def _effects_of(steps: Iterable[Step[..., Any]]) -> dict[str, Effect[..., Any]]:
    """Effects by name, with those that undo them."""
    found: dict[str, Effect[..., Any]] = {}
    queue = [step for step in steps if isinstance(step, Effect)]
    while queue:
        effect = queue.pop()
        first = found.setdefault(effect.name, effect)
        if first.function.fn is not effect.function.fn:
            raise Misuse(f"two effects named {effect.name!r}: {first.function.place} and {effect.function.place}")
        queue += [each for each in (effect.undo, effect.expiry) if each is not None and each.name not in found]
    return found


def _projections_of(steps: Iterable[Step[..., Any]]) -> dict[str, ProjectStep[...]]:
    """Projections by name."""
    found: dict[str, ProjectStep[...]] = {}
    for step in steps:
        if isinstance(step, ProjectStep):
            first = found.setdefault(step.name, step)
            if first is not step:
                places = f"{first.function.place} and {step.function.place}"
                raise Misuse(f"two projections named {step.name!r}: {places}")
    return found
