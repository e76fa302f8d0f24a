"""What a step comes after: a write, or a stage, whose receipt must be there before it (P1)."""

from __future__ import annotations

from typing import Any

from recordfirst.core.receipt import Receipt
from recordfirst.errors import AfterMissing, Misuse
from recordfirst.function import Function
from recordfirst.step import Step


class Precedent[**P, R](Step[P, R]):
    """A step that ``after=`` can name."""

    @property
    def receipt_needs(self) -> tuple[str, ...]:
        """Parameters from which the key of its receipt is told."""
        raise NotImplementedError

    def receipt_key(self, workflow_id: str, arguments: dict[str, Any]) -> str:
        """The key of the receipt that a call with these arguments, in this workflow, has."""
        raise NotImplementedError


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


def is_done(receipt: Receipt | None) -> bool:
    """Whether what ``after`` names has happened."""
    return receipt is not None and receipt.state == "succeeded"


def after_missing(step: Step[..., Any], after: Precedent[..., Any] | None, key: str) -> AfterMissing:
    """P1: the refusal, with what to do about it."""
    name = after.name if after is not None else "?"
    kind = "write" if step.function.kind == "write" else "effect"
    return AfterMissing(
        f"{kind} {step.name} runs after {name}, which has no receipt under {key!r}; "
        f"await {name}(ctx, ...) before {step.name}(ctx, ...), or declare after=None if it depends on no write"
    )
