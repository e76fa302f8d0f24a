"""What PostgreSQL's answers mean for the record (P9): a table of SQLSTATEs, and nothing of the driver."""

from __future__ import annotations

import re

from recordfirst.records.contract import Fault

_CONTENTION = frozenset({
    "40001",  # serialization failure
    "40P01",  # deadlock
    "55P03",  # a lock is not available
    "57014",  # the server gave the statement up: statement_timeout, on a role say
    "26000", "42P05",  # a prepared statement is not there, or there already; see also is_stale_plan
})  # fmt: skip
_UNREACHABLE = frozenset({
    "25006",  # it takes no writes: it is a replica by now, or was set to only read
    "25P03", "25P04", "57P05",  # the server ended an idle session, or a long transaction
    "40003",  # nobody can tell if the statement was completed
    "XX001", "XX002",  # a table, or an index, is damaged
    "57P01", "57P02", "57P03",  # the server shuts down, has crashed, or cannot take connections yet
})  # fmt: skip
_DENIED = "42501"  # a grant is missing: a migration that drops and makes a table anew gives it a moment later
_UNREACHABLE_CLASSES = ("08", "53", "58")  # connections; nothing to spare; errors of the system below
_OF_THE_VALUES = ("22", "23", "54")
"""Of our own statements, too, these come from what is to be stored, and would come again: data, constraints, limits."""
_CAUGHT = "25P02"  # the transaction had failed before, and somebody caught that


def fault_of_state(sqlstate: str | None, *, ours: bool = False) -> Fault | None:
    """Return what a SQLSTATE says about the record; ``None``: it is about the user's statement.

    ``ours``: a statement of recordfirst's own came to it. What is wrong with our tables (a grant that was taken away, a
    table that somebody renames) is not the user's, whatever its code: everything is, but for what the values bring.
    """
    if sqlstate is None:
        return None
    if ours and sqlstate == "57014":
        return "unreachable"
    if sqlstate in _CONTENTION:
        return "contention"
    if sqlstate in _UNREACHABLE or sqlstate.startswith(_UNREACHABLE_CLASSES):
        return "unreachable"
    if ours and sqlstate != _CAUGHT and not sqlstate.startswith(_OF_THE_VALUES):
        return "unreachable"
    return "denied" if sqlstate == _DENIED else None


def is_stale_plan(sqlstate: str | None, raised_in: str | None) -> bool:
    """Whether a plan that was made before no longer fits the tables, or is gone: made anew, it passes.

    ``raised_in``: the server's own function, which is no matter of its language: 0A000 stands for much else.
    """
    if sqlstate == "0A000":
        return raised_in == "RevalidateCachedQuery"
    return sqlstate in ("26000", "42P05")


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
