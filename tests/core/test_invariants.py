"""The invariants themselves: a history that breaks a promise is named, one that does not is not."""

from __future__ import annotations

import msgspec

from recordfirst.core import invariants, model
from recordfirst.core.model import Applied, Called, ModelEvent, Resolved, Stored, Written
from recordfirst.core.receipt import NewReceipt

INTENT = NewReceipt(
    key="k", kind="effect", function="charge", workflow="w", state="intended", fingerprint="f", request="{}"
)
BEGUN = model.intended(INTENT, claim="a", claim_ms=65, now_ms=0)
CALLED, APPLIED = Called(key="k", attempt=1, request="{}", after="w/insert"), Applied(key="k", attempt=1)


def became(**fields) -> Stored:
    return Stored(msgspec.structs.replace(BEGUN, **fields))


GOOD: list[ModelEvent] = [Written("w/insert"), Stored(BEGUN), CALLED, APPLIED, became(state="succeeded", result="1")]


def test_good_history_has_no_violations():
    """P1 P3 P4 P5 hold."""
    assert invariants.violations(GOOD) == []


def test_call_before_its_write():
    """P1: record first."""
    assert invariants.record_first(GOOD[1:]) == ["P1: 'k' was called before 'w/insert' had its receipt"]
    assert invariants.record_first([GOOD[0], CALLED]) == ["P1: 'k' was called before its intent was stored"]


def test_second_application():
    """P3: one effect for each attempt; another attempt is another effect."""
    assert invariants.violations([*GOOD, APPLIED]) == ["P3: 'k' (attempt 1) was applied 2 times"]
    assert invariants.violations([*GOOD, APPLIED], one_effect=False) == []
    assert invariants.one_application([*GOOD, Applied(key="k", attempt=2)]) == []


def test_other_request():
    """P4: neither what is sent nor what is stored changes."""
    other = Called(key="k", attempt=1, request="[]", after="w/insert")
    assert invariants.frozen_request([*GOOD, other]) == ["P4: a call of 'k' sent [], not {}"]
    assert invariants.frozen_request([*GOOD, became(request="[]")]) == ["P4: the stored request of 'k' changed"]


def test_final_outcome_changes():
    """P5: final is final, the result included."""
    assert invariants.outcomes_stand([*GOOD, became(state="succeeded", result="2")]) != []
    assert invariants.outcomes_stand([*GOOD, became(state="intended")]) != []
    assert invariants.outcomes_stand([*GOOD, became(state="succeeded", result="1", undone_by="u")]) == []


def test_unknown_is_called_again():
    """P5: only after an operator has answered."""
    unknown, again = became(state="unknown"), became(calls=2)
    assert invariants.outcomes_stand([unknown, again]) != []
    assert invariants.outcomes_stand([unknown, Resolved("k", 1), became(), again]) == []


def test_spent_key_is_sent_again():
    """P5: a stored answer only repeats itself."""
    assert invariants.spent_keys([became(replayed=True), became(calls=2)]) != []
    assert invariants.spent_keys([became(replayed=True), became(reissue=1), became(reissue=1, calls=2)]) == []


def test_outcome_is_guessed():
    """P5: what is stored is what happened."""
    assert invariants.outcomes_are_true([APPLIED, became(state="declined")]) != []
    assert invariants.outcomes_are_true([became(state="succeeded")]) != []
