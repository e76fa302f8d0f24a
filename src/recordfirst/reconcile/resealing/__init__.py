"""Rows that are in clear, or under an older key, brought under the encryptor's newest key, beside workers that work.

Kept: each row is changed only as it was read, so what others change meanwhile stays, and is looked at again. Killed at
any time, what was resealed stays, and another run finds what is left: a row itself says which key it is under. Lost:
nothing. What cannot be decrypted is left as it is, counted and named.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import msgspec

from recordfirst.core.finding import Audit
from recordfirst.errors import Misuse, WrongEncryptor
from recordfirst.execution.runtime import Runtime
from recordfirst.execution.sealing import Sealing
from recordfirst.records.contract import Session

_PAGE = 200
_PER_S = 2_000
"""Most rows that are looked at in a second."""
_ROUNDS = 3
"""How often what others have changed meanwhile is looked at again."""
_EXAMPLES = 20


class Table(NamedTuple):
    """What of a table is covered."""

    name: str
    identity: tuple[str, ...]
    values: tuple[str, ...]
    columns: tuple[str, ...]
    """What a page holds, in the order of its SELECT."""


TABLES = (
    Table(
        "start",
        ("id",),
        ("arguments", "result"),
        ("id", "arguments", "fingerprint", "result", "error", "state", "epoch", "min_epoch", "stop"),
    ),
    Table(
        "receipt",
        ("key", "attempt"),
        ("request", "frozen", "result", "reply"),
        ("key", "attempt", "request", "fingerprint", "frozen", "result", "reply", "error", "revision"),
    ),
    Table("projection", ("key",), ("request",), ("key", "request", "fingerprint", "version")),
    Table("event", ("hash",), ("body",), ("hash", "body", "error", "fingerprint")),
    Table("reversal", ("hash",), (), ("hash", "error", "fingerprint")),
)


class Resealing(msgspec.Struct, kw_only=True):
    """What was resealed, or would be."""

    looked: int = 0
    resealed: dict[str, int] = {}
    """Rows by table."""
    moved: int = 0
    """Rows that others have changed each time; another run looks at them."""
    unreadable: dict[str, str] = {}
    """Some of the rows that cannot be decrypted, with the reason."""
    left: int = 0
    """How many those are."""

    @property
    def told(self) -> str:
        """In words."""
        parts = ", ".join(f"{count:,} {name}s" for name, count in self.resealed.items()) or "nothing"
        return parts + (f"; {self.left:,} cannot be decrypted" if self.left else "")


class Stale(NamedTuple):
    """A row that is not covered as it would be now."""

    name: str
    row: dict[str, Any]
    new: dict[str, Any] | None
    """What it would be; ``None`` if it cannot be decrypted."""
    why: str = ""


async def reseal(
    runtime: Runtime, *, who: str, why: str | None, dry_run: bool, tell: Callable[[int], None]
) -> Resealing:
    """See ``App.reseal``."""
    if not runtime.sealing.on:
        raise Misuse(f"app {runtime.app!r} has no encryptor=: there is nothing to encrypt its rows with")
    done = Resealing()
    if not dry_run:
        await _reseal_keys(runtime)
    for table in TABLES:
        moved = 0
        for round in range(_ROUNDS):
            moved = await _reseal_table(runtime, table, done, dry_run=dry_run, again=round > 0, tell=tell)
            if not moved:
                break
        done.moved += moved
    if not dry_run and done.resealed:
        detail = f"{done.told} under key {runtime.sealing.key_id or '(without an id)'}"
        async with runtime.record.session() as session:
            await session.add_audit(Audit(who=who, command="reseal", subject=runtime.app, why=why, detail=detail))
    return done


async def _reseal_table(
    runtime: Runtime, table: Table, done: Resealing, *, dry_run: bool, again: bool, tell: Callable[[int], None]
) -> int:
    """Go through a table once; return how many rows have changed since they were read."""
    moved = 0
    async for looked, stale in pages(runtime, table):
        changes = [each for each in stale if each.new is not None]
        if not again:
            _note(done, table, looked, [each for each in stale if each.new is None])
        stored = len(changes) if dry_run else await _store(runtime, table, changes)
        moved += len(changes) - stored
        if stored:
            done.resealed[table.name] = done.resealed.get(table.name, 0) + stored
        tell(done.looked)
        await runtime.sleeper(looked / _PER_S)
    return moved


def _note(done: Resealing, table: Table, looked: int, unreadable: list[Stale]) -> None:
    done.looked += looked
    done.left += len(unreadable)
    for each in unreadable[: _EXAMPLES - len(done.unreadable)]:
        done.unreadable[f"{table.name} {each.name}"] = each.why


async def pages(runtime: Runtime, table: Table) -> AsyncIterator[tuple[int, list[Stale]]]:
    """Read a table page by page: how many rows each has, and which of them are not covered as they would be now."""
    sql = runtime.record.statements_of(_PACKAGE)[f"{table.name}s"]
    behind: dict[str, Any] = {"after": "", "limit": _PAGE}
    if "attempt" in table.identity:
        behind["after_attempt"] = 0
    while True:
        async with runtime.record.session() as session:
            rows = [dict(zip(table.columns, row, strict=True)) for row in await session.run(sql, **behind)]
        if not rows:
            return
        behind["after"] = rows[-1][table.identity[0]]
        if "attempt" in table.identity:
            behind["after_attempt"] = rows[-1]["attempt"]
        yield len(rows), [stale for row in rows if (stale := _stale(runtime.sealing, table, row)) is not None]


def _stale(sealing: Sealing, table: Table, row: dict[str, Any]) -> Stale | None:
    name = "#".join(str(row[column]) for column in table.identity)
    values = () if row.get("state") == "collected" else table.values
    kept = row.get("state") != "collected"
    errors = [name for name in ("error", "stop") if kept and row.get(name) is not None]
    keyed = ":" in row["fingerprint"]
    if keyed and all(sealing.is_current(row[column]) for column in (*values, *errors)):
        return None
    new = dict(row)
    try:
        for column in values:
            new[column] = None if row[column] is None else sealing.seal(sealing.unseal(row[column]))
        for column in errors:
            new[column] = sealing.seal_error(sealing.unseal_error(row[column], strictly=True))
    except WrongEncryptor as wrong:
        return Stale(name, row, None, wrong.cause)
    new["fingerprint"] = row["fingerprint"] if keyed else sealing.rekeyed(row["fingerprint"])
    return Stale(name, row, new)


async def _store(runtime: Runtime, table: Table, changes: list[Stale]) -> int:
    """Store a page of rows in one transaction; return how many were as they had been read."""
    sql = runtime.record.statements_of(_PACKAGE)[f"reseal_{table.name}"]

    async def store() -> int:
        async with runtime.record.transaction() as tx:
            return sum([await _stored(tx, sql, each) for each in changes])

    return await runtime.patiently(f"resealing of {table.name}s", store, release=False) if changes else 0


async def _stored(tx: Session[Any], sql: str, stale: Stale) -> bool:
    return bool(await tx.run(sql, **(stale.new or {}), was=stale.row["fingerprint"]))


async def _reseal_keys(runtime: Runtime) -> None:
    sql, sealing = runtime.record.statements_of(_PACKAGE), runtime.sealing
    async with runtime.record.session() as session:
        for id, sealed in await session.run(runtime.record.statements_of(Sealing.__module__)["keys"]):
            if not sealing.is_current(sealed):
                await session.run(sql["change_key"], id=id, was=sealed, sealed=sealing.seal(sealing.unseal(sealed)))


_PACKAGE = __package__ or ""
