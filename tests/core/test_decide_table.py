"""Design section 6, row by row: what the next execution does, and what becomes of the receipt."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordfirst.core import decide as d
from recordfirst.core import model
from recordfirst.core import pending as p
from recordfirst.core.decide import Guarantee
from recordfirst.core.receipt import NewReceipt, Receipt

NOW = 1_000_000
HONOURED_MS = 800
KEYED = Guarantee(key_honoured_ms=HONOURED_MS)
KEYED_PROBE = Guarantee(key_honoured_ms=HONOURED_MS, can_probe=True)
PROBE = Guarantee(key_honoured_ms=None, can_probe=True)
NEITHER = Guarantee(key_honoured_ms=None)
LATER = Guarantee(key_honoured_ms=None, deadline_ms=101)
REPEAT = Guarantee(key_honoured_ms=None, in_doubt="repeat")
KEYED_REPEAT = Guarantee(key_honoured_ms=HONOURED_MS, in_doubt="repeat")
SETTLES = Guarantee(key_honoured_ms=HONOURED_MS, can_probe=True, settles=True)
DEADLINE = Guarantee(key_honoured_ms=HONOURED_MS, can_probe=True, deadline_ms=100)
EXPIRES = Guarantee(key_honoured_ms=HONOURED_MS, can_probe=True, expires_ms=100)
LAGGING = Guarantee(key_honoured_ms=HONOURED_MS, can_probe=True, lag_ms=30, arrives_ms=0)
replace = msgspec.structs.replace

INTENT = NewReceipt(
    key="order:1:charge",
    kind="effect",
    function="charge",
    workflow="order:1",
    state="intended",
    fingerprint="f",
    request="{}",
)


def receipt(**fields) -> Receipt:
    """An intent whose one call is in doubt, long ago, with a key that is young."""
    usual = model.intended(INTENT, claim="a", claim_ms=65, now_ms=NOW - 100)
    return msgspec.structs.replace(usual, **fields)


def pending(**fields) -> Receipt:
    """One that the provider has taken on, long ago."""
    usual = {"state": "pending", "doubts": 0, "claim": None, "claim_until_ms": None, "reply": "{}", "replayed": True}
    return receipt(**usual | {"pending_since_ms": NOW - 500, "next_at_ms": NOW + 9} | fields)


def after(stored: Receipt, change) -> Receipt:
    changed = model.changed(stored, stored, change, NOW)
    assert changed is not None
    return changed


# ── what the next execution does ────────────────────────────────────────────


ROWS = [
    ("P5 succeeded: hand out the result", receipt(state="succeeded"), KEYED, d.Return()),
    ("P5 declined: raise it again", receipt(state="declined"), KEYED, d.RaiseDeclined()),
    ("P5 unknown: wait for an operator", receipt(state="unknown"), KEYED, d.Park()),
    ("P5 unknown, even without a doubt", receipt(state="unknown", doubts=0), REPEAT, d.Park()),
    ("P5 pending: wait for the provider", pending(), KEYED, d.Park()),
    ("P3 pending, even where it may be repeated", pending(doubts=1), REPEAT, d.Park()),
    ("P5 pending is waited for", pending(pending_since_ms=NOW - 99), EXPIRES, d.Park()),
    ("P5 pending for too long: cancel it there", pending(pending_since_ms=NOW - 100), EXPIRES, d.Expire()),
    ("P5 pending has no deadline", pending(doubts=0), DEADLINE, d.Park()),
    ("P5 too late, certainly not done", receipt(doubts=0, claim=None), DEADLINE, d.TooLate()),
    ("P5 too late, announced only", receipt(doubts=0, calls=0, key_since_ms=None), DEADLINE, d.TooLate()),
    ("P5 too late, and it may have happened", receipt(key_since_ms=NOW - HONOURED_MS), DEADLINE, d.Probe()),
    ("P3 too late, and the answer is stored", receipt(doubts=0, reply="{}"), DEADLINE, d.Settle()),
    ("P5 its next time is behind its deadline", receipt(doubts=0, next_at_ms=NOW + 900), LATER, d.Wait(NOW + 1)),
    ("P3 the answer is stored: finish", receipt(reply="{}"), KEYED, d.Settle()),
    ("P3 the answer is stored, before its time", receipt(reply="{}", next_at_ms=NOW + 1), KEYED, d.Settle()),
    ("P5 not before its time", receipt(next_at_ms=NOW + 1), KEYED, d.Wait(NOW + 1)),
    ("P5 its time has come", receipt(next_at_ms=NOW), KEYED, d.MakeCall()),
    ("P3 nothing in doubt", receipt(doubts=0, claim=None), NEITHER, d.MakeCall()),
    ("P3 nothing in doubt, announced only", receipt(doubts=0, calls=0, key_since_ms=None), KEYED, d.MakeCall()),
    ("P3 in doubt, key is young", receipt(), KEYED, d.MakeCall()),
    ("P3 in doubt, key is young, one is calling", receipt(claim_until_ms=NOW + 1), KEYED_PROBE, d.MakeCall()),
    ("P3 key in its last moment", receipt(key_since_ms=NOW - HONOURED_MS + 1), KEYED_PROBE, d.MakeCall()),
    ("P3 only the outcome is asked for: no call", receipt(), SETTLES, d.Probe()),
    ("P3 only the outcome is asked for, no probe", receipt(), replace(SETTLES, can_probe=False), d.GiveUp()),
    (
        "P3 only the outcome is asked for, and it would be repeated",
        receipt(),
        replace(REPEAT, settles=True),
        d.GiveUp(),
    ),
    ("P3 key is old: probe", receipt(key_since_ms=NOW - HONOURED_MS), KEYED_PROBE, d.Probe()),
    ("P3 key is old, no probe", receipt(key_since_ms=NOW - HONOURED_MS), KEYED, d.GiveUp()),
    ("P5 a 500 is stored under the key: probe", receipt(replayed=True), KEYED_PROBE, d.Probe()),
    ("P5 a 500 is stored under the key, no probe", receipt(replayed=True), KEYED, d.GiveUp()),
    ("P5 too many doubts: probe", receipt(doubts=10), KEYED_PROBE, d.Probe()),
    ("P5 too many doubts, no probe", receipt(doubts=10), KEYED, d.GiveUp()),
    ("P3 no keys: one may be calling", receipt(claim_until_ms=NOW + 1), PROBE, d.Wait(NOW + 1)),
    ("P3 no keys: nobody is calling", receipt(claim_until_ms=NOW), PROBE, d.Probe()),
    ("P3 no keys: the caller gave up", receipt(claim="", claim_until_ms=NOW + 1), PROBE, d.Probe()),
    ("P3 neither: one may be calling", receipt(claim_until_ms=NOW + 1), NEITHER, d.Wait(NOW + 1)),
    ("P5 neither: unknown", receipt(), NEITHER, d.GiveUp()),
    ("P3 neither, and repeats are allowed", receipt(), REPEAT, d.MakeCall()),
]


@pytest.mark.parametrize(("stored", "guarantee", "action"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_next_action(stored, guarantee, action):
    """P3 P5: a row of the table."""
    assert d.decide(stored, NOW, guarantee) == action


def test_probe_comes_before_repeating():
    """P3: an effect that may be repeated is asked about first if it can be."""
    either = Guarantee(key_honoured_ms=None, can_probe=True, in_doubt="repeat")
    assert d.decide(receipt(), NOW, either) == d.Probe()


RECEIPTS = st.builds(
    receipt,
    state=st.sampled_from(["intended", "unknown", "pending", "declined", "succeeded"]),
    doubts=st.integers(0, 12),
    replayed=st.booleans(),
    claim=st.sampled_from([None, "", "a"]),
    key_since_ms=st.none() | st.integers(NOW - 1000, NOW),
    claim_until_ms=st.none() | st.integers(NOW - 100, NOW + 100),
    next_at_ms=st.none() | st.integers(NOW - 100, NOW + 100),
    reply=st.sampled_from([None, "{}"]),
)
GUARANTEES = st.builds(
    Guarantee,
    key_honoured_ms=st.none() | st.just(HONOURED_MS),
    can_probe=st.booleans(),
    in_doubt=st.sampled_from(["park", "repeat"]),
    deadline_ms=st.none() | st.integers(0, 300),
    expires_ms=st.none() | st.integers(0, 300),
)


@given(RECEIPTS, GUARANTEES)
def test_calls_rest_on_something(stored, guarantee):
    """P3: no call goes out while an outcome, an answer, or an unprotected doubt stands."""
    if d.decide(stored, NOW, guarantee) == d.MakeCall():
        assert (stored.state, stored.reply) == ("intended", None)
        is_young = stored.key_since_ms is not None and stored.key_since_ms + HONOURED_MS > NOW
        is_key_good = guarantee.key_honoured_ms is not None and is_young and not stored.replayed
        assert stored.doubts == 0 or is_key_good or guarantee.in_doubt == "repeat"


@given(RECEIPTS, GUARANTEES)
def test_waits_end(stored, guarantee):
    """P7: a wait is for a time to come, and when it has come there is one more wait at most."""
    now_ms, waits = NOW, 0
    while isinstance(action := d.decide(stored, now_ms, guarantee), d.Wait):
        assert action.until_ms > now_ms
        now_ms, waits = action.until_ms, waits + 1
    assert waits <= 2


# ── what becomes of the receipt ─────────────────────────────────────────────


def test_call_is_in_doubt_from_its_beginning():
    """P3: a crash at any later moment finds the doubt and the claim in the record."""
    begun = after(receipt(doubts=0, claim=None), d.begin_call(receipt(doubts=0), claim="b", claim_ms=65))
    assert (begun.calls, begun.doubts, begun.claim, begun.claim_until_ms) == (2, 1, "b", NOW + 65)
    assert begun.last_call_at_ms == NOW


def test_age_of_a_key_is_kept():
    """P3: only a new key is young: the provider may know the old one from its first call."""
    old = receipt(key_since_ms=NOW - 700)
    assert after(old, d.begin_call(old, claim="b", claim_ms=65)).key_since_ms == NOW - 700
    certain = receipt(key_since_ms=NOW - 700, doubts=0)
    assert after(certain, d.begin_call(certain, claim="b", claim_ms=65)).key_since_ms == NOW - 700
    never_sent = receipt(calls=0, doubts=0, key_since_ms=None)
    assert after(never_sent, d.begin_call(never_sent, claim="b", claim_ms=65)).key_since_ms == NOW


def test_success_and_decline_end_all_doubt():
    """P5: a final receipt has its outcome, and nothing that belongs to a call."""
    done = after(receipt(reply="x"), d.succeeded(receipt(reply="x"), "1"))
    assert (done.state, done.result, done.doubts, done.claim, done.reply) == ("succeeded", "1", 0, None, None)
    declined = after(receipt(), d.declined(receipt(), '{"reason":"no"}'))
    assert (declined.state, declined.error, declined.doubts) == ("declined", '{"reason":"no"}', 0)
    assert declined.settled_at_ms == NOW


@pytest.mark.parametrize(
    ("stored", "guarantee", "speaks"),
    [
        (receipt(), NEITHER, True),
        (receipt(doubts=2), REPEAT, False),
        (receipt(doubts=2), PROBE, False),
        (receipt(doubts=2), KEYED, True),
        (receipt(doubts=2, reissue=1), KEYED_PROBE, True),
        (receipt(doubts=2), KEYED_REPEAT, True),
        (receipt(doubts=2, reissue=1), KEYED_REPEAT, False),
        (receipt(doubts=2, key_since_ms=NOW - HONOURED_MS - 100), KEYED_REPEAT, False),
        (receipt(doubts=2), SETTLES, True),
    ],
    ids=[
        *("its own", "no key, repeated", "no key", "one key", "a new key after proof", "one key, repeated"),
        *("a new key while in doubt", "a key that was old", "only asked for"),
    ],
)
def test_whom_an_answer_is_about(stored, guarantee, speaks):
    """P5: under one honoured key all calls are one; else an answer is about its own call."""
    assert d.speaks_for_all(stored, guarantee) is speaks


def test_decline_leaves_the_doubt_of_an_earlier_call():
    """P5: it is not declined, since the earlier call may have had its effect: a probe can tell, or an operator."""
    both = receipt(doubts=2, calls=2)
    alone = after(both, d.declined_alone(both, "no", 9, REPEAT, claim="a"))
    assert (alone.state, alone.doubts, alone.error, alone.next_at_ms) == ("unknown", 1, "no", None)
    probed = after(both, d.declined_alone(both, "no", 9, PROBE, claim="a"))
    assert (probed.state, probed.doubts, probed.claim, probed.next_at_ms) == ("intended", 1, "", NOW + 9)
    assert d.decide(probed, NOW + 9, PROBE) == d.Probe()


@pytest.mark.parametrize(
    ("stored", "guarantee", "claim", "left"),
    [
        (receipt(doubts=2), KEYED, "a", 0),
        (receipt(doubts=2), REPEAT, "a", 1),
        (receipt(doubts=2), REPEAT, None, 1),
        (receipt(doubts=1), NEITHER, "a", 0),
        (receipt(doubts=1), PROBE, "zombie", 1),
        (receipt(doubts=1), KEYED, "zombie", 0),
    ],
)
def test_success_leaves_the_doubt_of_another_call(stored, guarantee, claim, left):
    """P5: without a key another call may have had the effect as well, and the receipt goes on saying so."""
    assert d.others_in_doubt(stored, guarantee, claim) == left
    done = after(stored, d.succeeded(stored, "1", doubts=left))
    assert (done.state, done.doubts) == ("succeeded", left)


@pytest.mark.parametrize(
    ("asked", "now", "guarantee", "same"),
    [
        (receipt(), receipt(calls=2), KEYED, True),
        (receipt(), receipt(calls=2, reissue=1), KEYED, False),
        (receipt(), receipt(calls=2, key_since_ms=NOW - HONOURED_MS - 100), KEYED, False),
        (receipt(), receipt(calls=2), PROBE, False),
    ],
    ids=["one key", "another key", "a key that was old", "no key"],
)
def test_second_success(asked, now, guarantee, same):
    """P3: a late success under the same honoured key is the same effect; any other is one more."""
    assert d.is_same_effect(asked, now, guarantee) is same


def test_not_done_takes_back_its_own_doubt():
    """P5: a 429 had no effect, so it is called again, later, under the same key."""
    changed = after(receipt(), d.not_done(receipt(), "429", 50, claim="a"))
    assert (changed.doubts, changed.claim, changed.next_at_ms) == (0, None, NOW + 50)


def test_not_done_leaves_the_doubts_of_others():
    """P3: an earlier call stays in doubt, and somebody else's claim stays theirs."""
    both = receipt(doubts=2)
    changed = after(both, d.not_done(both, "429", 50, claim="a"))
    assert (changed.doubts, changed.claim, changed.claim_until_ms) == (1, "", both.claim_until_ms)
    changed = after(both, d.not_done(both, "429", 50, claim="zombie"))
    assert (changed.doubts, changed.claim) == (2, "a")


def test_doubt_outlives_the_caller():
    """P3: the client gave up; until the claim ends what it sent may arrive, and no probe can deny it."""
    sent = receipt(claim_until_ms=NOW + 40)
    unsure = after(sent, d.in_doubt(sent, "timeout", 0, claim="a", replayed=False))
    assert (unsure.doubts, unsure.claim, unsure.claim_until_ms) == (1, "", NOW + 40)
    again = after(unsure, d.absent(unsure, NOW, LAGGING))
    assert (again.doubts, again.next_at_ms, again.claim_until_ms) == (1, NOW + 70, NOW + 40)
    assert after(again, d.absent(again, NOW + 70, LAGGING)).doubts == 0


def test_absent_is_believed_when_no_call_can_arrive():
    """P3: a request that was given up arrives late; until then the probe is asked again, later and later."""
    sent = receipt(last_call_at_ms=NOW - 3_000, claim="", claim_until_ms=NOW - 2_000)
    slow = Guarantee(key_honoured_ms=None, can_probe=True, lag_ms=30, arrives_ms=9_000)
    assert d.believed_at_ms(sent, slow) == NOW + 7_030
    again = after(sent, d.absent(sent, NOW, slow))
    assert (again.doubts, again.next_at_ms) == (1, NOW + 3_000)
    again = after(sent, d.absent(sent, NOW + 7_029, slow))
    assert (again.doubts, again.next_at_ms) == (1, NOW + 1)
    assert after(sent, d.absent(sent, NOW + 7_030, slow)).doubts == 0


@pytest.mark.parametrize(
    ("stored", "guarantee", "waits_ms"),
    [
        (receipt(replayed=True), KEYED_PROBE, 0),
        (receipt(replayed=True, doubts=2), KEYED_PROBE, 0),
        (receipt(replayed=True), PROBE, 0),
        (receipt(replayed=True, doubts=2), PROBE, 9_000),
        (receipt(), KEYED_PROBE, 9_000),
    ],
    ids=["answered", "all of them, by the key", "answered, no key", "one of two, no key", "not answered"],
)
def test_what_was_answered_cannot_arrive(stored, guarantee, waits_ms):
    """P3: an answer that the provider stores is about every call under its key, and without keys about its own."""
    slow = replace(guarantee, arrives_ms=9_000)
    assert d.believed_at_ms(stored, slow) == (stored.claim_until_ms or 0) + waits_ms


def test_stored_answer_says_that_the_call_is_over():
    """P5: a 500 that the provider stores is probed at once, and later called under a new key."""
    sent = receipt(claim_until_ms=NOW + 40)
    spent = after(sent, d.in_doubt(sent, "500", 0, claim="a", replayed=True))
    assert (spent.replayed, spent.claim_until_ms) == (True, NOW)
    renewed = after(spent, d.absent(spent, NOW + 30, LAGGING))
    assert (renewed.doubts, renewed.replayed, renewed.reissue, renewed.key_since_ms) == (0, False, 1, NOW)


def test_absence_keeps_an_unspent_key():
    """P3: the key that was sent is sent again, so that even a probe that erred does no harm."""
    changed = after(receipt(), d.absent(receipt(), NOW, KEYED_PROBE))
    assert (changed.doubts, changed.reissue, changed.key_since_ms) == (0, 0, receipt().key_since_ms)


def test_repeating_takes_a_new_key_when_the_old_is_spent():
    """P5: an effect that may be repeated does not ask for ever for the answer that it cannot use."""
    spent = receipt(replayed=True)
    begun = after(spent, d.begin_call(spent, claim="b", claim_ms=65))
    assert (begun.reissue, begun.replayed, begun.key_since_ms) == (1, False, NOW)


def test_reply_is_kept_until_it_is_settled():
    """P3: an answer whose transaction failed is not lost by what comes late, and ends a parked effect's waiting."""
    replied = after(
        receipt(state="unknown", parked_on="p"), d.replied(receipt(state="unknown", parked_on="p"), "x", "e")
    )
    assert (replied.state, replied.reply, replied.parked_on) == ("intended", "x", "p")
    late = after(replied, d.in_doubt(replied, "timeout", 9, claim="a", replayed=False))
    assert d.decide(late, NOW, NEITHER) == d.Settle()


def test_person_says_not_done():
    """P5: it is called again, under a new key only if the old is spent; whoever waits is still to be woken."""
    stored = receipt(state="unknown", parked_on="p")
    resolved = after(stored, d.resolved_not_done(stored))
    assert (resolved.state, resolved.doubts, resolved.reissue, resolved.parked_on) == ("intended", 0, 0, "p")
    spent = receipt(state="unknown", replayed=True)
    assert after(spent, d.resolved_not_done(spent)).reissue == 1


def test_announced_call_is_withdrawn():
    """P5: nothing was sent, so nothing is in doubt and nothing needs an undo."""
    changed = after(receipt(), d.withdrawn(receipt()))
    assert (changed.calls, changed.doubts, changed.claim) == (0, 0, None)


@pytest.mark.parametrize(
    "stored",
    [
        receipt(calls=2, doubts=2),
        receipt(state="succeeded", result="1", doubts=0),
        receipt(reply="x"),
        receipt(state="unknown"),
    ],
    ids=["called by another", "succeeded", "answered", "unknown"],
)
def test_withdrawal_comes_too_late(stored):
    """P3 P5: whoever has called since stays in doubt, and an outcome stays as it is."""
    changed = after(stored, d.withdrawn(stored))
    same = ("state", "calls", "doubts", "result", "reply", "claim", "claim_until_ms")
    assert [getattr(changed, name) for name in same] == [getattr(stored, name) for name in same]


@pytest.mark.parametrize(
    ("outcome", "now", "counts"),
    [
        ("succeeded", receipt(), True),
        ("succeeded", receipt(calls=2), True),
        ("succeeded", receipt(state="unknown"), True),
        ("succeeded", receipt(state="declined"), False),
        ("declined", receipt(), True),
        ("declined", receipt(calls=2), False),
        ("declined", receipt(reply="x"), False),
        ("declined", receipt(state="succeeded"), False),
        ("not done", receipt(calls=2), True),
        ("unknown", receipt(state="succeeded"), False),
        ("pending", receipt(), True),
        ("pending", receipt(calls=2), False),
        ("pending", receipt(state="declined"), False),
        ("unknown", pending(), False),
        ("not done", pending(), False),
        ("declined", pending(), False),
        ("succeeded", pending(), True),
    ],
)
def test_late_outcome(outcome, now, counts):
    """P5: what is final stands; a decline does not speak for a call that was begun after it."""
    assert d.still_counts(outcome, receipt(), now) is counts


@pytest.mark.parametrize(
    ("begun", "guarantee", "may"),
    [
        (receipt(doubts=1, key_since_ms=NOW - 9000), KEYED, True),
        (receipt(doubts=2, last_call_at_ms=NOW, key_since_ms=NOW - HONOURED_MS + 1), KEYED, True),
        (receipt(doubts=2, last_call_at_ms=NOW, key_since_ms=NOW - HONOURED_MS), KEYED, False),
        (receipt(doubts=2), PROBE, False),
        (receipt(doubts=2), REPEAT, True),
    ],
    ids=["nothing in doubt", "young key", "slept too long", "no key", "may repeat"],
)
def test_begun_call_may_be_sent(begun, guarantee, may):
    """P3: the record's time of the beginning decides, not the time of the decision."""
    assert d.may_send(begun, guarantee) is may


# ── pending ─────────────────────────────────────────────────────────────────


def became(stored: Receipt, guarantee: Guarantee, **what) -> Receipt:
    given = {"reply": "{}", "until_at_ms": None, "now_ms": NOW, "guarantee": guarantee, "claim": "a"} | what
    return after(stored, p.became_pending(stored, **given))


@given(RECEIPTS, GUARANTEES)
def test_only_certainty_comes_too_late(stored, guarantee):
    """P5: what may have happened, or is pending, is never given up for its deadline."""
    if d.decide(stored, NOW, guarantee) == d.TooLate():
        assert (stored.state, stored.doubts, stored.reply) == ("intended", 0, None)


def test_the_call_that_is_pending_is_in_no_doubt():
    """P5: its answer is known; it sleeps until the schedule's first look, and the key only repeats the answer."""
    new = became(receipt(), KEYED)
    assert (new.state, new.doubts, new.claim, new.replayed) == ("pending", 0, None, True)
    assert (new.pending_since_ms, new.next_at_ms, new.settled_at_ms) == (NOW, NOW + 300_000, None)


@pytest.mark.parametrize(
    ("stored", "guarantee", "claim", "left"),
    [
        (receipt(doubts=2), REPEAT, "a", 1),
        (receipt(doubts=2), KEYED, "a", 0),
        (receipt(doubts=2), PROBE, None, 2),
        (receipt(doubts=1), PROBE, "zombie", 1),
        (receipt(doubts=1, reply="{}"), NEITHER, None, 0),
    ],
    ids=["no key", "one key", "a probe says so", "another call has it", "by its stored reply"],
)
def test_pending_leaves_the_doubt_of_another_call(stored, guarantee, claim, left):
    """P5: an earlier doubt stays a doubt while it is pending."""
    assert became(stored, guarantee, claim=claim).doubts == left


def test_pending_that_is_refused_leaves_an_earlier_doubt():
    """P5: it is declined only if no other call may have had its effect."""
    done = after(pending(), p.refused(pending(), "no"))
    assert (done.state, done.error, done.reply) == ("declined", "no", None)
    doubted = pending(doubts=1)
    assert not d.speaks_for_all(doubted, PROBE)
    asked = after(doubted, p.refused(doubted, "no"))
    assert (asked.state, asked.doubts, asked.reply) == ("intended", 1, None)
    assert d.decide(asked, NOW, PROBE) == d.Probe()
    assert d.decide(asked, NOW, NEITHER) == d.GiveUp()


def test_what_is_pending_is_the_second_of_two():
    """P3: a call without a key succeeds late, and another is pending: that is two, and it is said."""
    stored = pending(doubts=1, claim="")
    assert d.others_in_doubt(stored, PROBE, "zombie") == 1


@pytest.mark.parametrize(
    ("age_ms", "until_ms", "guarantee", "in_ms"),
    [
        (0, None, KEYED, 300_000),
        (299_999, None, KEYED, 1),
        (300_000, None, KEYED, 3_300_000),
        (3_600_000, None, KEYED, 82_800_000),
        (86_400_000, None, KEYED, 86_400_000),
        (5 * 86_400_000 + 7, None, KEYED, 86_400_000 - 7),
        (0, 50, KEYED, 50),
        (0, -1, KEYED, 300_000),
        (0, None, EXPIRES, 100),
        (100, None, EXPIRES, 60_000),
        (5 * 86_400_000, None, EXPIRES, 60_000),
    ],
)
def test_when_it_is_looked_at_next(age_ms, until_ms, guarantee, in_ms):
    """P5: after 5 minutes, an hour, then each day; and when the provider's offer ends, or ours."""
    until_at_ms = None if until_ms is None else NOW + until_ms
    assert p.next_look_ms(NOW - age_ms, until_at_ms, NOW, guarantee) == NOW + in_ms


def test_a_look_without_an_outcome_keeps_all():
    """P5: only its next time moves, and what went wrong is said."""
    stored = pending(doubts=1, claim="", until_at_ms=NOW + 900, parked_on="p")
    new = after(stored, p.looked(stored, NOW, KEYED, "no answer"))
    same = ("state", "doubts", "reply", "claim", "until_at_ms", "parked_on", "pending_since_ms")
    assert [getattr(new, name) for name in same] == [getattr(stored, name) for name in same]
    assert (new.error, new.next_at_ms) == ("no answer", NOW + 900)
    taken = after(stored, p.looking(stored, 60))
    assert (taken.next_at_ms, taken.claim, taken.reply) == (NOW + 60, "", "{}")


def test_parking_keeps_the_time_of_the_next_look():
    """P5: and whoever needs the outcome now has it looked at now."""
    stored = pending(doubts=1, claim="")
    kept = after(stored, d.parked(stored, "promise"))
    assert (kept.next_at_ms, kept.claim, kept.parked_on) == (stored.next_at_ms, "", "promise")
    assert after(stored, d.parked(stored, "promise", look_now=True)).next_at_ms == NOW


def test_an_operator_says_that_what_was_pending_is_not():
    """P5: it is called again, under a new key: the old one would bring back what was pending."""
    resolved = after(pending(), d.resolved_not_done(pending()))
    assert (resolved.state, resolved.doubts, resolved.reissue, resolved.reply) == ("intended", 0, 1, None)
    assert resolved.pending_since_ms is None


@given(st.integers(-5, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded(calls, jitter):
    """P9: waits double from 0.1 s up to five minutes, and never become nothing."""
    assert 100 <= d.backoff_ms(calls, jitter) <= 300_000
    assert d.backoff_ms(calls + 1, jitter) >= d.backoff_ms(calls, jitter)
