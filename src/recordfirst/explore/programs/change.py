"""What the next version of a program is: the program, with its changes made. Pure."""

from __future__ import annotations

from functools import reduce

import msgspec

from recordfirst.explore.programs.tree import Do, Edit, EffectSpec, Program, Spec, WriteSpec

MISTAKES = frozenset({"rename", "rekey", "undo", "remove", "add", "reorder", "retype"})
"""A workflow that meets one of these may be stopped by it. What is safe besides must be so."""


def later(program: Program) -> Program:
    """The next version."""
    changed = reduce(_changed, program.changes, program)
    return msgspec.structs.replace(changed, changes=())


def _changed(program: Program, change: Edit) -> Program:
    steps, body = program.steps, program.body
    match change.kind:
        case "remove":
            body = body[: change.place] + body[change.place + 1 :]
        case "reorder" if change.place + 1 < len(body):
            one, other = body[change.place : change.place + 2]
            body = (*body[: change.place], other, one, *body[change.place + 2 :])
        case "add":
            steps = (*steps, EffectSpec(name="added"))
            body = (Do("added", 9), *body)
        case _:
            steps = tuple(_of(each, change) if each.name == change.step else each for each in steps)
    return msgspec.structs.replace(program, steps=steps, body=body)


def _of(spec: Spec, change: Edit) -> Spec:  # noqa: PLR0911 - one return per kind
    replace = msgspec.structs.replace
    match change.kind:
        case "rename" if isinstance(spec, EffectSpec):
            return replace(spec, function=f"{spec.name}_anew")
        case "rekey" if isinstance(spec, EffectSpec):
            return replace(spec, template="{name}/{n}")
        case "undo" if isinstance(spec, EffectSpec):
            return replace(spec, undo=None)
        case "default" if not hasattr(spec, "is_plain"):
            assert isinstance(spec, EffectSpec | WriteSpec)
            return replace(spec, default=(spec.default or 0) + 1)
        case "fix" if isinstance(spec, WriteSpec):
            return replace(spec, ends="ok")
        case "retype" if spec.value is None:
            return replace(spec, value="int")
        case "retype":
            return replace(spec, value="text")
        case _:
            return spec
