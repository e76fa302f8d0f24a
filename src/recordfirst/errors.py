"""Every error of recordfirst, in one closed tree.

Each class says in ``fate`` what is known about the thing it speaks of: ``"done"``, ``"not done"`` or
``"unknown"``. Each names the workflow or key, and says what to do. All of them pickle: what is passed to
``__init__`` is kept, in order, as attributes and as ``args``.
"""

from __future__ import annotations

import shlex
from typing import ClassVar, Literal

type Fate = Literal["done", "not done", "unknown"]


class RecordfirstError(Exception):
    """The root: ``except RecordfirstError`` catches all that this library raises on purpose."""

    fate: ClassVar[Fate] = "not done"


# ── what an effect's call can come to (P5) ──────────────────────────────────


class Declined(RecordfirstError):
    """The provider refused for good. Stored, final, never retried; a new try is a new attempt.

    Raised by an effect's own code or by its provider's classification, and raised again, from the stored
    receipt, wherever the effect is asked for. ``key`` is filled in from the receipt.
    """

    def __init__(self, reason: str, code: str | None = None, key: str | None = None) -> None:
        self.reason, self.code, self.key = reason, code, key
        super().__init__(reason, code, key)

    def __str__(self) -> str:
        what = f"effect {self.key!r}: " if self.key else ""
        return f"{what}declined: {self.reason}" + (f" ({self.code})" if self.code else "")


REFUSED_CREDENTIAL = "refused credential"
"""``NotDone.code`` for a key that is wrong, expired, revoked, or lacks a permission (401, 403)."""


class NotDone(RecordfirstError):
    """The call certainly had no effect, and the same request may succeed later (refused connection, 429).

    ``retry_after_ms`` is the provider's own wish, if it gave one. ``code``: :data:`REFUSED_CREDENTIAL` if it was not
    the request that was refused but who sent it: no call of the app gets through until an operator has changed that.
    """

    def __init__(self, reason: str, retry_after_ms: int | None = None, code: str | None = None) -> None:
        self.reason, self.retry_after_ms, self.code = reason, retry_after_ms, code
        super().__init__(reason, retry_after_ms, code)

    def __str__(self) -> str:
        return f"not done: {self.reason}"


class Unknown(RecordfirstError):
    """The call may or may not have had its effect (timeout after sending, 5xx, reset).

    ``replayed``: the provider stored this answer under the key, so asking again with the same key only
    repeats it (Stripe's 500); only a probe can tell.
    """

    fate = "unknown"

    def __init__(self, reason: str, replayed: bool = False) -> None:  # noqa: FBT001, FBT002 - positional so that it pickles
        self.reason, self.replayed = reason, replayed
        super().__init__(reason, replayed)

    def __str__(self) -> str:
        return f"outcome unknown: {self.reason}"


class Undeclared(Unknown):
    """The same, where neither the effect nor its provider says what the exception means: a bug, or an answer that an
    SDK could not read. The call may have had its effect; calls that end like this are counted (:class:`EffectStopped`).
    """


class EffectStopped(RecordfirstError):
    """An effect's calls have ended too often in an exception that nobody declared: it is not called again for now.

    What became of the calls stays in doubt in the record. A reconcile goes on asking the probe, if there is one.
    """

    fate = "unknown"

    def __init__(self, key: str, count: int, cause: str) -> None:
        self.key, self.count, self.cause = key, count, cause
        super().__init__(key, count, cause)

    def __str__(self) -> str:
        return (
            f"effect {self.key!r} is stopped: {self.count} calls ended in an exception that neither its code nor its "
            f"provider's classify() declares, the last one in {self.cause}; what became of them is in doubt, and "
            "nothing was undone: mend the effect, or let classify() say what the exception means, and deploy it"
        )


# ── conflicts (P8): each names both sides ───────────────────────────────────


class Conflict(RecordfirstError):
    """Two things claim one identity. Nothing was changed."""


class DifferentArguments(Conflict):
    """A workflow id was started before, with other arguments or as another workflow."""

    def __init__(self, id: str, stored: str, given: str) -> None:
        self.id, self.stored, self.given = id, stored, given
        super().__init__(id, stored, given)

    def __str__(self) -> str:
        return (
            f"workflow {self.id!r} was already started as {self.stored}, not as {self.given}; "
            "use another id, or start it with the arguments that it has"
        )


class DifferentRequest(Conflict):
    """A key was used before with another request."""

    def __init__(self, key: str, stored: str, given: str) -> None:
        self.key, self.stored, self.given = key, stored, given
        super().__init__(key, stored, given)

    def __str__(self) -> str:
        return (
            f"key {self.key!r} already stands for {self.stored}, not for {self.given}; "
            "one key means one request: put into the key what tells the two apart"
        )


class DifferentFunction(Conflict):
    """A key's receipt belongs to another function (renamed, or two steps share a key)."""

    def __init__(self, key: str, stored: str, called: str) -> None:
        self.key, self.stored, self.called = key, stored, called
        super().__init__(key, stored, called)

    def __str__(self) -> str:
        return (
            f"key {self.key!r} has a receipt of {self.stored!r}, but {self.called!r} asked for it; "
            "give each step its own key, or keep the old name with name="
        )


class DifferentKey(Conflict):
    """A workflow has called a step under a key that the step does not make of that request by now."""

    def __init__(self, step: str, workflow: str, stored: str, given: str) -> None:
        self.step, self.workflow, self.stored, self.given = step, workflow, stored, given
        super().__init__(step, workflow, stored, given)

    def __str__(self) -> str:
        return (
            f"workflow {self.workflow!r} has a receipt of {self.step} under {self.stored!r}, and the key of that "
            f"request is {self.given} by now: it would happen again, so nothing was called. Give it back its old key "
            "until these workflows have ended; new ones may use a step of another name, with the new key"
        )


class SharedKey(Conflict):
    """Two effects declare one key template, or one step is called twice under its default key."""

    def __init__(self, key: str, first: str, second: str) -> None:
        self.key, self.first, self.second = key, first, second
        super().__init__(key, first, second)

    def __str__(self) -> str:
        return f"key {self.key!r} is claimed by {self.first} and by {self.second}; give each its own key"


class DifferentEntry(Conflict):
    """A reference has something else under the id of what was to be staged."""

    def __init__(self, id: str, where: str, stored: str, given: str) -> None:
        self.id, self.where, self.stored, self.given = id, where, stored, given
        super().__init__(id, where, stored, given)

    def __str__(self) -> str:
        return (
            f"entry {self.id!r} of {self.where} exists already with {self.stored}, not with {self.given}; "
            "find out who has put it there, or stage under another id"
        )


class DifferentRow(Conflict):
    """A row that was to be written exists, with other values."""

    def __init__(self, what: str, stored: str, given: str) -> None:
        self.what, self.stored, self.given = what, stored, given
        super().__init__(what, stored, given)

    def __str__(self) -> str:
        return f"{self.what} exists already with {self.stored}, not with {self.given}"


class DifferentTransfer(Conflict):
    """A ledger holds an account or transfer of this id, with other fields: it is not ours."""

    def __init__(self, what: str, status: str, difference: str) -> None:
        self.what, self.status, self.difference = what, status, difference
        super().__init__(what, status, difference)

    def __str__(self) -> str:
        return (
            f"{self.what} is in the ledger with other fields ({self.status}): {self.difference}; nothing was moved; "
            "find out who made it, and give what you make another key or id"
        )


class DuplicateDependency(Conflict):
    """Two values were provided for one type."""

    def __init__(self, type_name: str, first: str, second: str) -> None:
        self.type_name, self.first, self.second = type_name, first, second
        super().__init__(type_name, first, second)

    def __str__(self) -> str:
        return (
            f"two values for {self.type_name}: {self.first} and {self.second}; "
            "give one of them its own key with app.provide(value, as_=SomeNewType)"
        )


# ── what the program asks for cannot be ─────────────────────────────────────


class Misuse(RecordfirstError):
    """The program asks for something that cannot be; nothing was done."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)

    def __str__(self) -> str:
        return self.message


class BadArguments(Misuse):
    """Arguments do not fit the function's signature or types."""


class BadKey(Misuse):
    """A key template names what the arguments do not have, or renders to nothing, or to more than 1,000 bytes."""


class BadId(Misuse):
    """A workflow id that no store can carry (empty, with a NUL character, or longer than 255 bytes of UTF-8)."""


class UnknownWorkflow(Misuse):
    """The name is not among the app's workflows."""


class MissingDependency(Misuse):
    """A step needs a type that nothing provides."""


class Unencodable(Misuse):
    """A value cannot be stored as JSON; names the type and the field."""


class AfterMissing(Misuse):
    """P1: an effect was asked for before the write that it depends on has its receipt."""


class AttemptRefused(Misuse):
    """A new attempt was asked for while the one before is not declined."""


class NoRow(Misuse):
    """A statement that had to change or return one row did not."""


class Undone(Misuse):
    """The effect succeeded and was then undone; its result no longer stands."""


class OutcomeLost(RecordfirstError):
    """A stored outcome cannot be rebuilt: its exception class was removed, renamed, or changed."""

    fate = "done"

    def __init__(self, key: str, stored: str) -> None:
        self.key, self.stored = key, stored
        super().__init__(key, stored)

    def __str__(self) -> str:
        return (
            f"the outcome of {self.key!r} is stored as an exception that cannot be rebuilt: {self.stored}; give the "
            "class back its name and module, or name it in fails="
        )


class ProcessDied(RecordfirstError):
    """Each process that ran the workflow has died: it was killed, or ran out of memory, or its loop was blocked."""

    fate = "unknown"

    def __init__(self, id: str, tries: int) -> None:
        self.id, self.tries = id, tries
        super().__init__(id, tries)

    def __str__(self) -> str:
        return (
            f"workflow {self.id!r} was begun by {self.tries - 1} processes in a row, and each has died under it (out "
            "of memory, killed, or blocked); look at what its steps do, and at the logs of those processes"
        )


class Escaped(RecordfirstError):
    """User code raised what is no ``Exception``: ``SystemExit``, ``KeyboardInterrupt``, a stray ``CancelledError``."""

    fate = "unknown"

    def __init__(self, what: str, error: BaseException | str) -> None:
        self.what = what
        self.error = error if isinstance(error, str) else type(error).__name__
        super().__init__(what, self.error)

    def __str__(self) -> str:
        return (
            f"{self.what} raised {self.error}, which is no Exception; it would have ended the worker: let it raise "
            "an exception of your own, or return"
        )


# ── the world ───────────────────────────────────────────────────────────────


class EngineUnavailable(RecordfirstError):
    """The engine could not be asked. What was found until then is kept; nothing else was changed."""

    def __init__(self, engine: str, cause: str) -> None:
        self.engine, self.cause = engine, cause
        super().__init__(engine, cause)

    def __str__(self) -> str:
        return f"the engine at {self.engine} cannot be asked: {self.cause}; is it running, and is its address right?"


class EffectsHeld(RecordfirstError):
    """The record was set back, or moved: no effect is begun until a person has accepted that."""

    def __init__(self, app: str, code: str, detail: str) -> None:
        self.app, self.code, self.detail = app, code, detail
        super().__init__(app, code, detail)

    def __str__(self) -> str:
        return (
            f"effects of app {self.app!r} are held: {self.code}: {self.detail}; "
            "see docs/how-to/restore-the-record.md, then recordfirst reconcile --apply --accept-restore"
        )


class SchemaMismatch(RecordfirstError):
    """The record's tables are missing, too old or too new for this version."""

    def __init__(self, where: str, found: int, wanted: int) -> None:
        self.where, self.found, self.wanted = where, found, wanted
        super().__init__(where, found, wanted)

    def __str__(self) -> str:
        if self.found > self.wanted:
            return (
                f"the tables in {self.where} are at version {self.found}, newer than this recordfirst knows "
                f"({self.wanted}); upgrade it: pip install -U recordfirst"
            )
        state = "are missing" if self.found == 0 else f"are at version {self.found}, {self.wanted} is needed"
        return f"recordfirst's tables in {self.where} {state}; run: recordfirst migrate --record {self.where} --apply"


class MigrationBlocked(RecordfirstError):
    """A step of ``recordfirst migrate`` needs a table that somebody else holds. It was not run; earlier ones stay."""

    def __init__(self, where: str, step: str, holders: str) -> None:
        self.where, self.step, self.holders = where, step, holders
        super().__init__(where, step, holders)

    def __str__(self) -> str:
        return (
            f"step {self.step} of the tables in {self.where} was not run: what it needs is held by {self.holders}; let "
            "that transaction end (SELECT pg_terminate_backend(...) ends a session), and run it again"
        )


class WrongEncryptor(RecordfirstError):
    """What the record holds is encrypted, and not with what this app has. Nothing was written."""

    def __init__(self, app: str, cause: str) -> None:
        self.app, self.cause = app, cause
        super().__init__(app, cause)

    def __str__(self) -> str:
        return (
            f"app {self.app!r} cannot read what it stored: {self.cause}; give it encryptor= with the key that it had: "
            'Keyring({"new": ..., "old": ...}) reads what either has encrypted'
        )


class RecordUnavailable(RecordfirstError):
    """The record cannot be reached or refuses to let us in."""

    def __init__(self, where: str, cause: str) -> None:
        self.where, self.cause = where, cause
        super().__init__(where, cause)

    def __str__(self) -> str:
        return f"cannot reach the record at {self.where}: {self.cause}"


class StartContended(RecordfirstError):
    """Another transaction was storing the same workflow id, and did not end in time.

    ``again``: a workflow asked for it, which tries again by itself.
    """

    fate = "unknown"

    def __init__(self, ids: str, waited_s: float, again: bool = False) -> None:  # noqa: FBT001, FBT002 - positional so that it pickles
        self.ids, self.waited_s, self.again = ids, waited_s, again
        super().__init__(ids, waited_s, again)

    def __str__(self) -> str:
        return (
            f"start of workflow {self.ids}: another transaction that starts the same id has not ended for "
            f"{self.waited_s:g} s; start it again (the same id is safe), and end that transaction (pg_stat_activity)"
        )


class LedgerUnavailable(RecordfirstError):
    """A ledger did not answer in time. What was asked for may have happened; the same ids make it safe to ask again."""

    fate = "unknown"

    def __init__(self, where: str, cause: str) -> None:
        self.where, self.cause = where, cause
        super().__init__(where, cause)

    def __str__(self) -> str:
        return f"no answer from the ledger at {self.where}: {self.cause}"


class LedgerVersion(RecordfirstError):
    """A ledger's cluster does not speak with a client of this version. Nothing was sent."""

    def __init__(self, where: str, client: str, problem: str) -> None:
        self.where, self.client, self.problem = where, client, problem
        super().__init__(where, client, problem)

    def __str__(self) -> str:
        what = (
            "upgrade the client" if self.problem == "too old" else "upgrade the cluster first, or take an older client"
        )
        return (
            f"the client {self.client} is {self.problem} for the ledger at {self.where}; {what}: "
            "a client must be no newer than its cluster, and no older than the oldest that the cluster takes"
        )


class EngineInUse(RecordfirstError):
    """Another process has the embedded engine's file open; one at a time can. ``pid`` is that process's, if known."""

    def __init__(self, path: str, pid: int | None) -> None:
        self.path, self.pid = path, pid
        super().__init__(path, pid)

    def __str__(self) -> str:
        who = f"process {self.pid}" if self.pid is not None else "another process"
        return (
            f"the embedded engine's file {self.path} is in use by {who}: end it, or let several processes share "
            'the work with engine="http://..." (a Resonate Server) or engine="postgresql://..."'
        )


class EngineUnreadable(RecordfirstError):
    """The embedded engine's file cannot be used. It may be moved away: the record rebuilds what was in it (P6)."""

    def __init__(self, path: str, cause: str) -> None:
        self.path, self.cause = path, cause
        super().__init__(path, cause)

    def __str__(self) -> str:
        return f"the embedded engine's file {self.path} cannot be used: {self.cause}; mend that, or move the file away"


class CommitUnknown(RecordfirstError):
    """The connection was lost while COMMIT was on its way, and nothing in the record tells what came of it."""

    fate = "unknown"

    def __init__(self, where: str, cause: str) -> None:
        self.where, self.cause = where, cause
        super().__init__(where, cause)

    def __str__(self) -> str:
        return (
            f"the connection to {self.where} was lost during COMMIT ({self.cause}); "
            "read back what you wrote, and repeat the transaction if it is not there"
        )


class ResultNotStored(RecordfirstError):
    """The effect happened, but its result could not be stored; it is not called again (P3).

    ``on_success`` has not run, and a retry comes to the same until a person has said the result (``App.resolve``).
    """

    fate = "done"

    def __init__(self, key: str, cause: str) -> None:
        self.key, self.cause = key, cause
        super().__init__(key, cause)

    def __str__(self) -> str:
        return (
            f"effect {self.key!r} succeeded, but its result could not be stored: {self.cause}; it is not called again, "
            "and on_success has not run: look its result up at the provider, and say it: "
            f"recordfirst resolve {shlex.quote(self.key)} --succeeded JSON"
        )


class WorkflowFailed(RecordfirstError):
    """A workflow ended in failure; says with which error, and where in the user's code it was raised (``at``)."""

    def __init__(self, id: str, type_name: str, message: str, at: str | None = None) -> None:
        self.id, self.type_name, self.message, self.at = id, type_name, message, at
        super().__init__(id, type_name, message, at)

    def __str__(self) -> str:
        place = f"; at {self.at}" if self.at else ""
        return (
            f"workflow {self.id!r} failed: {self.type_name}: {self.message}{place}; "
            f"when the cause is mended, run: recordfirst retry {shlex.quote(self.id)}"
        )


class WorkflowStopped(RecordfirstError):
    """A defect has stopped the workflow: it is open, nothing was undone, and it goes on when the defect is fixed."""

    fate = "unknown"

    def __init__(self, id: str, type_name: str, message: str, at: str | None = None) -> None:
        self.id, self.type_name, self.message, self.at = id, type_name, message, at
        super().__init__(id, type_name, message, at)

    def __str__(self) -> str:
        place = f"; at {self.at}" if self.at else ""
        return (
            f"workflow {self.id!r} is stopped by a defect: {self.type_name}: {self.message}{place}; nothing was "
            "undone. It goes on by itself with the next version of the app, or when told to: "
            f"recordfirst retry {shlex.quote(self.id)}. If this is an outcome of your business, declare it: fails="
        )


class WorkflowCancelled(WorkflowFailed):
    """A person has cancelled the workflow; says who, and why."""

    def __str__(self) -> str:
        return (
            f"workflow {self.id!r} was {self.message}; it runs no more, and what is still to be done needs another id"
        )


class Collected(RecordfirstError):
    """The workflow ended long ago, and its rows were collected; nothing of it runs again (P3)."""

    fate = "done"

    def __init__(self, id: str, message: str) -> None:
        self.id, self.message = id, message
        super().__init__(id, message)

    def __str__(self) -> str:
        return f"workflow {self.id!r} was collected: {self.message}; its id stays taken: use another one"
