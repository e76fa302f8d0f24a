"""What an operator can do with an app: retry, cancel, resolve, reconcile, collect.

Each operation changes the record first, in one transaction with its audit row, and can be repeated: nothing is done
twice. With ``dry_run`` each reports what it would do, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

from recordfirst.core.receipt import Receipt
from recordfirst.core.start import Start
from recordfirst.engine.contract import Engine
from recordfirst.errors import Misuse
from recordfirst.execution.looking import Sought, look_at
from recordfirst.execution.resolve import resolve
from recordfirst.execution.runtime import Runtime
from recordfirst.operations.cancel import Cancellation
from recordfirst.operations.cancel import cancel as cancel_it
from recordfirst.operations.events import EventOperations
from recordfirst.operations.gc import Collection, collect
from recordfirst.operations.retry import Retry, retry
from recordfirst.reconcile.contract import PassContext
from recordfirst.reconcile.dismissing import Dismissal
from recordfirst.reconcile.dismissing import dismiss as dismiss_it
from recordfirst.reconcile.reconciler import Report, look, passes_named, repair
from recordfirst.reconcile.resealing import Resealing, reseal
from recordfirst.reconcile.restores import DOUBT_MS
from recordfirst.reconcile.restores import accept_restore as accept_it
from recordfirst.steps.registrations import Registrations


class Operations:
    """What operators ask of an app that is open: :attr:`App.operations`, and the app's methods of the same names."""

    def __init__(
        self,
        runtime: Runtime,
        registered: Registrations,
        engine_to_ask: Callable[[], AbstractAsyncContextManager[Engine | None]],
    ) -> None:
        """``engine_to_ask``: opens the engine, if it can be asked from this process."""
        self._runtime, self._registered, self._engine_to_ask = runtime, registered, engine_to_ask
        self.events = EventOperations(runtime, registered.sources)
        """What they ask of provider events."""

    async def retry(
        self, id: str, *, again: bool = False, who: str = "app", why: str | None = None, dry_run: bool = False
    ) -> Retry:
        """Let a workflow go on that a defect has stopped, or open a failed one again. What was completed stays done.

        Returns what it comes to: with ``again``, which keys get a new attempt.

        One that is open, and not stopped, stays as it is. One that failed because something could not be undone when
        it was cancelled undoes the rest, and nothing else.

        Args:
            id: the workflow's business id.
            again: of one that failed, also do anew what was undone or declined: with new attempts, under new keys.
            who: who asks for it, for the audit row.
            why: the reason, for the audit row.
            dry_run: change nothing; raise what would be raised.

        Raises:
            UnknownWorkflow: if there is none of that id.
            Misuse: if it has ended otherwise than in failure; or if something of it was undone, and ``again`` is not
                said: a retry would have to charge anew.
        """
        self._runtime.owned.check()
        return await retry(self._runtime, id, again=again, actor=(who, why), dry_run=dry_run)

    async def stopped(self, limit: int = 100) -> list[Start]:
        """Workflows that a defect has stopped, longest stopped first."""
        self._runtime.owned.check()
        async with self._runtime.record.session() as session:
            return await session.stopped(None, limit)

    async def cancel(
        self, id: str, *, undo: bool | None = None, who: str = "app", why: str | None = None, dry_run: bool = False
    ) -> Cancellation:
        """End an open workflow: the record first, then the engine. None of its steps begins.

        Again changes nothing. What cannot be undone, and what may not be, is left as it is and named.

        Args:
            id: the workflow's business id.
            undo: take back what has happened, by the effects that ``undo=`` names, or leave it as it is. ``None``:
                there must be nothing to take back.
            who: who asks for it, for the audit row.
            why: the reason, for the audit row and for the callers that wait for the workflow.
            dry_run: change nothing, and say what would be done.

        Raises:
            UnknownWorkflow: if there is none of that id, or it is to be undone and this app does not have it.
            Misuse: if it has ended otherwise; or if ``undo`` is ``None``, and something can be undone.
        """
        self._runtime.owned.check()
        return await cancel_it(self._runtime, self._registered, id, undo=undo, said_by=(who, why), dry_run=dry_run)

    async def resolve(
        self,
        key: str,
        *,
        outcome: Literal["succeeded", "declined", "not done"],
        result: Any = None,
        reason: str | None = None,
        attempt: int | None = None,
        who: str = "app",
        why: str | None = None,
        dry_run: bool = False,
    ) -> Receipt:
        """Say what became of an effect whose outcome is unknown: the record first, then its workflow goes on (P5).

        Of one that succeeded and whose result could not be stored (``ResultNotStored``), say the result; its workflow,
        which has failed, is then retried. The same again changes nothing.

        Args:
            key: the effect's key.
            outcome: ``"succeeded"`` with ``result``, ``"declined"`` with ``reason``, or ``"not done"``, after which it
                is called again.
            result: what the effect would have returned, as JSON builtins.
            reason: why it was declined.
            attempt: which attempt; default: the latest.
            who: who says so, for the audit row.
            why: the reason, for the audit row.
            dry_run: change nothing; raise what would be raised, as far as that can be told without storing it.

        Raises:
            Misuse: if there is no such effect, or its outcome is known, and is another; or if its result alone is
                missing, while its workflow is open and may be undoing it.
            Unencodable: if the result does not have the effect's return type.
        """
        self._runtime.owned.check()
        async with self._runtime.record.session() as session:
            receipts = await session.receipts_by_key(key)
        answer = (outcome, result, reason)
        return await resolve(
            self._runtime, self._registered.effects, receipts, key, answer, attempt, said_by=(who, why), dry_run=dry_run
        )

    async def look(
        self,
        key: str | None = None,
        *,
        attempt: int | None = None,
        marker: str | None = None,
        reference: str | None = None,
    ) -> list[Receipt]:
        """Ask the provider now about an effect that has no outcome yet, store what it says, and return the receipts.

        For callers that hear of something there: what was heard is a reason to look, and is not believed. An
        effect that has its outcome is returned as it is, and so is one that nothing is known of there. What is not of
        this app, or not in the record yet, gives an empty list. It may be asked for at any time, by several at once.

        Args:
            key: the effect's key; without ``attempt`` its latest.
            attempt: which attempt.
            marker: what the call has left at the provider (``call.marker``).
            reference: what the provider calls it: an id that ``Pending`` or its result has named.
        """
        self._runtime.owned.check()
        return await look_at(self._runtime, self._registered.effects, Sought(key, attempt, marker, reference))

    async def dismiss(self, code: str, subject: str, *, why: str, who: str = "app", dry_run: bool = False) -> Dismissal:
        """Say that a finding has been seen to, which will not go away: it is not found again while it says the same.

        The receipt of a payment that was made twice, and refunded once, stays as it is; so does what the provider has.
        Again changes nothing. Only a finding that an operator must settle can be dismissed.

        Args:
            code: the finding's code.
            subject: what it is about, as ``recordfirst findings`` shows it.
            why: how it was seen to, for the audit row.
            who: who says so, for the audit row.
            dry_run: change nothing; raise what would be raised.

        Raises:
            Misuse: if it is not open, or of a code that cannot be dismissed, or without a reason.
        """
        self._runtime.owned.check()
        return await dismiss_it(self._runtime, code, subject, said_by=(who, why), dry_run=dry_run)

    async def reseal(
        self,
        *,
        who: str = "app",
        why: str | None = None,
        dry_run: bool = False,
        tell: Callable[[int], None] = lambda _: None,
    ) -> Resealing:
        """Bring rows that are in clear, or under an older key, under the encryptor's newest key, page by page.

        Workers may work meanwhile. It may be killed and run again at any time; another run does what is left.

        Args:
            who: who asks for it, for the audit row.
            why: the reason, for the audit row.
            dry_run: change nothing, and count.
            tell: is told how many rows were looked at.

        Raises:
            Misuse: if the app has no encryptor.
        """
        return await reseal(self._runtime, who=who, why=why, dry_run=dry_run, tell=tell)

    async def collect(
        self,
        *,
        older_than_s: float,
        who: str = "app",
        why: str | None = None,
        dry_run: bool = False,
        tell: Callable[[int], None] = lambda _looked: None,
    ) -> Collection:
        """Delete the rows of workflows that ended longer ago, in bounded batches. Killed, it goes on when asked again.

        Their ids stay taken. What is still needed is left, and said. Findings and audit rows are never deleted.

        Args:
            older_than_s: seconds since a workflow's end, by the record's clock.
            who: who asks for it, for the audit row.
            why: the reason, for the audit row.
            dry_run: change nothing, and say what would be collected.
            tell: is called with how many workflows it has looked at.

        Raises:
            Misuse: if ``older_than_s`` is negative.
        """
        self._runtime.owned.check()
        older_than_ms = int(older_than_s * 1000)
        return await collect(
            self._runtime,
            self._registered.effects,
            older_than_ms=older_than_ms,
            said_by=(who, why),
            dry_run=dry_run,
            tell=tell,
        )

    async def reconcile(
        self,
        *,
        apply: bool = False,
        accept_restore: bool = False,
        doubt_ms: int = DOUBT_MS,
        only: Sequence[str] = (),
        since_ms: int = 0,
        who: str = "app",
        why: str | None = None,
        tell: Callable[[str, int], None] = lambda _pass, _looked: None,
    ) -> Report:
        """Compare record, engine and providers, and say where they differ; with ``apply``, repair (P6).

        Without ``apply`` nothing is changed. With it, findings are kept in the record, what can be repaired is, and one
        process at a time does it: this waits for its turn. Workers do it by themselves, every minute.

        Args:
            apply: repair, and keep what was found.
            accept_restore: the record that was restored, or moved, is the one to go on with. Needs ``apply``.
            doubt_ms: with ``accept_restore``: how long from now on a workflow that is started may be one that was lost,
                so that its effects may have been called.
            only: names of passes; default: all that cost no more than what is open.
            since_ms: look only at what began then or later, in milliseconds since 1970.
            who: who asks for it, for the audit rows.
            why: the reason, for the audit rows.
            tell: is called with a pass's name and how many rows it has looked at.

        Raises:
            EngineUnavailable: if the engine cannot be asked.
            Misuse: if there is no pass of a name.
        """
        self._runtime.owned.check()
        if accept_restore and not apply:
            raise Misuse("to accept a restore changes the record: it needs apply")
        passes = passes_named(only)
        async with self._engine_to_ask() as engine:
            scope = PassContext(self._runtime, self._registered, engine, since_ms, frozenset(only))
            if not apply:
                return await look(scope, passes, tell)
            async with self._runtime.record.lease("reconcile"):
                accepted = None
                if accept_restore:
                    accepted = await accept_it(self._runtime, doubt_ms=doubt_ms, who=who, why=why)
                report = await repair(scope, passes, tell, who=who, why=why)
                report.accepted = accepted
                return report
