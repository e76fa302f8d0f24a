"""A final outcome on its way into the record, and out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from recordfirst.core import codec, decide
from recordfirst.core.receipt import Change, Receipt
from recordfirst.errors import Declined, ResultNotStored, Undone
from recordfirst.execution.verdict import reason_in

if TYPE_CHECKING:
    from recordfirst.execution.runtime import Runtime
    from recordfirst.steps.effect import Effect


class Outcome(NamedTuple):
    """What a call finally came to."""

    state: Literal["succeeded", "declined"]
    text: str
    """JSON: the result, or the decline's reason and code."""
    value: Any
    """What ``on_success`` or ``on_decline`` gets."""


def after_outcome(receipt: Receipt, outcome: Outcome, seal: Callable[[str], str], *, doubts: int = 0) -> Change:
    """What the receipt becomes. ``doubts``: calls that may have had the effect besides the one that succeeded."""
    if outcome.state == "declined":
        return decide.declined(receipt, outcome.text)
    return decide.succeeded(receipt, seal(outcome.text), doubts=doubts)


def stored_result(runtime: Runtime, effect: Effect[..., Any], receipt: Receipt) -> Any:
    """The result that a succeeded receipt holds.

    Raises:
        Undone: if it was taken back.
        ResultNotStored: if it could not be stored.
    """
    if receipt.undone_by is not None:
        raise Undone(
            f"effect {receipt.key!r} succeeded and was undone by {receipt.undone_by!r}; "
            f"ask for a new attempt: {effect.name}.attempt({receipt.attempt + 1})(ctx, ...)"
        )
    if receipt.result is None:
        raise ResultNotStored(receipt.key, reason_in(receipt) or "no result was stored")
    value = codec.decode(runtime.unseal(receipt.result))
    return codec.shape(value, effect.function.returns, f"the result of {effect.function!r}")


def stored_decline(receipt: Receipt) -> Declined:
    """The decline that a receipt holds."""
    error = codec.decode(receipt.error or "{}")
    return Declined(error.get("reason", "declined"), error.get("code"), receipt.key)


def replied(runtime: Runtime, effect: Effect[..., Any], receipt: Receipt) -> Outcome:
    """The outcome in a provider's answer that is kept, and was not stored as one yet."""
    reply = codec.decode(runtime.unseal(receipt.reply or "{}"))
    if reply["state"] == "declined":
        error = codec.decode(reply["text"])
        return Outcome("declined", reply["text"], Declined(error["reason"], error["code"], receipt.key))
    value = codec.shape(codec.decode(reply["text"]), effect.function.returns, "the stored reply")
    return Outcome("succeeded", reply["text"], value)
