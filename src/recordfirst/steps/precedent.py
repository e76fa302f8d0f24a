"""What ``after=`` names: a write, or a stage, whose receipt must be there before the step (P1)."""

from __future__ import annotations

from typing import Any

from recordfirst.core.receipt import After, Kind, Receipt
from recordfirst.errors import AfterMissing, Misuse
from recordfirst.steps.function import Function
from recordfirst.steps.step import Step


class Precedent[**P, R](Step[P, R]):
    """A step that ``after=`` can name."""

    receipt_kind: Kind
    """What its receipt is of."""

    @property
    def receipt_needs(self) -> tuple[str, ...]:
        """Parameters from which the key of its receipt is told."""
        raise NotImplementedError

    def receipt_key(self, workflow_id: str, arguments: dict[str, Any]) -> str:
        """The key of the receipt that a call with these arguments, in this workflow, has."""
        raise NotImplementedError

    def receipt_of(self, workflow_id: str, arguments: dict[str, Any]) -> After:
        """The receipt itself: of this step, and of no other that has its key."""
        return After(key=self.receipt_key(workflow_id, arguments), kind=self.receipt_kind, function=self.name)


def check_after(function: Function, after: Any) -> Precedent[..., Any] | None:
    """P1: refuse an ``after`` whose receipt could not be found from this step's arguments."""
    if after is None:
        return None
    if not isinstance(after, Precedent):
        raise Misuse(f"{function.place}: after= takes a @write or a @stage (or None), not {after!r}")
    missing = [name for name in after.receipt_needs if name not in function.parameters]
    if missing:
        raise Misuse(
            f"{function.place} runs after {after.name}, whose key needs {', '.join(missing)}; "
            f"give {function.name} the same parameter, to tell which receipt to wait for"
        )
    return after


def is_done(receipt: Receipt | None, after: After) -> bool:
    """Whether what ``after`` names has happened: the receipt is of that very step, and it succeeded (P1)."""
    if receipt is None or receipt.state != "succeeded":
        return False
    return (receipt.kind, receipt.function) == (after.kind, after.function)


def after_missing(
    step: Step[..., Any], after: After, found: Receipt | None, *, callers_own: bool = False
) -> AfterMissing:
    """P1: the refusal, with what is under that key and what to do about it.

    ``callers_own``: the step was announced in a transaction of the caller's own.
    """
    name, kind = after.function, "write" if step.function.kind == "write" else "effect"
    there = f"which has no receipt under {after.key!r}"
    if found is not None and (found.kind, found.function) != (after.kind, after.function):
        there = f"but the receipt under {after.key!r} is of {found.kind} {found.function}; give one of them another key"
    elif found is not None:
        there = f"whose receipt under {after.key!r} is {found.state}"
    advice = f"await {name}(ctx, ...) before {step.name}(ctx, ...), or declare after=None if it depends on no write"
    if callers_own:
        advice = (
            f"a transaction of your own is not that step: call w.intend({step.name}, ...) in {name} itself, or leave "
            f"it to the workflow, which awaits {name}(ctx, ...) first; or declare after=None if it depends on no write"
        )
    return AfterMissing(f"{kind} {step.name} runs after {name}, {there}; {advice}")
