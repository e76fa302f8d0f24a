"""The world: record, engine, ledger, and who may use them."""

from __future__ import annotations

import shlex

from recordfirst.errors.base import RecordfirstError
from recordfirst.errors.pages import page


class EngineUnavailable(RecordfirstError):
    """The engine could not be asked. What was found until then is kept; nothing else was changed."""

    def __init__(self, engine: str, cause: str) -> None:
        self.engine, self.cause = engine, cause
        super().__init__(engine, cause)

    def __str__(self) -> str:
        return f"the engine at {self.engine} cannot be asked: {self.cause}; is it running, and is its address right?"


class EffectsHeld(RecordfirstError):
    """The record was restored, or moved: no effect is begun until an operator has accepted that."""

    def __init__(self, app: str, code: str, detail: str) -> None:
        self.app, self.code, self.detail = app, code, detail
        super().__init__(app, code, detail)

    def __str__(self) -> str:
        return (
            f"effects of app {self.app!r} are held: {self.code}: {self.detail}; see recordfirst explain {self.code}, "
            f"and {page('how-to/restore-the-record')}, then recordfirst reconcile --apply --accept-restore"
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
        url = shlex.quote(self.where if "://" in self.where else f"sqlite:///{self.where}")
        return f"recordfirst's tables in {self.where} {state}; run: recordfirst migrate --record {url} --apply"


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
        return f"the embedded engine's file {self.path} cannot be used: {self.cause}; fix that, or move the file away"


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
