"""Findings: what a reconcile can find, as a closed list, and the row that keeps one. Pure data.

A code never changes its meaning and is never used again. The reference page is made from this list.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class NewFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A disagreement as it was seen."""

    code: str
    subject: str
    """What it is about: a workflow's id, an effect's key (and attempt), an engine. One is open per code and subject."""
    workflow: str | None = None
    detail: str
    """One line for an operator. Never holds arguments or results."""


class Finding(NewFinding, frozen=True, kw_only=True):
    """A finding as the record holds it. Times are milliseconds since 1970 by the record's clock."""

    number: int
    opened_at_ms: int
    seen_at_ms: int
    times: int
    """How often it was seen."""
    closed_at_ms: int | None = None
    closed_because: str | None = None


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator, or a reconcile on its own, has changed."""

    number: int = 0
    at_ms: int = 0
    who: str
    command: str
    subject: str
    why: str | None = None
    detail: str
    """What it came to."""


class PassState(NamedTuple):
    """How far a pass of the reconciler has come."""

    round: str
    position: str | None
    finished_at_ms: int | None


class FindingKind(msgspec.Struct, frozen=True):
    """What a code stands for."""

    code: str
    means: str
    cause: str
    apply: str
    person: str
    dismissible: bool = False
    """Whether an operator may say that it is seen to, because it can stay for ever: what has happened is not undone by
    whatever puts it right."""


_NOTHING = "Nothing."
_MONEY = "Nothing: where money is concerned, an operator decides."

KINDS = {
    kind.code: kind
    for kind in (
        FindingKind(
            "RF-RECORD-BEHIND",
            "The engine, or the file beside an SQLite record, has marks that the record lacks: it was restored. "
            "Effects are held.",
            "The record was restored from a copy, or to a point in time; or it is a new one, and the engine is not.",
            "With `--accept-restore`: opens a new epoch of each open workflow, doubts every effect that may have been "
            "called in the lost time, and lets work go on.",
            "Make sure that this is the record to go on with, then accept: [](../how-to/restore-the-record.md).",
        ),
        FindingKind(
            "RF-RECORD-MOVED",
            "The record is in another cluster than before, on another timeline of it, or in a new database. Effects "
            "are "
            "held.",
            "Postgres was restored, by its log or from a dump, or failed over to a replica, which may lack the last "
            "transactions.",
            "With `--accept-restore`: the same as for RF-RECORD-BEHIND.",
            "Make sure that this is the record to go on with, then accept: [](../how-to/restore-the-record.md).",
        ),
        FindingKind(
            "RF-ENGINE-BEHIND",
            "The engine does not have the newest mark that the record has confirmed: it was lost, or restored.",
            "The engine's store was deleted or restored from a copy; or its address leads to another one.",
            "Opens a new epoch of each workflow that this engine was given. A worker does it before it works.",
            _NOTHING,
        ),
        FindingKind(
            "RF-INDEX-MISSING",
            "An index of recordfirst's tables is missing, or was only partly built: queries read whole tables.",
            "Somebody dropped it, a restore left it out, or `CREATE INDEX CONCURRENTLY` was interrupted.",
            _NOTHING,
            "Run the statement that the finding shows; in Postgres, with CONCURRENTLY, so that no writer waits.",
        ),
        FindingKind(
            "RF-INVARIANT",
            "A row breaks one of the app's invariants.",
            "A defect, a change by hand, or an unforeseen order of events.",
            _NOTHING,
            "Find out how the row came about, and correct it. The finding is closed when the row is gone.",
        ),
        FindingKind(
            "RF-INVARIANT-FAILED",
            "An invariant gave no complete answer: it failed, took too long, or returned more than 100 rows.",
            "A table was renamed, an index is missing, or a defect has damaged many rows.",
            _NOTHING,
            "Fix it, or give it an index or more time (`limit_s=`). Its earlier findings stay open meanwhile.",
        ),
        FindingKind(
            "RF-START-LOST",
            "The record says that the engine was given this workflow, and the engine does not have it.",
            "The engine's store was deleted, restored from an older copy, or collected too early.",
            "Opens a new epoch; a worker gives it to the engine, and completed steps stay done.",
            _NOTHING,
        ),
        FindingKind(
            "RF-START-ENDED",
            "The engine says that this workflow's epoch has ended, and the record says that the workflow is open.",
            "The worker died after the engine had stored the end and before the record had, or somebody settled the "
            "promise by hand.",
            "Opens a new epoch, which reaches the same end from the receipts.",
            _NOTHING,
        ),
        FindingKind(
            "RF-START-UNTAKEN",
            "Workflows of this name were accepted minutes ago, and no worker has taken them.",
            "No worker runs, or all are busy with older work.",
            _NOTHING,
            "Start a worker, or more of them.",
        ),
        FindingKind(
            "RF-START-UNFIT",
            "This version of the app cannot run the workflow: it has none of that name, or its parameters differ.",
            "A deploy renamed or removed a workflow, or changed its parameters, while some were open; or the "
            "encryptor's key is lost.",
            _NOTHING,
            "Deploy a version that can run it, or cancel it.",
        ),
        FindingKind(
            "RF-WORKFLOW-STOPPED",
            "A defect has stopped the workflow: it is open, and nothing of it runs. The stop undoes nothing; effects "
            "that were undone before stay undone.",
            "An exception that is not declared: a bug, a mistake of a deploy, a missing grant, or an outcome of the "
            "business that `fails=` does not name.",
            _NOTHING,
            "Fix the defect: the next version of the app tries it again by itself, `recordfirst retry` at once. Or "
            "end it: `recordfirst cancel`.",
        ),
        FindingKind(
            "RF-STEP-WAITS",
            "A step of an open workflow has waited for the record for more than two minutes.",
            "Another transaction holds a row, a table or the file that the step needs, and does not end; or the step's "
            "own function takes that long.",
            "Nothing. The step goes on by itself when it can, and its worker closes the finding.",
            "Find the session that holds it, and end it.",
        ),
        FindingKind(
            "RF-EFFECT-OVERDUE",
            "The open workflow should have looked at the effect long ago, and has not.",
            "The engine lost a timer or a task, the worker that held it is hung, or the workflow caught what the "
            "effect "
            "raised and went on.",
            "Opens a new epoch of the workflow, which continues the effect; each time later for the same effect.",
            "If it recurs, look at the workers' logs, and at what the workflow does with the effect's errors.",
        ),
        FindingKind(
            "RF-EFFECT-ABANDONED",
            "The effect may have happened, or its answer could not be stored, and its workflow has ended.",
            "The workflow failed while the call was in doubt, or `on_success` fails.",
            "Asks the probe, and stores its answer; without a probe, the outcome becomes unknown.",
            "If the answer is kept and `on_success` fails, fix it, then retry the workflow. If the workflow was "
            "cancelled, correct your rows by hand.",
            dismissible=True,
        ),
        FindingKind(
            "RF-CREDENTIAL-REFUSED",
            "A provider refuses the app's credential; its effects are not done, and wait.",
            "The key was revoked, has expired, is for another account or lacks a permission (401, 403).",
            "Nothing. It closes when the waiting calls succeed, or are refused for another reason.",
            "Give the workers a valid key, and restart them. Waiting effects are called again by themselves, under "
            "their own idempotency keys.",
        ),
        FindingKind(
            "RF-EFFECT-LATE",
            "A success arrived after another outcome of the effect was stored: the effect may have happened twice, or "
            "although it is stored as declined.",
            "A call was taken for absent, or for declined, and arrived later than `arrives_within_s=` says; or the "
            'effect is declared with `in_doubt="repeat"`; or an operator answered for it.',
            _MONEY,
            "Look at the provider for what the effect did, and reverse the surplus. Declare a longer "
            "`arrives_within_s=` if calls reach the provider later than that.",
            dismissible=True,
        ),
        FindingKind(
            "RF-EFFECT-UNKNOWN",
            "Only an operator can tell whether the effect happened; its workflow is parked.",
            "A call has no answer, its key is past the provider's retention, and no probe can tell.",
            "Asks the probe again, if there is one, and stores its answer.",
            "Look at the provider, then `recordfirst resolve KEY` with `--succeeded`, `--declined` or `--not-done`.",
        ),
        FindingKind(
            "RF-EFFECT-PENDING",
            "An effect is pending for longer than its provider said, or the provider contradicts that; or nothing asks "
            "the probe.",
            "The provider's offer has ended without an outcome; the probe no longer finds it, cannot tell or fails; "
            "the effect has no probe, or another name since a deploy; its workflow has ended; or no worker runs.",
            "Asks the probe, if there is one, and stores its answer.",
            "Give a renamed effect its old name again (`@effect(name=...)`). Else look at the provider, then "
            "`recordfirst resolve KEY` with `--succeeded`, `--declined` or `--not-done`.",
        ),
        FindingKind(
            "RF-EVENT-STOPPED",
            "A handler of a provider's event has failed too often, and its rows are not written; or the provider could "
            "not be asked about it for hours. It is not tried again.",
            "A bug in the handler, or something that it needs is missing; a provider that does not answer.",
            _NOTHING,
            "Fix what `recordfirst events EVENT` says, deploy, and `recordfirst events EVENT --replay`.",
            dismissible=True,
        ),
        FindingKind(
            "RF-EVENT-WAITING",
            "For a quarter of an hour, a provider's event has named a call of this app that has no receipt.",
            "The record was restored, or rows were deleted by hand; or somebody else uses the app's name.",
            "Nothing: the event is kept, and matched when the receipt comes.",
            "Find out who made the call. If the record has lost its workflow, start it again, under its id. "
            "Otherwise dismiss the finding.",
            dismissible=True,
        ),
        FindingKind(
            "RF-EVENT-MISSED",
            "A provider lists an event that never arrived here, and is older than ten minutes. Looked for with "
            "`--pass missed-events` only.",
            "The endpoint was away for longer than the provider tries again; it is not registered there, for this type "
            "of event, or with another secret.",
            "Takes the event up, as if it came now.",
            "See what the provider says of its deliveries, and put the endpoint right.",
        ),
        FindingKind(
            "RF-REVERSAL-UNHANDLED",
            "A provider has taken back what an effect did (a refund by hand, a dispute, a returned debit, a refund of "
            "the app's that failed), it is stored, and no code of the app has dealt with it.",
            "The effect has no `on_reversal`, or that has failed eight times, or has not dealt with it within five "
            "minutes: no worker runs, say.",
            "With `--pass reversals`: has a worker try the `on_reversal` that was stopped, or was not there when "
            "it was found. The finding closes when that has run. Nothing without.",
            "Write an `on_reversal`, or fix it, deploy, and run `recordfirst reconcile --pass reversals --apply`. Or "
            "put your rows right by hand, and dismiss it: then it is not tried.",
            dismissible=True,
        ),
        FindingKind(
            "RF-MIRROR-BEHIND",
            "A projection was begun, and its mirror has not confirmed it.",
            "The mirror cannot be reached, or refuses the document; or the process died in between.",
            "Reads the record again and updates the mirror, if it can be reached. A worker does it by itself.",
            "If it stays: fix the mirror. If the app has no such projection, nothing is wrong: dismiss it.",
            dismissible=True,
        ),
        FindingKind(
            "RF-MIRROR-DRIFT",
            "A mirror differs from the record, or lacks an entry.",
            "Somebody changed the mirror, or it was restored or emptied; or somebody changed the record without "
            "projecting. Only `--pass references` looks for it, which compares everything.",
            "Projects again: the mirror then shows the record's current state.",
            "If it recurs, find out who changes the record without projecting.",
        ),
        FindingKind(
            "RF-STAGE-DRIFT",
            "A staged entry is no longer in its reference, or another entry is in its place.",
            "Somebody changed or removed it, or the reference was restored or emptied. Only `--pass references` looks "
            "for it.",
            "Stages a missing entry again, as it was. Leaves another entry as it is.",
            "If another entry is there, find out who put it there; then remove it, and reconcile with `--apply`.",
        ),
        FindingKind(
            "RF-LEDGER-UNBALANCED",
            "In a ledger, the sum of all debits differs from the sum of all credits. Every transfer moves both.",
            "Somebody changed balances behind the ledger's back, or its store is damaged.",
            _NOTHING,
            "Stop all programs that move money there, find the account whose balance differs (RF-LEDGER-BALANCE), and "
            "restore it.",
        ),
        FindingKind(
            "RF-LEDGER-BALANCE",
            "An account's balance is not the sum of its transfers.",
            "Somebody changed balances behind the ledger's back, or its store is damaged.",
            _NOTHING,
            "Compare `recordfirst ledger transfers --account` with a copy, and restore the ledger.",
        ),
        FindingKind(
            "RF-LEDGER-LIMIT",
            "An account has more debits than credits, or the other way round, and its flags forbid it.",
            "Somebody changed balances or flags behind the ledger's back.",
            _NOTHING,
            "Find out who changed it; then correct the account with a transfer.",
        ),
        FindingKind(
            "RF-LEDGER-OVERDUE",
            "A pending transfer holds money past its timeout.",
            "The ledger should release an overdue transfer before it makes the next one or shows a balance, and did "
            "not.",
            _NOTHING,
            "Somebody has changed its end: correct that, or void it. Or the ledger's clock is wrong.",
        ),
        FindingKind(
            "RF-TRANSFER-LOST",
            "The record says that a transfer was made, and the ledger does not have it.",
            "The ledger was restored, or it is another ledger.",
            _NOTHING,
            "Restore the ledger to a newer state, or make the transfer again by a workflow of another id.",
            dismissible=True,
        ),
        FindingKind(
            "RF-TRANSFER-ORPHAN",
            "The ledger has a transfer with this app's mark, and its receipt is missing or was declined.",
            "The record was restored, and that workflow was not started again.",
            _NOTHING,
            "Start its workflow again, under its id: it finds the transfer. Or reverse it with another transfer.",
            dismissible=True,
        ),
        FindingKind(
            "RF-ORPHAN-EFFECT",
            "The provider has an object with the marker of a call of this app, and there is no receipt of the call.",
            "The record was restored, or rows were deleted by hand; or somebody else uses the app's name.",
            _MONEY,
            "Reverse it at the provider and clear its marker there; or start its workflow again, under its id: the "
            "probe "
            "finds it.",
            dismissible=True,
        ),
        FindingKind(
            "RF-EFFECT-MISSING",
            "The receipt says that the effect succeeded, and the provider does not have it.",
            "The call left no marker, or went to another account; or an operator resolved it wrongly.",
            _MONEY,
            "Look at the provider by amount and time. If it is not there, let a workflow of another id do it again.",
            dismissible=True,
        ),
        FindingKind(
            "RF-EFFECT-REVERSED",
            "Somebody has taken back what an effect did, all or in part, no call of this app has done it, and the "
            "record has not heard of it.",
            "A refund by hand in the provider's dashboard, say, or a dispute, whose event never came.",
            "Stores it, with the rows of `on_reversal`. Without one, RF-REVERSAL-UNHANDLED is found.",
            "Take in the provider's events: then the record knows within seconds.",
            dismissible=True,
        ),
        FindingKind(
            "RF-EFFECT-DIFFERS",
            "The provider has it with another amount, currency or id than the receipt; or has a declined effect.",
            "An operator resolved it with another result, or it was changed at the provider.",
            _MONEY,
            "Find out which side is right, and correct the other: a refund, or a new charge under another id.",
            dismissible=True,
        ),
        FindingKind(
            "RF-AUDIT-INCOMPLETE",
            "The provider's objects could not be listed to the end. Earlier findings stay open.",
            "It is down, or refuses, for instance because the key lacks a right.",
            _NOTHING,
            "Fix the cause that the finding names, and run `recordfirst reconcile --pass providers` again.",
        ),
        FindingKind(
            "RF-NOT-SEALED",
            "The app has an encryptor, and a table has rows in clear, or rows that are not under the newest key.",
            "The encryptor was given to an app that had none, or its keys were rotated.",
            _NOTHING,
            "Run `recordfirst reseal`: [](../how-to/encrypt-at-rest.md).",
        ),
        FindingKind(
            "RF-UNREADABLE",
            "A row was encrypted with a key that the app does not have. Its content can be neither read nor called.",
            "The key was removed before `recordfirst reseal` had ended, or a process worked with another key.",
            _NOTHING,
            "Give the app the key again, as an older one of its `Keyring`, and run `recordfirst reseal`.",
        ),
    )
}
"""Every kind of finding, by its code."""


_DISMISS = "If it stays after that\n: `recordfirst dismiss`, with the reason: it is reported again if it changes.\n\n"


def page() -> str:
    """Return the reference page of all kinds, in MyST."""
    head = (
        "# Findings\n\n"
        "This page has everything that `recordfirst reconcile` can find. A code never changes its meaning. Findings\n"
        "are rows of `recordfirst.finding`: opened once, closed when they are repaired or no longer seen, never\n"
        "deleted. `recordfirst findings` lists the open ones.\n"
    )
    parts = [
        f"## `{kind.code}`\n\n{kind.means}\n\n"
        f"How it comes about\n: {kind.cause}\n\n"
        f"What `--apply` does\n: {kind.apply}\n\n"
        f"What an operator does\n: {kind.person}\n\n"
        f"{_DISMISS if kind.dismissible else ''}"
        f"Step by step\n: [{kind.code}](../how-to/clear-findings.md#{kind.code.lower()})\n"
        for kind in KINDS.values()
    ]
    return "\n".join([head, *parts])
