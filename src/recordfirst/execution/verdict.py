"""What an exception from a call means (P5). Reading it cannot fail: an exception that cannot be read is unknown.

Only the effect or its provider declares a refusal, or that a call was certainly not made. After any other exception the
call may have had its effect. An undeclared exception is also counted, in the receipt's ``error``: several of them are a
defect of the code, and the effect is stopped (:class:`~recordfirst.errors.EffectStopped`).
"""

from __future__ import annotations

import math
from typing import Any

from recordfirst.core import codec
from recordfirst.core.receipt import Receipt
from recordfirst.core.text import class_name, masked, safe_text, storable_text
from recordfirst.errors import Declined, NotDone, Undeclared, Unknown
from recordfirst.process.limit import Limit
from recordfirst.providers.contract import Provider, Verdict, describe
from recordfirst.steps.function import Function

MOST_UNDECLARED = 5
"""So many calls that ended in an exception which is not declared, and the effect is stopped."""
_LONGEST = 2_000
_CODE = 200


def verdict_of(error: Exception, provider: Provider, function: Function, limit: Limit) -> Verdict:
    """Return what an exception means. Never raises, whatever the exception and the provider's ``classify`` do."""
    try:
        if limit.given_up:
            return NotDone("no thread was free for it, so it was not called")
        return sound(_read(error, provider, function, limit), error)
    except Exception as broken:  # noqa: BLE001 - whatever breaks, the call may have had its effect
        return Undeclared(f"{describe(error)} (and what it means could not be read: {describe(broken)})")


def _read(error: Exception, provider: Provider, function: Function, limit: Limit) -> Verdict:
    inner = alone(error)
    if isinstance(inner, (Declined, NotDone, Unknown)):
        return inner
    if limit.expired():
        return Unknown(f"no answer within {limit.timeout_s:g} s")
    verdict: Verdict = provider.classify(inner)
    if isinstance(verdict, NotDone) and inner is not error:
        # A task group leaves out the siblings that it has cancelled, and one of those may have sent the request.
        return Unknown(f"{safe_text(verdict.reason)}; a sibling task may have sent the request")
    if not isinstance(verdict, Unknown):
        return verdict
    at, kind = function.raised_at(error), Undeclared if _is_undeclared(verdict, inner, provider, function) else Unknown
    # Whether it was before the call or behind it: an operator who must decide can see that there.
    reason = safe_text(verdict.reason)
    return kind(f"{reason} ({at})" if at else reason, verdict.replayed)


def _is_undeclared(verdict: Unknown, error: Exception, provider: Provider, function: Function) -> bool:
    """Whether nobody says what the exception means. A class of the user's own is declared by their ``classify``."""
    if isinstance(verdict, Undeclared):
        return True
    if isinstance(error, OSError | EOFError) or verdict.args != Provider.classify(provider, error).args:
        return False
    return type(error).__module__.partition(".")[0] == function.fn.__module__.partition(".")[0]


def alone(error: Exception) -> Exception:
    """Return the one exception that a group holds, however deep; a group of several stays one."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def sound(verdict: Any, error: BaseException) -> Verdict:
    """Return a verdict made of text and numbers, whatever it was made of, and Unknown if it is none."""
    if not isinstance(verdict, (Declined, NotDone, Unknown)):
        kind = class_name(verdict)
        return Undeclared(f"{describe(error)} (and classify() returned {kind}, which is no verdict)")
    reason = _text(verdict, "reason", _LONGEST) or describe(verdict)
    match verdict:
        case Declined():
            return Declined(reason, _text(verdict, "code", _CODE))
        case NotDone():
            return NotDone(reason, _milliseconds(verdict), _text(verdict, "code", _CODE))
        case _:
            kind_of = Undeclared if isinstance(verdict, Undeclared) else Unknown
            return kind_of(reason, bool(_attribute(verdict, "replayed")))


def _attribute(error: BaseException, name: str) -> Any:
    """What a subclass has left of an attribute; ``None`` if it has none, or does not give it."""
    try:
        return getattr(error, name, None)
    except Exception:  # noqa: BLE001 - a property of the user's
        return None


def _text(error: BaseException, name: str, longest: int) -> str | None:
    value = _attribute(error, name)
    return None if value is None else safe_text(value)[:longest]


def _milliseconds(error: NotDone) -> int | None:
    try:
        wished = float(_attribute(error, "retry_after_ms"))
    except Exception:  # noqa: BLE001 - a wish that cannot be read is none
        return None
    return int(wished) if math.isfinite(wished) and wished > 0 else None


# ── what a receipt says of it ───────────────────────────────────────────────


def reason(text: str, undeclared: int = 0, code: str | None = None) -> str:
    """Return what a receipt keeps of why it is not settled: JSON."""
    said: dict[str, Any] = {"reason": masked(storable_text(text))[:_LONGEST]}
    said |= {"undeclared": undeclared} if undeclared else {}
    return codec.encode(said if code is None else said | {"code": storable_text(code)}, "a reason")


def reason_after(receipt: Receipt, text: str, *, verdict: Verdict | None = None, counts: bool = True) -> str:
    """Return the same, with the count of calls so far that ended in what is not declared.

    ``counts``: the verdict is of a call; not so of a probe.
    """
    code = verdict.code if isinstance(verdict, NotDone) else None
    return reason(text, undeclared_in(receipt) + (counts and isinstance(verdict, Undeclared)), code)


def reason_in(receipt: Receipt) -> str | None:
    """Why a receipt is not settled, or has no result."""
    said = _said(receipt)
    return said.get("reason") if said else None


def undeclared_in(receipt: Receipt) -> int:
    """How many calls of this receipt ended in an exception that is not declared."""
    count = _said(receipt).get("undeclared", 0)
    return count if isinstance(count, int) else 0


def _said(receipt: Receipt) -> dict[str, Any]:
    said = codec.decode(receipt.error) if receipt.error is not None else None
    return said if isinstance(said, dict) else {}
