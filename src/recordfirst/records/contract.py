"""What a record must do to carry recordfirst. Any record that passes ``recordfirst.conformance.record`` will do.

A record hands out *sessions* on one connection of its driver. A session's methods are single statements; in a
``transaction()`` they are part of it, in a ``session()`` each commits by itself. Whatever is lost on the way
(a connection, a reply) is raised as the driver raised it; :meth:`Record.fault` says what it means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from recordfirst.core.finding import Audit, Finding, NewFinding, PassState
from recordfirst.core.projection import NewProjection, Projection
from recordfirst.core.receipt import After, Change, Intended, NewReceipt, Receipt, Seen, Undoing, Wake
from recordfirst.core.start import Finish, NewStart, Start
from recordfirst.core.timeline import Mark, Timeline

type Fault = Literal["contention", "unreachable", "denied"]


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the schema: plain SQL that may be run again without harm."""

    version: int
    name: str
    sql: str


class Cover(Protocol):
    """What covers the texts of errors at rest."""

    def seal_error(self, text: str) -> str:
        """Return an error as it is stored."""

    def unseal_error(self, text: str) -> str:
        """Return an error as it was; one that was stored in clear is that already. Total."""


class Lease(Protocol):
    """The right of one worker process to work; held by the record on its behalf."""

    async def lost(self) -> None:
        """Return when the lease is no longer held (the connection that held it broke)."""


class ReconcileStatements(Protocol):
    """What a reconcile looks at, and keeps. Looking costs what is open, not what there is."""

    async def open_starts(self, after: str | None, since_ms: int, limit: int) -> list[Start]:
        """Open starts, oldest first, that stand behind the start of this id and were accepted since then."""

    async def unsettled(self, state: str, after: tuple[str, int] | None, since_ms: int, limit: int) -> list[Receipt]:
        """Effects' receipts in a state that is not succeeded, oldest first, behind this key and attempt."""

    async def missing_indexes(self, names: Sequence[str]) -> list[str]:
        """Which of these indexes are not there."""

    async def new_epoch(self, starts: Sequence[Start]) -> list[str]:
        """Give these open starts a new epoch, which no engine has yet; return whose epoch was still the one given."""

    async def saw_findings(self, found: Sequence[NewFinding], round: str) -> list[Finding]:
        """Open these, or note that they were seen again, in this round of their pass."""

    async def close_findings(self, found: Sequence[NewFinding], because: str) -> None:
        """Close these, if they are open."""

    async def close_unseen(self, codes: Sequence[str], round: str, since_ms: int | None = None) -> None:
        """Close what is open of these codes and was not seen in this round; not what somebody saw at ``since_ms``, when
        the round began, or later.
        """

    async def open_finding(self, code: str, subject: str) -> Finding | None:
        """The open finding of this code about this subject; ``None`` if there is none."""

    async def findings(self, limit: int, *, closed: bool = False) -> list[Finding]:
        """Open findings, newest first; the closed ones too if asked for."""

    async def find_pass(self, name: str) -> PassState | None:
        """How far this pass has come; ``None`` if it never began."""

    async def save_pass(self, name: str, round: str, position: str | None, *, finished: bool) -> None:
        """Say how far a pass has come."""

    async def add_audit(self, audit: Audit) -> None:
        """Say who has changed what, in the transaction that changes it."""

    async def audits(self, subject: str | None, limit: int) -> list[Audit]:
        """The newest, of one subject or of all."""


class TimelineStatements(Protocol):
    """By what a restore of the record or of an engine is noticed; see ``core/timeline.py``."""

    async def history_id(self) -> str | None:
        """What the product says of its own history: another text after a restore or a fail-over, if it can tell, and if
        this role may ask.
        """

    async def find_timeline(self) -> Timeline | None:
        """The app's; ``None`` before its first worker has begun one."""

    async def begin_timeline(self, record: str, history_id: str | None) -> None:
        """Begin it, unless there is one."""

    async def alive(self) -> None:
        """Say that record and engine are consistent now. Says nothing while effects are held."""

    async def hold(self, code: str, restores: int) -> None:
        """Let no call be begun, by intend or change_receipt, until a restore is accepted.

        Nothing, if one was accepted since the timeline that is the reason, with so many ``restores``, was found.
        """

    async def accept(self, history_id: str | None, doubt_ms: int) -> None:
        """End the hold. What is not settled, and what is intended by workflows that were accepted until ``doubt_ms``
        from now, may have been called since the time of the last :meth:`alive`. Call it in a transaction.
        """

    async def new_epochs(self, engine: str | None) -> list[str]:
        """Give all that is open, or what this engine was given of it, a new epoch that no engine has yet."""

    async def find_mark(self, engine: str) -> Mark | None:
        """The newest mark that was announced to this engine."""

    async def announce_mark(self, engine: str, seen: int, mark: Mark) -> None:
        """Announce a mark, if the newest is still number ``seen``, or there is none."""

    async def confirm_mark(self, engine: str, mark: Mark) -> None:
        """Say that the engine has it."""


class ProjectionStatements(Protocol):
    """What mirrors are to show of the record, and how far each is; see ``core/projection.py``."""

    async def next_version(self, new: NewProjection, above: int = 0) -> Projection:
        """Give a projection its next version, higher than ``above`` too, and hold it until the transaction ends.

        What is stored of its function and request stays as it was first.
        """

    async def projected(self, key: str, version: int) -> None:
        """Say that the mirror has this version; one that was never given changes nothing."""

    async def not_projected(self, key: str, error: str) -> int:
        """Count a try that its mirror has not confirmed; return how many there were in a row."""

    async def find_projection(self, key: str) -> Projection | None: ...

    async def open_projections(self, after: str, limit: int) -> list[Projection]:
        """Those whose mirror is behind, in the order of their keys, behind this key."""

    async def projections(self, after: str, limit: int) -> list[Projection]:
        """All, in the order of their keys, behind this key."""

    async def done_by(self, function: str, after: tuple[str, int], limit: int) -> list[Receipt]:
        """Receipts of what an effect of this name has done, in the order of keys, behind this key and attempt."""


class PendingStatements(Protocol):
    """What a provider has taken on and has not decided yet, and the names that it knows an effect by."""

    async def due(self, besides: Sequence[str], limit: int) -> list[Receipt]:
        """Pending effects whose next time has come, first due first, but for those of these names. Costs what is due,
        not what is pending.
        """

    async def refer(self, key: str, attempt: int, references: Mapping[str, str]) -> None:
        """Say under which ids, by kind, a provider knows what this effect has made. What was said before stays."""

    async def references_of(self, key: str, attempt: int) -> dict[str, str]:
        """What :meth:`refer` has said: of each kind one id, the last in the order of ids."""

    async def referred_to(self, id: str) -> list[tuple[str, int]]:
        """Key and attempt of the effects that a provider knows under this id."""


class Session[C](ReconcileStatements, TimelineStatements, ProjectionStatements, PendingStatements, Protocol):
    """recordfirst's statements on one connection."""

    connection: C
    """The driver's own connection, as a write's function gets it."""

    def promise(self, number: int) -> None:
        """Note a promise of the user's code in the savepoint that is open now: it is taken back together with that.

        Raises:
            Misuse: after the user's code has had its say, and outside of a transaction.
        """

    async def promised(self) -> set[int]:
        """End the user's part of this transaction: return the promises that no savepoint has taken back.

        From now on the connection takes no statement of the user's code, also of a task that still runs.

        Raises:
            Misuse: if one is still under way, or somebody stopped waiting for one: what it did would be committed.
        """

    async def find_receipt(self, key: str, attempt: int = 1) -> Seen:
        """Look one key up."""

    async def add_receipts(self, receipts: Sequence[NewReceipt], *, epoch: int | None = None) -> list[tuple[str, int]]:
        """Store receipts whose keys are new; return key and attempt of those. What existed stays as it was.

        A single one of an epoch, told by its epoch, is stored only if that is not over: its workflow has not ended, and
        nobody has ended its epochs so far (:meth:`end_epochs`).
        """

    async def intend(
        self, intent: NewReceipt, *, after: After | None, claim: str, claim_ms: int, epoch: int | None = None
    ) -> Intended:
        """Store an intent with its first call begun (calls=1, doubts=1, claimed), in one statement (P1).

        Only if the receipt ``after`` exists in state succeeded, of that kind and function (``None``: depends on none)
        and the key is new, and the epoch of this epoch is not over. Otherwise nothing is stored; if the key exists its
        receipt is returned, whatever ``after`` says.
        """

    async def change_receipt(
        self, seen: Receipt, change: Change, *, epoch_of: tuple[str, int] | None = None, after: After | None = None
    ) -> Receipt | None:
        """Apply ``change`` if the receipt's revision is still ``seen.revision``; else ``None``, and nothing changed.

        One that begins a call, in an epoch of a workflow, told by its id and epoch, is applied only if that is not
        over.
        The receipt may be another workflow's, which asked for the same key before. Nor is a call begun before the
        receipt ``after`` is there, as in :meth:`intend`.
        """

    async def receipts_of(self, workflow: str) -> list[Receipt]:
        """Every receipt of a workflow, oldest first."""

    async def receipts_by_key(self, key: str) -> list[Receipt]:
        """Every attempt of a key, first attempt first."""

    async def requests_of(
        self, workflow: str, kind: str, function: str, besides: str, fingerprint: str
    ) -> list[tuple[str, str]]:
        """Keys and requests of a few receipts that a workflow has of a function, besides this key: of the same
        fingerprint first.
        """

    async def begin_undo(self, undoing: Undoing, workflow: str) -> tuple[str, int]:
        """Say what an undo, by its key and attempt, takes back; return key and attempt of what was said first.

        Call it in a transaction, or again until it comes through.
        """

    async def undoings_of(self, workflow: str) -> list[Undoing]:
        """The undos that were begun for a workflow."""

    async def wakes(self, limit: int) -> list[Wake]:
        """Parked effects that are neither unknown nor pending, and whose engine promise was not settled yet."""

    async def woken(self, wakes: Sequence[Wake]) -> None:
        """Forget what these were parked on."""

    async def add_starts(self, starts: Sequence[NewStart]) -> list[tuple[Start, bool]]:
        """Store starts whose ids are new; return, in the order given, what the record holds, and if it is new.

        In Postgres this waits for a transaction that is storing the same id at this moment, for some seconds.

        Raises:
            StartContended: if that does not end.
        """

    async def find_start(self, id: str) -> Start | None: ...

    async def still_open(self, ids: Sequence[str]) -> set[str]:
        """Which of these workflows are open: the others have ended, or were never started."""

    async def find_starts(self, ids: Sequence[str]) -> list[Start]:
        """Those of these ids that there are, in any order."""

    async def lock_start(self, id: str) -> Start | None:
        """The same, and no epoch of it begins a step until this transaction ends."""

    async def end_epochs(self, id: str, *, undo: bool, error: str) -> Start | None:
        """Let no epoch that an open start has had begin a further step; ``None`` if it is not open.

        With ``undo`` it stays open, in a new epoch, whose epoch undoes; else it is closed as cancelled.
        """

    async def unpark(self, workflow: str) -> None:
        """Forget what the effects of a workflow were parked on, by an epoch that is over."""

    async def left_epochs(self, engine: str, limit: int) -> list[tuple[str, int]]:
        """Starts whose earlier epochs are over, and that this engine may still hold; with the first that is not."""

    async def epochs_gone(self, epochs: Sequence[tuple[str, int]]) -> None:
        """The engine no longer holds these."""

    async def undispatched(self, engine: str, limit: int) -> list[Start]:
        """Open starts that this engine was not given yet, oldest first; of what several other engines had, one engine's
        before the next one's where there are more than ``limit``. Costs what it returns, not what is open.
        """

    async def dispatched(self, starts: Sequence[Start], engine: str) -> None:
        """Say that ``engine`` has these, in the epoch that each carries: an open start moves on to it, never back."""

    async def finish(self, finishes: Sequence[Finish]) -> set[str]:
        """Close starts; one whose epoch moved on, or that is closed already, stays as it is. Return whose."""

    async def reopen(self, id: str, *, again: str | None = None) -> Start | None:
        """Open a failed start again, in a new epoch and with no engine; ``None`` if it is not failed.

        ``again``: how many attempts are behind it, JSON by key; ``None`` leaves that as it is.
        """

    async def stop(self, id: str, epoch: int, *, stop: str, version: str, failure: str | None = None) -> Start | None:
        """Stop an open start: its epochs so far begin no further step, and the next one is not dispatched.

        Behind :meth:`lock_start`, no step of theirs is being stored either.

        ``failure``: it was failing with this, so its next epoch only undoes.

        ``None`` if it is not open, is stopped, or its epoch is not this one.
        """

    async def resume(self, id: str, epoch: int, *, forget: bool) -> Start | None:
        """Let a stopped start go on in the epoch that it has; ``None`` if it is not stopped in this epoch.

        ``forget``: also which versions were stopped in it.
        """

    async def begin_try(self, id: str, epoch: int, *, below: int) -> int | None:
        """Count that a body is begun again, and return how often by now; ``None`` if it was as often as ``below``, or
        is over.
        """

    async def tries_over(self, ids: Sequence[str]) -> None:
        """These have come to a wait or an end: forget how often they were begun again."""

    async def stopped(self, version: str | None, limit: int) -> list[Start]:
        """Stopped starts, longest stopped first; those that this version was not stopped in, if one is named."""

    async def starts(self, state: str | None, limit: int) -> list[Start]:
        """Starts, newest first, of one state or of all."""

    async def counts(self) -> dict[str, int]:
        """How many starts and effect receipts there are, by ``start.open``, ``effect.unknown`` and so on."""

    async def now_ms(self) -> int:
        """The record's clock."""

    async def run(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        """Run a statement of :meth:`Record.statements_of`; the app is a parameter of each."""

    async def run_many(self, sql: str, rows: Sequence[Mapping[str, Any]], **params: Any) -> list[tuple[Any, ...]]:
        """Run a statement that takes many rows, all with the same names; without rows, nothing runs."""


class Record[C](Protocol):
    """A transactional store that decides."""

    where: str
    """How an operator names it: a URL without its password, or a path."""
    indexes: Mapping[str, str]
    """What makes each index that the looks of a reconcile rest on, by its name."""
    whole_number_max: int
    """The largest whole number that its columns hold exactly."""
    seen_mark: tuple[str, int, int] | None
    """The engine, generation and number of the newest mark that this process has seen here, if it works. While the
    record has less, it was restored under us: ``intend`` and ``change_receipt`` begin no call, ``finish`` closes
    nothing.
    """
    path: Path | None
    """The file that it is, if it is one of this machine: what belongs to it goes beside it."""
    migrations: Sequence[Migration]
    """The whole schema, first step first. The last one's version is the one this code needs."""

    async def open(self, app: str) -> None:
        """Connect, for one app: every statement sees only that app's rows.

        Raises:
            RecordUnavailable: if it cannot be reached. ``Misuse``: if it is open already, or cannot be a record.
        """

    async def close(self) -> None: ...

    def transaction(self) -> AbstractAsyncContextManager[Session[C]]:
        """BEGIN; COMMIT when the block ends, ROLLBACK when it raises. Made for writing: in SQLite it takes the lock.

        Its connection is guarded: it raises ``Misuse`` for what would end the transaction, and for every statement
        after the block; what user code sets on it ends with the block (``conformance/guards.py``).
        """

    def session(self) -> AbstractAsyncContextManager[Session[C]]:
        """A session whose statements each commit by themselves."""

    def must_be_free(self) -> None:
        """Raise ``Misuse`` if this task has a transaction open, and another one would wait for it for ever."""

    def reading(self) -> AbstractAsyncContextManager[C]:
        """The driver's connection in a read-only transaction."""

    def cover_errors(self, cover: Cover | None) -> None:
        """Cover the texts of errors at rest, in sessions from here on; ``None``: store them as they are."""

    def statements_of(self, package: str) -> Mapping[str, str]:
        """The statements that a package has for this product, by their files' names, for :meth:`Session.run`.

        They are in a folder of the package that is named after the product (``postgres``, ``sqlite``).
        """

    def fault(self, error: BaseException) -> Fault | None:
        """What a driver's exception means (P9): ``contention`` (40001, 40P01, busy): the same again may succeed;
        ``unreachable``: the connection is gone, and a COMMIT on its way may have happened; ``denied``: a grant is
        missing, which somebody may be giving back; ``None``: the user's.
        """

    async def schema_version(self) -> int:
        """The version of the tables; 0 when there are none."""

    async def migrate(self, tell: Callable[[str], None] = ...) -> list[Migration]:
        """Run what is missing, each step in its own transaction; return it. Safe to run twice, or by two at once.

        ``tell`` hears, for an operator, what it waits for.

        Raises:
            MigrationBlocked: if somebody else holds a table for too long. What was run before stays.
        """

    def lease(self, name: str) -> AbstractAsyncContextManager[Lease]:
        """Wait until this process holds the lease ``name``, and hold it during the block.

        It is free again at once when the process dies, however it dies.
        """

    def keep_mark(self, line: str | None) -> None:
        """Keep this line where a copy of the record that is put back does not put it back, if there is such a place."""

    def kept_mark(self) -> str | None:
        """The line that was kept there; ``None`` if none was, or there is no such place."""

    async def changed(self, timeout_s: float) -> None:
        """Return when another process may have stored something to act on, or after ``timeout_s`` at the latest.

        Raises ``Misuse`` if it is not open; what :meth:`fault` calls ``unreachable`` if it is closed meanwhile.
        """

    async def notify(self, session: Session[Any]) -> None:
        """Make ``changed`` return elsewhere, once the session's transaction commits."""
