"""What to do next about an effect, and what a receipt becomes: pure functions, all of them.

:func:`decide` maps (receipt, now, guarantee) to an action. The functions below it map (receipt, event) to the
:class:`~recordfirst.core.receipt.Change` that the record applies by compare-and-set. Nothing here reads a clock, a
store or a random number; the property tests drive both against a model of a provider.

What each rests on: ``doubts`` counts calls that may have had their effect without our knowing, and goes down only on
proof: an answer about that call. Under a key that the provider honours all calls are one, and the answer to any of them
is about all (:func:`speaks_for_all`); without keys it is about its own call alone. While ``doubts`` is above zero the
effect is called again only with a key that the provider still honours, or when the effect itself says
``in_doubt="repeat"``. That a probe did not find the effect is proof once no call can arrive any later
(:func:`believed_at_ms`).

Assumed, because nothing here could hold it: a call is sent before its claim runs out (``timeout_s`` bounds the call,
the claim is longer), what was sent arrives within ``arrives_ms`` after that, and the margin taken off a key's retention
is longer than both together.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from recordfirst.core.receipt import Change, Receipt

ENDED = ""
"""A claim that nobody holds: nobody waits for an answer, yet what was sent may arrive while it lasts."""


_LOOK_AGAIN_MS = 1_000
"""The shortest pause between two probes of an effect whose absence is not believed yet."""


class Guarantee(msgspec.Struct, frozen=True, kw_only=True):
    """What an effect can rely on: its provider's promises and its own policy."""

    key_honoured_ms: int | None
    """For how long a key may be sent again: the retention less the margin; ``None``: the provider takes no keys."""
    lag_ms: int = 0
    """How long a probe may still not see what a call did."""
    arrives_ms: int = 0
    """How late a request that was given up can still have its effect."""
    can_probe: bool = False
    settles: bool = False
    """Only the outcome is asked for: nothing is called, whatever the key and whatever ``in_doubt`` says."""
    in_doubt: Literal["park", "repeat"] = "park"
    deadline_ms: int | None = None
    """How long after its intent it is given up, if it has certainly not happened."""
    expires_ms: int | None = None
    """How long after it became pending it is cancelled at the provider; ``None``: it is waited for."""
    looks_ms: tuple[int, ...] = (300_000, 3_600_000, 86_400_000)
    """How long after it became pending its provider is asked; the last one, again and again."""
    max_doubts: int = 10
    """So many calls without a known outcome, and a key alone is no longer trusted to settle it."""


class Return(msgspec.Struct, frozen=True):
    """Succeeded: hand out the stored result, call nothing."""


class RaiseDeclined(msgspec.Struct, frozen=True):
    """Declined: raise the stored reason, call nothing."""


class Park(msgspec.Struct, frozen=True):
    """Unknown or pending: wait for an operator, or for the provider, holding nothing."""


class Wait(msgspec.Struct, frozen=True):
    """Look again at this time of the record's clock."""

    until_ms: int


class MakeCall(msgspec.Struct, frozen=True):
    """Begin a call with the frozen request and the key as it stands."""


class Probe(msgspec.Struct, frozen=True):
    """Ask the provider what became of it."""


class Settle(msgspec.Struct, frozen=True):
    """The provider's answer is stored already: finish the transaction that failed, call nothing."""


class TooLate(msgspec.Struct, frozen=True):
    """It certainly did not happen, and is no longer to: its deadline has passed."""


class Expire(msgspec.Struct, frozen=True):
    """Pending for too long: have it cancelled at the provider, whose answer counts."""


class GiveUp(msgspec.Struct, frozen=True):
    """Nothing left to try: the outcome is unknown."""


type OutcomeState = Literal["succeeded", "declined", "pending", "not done", "unknown"]
"""What a call or a probe came to."""

type Action = Return | RaiseDeclined | Park | Wait | MakeCall | Probe | Settle | GiveUp | TooLate | Expire


def decide(receipt: Receipt, now_ms: int, guarantee: Guarantee) -> Action:  # noqa: PLR0911 - one line per row of the table
    """Return the next action for an effect whose receipt exists (the table of *The states of an effect* in the
    docs, row by row).
    """
    match receipt.state:
        case "succeeded":
            return Return()
        case "declined":
            return RaiseDeclined()
        case "unknown":
            return Park()
        case "pending":
            return Expire() if is_expired(receipt, now_ms, guarantee) else Park()
    if receipt.reply is not None:
        return Settle()
    deadline_ms = _deadline_ms(receipt, guarantee)
    if deadline_ms is not None and now_ms >= deadline_ms:
        return TooLate()
    if receipt.next_at_ms is not None and now_ms < receipt.next_at_ms:
        return Wait(receipt.next_at_ms if deadline_ms is None else min(receipt.next_at_ms, deadline_ms))
    if receipt.doubts == 0 or _key_settles_it(receipt, now_ms, guarantee):
        return MakeCall()
    # From here on a second call could be a second effect. Somebody may wait for an answer: let the claim run out first.
    if receipt.claim and receipt.claim_until_ms is not None and now_ms < receipt.claim_until_ms:
        return Wait(receipt.claim_until_ms)
    if guarantee.can_probe:
        return Probe()
    return MakeCall() if guarantee.in_doubt == "repeat" and not guarantee.settles else GiveUp()


def _deadline_ms(receipt: Receipt, guarantee: Guarantee) -> int | None:
    """From when on it is given up; ``None`` while it may have happened, and where no time was set."""
    if guarantee.deadline_ms is None or receipt.doubts > 0:
        return None
    return receipt.created_at_ms + guarantee.deadline_ms


def is_expired(receipt: Receipt, now_ms: int, guarantee: Guarantee) -> bool:
    """Whether what is pending is to be waited for no longer."""
    if guarantee.expires_ms is None:
        return False
    return now_ms >= (receipt.pending_since_ms or now_ms) + guarantee.expires_ms


def _key_settles_it(receipt: Receipt, now_ms: int, guarantee: Guarantee) -> bool:
    """Whether sending the same key again cannot have the effect twice."""
    if guarantee.settles or receipt.replayed or receipt.doubts >= guarantee.max_doubts:
        return False
    return _is_young(receipt, now_ms, guarantee)


def _is_young(receipt: Receipt, at_ms: int, guarantee: Guarantee) -> bool:
    """Whether the provider honours, at a time, the key that is in use."""
    if guarantee.key_honoured_ms is None or receipt.key_since_ms is None:
        return False
    return at_ms < receipt.key_since_ms + guarantee.key_honoured_ms


def speaks_for_all(receipt: Receipt, guarantee: Guarantee) -> bool:
    """Whether an answer to the newest call is about every earlier one that is in doubt, too.

    It is where all were sent under one key that the provider honoured: whichever comes late gets the same answer. Only
    ``in_doubt="repeat"`` calls under a new key, or one that may be forgotten, while an earlier call is in doubt. If it
    is pending it is in no doubt itself: whatever doubt is left is another call's.
    """
    if receipt.doubts <= (0 if receipt.state == "pending" else 1):
        return True
    if guarantee.key_honoured_ms is None:
        return False
    if guarantee.in_doubt == "park" or guarantee.can_probe:
        return True
    return receipt.reissue == 0 and _is_young(receipt, receipt.last_call_at_ms or 0, guarantee)


def is_same_effect(asked: Receipt, now: Receipt, guarantee: Guarantee) -> bool:
    """Whether a success that the call of ``asked`` reports is the one that is stored in ``now``, and no second one."""
    return asked.reissue == now.reissue and _is_young(now, now.last_call_at_ms or 0, guarantee)


def believed_at_ms(receipt: Receipt, guarantee: Guarantee) -> int:
    """From when on *absent* is proof, if a probe that begins then says so.

    No earlier than the provider shows what arrived. A call that was not answered may arrive late; one whose answer the
    provider stores is over, and with it those under the same key.
    """
    sent_by_ms = max(receipt.last_call_at_ms or 0, receipt.claim_until_ms or 0)
    answered = receipt.replayed and speaks_for_all(receipt, guarantee)
    return sent_by_ms + guarantee.lag_ms + (0 if answered else guarantee.arrives_ms)


def may_send(begun: Receipt, guarantee: Guarantee) -> bool:
    """Whether the call that ``begun`` announces may still go out; if not, it is :func:`not_done`.

    Between deciding and beginning an executor may have slept for longer than the provider honours a key, and no
    revision tells. The time at which the record began the call does.
    """
    before = msgspec.structs.replace(begun, doubts=begun.doubts - 1)
    if before.doubts == 0 or _key_settles_it(before, begun.last_call_at_ms or 0, guarantee):
        return True
    return guarantee.in_doubt == "repeat" and not guarantee.can_probe and not guarantee.settles


def is_early(receipt: Receipt, now_ms: int, guarantee: Guarantee) -> bool:
    """Whether a call may still be on its way, so that a probe which begins now cannot speak of it."""
    return now_ms < believed_at_ms(receipt, guarantee)


def still_counts(outcome: OutcomeState, asked: Receipt, now: Receipt) -> bool:
    """Whether an outcome may be stored over ``now``, when ``asked`` is what its call or probe went out with.

    A final receipt stands. While it is pending the provider has it, whatever another call reports that came to nothing:
    that one's doubt stays. A decline speaks for its own call: if another was begun or answered meanwhile, that one's
    outcome is asked for, since it may have had its effect.
    """
    if now.state in ("succeeded", "declined"):
        return False
    if now.state == "pending" and outcome in ("not done", "unknown"):
        return False
    return outcome not in ("declined", "pending") or (now.calls, now.reply) == (asked.calls, asked.reply)


# ── events: (receipt, what happened) -> what the receipt becomes ────────────


def begin_call(receipt: Receipt, *, claim: str, claim_ms: int) -> Change:
    """A call is about to be sent: from here until its outcome is stored, it may have happened."""
    # An answer that is known to be unusable is called over only by ``in_doubt="repeat"``, and then a new key must be.
    return carried(
        receipt,
        calls=receipt.calls + 1,
        doubts=receipt.doubts + 1,
        claim=claim,
        claim_for_ms=claim_ms,
        begins_call=True,
        error=receipt.error,
        **_unspent_key(receipt, is_new=receipt.calls == 0),
    )


def succeeded(receipt: Receipt, result: str | None, error: str | None = None, *, doubts: int = 0) -> Change:
    """The effect happened. ``error`` says why its result could not be stored, if it could not.

    ``doubts``: how many other calls may have had it, too; see :func:`others_in_doubt`.
    """
    return carried(receipt, state="succeeded", doubts=doubts, result=result, error=error, reply=None)


def others_in_doubt(receipt: Receipt, guarantee: Guarantee, claim: str | None) -> int:
    """How many calls are still in doubt when the one made under ``claim`` has succeeded (``None``: by its reply)."""
    if claim is not None and receipt.claim != claim:
        # What is in doubt is somebody else's: ours was taken for absent.
        return 0 if is_same_effect(receipt, receipt, guarantee) else receipt.doubts
    return 0 if speaks_for_all(receipt, guarantee) else receipt.doubts - 1


def declined(receipt: Receipt, error: str) -> Change:
    """The provider refused for good; ``error`` is the JSON of its reason and code.

    It has refused every call that is in doubt; otherwise see :func:`declined_alone`, and :func:`still_counts`.
    """
    return carried(receipt, state="declined", doubts=0, error=error, reply=None)


def declined_alone(receipt: Receipt, error: str, wait_ms: int, guarantee: Guarantee, *, claim: str) -> Change:
    """The provider refused the call made under ``claim``, and has said nothing of an earlier one that is in doubt.

    The effect may have happened, so it is not declined. A probe can tell, or else an operator.
    """
    change = not_done(receipt, error, wait_ms, claim=claim)
    return change if guarantee.can_probe else msgspec.structs.replace(change, state="unknown", wait_ms=None)


def not_done(receipt: Receipt, error: str, wait_ms: int, *, claim: str) -> Change:
    """The call made under ``claim`` certainly had no effect.

    That takes back a doubt only while the claim is still its own. Later a probe may have taken all doubts back, and
    the one that is there belongs to somebody else's call.
    """
    if receipt.claim != claim:
        return carried(receipt, error=error, wait_ms=wait_ms, claim=receipt.claim)
    doubts = max(0, receipt.doubts - 1)
    return carried(receipt, doubts=doubts, error=error, wait_ms=wait_ms, claim=ENDED if doubts else None)


def in_doubt(receipt: Receipt, error: str, wait_ms: int, *, claim: str, replayed: bool) -> Change:
    """The call made under ``claim`` may have had its effect, now or before its claim would have run out.

    An answer that the provider stores (``replayed``) says that it is over. Somebody else's claim stays theirs.
    """
    ended = receipt.claim == claim
    return carried(
        receipt,
        replayed=receipt.replayed or replayed,
        error=error,
        wait_ms=wait_ms,
        claim=ENDED if ended else receipt.claim,
        claim_for_ms=0 if ended and replayed else None,
    )


def absent(receipt: Receipt, now_ms: int, guarantee: Guarantee) -> Change:
    """A probe that began at ``now_ms`` did not find the effect: proof, once nothing sent can still arrive and the
    provider has had time to show what did; until then, look again, later and later.

    When the provider stores an unusable answer under the key, the next call needs a new one.
    """
    visible_at_ms = believed_at_ms(receipt, guarantee)
    if now_ms < visible_at_ms:
        # What arrives meanwhile is found soon after; so the pauses are about as long as the call is ago.
        open_ms = max(_LOOK_AGAIN_MS, now_ms - (receipt.last_call_at_ms or 0))
        pause_ms = min(visible_at_ms - now_ms, open_ms)
        return carried(receipt, error=receipt.error, wait_ms=pause_ms, claim=receipt.claim)
    return carried(receipt, state="intended", doubts=0, **_unspent_key(receipt))


def unknown(receipt: Receipt, error: str) -> Change:
    """Only an operator can tell."""
    return carried(receipt, state="unknown", error=error)


def parked(receipt: Receipt, promise: str, *, look_now: bool = False) -> Change:
    """The workflow waits on this promise of the engine. ``look_now``: what is pending is looked at at once."""
    kept = {"error": receipt.error, "parked_on": promise, "claim": receipt.claim}
    return carried(receipt, **kept, wait_ms=0 if look_now else None)


def replied(receipt: Receipt, reply: str, error: str) -> Change:
    """The provider answered, and storing it failed in the user's own transaction: keep the answer.

    Nobody needs to be asked, so one who waits for an operator goes on.
    """
    return carried(receipt, state="intended", reply=reply, error=error, until_at_ms=None)


def resolved_not_done(receipt: Receipt) -> Change:
    """An operator says that it certainly did not happen: it may be called again, under a new key if the old is
    spent.
    """
    spent = {"reply": None, "until_at_ms": None} if receipt.state == "pending" else {}
    return carried(receipt, state="intended", doubts=0, **spent, **_unspent_key(receipt))


def withdrawn(receipt: Receipt) -> Change:
    """The call that an intent announced was never made, and the one who was to make it says so.

    If somebody else has called since, or it is settled, this changes nothing: their call may have had its effect.
    """
    if receipt.state == "intended" and receipt.calls == 1 and receipt.reply is None:
        return carried(receipt, calls=0, doubts=0)
    return carried(receipt, result=receipt.result, error=receipt.error, claim=receipt.claim)


def undone(receipt: Receipt, by: str) -> Change:
    """The undo effect ``by`` has succeeded."""
    return carried(receipt, result=receipt.result, error=receipt.error, undone_by=by)


def _unspent_key(receipt: Receipt, *, is_new: bool = False) -> dict[str, object]:
    """A new key in place of one that only repeats an unusable answer.

    Only a new key is young again. The provider may still know the old one from its first call, whatever has been
    proved since, and forget it between two calls that are then two effects.
    """
    return {
        "replayed": False,
        "reissue": receipt.reissue + receipt.replayed,
        "restart_key_age": is_new or receipt.replayed,
    }


def carried(receipt: Receipt, **what: object) -> Change:
    """Carry over what counts on; whatever belongs to one call (claim, wait, error) goes unless it is given."""
    kept: dict[str, object] = {
        "state": receipt.state,
        "calls": receipt.calls,
        "doubts": receipt.doubts,
        "replayed": receipt.replayed,
        "reissue": receipt.reissue,
        "reply": receipt.reply,
        "undone_by": receipt.undone_by,
        "parked_on": receipt.parked_on,
        "until_at_ms": receipt.until_at_ms,
    }
    return Change(**(kept | what))  # type: ignore[arg-type]


def backoff_ms(calls: int, jitter: float, *, first_ms: int = 200, most_ms: int = 300_000) -> int:
    """Return the wait before the next look after so many calls: doubling, capped, jittered by up to a half.

    ``jitter`` is a random number in [0, 1), an argument so that this stays a function.
    """
    ceiling: int = min(most_ms, first_ms * 2 ** min(max(calls, 1) - 1, 20))
    return ceiling // 2 + int(ceiling / 2 * jitter)
