"""Shortest histories in which a rule of ``decide`` is all that stands between a crash and a broken promise.

Each runs twice: as the rule is, where nothing is violated, and without it, where the promise is.
"""

from __future__ import annotations

import msgspec
import pytest

from recordfirst.core import decide as d
from recordfirst.core import invariants
from recordfirst.core.decide import Guarantee
from recordfirst.core.model import ModelProvider, ModelWorld

CLAIM_MS, LAG_MS, RETENTION_MS, HONOURED_MS = 65, 30, 1000, 800
PROBE = Guarantee(key_honoured_ms=None, lag_ms=LAG_MS, can_probe=True)
KEYED = Guarantee(key_honoured_ms=HONOURED_MS)
KEYED_PROBE = Guarantee(key_honoured_ms=HONOURED_MS, lag_ms=LAG_MS, can_probe=True)

replace = msgspec.structs.replace
in_doubt, not_done, absent, begin_call = d.in_doubt, d.not_done, d.absent, d.begin_call


def a_world(guarantee):
    retention_ms = None if guarantee.key_honoured_ms is None else RETENTION_MS
    world = ModelWorld(guarantee, ModelProvider(retention_ms=retention_ms, lag_ms=guarantee.lag_ms), claim_ms=CLAIM_MS)
    world.write()
    return world


def go(world, index, stage, **what):
    """Let an executor go on until it is at ``stage``, or has nothing to do."""
    for _ in range(10):
        world.step(world.executors[index], **what)
        if world.executors[index].stage == stage:
            return


# ── the histories ───────────────────────────────────────────────────────────


def call_arrives_after_the_client_gave_up(world):
    go(world, 0, "waiting")
    [flight] = world.flights
    world.give_up_waiting(world.executors[0])
    go(world, 0, "idle")
    world.advance(LAG_MS)
    go(world, 1, "waiting")  # a probe now finds nothing, and must not be believed
    world.arrive(flight, "apply", reply=False)
    go(world, 1, "idle")


def crash_right_after_a_slow_call(world):
    go(world, 0, "waiting")
    world.advance(CLAIM_MS - 1)
    go(world, 0, "answered")
    world.crash(world.executors[0])
    world.advance(1)
    go(world, 1, "idle")
    go(world, 1, "waiting")
    go(world, 1, "idle")
    go(world, 1, "idle")


def zombie_says_not_done_while_another_call_is_in_doubt(world):
    go(world, 0, "answered", deed="refuse")  # and falls suspended
    world.advance(CLAIM_MS + LAG_MS)
    go(world, 1, "waiting")
    go(world, 1, "answered")
    world.crash(world.executors[1])  # applied, and the answer is lost
    go(world, 0, "idle")
    world.advance(11)
    go(world, 2, "waiting")
    go(world, 2, "idle")


def zombie_says_declined_while_another_call_is_applied(world):
    go(world, 0, "answered", deed="decline")  # and falls suspended
    world.advance(CLAIM_MS + LAG_MS)
    go(world, 1, "waiting")
    go(world, 1, "answered")
    go(world, 0, "idle")
    go(world, 1, "idle")


def sleep_between_deciding_and_calling(world):
    go(world, 0, "answered")
    world.crash(world.executors[0])
    go(world, 1, "decided")  # the key is young
    world.advance(RETENTION_MS)
    go(world, 1, "waiting")
    go(world, 1, "idle")


def provider_forgets_a_decline_between_two_calls(world):
    go(world, 0, "answered", deed="decline")  # kept under the key
    world.crash(world.executors[0])
    world.advance(RETENTION_MS - 60)
    go(world, 1, "waiting")  # after a probe that found nothing
    [flight] = world.flights
    go(world, 2, "answered", deed="decline")  # the kept answer, if the key is trusted once more
    go(world, 2, "idle")
    world.advance(60)
    world.arrive(flight, "apply", reply=False)


def late_outcome_after_a_final_one(world):
    go(world, 0, "waiting")
    world.give_up_waiting(world.executors[0])
    go(world, 1, "waiting")
    go(world, 1, "idle")
    go(world, 0, "idle")


# ── what they are about ─────────────────────────────────────────────────────


def forgets_the_claim(receipt, error, wait_ms, *, claim, replayed):
    return replace(in_doubt(receipt, error, wait_ms, claim=claim, replayed=replayed), claim=None)


def lag_from_the_beginning(receipt, now_ms, guarantee):
    return absent(replace(receipt, claim_until_ms=None), now_ms, guarantee)


def late_not_done_counts(receipt, error, wait_ms, *, claim):
    return replace(not_done(receipt, error, wait_ms, claim=claim), doubts=max(0, receipt.doubts - 1))


def late_decline_counts(outcome, asked, now):
    return now.state not in ("succeeded", "declined")


def sends_after_a_long_sleep(begun, guarantee):
    return True


def old_key_is_young_again(receipt, *, claim, claim_ms):
    return replace(begin_call(receipt, claim=claim, claim_ms=claim_ms), restart_key_age=receipt.doubts == 0)


def last_word_wins(outcome, asked, now):
    return True


HISTORIES = [
    ("P3", PROBE, call_arrives_after_the_client_gave_up, "in_doubt", forgets_the_claim),
    ("P3", PROBE, crash_right_after_a_slow_call, "absent", lag_from_the_beginning),
    ("P3", PROBE, zombie_says_not_done_while_another_call_is_in_doubt, "not_done", late_not_done_counts),
    ("P5", PROBE, zombie_says_declined_while_another_call_is_applied, "still_counts", late_decline_counts),
    ("P3", KEYED, sleep_between_deciding_and_calling, "may_send", sends_after_a_long_sleep),
    ("P5", KEYED_PROBE, provider_forgets_a_decline_between_two_calls, "begin_call", old_key_is_young_again),
    ("P5", KEYED, late_outcome_after_a_final_one, "still_counts", last_word_wins),
]


@pytest.mark.parametrize(
    ("promise", "guarantee", "history", "function", "bug"), HISTORIES, ids=[row[2].__name__ for row in HISTORIES]
)
def test_history_needs_its_rule(monkeypatch, promise, guarantee, history, function, bug):
    """P3 P5: with the rule nothing is violated, without it the promise is."""
    world = a_world(guarantee)
    history(world)
    assert invariants.violations(world.history) == []

    monkeypatch.setattr(d, function, bug)
    world = a_world(guarantee)
    history(world)
    assert [violation[:2] for violation in invariants.violations(world.history)] == [promise]
