"""What PostgreSQL's answers mean for the record (P9): a table of SQLSTATEs, and nothing of the driver."""

from __future__ import annotations

import re

from recordfirst.records.contract import Fault

_CONTENTION = frozenset({
    "40001",  # serialization failure
    "40P01",  # deadlock
    "55P03",  # a lock is not available
})  # fmt: skip
_UNREACHABLE = frozenset({
    "25006",  # it takes no writes: it is a replica by now, or was set to only read
    "25P03", "25P04", "57P05",  # the server ended an idle session, or a long transaction
    "40003",  # nobody can tell if the statement was completed
    "XX001", "XX002",  # a table, or an index, is damaged
    "57P01", "57P02", "57P03",  # the server shuts down, has crashed, or cannot take connections yet
})  # fmt: skip
_UNREACHABLE_CLASSES = ("08", "53", "58")  # connection exceptions; nothing to spare; errors of the system below


def fault_of_state(sqlstate: str | None) -> Fault | None:
    """Return what a SQLSTATE says about the record; ``None``: it is about the user's statement."""
    if sqlstate is None:
        return None
    if sqlstate in _CONTENTION:
        return "contention"
    if sqlstate in _UNREACHABLE or sqlstate.startswith(_UNREACHABLE_CLASSES):
        return "unreachable"
    return None


def cause_of(message: str) -> str:
    """Return the cause alone, in one line, of libpq's many lines about a failed connection."""
    lines = [line.strip() for line in message.splitlines() if " failed: " in line] or message.strip().splitlines()
    if not lines:
        return "no cause given"
    # Several addresses were tried: they mostly fail alike, and the last one is as good as any.
    where, _, why = lines[-1].rpartition(" failed: ")
    cause = re.sub(r"\s+", " ", why.removeprefix("FATAL:")).strip()
    # A URL without a host says nothing of the socket that was tried.
    socket = re.search(r'on socket "([^"]+)"', where)
    return f"{cause} ({socket[1]})" if socket else cause
