"""The names of requests: the same as in the other worlds, with a count. Pure.

Two runs in real time are never the same, so the number of a point would differ. Instead, ``COMMIT#3`` is the third
COMMIT of a process, whatever else happened before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

import msgspec

from recordfirst.explore.runs.schedule import Boundary
from recordfirst.explore.worlds.real.proxies.wire import Asked
from recordfirst.records import statements

_SILENT = re.compile(
    r"\s*(SET |DO \$\$ BEGIN PERFORM pg_advisory|SELECT pg_(try_)?advisory|SELECT NOT pg_try_advisory|LISTEN|"
    r"SELECT set_config|ROLLBACK|;?\s*$|SELECT resonate\.process_timeouts|"
    r"SELECT task_id, version FROM resonate\.dequeue|SELECT promise::text FROM resonate\.dequeue)"
)
"""Requests that are no points, or are repeated as long as a worker lives: leases, notifications, deliveries."""
_ENDS = re.compile(r"^(BEGIN)\b|(?:^|;)(COMMIT)\b")
"""The message that begins or ends a transaction has other statements, too; see ``records/postgres/lent.py``."""
APART = frozenset({"begin_timeline", "announce_mark", "confirm_mark", "alive", "dispatched", "save_pass"})
"""Statements that change nothing which is observed."""
_RPC_OF_MANY = "SELECT resonate.resonate_rpc(request"
_RPC = "SELECT resonate.resonate_rpc($1"
_MODIFIES = re.compile(r"\b(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_NAMED = re.compile(r"%\((\w+)\)s")
_SHOWN = 60
_WORDS = 3


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A request, with its name for an operator."""

    boundary: Boundary
    name: str
    detail: str = ""
    modifies: bool = False


def of_statement(asked: Asked) -> Named | None:
    """Name a request to Postgres; ``None`` if it is no point."""
    if _SILENT.match(asked.text):
        return None
    if ended := _ENDS.search(asked.text):
        return Named(boundary="record", name=ended[1] or ended[2])
    known = _known().get(asked.text)
    if known is not None:
        name, order = known
        given = {each: _shown(value) for each, value in zip(order, asked.params, strict=False) if value}
        detail = " ".join(given[each] for each in ("key", "id", "state", "function") if each in given)
        return Named(boundary="record", name=name, detail=detail, modifies=_modifies(asked.text))
    if asked.text.startswith(_RPC) and asked.params:
        return of_engine(asked.params[0] or b"{}")
    detail = ", ".join(_shown(value) for value in asked.params if value is not None)[:120]
    name = "ask_engine" if asked.text.startswith(_RPC_OF_MANY) else " ".join(asked.text.split())[:_SHOWN]
    return Named(boundary="record", name=name, detail=detail, modifies=_modifies(asked.text))


class _Target(msgspec.Struct):
    id: str = ""


class _Action(msgspec.Struct):
    kind: str = ""
    data: _Target | None = None


class _Data(msgspec.Struct, frozen=True):
    id: str = ""
    action: _Action | None = None


class _Request(msgspec.Struct):
    kind: str = "engine"
    data: _Data = _Data()


def of_engine(body: bytes) -> Named:
    """Name a request of Resonate's protocol."""
    try:
        request = msgspec.json.decode(body, type=_Request)
    except msgspec.MsgspecError:
        return Named(boundary="engine", name="request")
    action = request.data.action
    if action is None:
        return Named(boundary="engine", name=request.kind, detail=request.data.id)
    about = action.data.id if action.data is not None else request.data.id
    return Named(boundary="engine", name=f"{request.kind} {action.kind}", detail=about)


def _shown(value: bytes) -> str:
    """A bound value as text, whether it was sent as text or as the bytes of a number."""
    if value.isascii() and value.decode().isprintable():
        return value.decode()
    return str(int.from_bytes(value, signed=True)) if len(value) in (2, 4, 8) else value.decode(errors="replace")


def stem(name: str) -> str:
    """A point's name in a schedule, without its count: its first words, as one word."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", " ".join(name.split()[:_WORDS])).strip("-")


def _modifies(text: str) -> bool:
    return _MODIFIES.search(text) is not None


@cache
def _known() -> Mapping[str, tuple[str, Sequence[str]]]:
    """The record's own statements by their text on the wire, with the names of the bound values."""
    loaded = statements.load("recordfirst.records.postgres")
    return {_on_the_wire(text): (name, _order(text)) for name, text in loaded.items()}


def _order(text: str) -> list[str]:
    return list(dict.fromkeys(_NAMED.findall(text)))


def _on_the_wire(text: str) -> str:
    order = {name: f"${number}" for number, name in enumerate(_order(text), 1)}
    return _NAMED.sub(lambda found: order[found[1]], text).replace("%%", "%")
