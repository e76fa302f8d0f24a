"""What can be read of an app: workflows, receipts, findings, audit rows, its ledger, and how it is doing (P10).

It asks only the record, and in one method the ledger. It changes nothing, and asks no engine. So ``app.looking()`` is
enough, and ``async with app:`` works as well. Each method asks once and repeats nothing: two answers may be from two
moments, and a driver's error, such as a missing right, is raised as the driver raised it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import msgspec

from recordfirst.core import codec, identity
from recordfirst.core.finding import Audit, Finding
from recordfirst.core.receipt import Receipt
from recordfirst.core.reversal import StoredReversal
from recordfirst.core.start import Start
from recordfirst.core.text import safe_text
from recordfirst.errors import RecordfirstError, RecordUnavailable
from recordfirst.execution.patience import fault_of
from recordfirst.execution.reversals import Reversals
from recordfirst.execution.runtime import Runtime
from recordfirst.ledgers.check import LedgerFinding
from recordfirst.ledgers.contract import Ledger
from recordfirst.reconcile.passes.ledgers import add_up
from recordfirst.records.contract import Session
from recordfirst.steps.registrations import Registrations

FINDINGS_MOST = 1_000
"""So many open findings are counted."""

type Listed = Literal["open", "stopped", "succeeded", "failed", "cancelled"]
"""What workflows are listed by; stopped ones are open, too."""
type Unsettled = Literal["intended", "unknown", "pending", "declined"]
"""States of an effect that has not succeeded."""


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """How an app is doing, as its record has it."""

    counts: dict[str, int]
    """How many workflows and effects there are by state: ``start.open``, ``effect.unknown`` and so on; and reversals
    that nobody has dealt with: ``reversal.open`` (a handler is to be tried) and ``reversal.stopped`` (none is)."""
    findings: int
    """How many findings are open; 1,000 stands for more, too."""
    held: str | None = None
    """Code of the finding for which effects are held: none begins. ``None``: they are not."""
    held_at_ms: int | None = None
    """Since when, in milliseconds since 1970 by the record's clock."""
    worker_seen_s: int | None = None
    """How many seconds ago a worker last said that record and engine agree, which one that works does every ten;
    ``None``: none ever has."""


class Look:
    """What can be read of an app that is open: :attr:`App.look`.

    Every method raises ``RecordUnavailable`` if the record cannot be reached, and ``Misuse`` in another event loop,
    thread or process than the one that has the app open.
    """

    def __init__(self, runtime: Runtime, registered: Registrations) -> None:
        self._runtime, self._registered = runtime, registered
        self._reversals = Reversals(runtime, registered.effects)

    async def overview(self) -> Overview:
        """How the app is doing: counts by state, open findings, whether effects are held, and a worker's last sign."""
        async with self._session() as session:
            line = await session.find_timeline()
            now_ms = await session.now_ms()
            return Overview(
                counts=await self._counts(session),
                findings=len(await session.findings(FINDINGS_MOST)),
                held=line.held if line is not None else None,
                held_at_ms=line.held_at_ms if line is not None and line.held is not None else None,
                worker_seen_s=max(0, now_ms - line.seen_at_ms) // 1000 if line is not None else None,
            )

    async def counts(self) -> dict[str, int]:
        """What there is by state, as in an :class:`Overview`."""
        async with self._session() as session:
            return await self._counts(session)

    async def starts(self, state: Listed, limit: int = 100) -> list[Start]:
        """Workflows of one state, newest first; stopped ones longest stopped first."""
        async with self._session() as session:
            return await (session.stopped(None, limit) if state == "stopped" else session.starts(state, limit))

    async def start(self, id: str) -> Start | None:
        """The workflow of this id; ``None`` if there is none."""
        async with self._session() as session:
            return await session.find_start(id)

    async def receipts(self, id: str) -> list[Receipt]:
        """Every receipt of the workflow of this id, oldest first."""
        async with self._session() as session:
            return await session.receipts_of(id)

    async def attempts(self, key: str) -> list[Receipt]:
        """Every attempt of an effect's or a write's key, first attempt first."""
        async with self._session() as session:
            return await session.receipts_by_key(key)

    async def reversals(self, receipt: Receipt) -> list[StoredReversal]:
        """What was taken back of what an effect has done, in the order in which it was stored."""
        async with self._session() as session:
            return await self._reversals.of(session, receipt)

    async def references(self, receipt: Receipt) -> dict[str, str]:
        """By what ids its provider knows what an effect has made, by kind: ``payment_intent``, ``refund``."""
        async with self._session() as session:
            return await session.references_of(receipt.key, receipt.attempt)

    async def unhandled(self, limit: int = 100) -> list[StoredReversal]:
        """What was taken back, and nobody has dealt with, in no order: no handler is there, or it fails."""
        async with self._session() as session:
            return await self._reversals.unhandled(session, "", limit)

    def reversal_error(self, reversal: StoredReversal) -> dict[str, str] | None:
        """Why its ``on_reversal`` failed last: ``reason``, and ``at``, where in the user's code; ``None``: it did not.

        Raises:
            WrongEncryptor: if that is encrypted, and not with what this app has.
        """
        return self._reversals.error_of(reversal)

    async def unsettled(self, state: Unsettled, limit: int = 100) -> list[Receipt]:
        """Effects that have not succeeded, of one state, oldest first."""
        async with self._session() as session:
            return await session.unsettled(state, None, 0, limit)

    async def findings(self, limit: int = 100, *, closed: bool = False) -> list[Finding]:
        """Open findings, newest first; with ``closed`` those that were closed, too."""
        async with self._session() as session:
            return await session.findings(limit, closed=closed)

    async def audits(self, subject: str | None = None, limit: int = 100) -> list[Audit]:
        """Who has changed what and why, newest first; of all, or of one workflow's id or effect's key."""
        async with self._session() as session:
            return await session.audits(subject, limit)

    def reveal(self, text: str) -> Any:
        """Return what a row's ``arguments``, ``request``, ``frozen``, ``result`` or ``reply`` says, as JSON builtins.

        In the record, and in the rows that this class returns, these texts are encrypted if the app has an encryptor.
        They may hold personal data, so a program that shows a row leaves them out unless they are asked for.

        Raises:
            WrongEncryptor: if the text is encrypted, and not with what this app has.
        """
        return codec.decode(self._runtime.unseal(text))

    def marker(self, receipt: Receipt) -> str | None:
        """What a call of an effect leaves at its provider, to be found by; ``None`` if the app has no such effect."""
        effect = self._registered.effects.get(receipt.function)
        if effect is None:
            return None
        return identity.marker(self._runtime.app, receipt.key, receipt.attempt, effect.provider.key_limit)

    async def check_ledger(self, provided_as: Any = Ledger) -> list[LedgerFinding]:
        """Add up the ledger that is provided, and compare it with the receipts of the transfers that go to it.

        All of it is read. What is made meanwhile can show as a finding: look twice, or when no worker works.

        Args:
            provided_as: what the ledger is provided under, if an app has more than one.

        Raises:
            MissingDependency: if the app provides no such ledger.
            LedgerUnavailable: if it cannot be reached.
        """
        self._runtime.owned.check()
        with self._reaching():
            return (await add_up(self._runtime, self._registered, provided_as)).findings

    def under_way(self) -> list[str]:
        """What this process runs now, as a worker: each workflow, with the steps that it is in. Asks nothing."""
        return self._runtime.under_way()

    async def _counts(self, session: Session[Any]) -> dict[str, int]:
        return await session.counts() | await self._reversals.counts(session)

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[Session[Any]]:
        self._runtime.owned.check()
        with self._reaching():
            async with self._runtime.record.session() as session:
                yield session

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        """Say in our own words that the record is out of reach."""
        record = self._runtime.record
        try:
            yield
        except RecordfirstError:
            raise
        except Exception as error:
            if fault_of(record, error) != "unreachable":
                raise
            raise RecordUnavailable(record.where, safe_text(error)) from error
