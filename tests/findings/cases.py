"""Every way to a finding, and the way out of it that the how-to tells; one case for each code at least."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tests.findings.desk import Desk
from tests.findings.states import (
    another_amount,
    answer_not_stored,
    archive_changed,
    archive_lost,
    asked_again,
    at_work,
    both_sides_changed,
    both_sides_put_back,
    brought_back,
    cancelled,
    cancelled_and_paid,
    cancelled_in_doubt,
    cancelled_with_its_answer,
    charged_after_all,
    deployed_without,
    died_before_the_mirror,
    died_in_the_call,
    encrypted_from_now_on,
    engine_set_back,
    epoch_collected,
    epoch_settled,
    event_without_receipt,
    events_missed,
    flag_set,
    given_up,
    handler_stopped,
    held_for_ever,
    index_dropped,
    key_given_up,
    key_is_back,
    key_replaced,
    key_revoked,
    ledger_set_back,
    listing_fails,
    mirror_changed,
    mirror_given_up,
    never_arrived,
    newest_lost,
    newest_put_back,
    no_more_bug,
    no_more_typo,
    nobody_works,
    nothing,
    offered,
    one_side_changed,
    one_side_put_back,
    paper_removed,
    parked,
    payment_not_wanted_either,
    payment_taken_back,
    record_set_back,
    record_set_back_and_accepted,
    refund_of_42,
    refunded_by_hand,
    reversal_stopped,
    row_kept,
    row_let_go,
    row_put_right,
    row_spoiled,
    rows_deleted,
    seen_at_the_bank,
    sold_instead,
    stopped_by_a_typo,
    table_named_back,
    table_renamed,
    timeout_put_back,
    transfer_not_wanted_either,
    transfer_of_42,
)

type Act = Callable[[Desk], Any]


class Case(NamedTuple):
    """One way to a finding, and out of it."""

    code: str
    bring: Act
    person: Mapping[int, Act] = {}
    """What is done by hand before a block of the section, by its number."""
    blocks: tuple[int, ...] | None = None
    """Which blocks speak of this way; default: all."""
    exits: Mapping[str, int] = {}
    """Commands of the section that say by their status that something is wrong."""
    seen: Callable[[Desk], dict[str, str]] = lambda _: {}
    """What stands on the page, and what an operator sees in its place."""
    after: Act = Desk.finish
    """What becomes of order 42 in the end."""
    name: str = ""
    record: str = "sqlite"
    engine: bool = False
    """Whether workers share it: it can be asked from outside then."""


_LEFT = {"reconcile --apply": 1}
CASES = [
    Case("RF-RECORD-BEHIND", record_set_back, after=asked_again),
    Case("RF-RECORD-MOVED", record_set_back, after=asked_again, record="postgres"),
    Case("RF-ENGINE-BEHIND", engine_set_back, engine=True),
    *(Case("RF-INDEX-MISSING", index_dropped, after=nothing, record=each) for each in ("sqlite", "postgres")),
    Case("RF-INVARIANT", row_spoiled, {1: row_put_right}),
    Case("RF-INVARIANT-FAILED", table_renamed, {0: table_named_back}),
    Case("RF-START-LOST", epoch_collected, engine=True),
    Case("RF-START-ENDED", epoch_settled, engine=True),
    Case("RF-START-UNTAKEN", nobody_works),
    Case("RF-START-UNFIT", deployed_without, after=cancelled),
    *(
        Case(
            "RF-WORKFLOW-STOPPED",
            stopped_by_a_typo,
            {1: no_more_typo},
            blocks=(0, 1),
            name=f"fixed {each}",
            record=each,
        )
        for each in ("sqlite", "postgres")
    ),
    Case("RF-WORKFLOW-STOPPED", stopped_by_a_typo, blocks=(0, 2), after=cancelled, name="given up"),
    Case("RF-STEP-WAITS", row_kept, {1: row_let_go}, record="postgres"),
    Case("RF-EFFECT-OVERDUE", died_in_the_call),
    Case("RF-EFFECT-ABANDONED", cancelled_in_doubt, blocks=(0,), after=cancelled_and_paid, name="in doubt"),
    Case("RF-EFFECT-ABANDONED", answer_not_stored, {1: no_more_bug}, blocks=(1,), name="answered"),
    Case(
        "RF-EFFECT-ABANDONED",
        cancelled_with_its_answer,
        {2: row_put_right},
        blocks=(2,),
        exits={"reconcile --apply": 1},
        after=cancelled_and_paid,
        name="cancelled",
    ),
    Case("RF-CREDENTIAL-REFUSED", key_revoked, {0: key_replaced, 1: Desk.finish}),
    Case("RF-EFFECT-LATE", charged_after_all, {1: payment_taken_back}, after=given_up),
    Case("RF-EFFECT-UNKNOWN", parked, seen=seen_at_the_bank),
    Case("RF-EFFECT-PENDING", offered, exits={"reconcile --apply": 1}, seen=seen_at_the_bank),
    Case("RF-MIRROR-BEHIND", died_before_the_mirror, blocks=(0,), name="out of reach"),
    Case("RF-MIRROR-BEHIND", mirror_given_up, exits={"reconcile --apply": 1}, after=cancelled, name="given up"),
    Case("RF-MIRROR-DRIFT", mirror_changed),
    Case("RF-STAGE-DRIFT", archive_lost, name="lost"),
    Case("RF-STAGE-DRIFT", archive_changed, {0: paper_removed}, name="changed"),
    Case("RF-ORPHAN-EFFECT", record_set_back_and_accepted, blocks=(0, 1), exits={"show": 1}, name="wanted"),
    Case(
        "RF-ORPHAN-EFFECT",
        rows_deleted,
        {2: payment_taken_back},
        blocks=(0, 2),
        exits={"show": 1},
        after=transfer_not_wanted_either,
        name="unwanted",
    ),
    Case("RF-EFFECT-MISSING", never_arrived, {1: at_work}, exits={"reconcile --apply": 1}, after=sold_instead),
    Case("RF-EFFECT-DIFFERS", another_amount, exits={"reconcile --apply": 1}),
    Case("RF-EFFECT-REVERSED", refunded_by_hand),
    Case("RF-AUDIT-INCOMPLETE", listing_fails),
    Case("RF-LEDGER-UNBALANCED", one_side_changed, {1: one_side_put_back}, exits={"ledger check": 1}),
    Case("RF-LEDGER-BALANCE", both_sides_changed, {1: both_sides_put_back}),
    Case("RF-LEDGER-LIMIT", flag_set, {0: brought_back}),
    Case("RF-LEDGER-OVERDUE", held_for_ever, {0: timeout_put_back}),
    Case("RF-TRANSFER-LOST", ledger_set_back, {0: newest_put_back}, blocks=(0,), name="restored"),
    Case(
        "RF-TRANSFER-LOST",
        newest_lost,
        blocks=(1,),
        exits={"reconcile --apply": 1},
        after=sold_instead,
        name="lost",
    ),
    Case("RF-TRANSFER-ORPHAN", record_set_back_and_accepted, blocks=(0,), name="wanted"),
    Case(
        "RF-TRANSFER-ORPHAN",
        rows_deleted,
        blocks=(1,),
        exits={"reconcile --apply": 1},
        seen=transfer_of_42,
        after=payment_not_wanted_either,
        name="unwanted",
    ),
    Case("RF-EVENT-STOPPED", handler_stopped, after=nothing),
    Case("RF-EVENT-MISSED", events_missed),
    Case("RF-REVERSAL-UNHANDLED", reversal_stopped, blocks=(0,), exits=_LEFT, name="tried again"),
    Case("RF-REVERSAL-UNHANDLED", reversal_stopped, blocks=(1,), exits=_LEFT, seen=refund_of_42, name="dismissed"),
    Case("RF-EVENT-WAITING", event_without_receipt, exits={"reconcile --apply": 1}, after=nothing),
    Case("RF-NOT-SEALED", encrypted_from_now_on),
    Case("RF-UNREADABLE", key_given_up, {0: key_is_back}),
]
