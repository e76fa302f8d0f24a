"""Asks an effect's probe for the outcome of its call. Whatever the probe does, there is an answer (P5).

Nothing is lost if the probe fails: it has no effect, so it is asked again.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import msgspec

from recordfirst.core import decide as d
from recordfirst.core.receipt import Receipt
from recordfirst.core.text import class_name, safe_text
from recordfirst.errors import Declined, NotDone, Unknown
from recordfirst.execution.parking import IN_PLACE_MS
from recordfirst.execution.verdict import alone, sound
from recordfirst.process.limit import Limit
from recordfirst.providers.contract import Absent, CannotTell, Found, Pending, Verdict, describe
from recordfirst.steps.step import follow_up_arguments

if TYPE_CHECKING:
    from recordfirst.execution.runtime import Runtime
    from recordfirst.steps.effect import Effect


class Failed(msgspec.Struct, frozen=True):
    """The probe did not answer: it is asked again."""

    why: str
    verdict: Verdict
    """What the exception means, as that of a call: a refused credential, say."""


class Early(msgspec.Struct, frozen=True):
    """The probe found nothing, or a refusal, while a call may still arrive: it is asked again."""


type ProbeAnswer = Found[Any] | Absent | CannotTell | Pending | Declined | Failed | Early


async def ask(effect: Effect[..., Any], runtime: Runtime, receipt: Receipt, now_ms: int) -> ProbeAnswer:
    """Ask the probe, and return what its answer is worth.

    What it finds stands whenever it is found. That there is nothing is believed when no call can arrive; a refusal,
    too, unless all calls are one. ``now_ms``: before it was asked, by the record's clock.
    """
    answer, guarantee = await probed(effect, runtime, receipt), effect.guarantee
    is_denial = isinstance(answer, Absent) or (
        isinstance(answer, Declined) and not d.speaks_for_all(receipt, guarantee)
    )
    return Early() if is_denial and d.is_early(receipt, now_ms, guarantee) else answer


async def probed(effect: Effect[..., Any], runtime: Runtime, receipt: Receipt) -> ProbeAnswer:
    """Ask the probe. What it raises, and what it returns that is no answer, is one that says so."""
    try:
        return _read(effect, await _asked(effect, runtime, receipt))
    except Exception as error:  # noqa: BLE001 - a probe that fails tells nothing
        return _raised(effect, error)


async def _asked(effect: Effect[..., Any], runtime: Runtime, receipt: Receipt) -> Any:
    function = effect.probe
    assert function is not None
    arguments = effect.function.thaw(runtime.unseal(receipt.request))
    chosen = follow_up_arguments(function, None, arguments, None)
    injected = await runtime.injector.resolve(function)
    call = effect.call_for(runtime, receipt)
    async with Limit(effect.timeout_s, runtime.loop.time() + effect.timeout_s + IN_PLACE_MS / 1000) as limit:

        def ask() -> Awaitable[Any]:
            return function.call(call, chosen, injected, runtime.executor, limit)

        return await runtime.seams.probe(function.name, call.key, ask)


def _read(effect: Effect[..., Any], answer: Any) -> ProbeAnswer:
    match answer:
        case Found() | Absent() | Pending():
            return answer
        case CannotTell(why):
            return CannotTell(safe_text(why))
    name = effect.probe.name if effect.probe is not None else "?"
    kind = class_name(answer)
    return CannotTell(f"{name} returned {kind}, none of Found, Absent, CannotTell, Pending")


def _raised(effect: Effect[..., Any], error: Exception) -> ProbeAnswer:
    try:
        inner = alone(error)
        if isinstance(inner, Declined):
            declined = sound(inner, inner)
            assert isinstance(declined, Declined)
            return declined
        known = isinstance(inner, (NotDone, Unknown))
        return Failed(describe(inner), sound(inner if known else effect.provider.classify(inner), inner))
    except Exception as broken:  # noqa: BLE001 - an exception, and a provider, may be of any make
        return Failed(describe(error), Unknown(describe(broken)))
