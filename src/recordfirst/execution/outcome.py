"""A final outcome on its way into the record, and out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from recordfirst.core import codec, decide, pending
from recordfirst.core.decide import Guarantee
from recordfirst.core.identity import ID_BYTES_MOST, check_id
from recordfirst.core.receipt import Change, Receipt
from recordfirst.core.text import safe_text
from recordfirst.errors import BadId, Declined, Misuse, RecordfirstError, ResultNotStored, Undone
from recordfirst.execution.verdict import reason, reason_in
from recordfirst.providers.contract import Pending

if TYPE_CHECKING:
    from recordfirst.execution.runtime import Runtime
    from recordfirst.steps.arguments import Arguments
    from recordfirst.steps.effect import Effect

KIND_BYTES_MOST = 40
"""Bytes of UTF-8 of the kind of a provider's reference, such as ``payment_intent``."""


class Outcome(NamedTuple):
    """What a call finally came to."""

    state: Literal["succeeded", "declined", "pending"]
    text: str
    """JSON: the result, the decline's reason and code, or what the provider has said of what is pending."""
    value: Any
    """What ``on_success``, ``on_decline`` or ``on_pending`` gets."""
    error: str | None = None
    """JSON: what of it could not be stored."""

    @property
    def reply(self) -> str:
        """As JSON, for the receipt's ``reply``."""
        return codec.encode({"state": self.state, "text": self.text}, "a reply")


def after_outcome(receipt: Receipt, outcome: Outcome, seal: Callable[[str], str], *, doubts: int = 0) -> Change:
    """What the receipt becomes. ``doubts``: calls that may have had the effect besides the one that succeeded."""
    if outcome.state == "declined":
        refused = pending.refused if receipt.state == "pending" else decide.declined
        return refused(receipt, outcome.text)
    return decide.succeeded(receipt, seal(outcome.text), doubts=doubts)


def outcome_of(found: Pending) -> Outcome:
    """That it is pending, as an outcome. What is to be shown and is not JSON is left out, and said."""
    error = None
    try:
        text = codec.encode(found, "what is pending")
    except RecordfirstError as unencodable:
        found = Pending(found.reference, found.until)
        text, error = codec.encode(found, "what is pending"), reason(f"show=: {safe_text(unencodable)}")
    return Outcome("pending", text, found, error)


def declined_as(key: str, declined: Declined) -> Outcome:
    """A decline, as an outcome."""
    named = Declined(declined.reason, declined.code, key)
    return Outcome("declined", codec.encode({"reason": named.reason, "code": named.code}, "a decline"), named)


def pending_change(
    receipt: Receipt,
    outcome: Outcome,
    seal: Callable[[str], str],
    guarantee: Guarantee,
    now_ms: int,
    claim: str | None,
) -> Change:
    """What the receipt becomes when the provider has it, and has not decided."""
    until_ms = outcome.value.until_ms
    change = pending.became_pending(receipt, seal(outcome.reply), until_ms, now_ms, guarantee, claim=claim)
    return msgspec.structs.replace(change, error=outcome.error)


def references_in(effect: Effect[..., Any], outcome: Outcome) -> dict[str, str]:
    """What the provider calls it, by kind. A name that no index can carry is left out: the outcome is what counts."""
    named: Mapping[str, str] = {}
    if outcome.state == "pending":
        named = outcome.value.references
    elif outcome.state == "succeeded":
        named = effect.provider.references(outcome.value)
    return {kind: id for kind, id in named.items() if _fits(kind, KIND_BYTES_MOST) and _fits(id, ID_BYTES_MOST)}


def _fits(name: str, bytes_most: int) -> bool:
    try:
        check_id(name, bytes_most=bytes_most)
    except BadId:
        return False
    return True


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
    if reply["state"] == "pending":
        return outcome_of(codec.shape(codec.decode(reply["text"]), Pending, "the stored reply"))
    value = codec.shape(codec.decode(reply["text"]), effect.function.returns, "the stored reply")
    return Outcome("succeeded", reply["text"], value)


def arguments_after(
    runtime: Runtime, effect: Effect[..., Any], other: Effect[..., Any], receipt: Receipt, result: Any
) -> Arguments:
    """What an effect that follows another (its undo, say) is called with: the arguments that the receipt has, by name,
    and at most one more: what came of the call.
    """
    function, owner = other.function, effect.function
    stored: dict[str, Any] = codec.decode(runtime.unseal(receipt.request))
    older = {name: codec.to_builtins(value) for name, value in owner.defaults.items() if name not in stored}
    chosen = {name: value for name, value in (older | stored).items() if name in function.parameters}
    extra = [name for name in function.parameters if name not in chosen and name not in owner.parameters]
    if len(extra) > 1:
        raise Misuse(f"{function!r} takes {', '.join(extra)}, which the receipt of {owner!r} does not have")
    if extra:
        chosen[extra[0]] = result
    return function.adopt(chosen, {**owner.parameters, **dict.fromkeys(extra, owner.returns)})
