"""How a statement is run on one connection of a record that speaks SQL, for one app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from recordfirst.core.receipt import Receipt
from recordfirst.records.contract import Cover
from recordfirst.records.statements import Statements

type Row = tuple[Any, ...]
type Params = Mapping[str, Any]

_RECEIPT = Receipt.__struct_fields__
_REPLAYED = _RECEIPT.index("replayed")
_ERRORS = ("error", "stop")
"""Parameters that hold the text of an error."""


class Dialect(Protocol):
    """What a product adapts."""

    async def run(self, sql: str, params: Params) -> list[Row]:
        """Execute a statement and return its rows, if it has any."""

    def pack(self, rows: Sequence[Params]) -> Params:
        """Make one statement's parameters of many rows, all with the same names."""

    def promise(self, number: int) -> None:
        """See :meth:`recordfirst.records.contract.Session.promise`."""

    async def promised(self) -> set[int]:
        """See :meth:`recordfirst.records.contract.Session.promised`."""


class OneConnection:
    """Statements on one connection, for one app."""

    def __init__(
        self,
        dialect: Dialect,
        statements: Statements,
        app: str,
        seen_mark: tuple[str, int, int] | None,
        cover: Cover | None = None,
    ) -> None:
        self._dialect = dialect
        self._sql = statements
        self._app = app
        self._cover = cover
        engine, generation, number = seen_mark or (None, 0, 0)
        self._seen = {"mark_engine": engine, "mark_generation": generation, "mark_number": number}

    async def _rows(self, sql: str, **params: Any) -> list[Row]:
        params["app"] = self._app
        if self._cover is None:
            return await self._dialect.run(sql, params)
        unseal = self._cover.unseal_error
        found = await self._dialect.run(sql, self._covered(params))
        return [tuple(unseal(cell) if isinstance(cell, str) else cell for cell in row) for row in found]

    async def _many(self, sql: str, rows: Sequence[Params]) -> list[Row]:
        return await self._rows(sql, **self._dialect.pack(list(map(self._covered, rows)))) if rows else []

    def _covered(self, params: Params) -> Params:
        """The texts of errors among a statement's parameters, as they are stored."""
        if self._cover is None:
            return params
        errors = {name: params[name] for name in _ERRORS if isinstance(params.get(name), str)}
        return {**params, **{name: self._cover.seal_error(text) for name, text in errors.items()}}


def receipt_of(row: Sequence[Any]) -> Receipt:
    """The receipt in a row of its columns."""
    fields = dict(zip(_RECEIPT, row, strict=True))
    fields["replayed"] = bool(row[_REPLAYED])
    return Receipt(**fields)
