"""What providers have, against receipts: what is there and has no receipt, what has a receipt and is not there, and
amounts and currencies that differ.

Time is walked in windows, each compared both ways: memory holds the markers of one window, and a window with too many
is made smaller. Where a round has come to is kept, so another goes on there. What was found earlier, in time that is
no longer walked, is looked at by itself, and stays open until it is gone. It costs what there is, so it runs only
when it is named. A finding changes nothing: money is for an operator.

Not seen: what a provider has under a marker whose end was cut off as too long, and no receipt (it cannot be told whose
it is); and what was collected by ``recordfirst gc``, which must keep more than is audited.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from recordfirst.core import codec, identity
from recordfirst.core.finding import Finding, NewFinding
from recordfirst.core.receipt import Receipt
from recordfirst.core.reversal import Reversal
from recordfirst.errors import NotDone
from recordfirst.execution.late import subject_of
from recordfirst.execution.reversals import Reversals
from recordfirst.providers.contract import Item, Listing, describe
from recordfirst.reconcile.contract import PAGE, Discrepancy, Page, PassContext
from recordfirst.steps.effect import Effect

WINDOW_MS = 7 * 86_400_000
"""So far back without ``--since``."""
_STEP_MS = 3_600_000
_LEAST_MS = 1_000
_ITEMS = 20_000
"""Most of a provider's items that are held at once, as markers."""
_SETTLING_MS = 120_000
"""What is younger is still on its way on one side or the other."""
_SLACK_MS = 120_000
"""Clocks differ, and a call may be under way for longer than its intent's second."""
_TRIES = 5
_KNOWN = 10_000

_ORPHAN, _MISSING, _DIFFERS, _REVERSED, _INCOMPLETE = (
    "RF-ORPHAN-EFFECT", "RF-EFFECT-MISSING", "RF-EFFECT-DIFFERS", "RF-EFFECT-REVERSED", "RF-AUDIT-INCOMPLETE",
)  # fmt: skip


type _Known = tuple[Item, tuple[str, int]]
"""Something that a provider has, with key and attempt of the receipt that is of it."""


class ReceiptRow(NamedTuple):
    """What is compared of a receipt."""

    key: str
    attempt: int
    workflow: str
    state: str
    function: str
    result: str | None
    created_at_ms: int
    settled_at_ms: int | None
    has_reversals: bool

    @property
    def subject(self) -> str:
        return self.key if self.attempt == 1 else f"{self.key}#{self.attempt}"


class Providers:
    """Effects of providers that can list."""

    name = "providers"
    codes: tuple[str, ...] = (_ORPHAN, _MISSING, _DIFFERS, _REVERSED, _INCOMPLETE)
    full_scan = True
    dated = True

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Compare window after window, for each listing."""
        async with scope.runtime.record.session() as session:
            now_ms = await session.now_ms()
            known = [each for each in await session.findings(_KNOWN) if each.code in self.codes]
        start_ms = scope.since_ms or now_ms - WINDOW_MS
        at, begin_ms = (int(part) for part in position.split()) if position is not None else (0, start_ms)
        told: set[tuple[str, int]] = set()
        for number, (listing, effects) in enumerate(_listings(scope.registered.effects.values())):
            if number < at:
                continue
            audit = _Audit(scope, listing, effects, told)
            since_ms = begin_ms if number == at else start_ms
            until_ms = now_ms - _SETTLING_MS - max(effect.guarantee.lag_ms for effect in effects)
            try:
                yield Page(await audit.again(known, start_ms), len(known), f"{number} {since_ms}")
                async for discrepancies, looked, come_to_ms in audit.windows(since_ms, until_ms):
                    since_ms = come_to_ms
                    yield Page(discrepancies, looked, f"{number} {since_ms}")
            except _Unlisted as error:
                finding = NewFinding(code=_INCOMPLETE, subject=listing.name, detail=f"since {_time(since_ms)}: {error}")
                kept = [Discrepancy(_same(each)) for each in known if each.code != _INCOMPLETE]
                yield Page([Discrepancy(finding), *kept], 0, f"{number} {since_ms}")


def _listings(effects: Iterable[Effect[..., Any]]) -> list[tuple[Listing, list[Effect[..., Any]]]]:
    found: dict[str, tuple[Listing, list[Effect[..., Any]]]] = {}
    for effect in sorted(effects, key=lambda each: each.name):
        listing = effect.provider.listing
        if listing is not None:
            found.setdefault(listing.name, (listing, []))[1].append(effect)
    return [found[name] for name in sorted(found)]


class _Unlisted(Exception):  # noqa: N818 - control flow inside this module
    """The provider does not list."""


class _TooMany(Exception):  # noqa: N818 - control flow inside this module
    """A window must be smaller."""


class _Audit:
    """One listing against the receipts of its effects."""

    def __init__(
        self,
        scope: PassContext,
        listing: Listing,
        effects: Sequence[Effect[..., Any]],
        told: set[tuple[str, int]],
    ) -> None:
        """``told``: receipts whose reversals were asked for in this round, which another listing shows, too."""
        self._runtime, self._listing, self._told = scope.runtime, listing, told
        self._reversals = Reversals(scope.runtime, scope.registered.effects)
        self._effects = {effect.name: effect for effect in effects}
        self._sql = scope.runtime.record.statements_of(__name__)
        self._prefix = identity.marker(scope.runtime.app, "", 1, 1 << 16)

    async def windows(self, since_ms: int, until_ms: int) -> AsyncIterator[tuple[list[Discrepancy], int, int]]:
        """Compare what lies between; yield with where it has come to."""
        step_ms = _STEP_MS
        while since_ms < until_ms:
            before_ms = min(since_ms + step_ms, until_ms)
            try:
                discrepancies, looked = await self._window(since_ms, before_ms)
            except _TooMany:
                step_ms = max(step_ms // 2, _LEAST_MS)
                continue
            since_ms, step_ms = before_ms, min(2 * step_ms, _STEP_MS)
            yield discrepancies, looked, since_ms

    async def _window(self, since_ms: int, before_ms: int) -> tuple[list[Discrepancy], int]:
        discrepancies: list[Discrepancy] = []
        markers: set[str] = set()
        named: set[tuple[str, int]] = set()
        looked = 0
        async for items in self._items(since_ms - _SLACK_MS, before_ms + _SLACK_MS):
            markers |= {str(item.marker) for item in items if item.stands and self._is_marked(item)}
            known = await self._known(items)
            named |= {key for item, key in known if item.stands}
            if len(markers) + len(named) > _ITEMS and before_ms - since_ms > _LEAST_MS:
                raise _TooMany
            looked += len(items)
            inside = [(item, key) for item, key in known if since_ms <= item.at_ms < before_ms]
            discrepancies += await self._without_receipt([each for each in inside if each[0].stands])
            discrepancies += await self._failed([each for each in inside if not each[0].stands], named)
            mine = {item.id for item, _ in known}
            others = [i for i in items if i.id not in mine and not self._is_marked(i) and i.stands]
            discrepancies += await self._reversed([i for i in others if since_ms <= i.at_ms < before_ms])
        behind = ("", 0)
        while rows := await self._succeeded(since_ms, before_ms, behind):
            behind = (rows[-1].key, rows[-1].attempt)
            looked += len(rows)
            for row in rows:
                if self._marker(row) not in markers and (row.key, row.attempt) not in named:
                    discrepancies += await self._alone(row)
        return discrepancies, looked

    # ── the provider ────────────────────────────────────────────────────────

    async def _items(self, since_ms: int, before_ms: int) -> AsyncIterator[list[Item]]:
        client = await self._runtime.injector.get(self._listing.client)
        after: str | None = None
        while True:
            items, after = await self._patiently(partial(self._listing.page, client, since_ms, before_ms, after))
            yield items
            if after is None:
                return
            await self._runtime.sleeper(1 / self._listing.pages_per_s)

    async def _patiently[T](self, ask: Callable[[], Awaitable[T]]) -> T:
        provider = next(iter(self._effects.values())).provider
        for tried in range(1, _TRIES + 1):
            try:
                return await ask()
            except Exception as error:
                verdict = provider.classify(error)
                if tried == _TRIES or not isinstance(verdict, NotDone):
                    raise _Unlisted(describe(error)) from error
                await self._runtime.sleeper((verdict.retry_after_ms or 1000 * tried) / 1000)
        raise AssertionError

    # ── the record ──────────────────────────────────────────────────────────

    async def _find(self, keys: Sequence[tuple[str, int]]) -> dict[tuple[str, int], ReceiptRow]:
        rows = [{"key": key, "attempt": attempt} for key, attempt in keys]
        async with self._runtime.record.session() as session:
            found = [ReceiptRow(*row) for row in await session.run_many(self._sql["by_key"], rows)]
        return {(row.key, row.attempt): row for row in found}

    async def _succeeded(self, since_ms: int, before_ms: int, behind: tuple[str, int]) -> list[ReceiptRow]:
        functions = [{"function": name} for name in self._effects]
        between = {"since_ms": since_ms, "before_ms": before_ms, "limit": PAGE}
        async with self._runtime.record.session() as session:
            found = await session.run_many(
                self._sql["succeeded"], functions, **between, key=behind[0], after_attempt=behind[1]
            )
        return [ReceiptRow(*row) for row in found]

    async def _referred(self, ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
        """Whose receipts refer to what the provider has under these ids."""
        found: dict[str, list[tuple[str, int]]] = {}
        async with self._runtime.record.session() as session:
            for id, key, attempt in await session.run_many(self._sql["by_id"], [{"id": id} for id in ids]):
                found.setdefault(str(id), []).append((str(key), int(attempt)))
        return found

    async def _known(self, items: Sequence[Item]) -> list[_Known]:
        """Those that a call has made, with key and attempt: by its marker, or by the id that its receipt refers to."""
        marked = [(item, identity.parse_marker(self._runtime.app, item.marker or "")) for item in items]
        known = [(item, key) for item, key in marked if key is not None]
        bare = [item for item in items if not self._is_marked(item)]
        referred = await self._referred([item.id for item in bare])
        rows = await self._find(sorted({key for keys in referred.values() for key in keys})) if referred else {}
        own = {key for key, row in rows.items() if row.function in self._effects}
        return known + [(item, key) for item in bare for key in referred.get(item.id, []) if key in own]

    def _is_marked(self, item: Item) -> bool:
        return item.marker is not None and item.marker.startswith(self._prefix)

    def _marker(self, row: ReceiptRow) -> str:
        return identity.marker(self._runtime.app, row.key, row.attempt, self._effects[row.function].provider.key_limit)

    # ── comparing ───────────────────────────────────────────────────────────

    async def _without_receipt(self, items: Sequence[_Known]) -> list[Discrepancy]:
        """What these say that their receipts do not."""
        rows = await self._find(sorted({key for _, key in items})) if items else {}
        discrepancies = []
        for item, (key, attempt) in items:
            row = rows.get((key, attempt))
            if row is None:
                subject = key if attempt == 1 else f"{key}#{attempt}"
                discrepancies.append(
                    _discrepancy(_ORPHAN, subject, item.at_ms, f"{_told(item)}, and there is no receipt")
                )
            elif what := self._difference(row, item):
                discrepancies.append(_discrepancy(_DIFFERS, row.subject, item.at_ms, what, row.workflow))
            elif item.refunded_minor or item.disputed or row.has_reversals:
                discrepancies += await self._taken_back((key, attempt)) or []
        return discrepancies

    async def _failed(self, items: Sequence[_Known], named: set[tuple[str, int]]) -> list[Discrepancy]:
        """What does not stand: a refund that failed after it had succeeded, say. Its receipt has something there."""
        rows = await self._find(sorted({key for _, key in items})) if items else {}
        discrepancies = []
        for _, key in items:
            row = rows.get(key)
            if row is not None and row.state == "succeeded" and row.function in self._effects:
                found = await self._taken_back(key) or []
                if found or row.has_reversals:
                    named.add(key)
                discrepancies += found
        return discrepancies

    async def _reversed(self, items: list[Item]) -> list[Discrepancy]:
        """What takes back what calls of this app have made, and was not made by any."""
        ids = await self._referred(sorted({item.reverses_id for item in items if item.reverses_id is not None}))
        by_key: dict[tuple[str, int], list[Item]] = {}
        for item in items:
            marked = identity.parse_marker(self._runtime.app, item.reverses or "")
            for named in [marked] if marked is not None else ids.get(item.reverses_id or "", []):
                by_key.setdefault(named, []).append(item)
        discrepancies = []
        for (key, attempt), taken in by_key.items():
            found = await self._taken_back((key, attempt))
            if found is None:
                subject = key if attempt == 1 else f"{key}#{attempt}"
                what = f"{', '.join(map(_told, taken))}, which takes it back, and no call of this app has made that"
                found = [_discrepancy(_REVERSED, subject, taken[0].at_ms, what)]
            discrepancies += found
        return discrepancies

    async def _taken_back(self, key: tuple[str, int]) -> list[Discrepancy] | None:
        """What the provider has that takes this back, and the record does not know; and the other way round. ``None``:
        it cannot be asked.
        """
        if key in self._told:
            return []
        self._told.add(key)
        async with self._runtime.record.session() as session:
            receipt = (await session.find_receipt(*key)).receipt
        compared = await self._patiently(partial(self._reversals.compared, receipt)) if receipt is not None else None
        if compared is None:
            return None
        owner, (new, differs) = compared.owner, compared.comparison
        subject, discrepancies = subject_of(owner), []
        if new:
            what = ", ".join(each.told for each in new)
            finding = _found(_REVERSED, subject, new[0].at_ms, f"the provider says: {what}", owner.workflow)
            discrepancies.append(Discrepancy(finding, partial(self._store, owner, new)))
        if differs:
            at_ms = owner.settled_at_ms or owner.created_at_ms
            discrepancies.append(_discrepancy(_DIFFERS, subject, at_ms, "; ".join(differs), owner.workflow))
        return discrepancies

    async def _store(self, receipt: Receipt, new: Sequence[Reversal]) -> str | None:
        for each in new:
            await self._reversals.store(receipt, each, "reconcile")
        return f"stored: {', '.join(each.told for each in new)}"

    def _difference(self, row: ReceiptRow, item: Item) -> str | None:
        if row.state == "declined":
            return f"{_told(item)}, and the receipt says declined"
        if row.state != "succeeded" or row.result is None:
            return None  # it is not settled: other passes look at it
        result = codec.decode(self._runtime.unseal(row.result))
        if not isinstance(result, dict):
            return None
        names = [name for name in ("id", "amount_minor", "currency") if result.get(name) is not None]
        wrong = [name for name in names if getattr(item, name) not in (None, result[name])]
        both = ", ".join(f"{name} {getattr(item, name)!r}, not {result[name]!r}" for name in wrong)
        return f"{_told(item)}; it differs from the receipt in {both}" if wrong else None

    async def _alone(self, row: ReceiptRow) -> list[Discrepancy]:
        """A receipt that its window has nothing for: it may have been called later than it was intended."""
        marker, until_ms = self._marker(row), (row.settled_at_ms or row.created_at_ms) + _SLACK_MS
        async with self._runtime.record.session() as session:
            ids = set((await session.references_of(row.key, row.attempt)).values())
        async for items in self._items(row.created_at_ms - _SLACK_MS, until_ms):
            if any((item.marker == marker or item.id in ids) and item.stands for item in items):
                return []
        told = f"the receipt says succeeded, and {self._listing.name} have nothing of it"
        return [_discrepancy(_MISSING, row.subject, row.created_at_ms, told, row.workflow)]

    async def again(self, known: Sequence[Finding], start_ms: int) -> list[Discrepancy]:
        """What was found in time that is no longer walked, if it is still so."""
        discrepancies = []
        for each in known:
            if _at_ms(each) >= start_ms or each.code == _INCOMPLETE:
                continue
            row = await self._of(each.subject)
            if each.code == _ORPHAN and row is not None:
                continue
            if each.code == _REVERSED and row is not None:
                found = await self._taken_back((row.key, row.attempt))
                discrepancies += [Discrepancy(_same(each))] if found is None else found
            elif row is not None and row.function not in self._effects:
                discrepancies.append(Discrepancy(_same(each)))
            elif each.code == _MISSING and row is not None:
                discrepancies += await self._alone(row)
            else:
                discrepancies.append(Discrepancy(_same(each)))
        return discrepancies

    async def _of(self, subject: str) -> ReceiptRow | None:
        """The receipt that a finding is about. A key may end as the name of a further attempt does: ``order-#5``."""
        key, _, attempt = subject.rpartition("#")
        named = [(subject, 1)] + ([(key, int(attempt))] if key and attempt.isdecimal() else [])
        rows = await self._find(named)
        return next((rows[each] for each in named if each in rows), None)


def _told(item: Item) -> str:
    amount = f" of {item.amount_minor} {item.currency}" if item.amount_minor is not None else ""
    return f"the provider has {item.id}{amount}"


def _discrepancy(code: str, subject: str, at_ms: int, detail: str, workflow: str | None = None) -> Discrepancy:
    return Discrepancy(_found(code, subject, at_ms, detail, workflow))


def _found(code: str, subject: str, at_ms: int, detail: str, workflow: str | None) -> NewFinding:
    return NewFinding(code=code, subject=subject, workflow=workflow, detail=f"{_time(at_ms)}: {detail}")


def _same(finding: Finding) -> NewFinding:
    return NewFinding(code=finding.code, subject=finding.subject, workflow=finding.workflow, detail=finding.detail)


def _time(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).isoformat(timespec="seconds")


def _at_ms(finding: Finding) -> int:
    """When what was found was made: it stands at the beginning of the detail."""
    try:
        at = dt.datetime.fromisoformat(finding.detail.split(": ", 1)[0])
    except ValueError:
        return 0
    return int(at.timestamp() * 1000)


__all__ = ["WINDOW_MS", "Providers"]
