"""A ledger from its URL, as the command line is given it."""

from __future__ import annotations

from typing import Any

from recordfirst.core.text import shown
from recordfirst.errors import Misuse
from recordfirst.ledgers.contract import Ledger
from recordfirst.ledgers.sql import SqlLedger
from recordfirst.records.contract import Record

_SCHEME = "tigerbeetle://"


def ledger_from_url(url: str | None, record: Record[Any]) -> Ledger:
    """Return the ledger in ``record`` if no URL is given, or TigerBeetle: ``tigerbeetle://ADDRESSES/CLUSTER``.

    Raises:
        Misuse: if the URL cannot be read.
    """
    if url is None:
        return SqlLedger(record)
    addresses, _, cluster = url.removeprefix(_SCHEME).partition("/")
    if not url.startswith(_SCHEME) or not addresses or not (cluster.isdigit() or not cluster):
        raise Misuse(
            f"{shown(url)} names no ledger; write tigerbeetle://3000 or tigerbeetle://10.0.0.1:3000,10.0.0.2:3000/0"
        )
    from recordfirst.ledgers.tigerbeetle import TigerBeetle  # noqa: PLC0415 - its client is an extra

    return TigerBeetle(addresses, cluster=int(cluster or 0))
