"""recordfirst's statements on one connection: one implementation for every record that speaks SQL.

Products differ in their ``.sql`` files and in the two hooks of :class:`Dialect`; nothing here asks which one it is.
Each method is one statement when nothing stands in its way; the second looks that some take are reads of rows that
are never deleted, so what they find cannot be undone in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from recordfirst.core import identity
from recordfirst.core.codec import told
from recordfirst.core.finding import Audit, Finding, NewFinding, PassState
from recordfirst.core.projection import NewProjection, Projection
from recordfirst.core.receipt import After, Change, Intended, NewReceipt, Receipt, Seen, Undoing, Wake
from recordfirst.core.start import Finish, NewStart, Start
from recordfirst.core.text import masked
from recordfirst.core.timeline import Mark, Timeline
from recordfirst.records.contract import Cover
from recordfirst.records.one_connection import Dialect, OneConnection, Params, Row, receipt_of
from recordfirst.records.pending import PendingQueries
from recordfirst.records.statements import Statements

_START = Start.__struct_fields__
_FINDING = Finding.__struct_fields__
_TIMELINE = Timeline.__struct_fields__
_AUDIT = Audit.__struct_fields__
_PROJECTION = Projection.__struct_fields__


class _Reconciling(OneConnection):
    """What a reconcile looks at, and keeps."""

    async def open_starts(self, after: str | None, since_ms: int, limit: int) -> list[Start]:
        rows = await self._rows(self._sql.open_starts, after=after, since_ms=since_ms, limit=limit)
        return [_start(row) for row in rows]

    async def unsettled(self, state: str, after: tuple[str, int] | None, since_ms: int, limit: int) -> list[Receipt]:
        key, attempt = after or (None, None)
        rows = await self._rows(
            self._sql.unsettled, state=state, after=key, after_attempt=attempt, since_ms=since_ms, limit=limit
        )
        return [receipt_of(row) for row in rows]

    async def missing_indexes(self, names: Sequence[str]) -> list[str]:
        return [str(name) for [name] in await self._many(self._sql.missing_indexes, [{"name": name} for name in names])]

    async def new_epoch(self, starts: Sequence[Start]) -> list[str]:
        rows = await self._many(self._sql.new_epoch, [{"id": start.id, "epoch": start.epoch} for start in starts])
        return [str(id) for [id] in rows]

    async def saw_findings(self, found: Sequence[NewFinding], round: str) -> list[Finding]:
        # One statement cannot open and see again the same one, or what is the same as it can be stored.
        each = [_told(finding) | {"round": round} for finding in found]
        once = {(fields["subject"], fields["code"]): fields for fields in each}
        rows = await self._many(self._sql.saw_findings, [once[name] for name in sorted(once)])
        return [Finding(**dict(zip(_FINDING, row, strict=True))) for row in rows]

    async def close_findings(self, found: Sequence[NewFinding], because: str) -> None:
        rows = [{"code": each.code, "subject": told(each.subject), "because": told(because)} for each in found]
        await self._many(self._sql.close_findings, rows)

    async def close_unseen(self, codes: Sequence[str], round: str, since_ms: int | None = None) -> None:
        passed = [{"code": code, "round": round, "since_ms": since_ms} for code in codes]
        await self._many(self._sql.close_unseen, passed)

    async def open_finding(self, code: str, subject: str) -> Finding | None:
        rows = await self._rows(self._sql.open_finding, code=code, subject=told(subject))
        return Finding(**dict(zip(_FINDING, rows[0], strict=True))) if rows else None

    async def findings(self, limit: int, *, closed: bool = False) -> list[Finding]:
        rows = await self._rows(self._sql.findings, limit=limit, closed=closed)
        return [Finding(**dict(zip(_FINDING, row, strict=True))) for row in rows]

    async def find_pass(self, name: str) -> PassState | None:
        rows = await self._rows(self._sql.find_pass, name=name)
        return PassState(*rows[0]) if rows else None

    async def save_pass(self, name: str, round: str, position: str | None, *, finished: bool) -> None:
        await self._rows(self._sql.save_pass, name=name, round=round, position=position, finished=finished)

    async def add_audit(self, audit: Audit) -> None:
        await self._rows(self._sql.add_audit, **_told(audit))

    async def audits(self, subject: str | None, limit: int) -> list[Audit]:
        rows = await self._rows(self._sql.audits, subject=None if subject is None else told(subject), limit=limit)
        return [Audit(**dict(zip(_AUDIT, row, strict=True))) for row in rows]


class _Timelines(OneConnection):
    """By what a restore is noticed."""

    async def history_id(self) -> str | None:
        [row] = await self._rows(self._sql.may_ask_history)
        if not row[0]:
            return None
        [row] = await self._rows(self._sql.history_id)
        return None if row[0] is None else str(row[0])

    async def find_timeline(self) -> Timeline | None:
        rows = await self._rows(self._sql.find_timeline)
        return Timeline(**dict(zip(_TIMELINE, rows[0], strict=True))) if rows else None

    async def begin_timeline(self, record: str, history_id: str | None) -> None:
        await self._rows(self._sql.begin_timeline, record=record, history_id=history_id)

    async def alive(self) -> None:
        await self._rows(self._sql.alive)

    async def hold(self, code: str, restores: int) -> None:
        await self._rows(self._sql.hold, code=code, restores=restores)

    async def accept(self, history_id: str | None, doubt_ms: int) -> None:
        await self._rows(self._sql.accept, history_id=history_id, doubt_ms=doubt_ms)
        await self._rows(self._sql.doubt_all)
        await self._rows(self._sql.reset_marks)

    async def new_epochs(self, engine: str | None) -> list[str]:
        return [str(id) for [id] in await self._rows(self._sql.new_epochs, engine=engine)]

    async def find_mark(self, engine: str) -> Mark | None:
        rows = await self._rows(self._sql.find_mark, engine=engine)
        return (
            Mark(generation=rows[0][0], number=rows[0][1], token=rows[0][2], confirmed=bool(rows[0][3]))
            if rows
            else None
        )

    async def announce_mark(self, engine: str, seen: int, mark: Mark) -> None:
        new = {"generation": mark.generation, "number": mark.number, "token": mark.token}
        await self._rows(self._sql.announce_mark, engine=engine, seen=seen, **new)

    async def confirm_mark(self, engine: str, mark: Mark) -> None:
        await self._rows(self._sql.confirm_mark, engine=engine, number=mark.number, token=mark.token)


class _Projections(OneConnection):
    """What mirrors are to show, and how far they are."""

    async def next_version(self, new: NewProjection, above: int = 0) -> Projection:
        [row] = await self._rows(self._sql.next_version, **_fields(new), above=above)
        return _projection(row)

    async def projected(self, key: str, version: int) -> None:
        await self._rows(self._sql.projected, key=key, version=version)

    async def not_projected(self, key: str, error: str) -> int:
        rows = await self._rows(self._sql.not_projected, key=key, error=_kept(error))
        return int(rows[0][0]) if rows else 0

    async def find_projection(self, key: str) -> Projection | None:
        rows = await self._rows(self._sql.find_projection, key=key)
        return _projection(rows[0]) if rows else None

    async def open_projections(self, after: str, limit: int) -> list[Projection]:
        return [_projection(row) for row in await self._rows(self._sql.open_projections, after=after, limit=limit)]

    async def projections(self, after: str, limit: int) -> list[Projection]:
        return [_projection(row) for row in await self._rows(self._sql.projections, after=after, limit=limit)]

    async def done_by(self, function: str, after: tuple[str, int], limit: int) -> list[Receipt]:
        key, attempt = after
        rows = await self._rows(self._sql.done_by, function=function, after=key, after_attempt=attempt, limit=limit)
        return [receipt_of(row) for row in rows]


class SqlSession[C](_Reconciling, _Timelines, _Projections, PendingQueries):
    """The :class:`~recordfirst.records.contract.Session` of a SQL record."""

    def __init__(
        self,
        connection: C,
        dialect: Dialect,
        statements: Statements,
        app: str,
        seen_mark: tuple[str, int, int] | None = None,
        cover: Cover | None = None,
    ) -> None:
        super().__init__(dialect, statements, app, seen_mark, cover)
        self.connection = connection

    def promise(self, number: int) -> None:
        self._dialect.promise(number)

    async def promised(self) -> set[int]:
        return await self._dialect.promised()

    # ── receipts ────────────────────────────────────────────────────────────

    async def find_receipt(self, key: str, attempt: int = 1) -> Seen:
        [row] = await self._rows(self._sql.find_receipt, key=key, attempt=attempt)
        return Seen(receipt=receipt_of(row[1:]) if row[1] is not None else None, now_ms=row[0])

    async def add_receipts(self, receipts: Sequence[NewReceipt], *, epoch: int | None = None) -> list[tuple[str, int]]:
        if len(receipts) == 1:
            rows = await self._rows(self._sql.add_receipt, **_fields(receipts[0]), epoch=epoch)
        else:
            # In one order everywhere, so that two sets that overlap wait for each other and do not deadlock.
            ordered = sorted(receipts, key=lambda receipt: (receipt.key, receipt.attempt))
            rows = await self._many(self._sql.add_receipts, [_fields(receipt) for receipt in ordered])
        stored = {(str(key), int(attempt)) for key, attempt in rows}
        identities = dict.fromkeys((receipt.key, receipt.attempt) for receipt in receipts)
        return [identity for identity in identities if identity in stored]

    async def intend(
        self, intent: NewReceipt, *, after: After | None, claim: str, claim_ms: int, epoch: int | None = None
    ) -> Intended:
        begins = {"claim": claim, "claim_ms": claim_ms, "epoch": epoch} | _needs(after) | self._seen
        rows = await self._rows(self._sql.intend, **_fields(intent), **begins)
        if rows and rows[0][2] is not None:
            now_ms, inserted, *receipt = rows[0]
            return Intended(receipt=receipt_of(receipt), inserted=bool(inserted), now_ms=now_ms)
        # Not stored, and nothing seen. Either `after` has no receipt, or the key's receipt was committed while the
        # statement ran: then it is there now.
        seen = await self.find_receipt(intent.key, intent.attempt)
        return Intended(receipt=seen.receipt, inserted=False, now_ms=seen.now_ms)

    async def change_receipt(
        self, seen: Receipt, change: Change, *, epoch_of: tuple[str, int] | None = None, after: After | None = None
    ) -> Receipt | None:
        workflow, epoch = epoch_of or (None, None)
        identity = {"key": seen.key, "attempt": seen.attempt, "revision": seen.revision, "workflow": workflow}
        sql = self._sql.begin_call if change.begins_call else self._sql.change_receipt
        rows = await self._rows(sql, **identity, **_fields(change), epoch=epoch, **_needs(after), **self._seen)
        return receipt_of(rows[0]) if rows else None

    async def receipts_of(self, workflow: str) -> list[Receipt]:
        return [receipt_of(row) for row in await self._rows(self._sql.receipts_of, workflow=workflow)]

    async def receipts_by_key(self, key: str) -> list[Receipt]:
        return [receipt_of(row) for row in await self._rows(self._sql.receipts_by_key, key=key)]

    async def requests_of(
        self, workflow: str, kind: str, function: str, besides: str, fingerprint: str
    ) -> list[tuple[str, str]]:
        asked = {"workflow": workflow, "kind": kind, "function": function, "key": besides, "fingerprint": fingerprint}
        return [(key, request) for key, request in await self._rows(self._sql.requests_of, **asked)]

    async def begin_undo(self, undoing: Undoing, workflow: str) -> tuple[str, int]:
        await self._rows(self._sql.begin_undo, **undoing._asdict(), workflow=workflow)
        [[undoes, attempt]] = await self._rows(self._sql.undone_under, key=undoing.key, attempt=undoing.attempt)
        return undoes, attempt

    async def undoings_of(self, workflow: str) -> list[Undoing]:
        rows = await self._rows(self._sql.undoings_of, workflow=workflow)
        return [Undoing(*row) for row in rows]

    async def wakes(self, limit: int) -> list[Wake]:
        rows = await self._rows(self._sql.wakes, limit=limit)
        return [Wake(key=key, attempt=attempt, parked_on=promise) for key, attempt, promise in rows]

    async def woken(self, wakes: Sequence[Wake]) -> None:
        await self._many(self._sql.woken, [_fields(wake) for wake in wakes])

    # ── starts ──────────────────────────────────────────────────────────────

    async def add_starts(self, starts: Sequence[NewStart]) -> list[tuple[Start, bool]]:
        if len(starts) == 1:
            rows = await self._rows(self._sql.add_start, **_fields(starts[0]))
        else:
            ordered = sorted(starts, key=lambda start: start.id)
            rows = await self._many(self._sql.add_starts, [_fields(start) for start in ordered])
        new = {start.id: start for start in map(_start, rows)}
        missing = [*{start.id for start in starts} - new.keys()]
        known = new | {start.id: start for start in await self.find_starts(missing)}
        # An id that is given twice is new the first time.
        return [(known[start.id], new.pop(start.id, None) is not None) for start in starts]

    async def find_start(self, id: str) -> Start | None:
        found = await self.find_starts([id])
        return found[0] if found else None

    async def still_open(self, ids: Sequence[str]) -> set[str]:
        return {str(id) for [id] in await self._many(self._sql.still_open, [{"id": id} for id in ids])}

    async def lock_start(self, id: str) -> Start | None:
        rows = await self._rows(self._sql.lock_start, id=id)
        return _start(rows[0]) if rows else None

    async def end_epochs(self, id: str, *, undo: bool, error: str) -> Start | None:
        rows = await self._rows(self._sql.end_epochs, id=id, undo=undo, error=error)
        return _start(rows[0]) if rows else None

    async def unpark(self, workflow: str) -> None:
        await self._rows(self._sql.unpark, workflow=workflow, engine_id=identity.engine_id(self._app, workflow, 1))

    async def left_epochs(self, engine: str, limit: int) -> list[tuple[str, int]]:
        return [(id, epoch) for id, epoch in await self._rows(self._sql.left_epochs, engine=engine, limit=limit)]

    async def epochs_gone(self, epochs: Sequence[tuple[str, int]]) -> None:
        await self._many(self._sql.epochs_gone, [{"id": id, "min_epoch": epoch} for id, epoch in epochs])

    async def find_starts(self, ids: Sequence[str]) -> list[Start]:
        return [_start(row) for row in await self._many(self._sql.find_starts, [{"id": id} for id in ids])]

    async def undispatched(self, engine: str, limit: int) -> list[Start]:
        return [_start(row) for row in await self._rows(self._sql.undispatched, engine=engine, limit=limit)]

    async def dispatched(self, starts: Sequence[Start], engine: str) -> None:
        await self._many(
            self._sql.dispatched, [{"id": start.id, "epoch": start.epoch, "engine": engine} for start in starts]
        )

    async def finish(self, finishes: Sequence[Finish]) -> set[str]:
        rows = await self.run_many(
            self._sql.finish, [self._covered(_fields(finish)) for finish in finishes], **self._seen
        )
        return {str(id) for [id] in rows}

    async def reopen(self, id: str, *, again: str | None = None) -> Start | None:
        rows = await self._rows(self._sql.reopen, id=id, again=again)
        return _start(rows[0]) if rows else None

    async def stop(self, id: str, epoch: int, *, stop: str, version: str, failure: str | None = None) -> Start | None:
        rows = await self._rows(self._sql.stop, id=id, epoch=epoch, stop=stop, version=version, error=failure)
        return _start(rows[0]) if rows else None

    async def resume(self, id: str, epoch: int, *, forget: bool) -> Start | None:
        rows = await self._rows(self._sql.resume, id=id, epoch=epoch, forget=forget)
        return _start(rows[0]) if rows else None

    async def begin_try(self, id: str, epoch: int, *, below: int) -> int | None:
        rows = await self._rows(self._sql.begin_try, id=id, epoch=epoch, below=below)
        return int(rows[0][0]) if rows else None

    async def tries_over(self, ids: Sequence[str]) -> None:
        await self._many(self._sql.tries_over, [{"id": id} for id in ids])

    async def stopped(self, version: str | None, limit: int) -> list[Start]:
        return [_start(row) for row in await self._rows(self._sql.stopped, version=version, limit=limit)]

    async def starts(self, state: str | None, limit: int) -> list[Start]:
        return [_start(row) for row in await self._rows(self._sql.starts, state=state, limit=limit)]

    # ── the whole ───────────────────────────────────────────────────────────

    async def counts(self) -> dict[str, int]:
        """Count by state, zeros included. What is open costs what is open; what is finished is counted row by row."""
        return {str(name): int(count) for name, count in await self._rows(self._sql.counts)}

    async def now_ms(self) -> int:
        [row] = await self._rows(self._sql.now)
        return int(row[0])

    async def run(self, sql: str, **params: Any) -> list[Row]:
        return await self._dialect.run(sql, params | {"app": self._app})

    async def run_many(self, sql: str, rows: Sequence[Params], **params: Any) -> list[Row]:
        return await self.run(sql, **self._dialect.pack(rows), **params) if rows else []


_fields = msgspec.structs.asdict


def _needs(after: After | None) -> dict[str, str | None]:
    key, kind, function = (after.key, after.kind, after.function) if after is not None else (None, None, None)
    return {"after": key, "after_kind": kind, "after_function": function}


def _told(words: NewFinding | Audit) -> dict[str, Any]:
    """The fields of what holds somebody else's words."""
    return {name: _kept(value) if isinstance(value, str) else value for name, value in _fields(words).items()}


def _kept(text: str) -> str:
    return masked(told(text))


def _start(row: Sequence[Any]) -> Start:
    fields = dict(zip(_START, row, strict=True))
    fields["undo_only"] = bool(fields["undo_only"])
    return Start(**fields)


def _projection(row: Sequence[Any]) -> Projection:
    return Projection(**dict(zip(_PROJECTION, row, strict=True)))
