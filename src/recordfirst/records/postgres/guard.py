"""What a user's statement may not do inside a transaction of recordfirst's (P2). Pure.

A statement is let through if its first word is known to leave the transaction open; any other word is refused. The
server takes one statement at a time, because each goes by the extended protocol, so the first word tells.
"""

from __future__ import annotations

import re

from recordfirst.errors import Misuse
from recordfirst.records.savepoints import Does, Savepoint

_LEAVE = (
    "leave COMMIT and ROLLBACK to recordfirst: the block ends it, and connection.transaction() takes back a part of it"
)
ENDED = f"the transaction was ended inside its block; {_LEAVE}"

_COMMON = re.compile(rb"[\s(;]*(?:SELECT|INSERT|UPDATE|DELETE|WITH|MERGE|VALUES|TABLE|CALL|COPY|LOCK)\b", re.IGNORECASE)
_STAYS_OPEN = frozenset(
    b"SELECT INSERT UPDATE DELETE WITH MERGE VALUES TABLE CALL DO COPY LOCK "
    b"SET RESET SHOW EXPLAIN DECLARE FETCH MOVE CLOSE LISTEN UNLISTEN NOTIFY DISCARD "
    b"CREATE ALTER DROP TRUNCATE COMMENT GRANT REVOKE REASSIGN SECURITY IMPORT REFRESH "
    b"ANALYZE ANALYSE VACUUM REINDEX CLUSTER".split()
)
"""The server itself refuses COMMIT in what CALL and DO run, as long as a transaction block is open."""
_SPACE = re.compile(rb"[\s;]+|--[^\r\n]*")
_WORD = re.compile(rb"[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*")
_QUOTED = re.compile(rb'"((?:[^"]|"")+)"')
_LONGEST_NAME = 63
_OTHER_RIGHTS = re.compile(rb"\b(ROLE|AUTHORIZATION|READ\s+ONLY|(default_)?transaction_read_only)\b", re.IGNORECASE)


class StatementRefused(Misuse):
    """A statement that could end the transaction, or that leaves behind what cannot be taken out of the session."""


def admit(statement: bytes) -> Savepoint | None:
    """Return what a statement does to a savepoint; ``None``: nothing.

    Raises:
        StatementRefused: if the statement is not known to leave the transaction as it is.
    """
    if _COMMON.match(statement):
        return None
    words = _Words(statement)
    first = words.first()
    if first in _STAYS_OPEN or not first:
        return None
    step = _savepoint(first, words)
    if step is None:
        raise StatementRefused(_why(first))
    return step


def takes_rights(statement: bytes) -> bool:
    """Whether it may take from the session what recordfirst's own statements need: SET ROLE, or READ ONLY."""
    return _Words(statement).first() in (b"SET", b"RESET") and _OTHER_RIGHTS.search(statement) is not None


def _savepoint(first: bytes, words: _Words) -> Savepoint | None:
    match first:
        case b"SAVEPOINT":
            does: Does = "opens"
        case b"RELEASE":
            does = "releases"
            words.skip(b"SAVEPOINT")
        case b"ROLLBACK":
            does = "takes back"
            _ = words.skip(b"WORK") or words.skip(b"TRANSACTION")
            if not words.skip(b"TO"):
                return None
            words.skip(b"SAVEPOINT")
        case _:
            return None
    name = words.name()
    return Savepoint(does, name) if name else None


def _why(word: bytes) -> str:
    shown = word.decode(errors="replace")
    if word in (b"PREPARE", b"EXECUTE", b"DEALLOCATE"):
        return f"{shown} inside a transaction of recordfirst's is refused: psycopg prepares statements by itself"
    if word in (b"SAVEPOINT", b"RELEASE"):
        return f"the savepoint of this {shown} cannot be told; use connection.transaction()"
    return f"{shown} inside a transaction of recordfirst's is refused, and the transaction goes on: {_LEAVE}"


class _Words:
    """The words of a statement, one after the other; comments and leading semicolons are no words for the server."""

    def __init__(self, text: bytes) -> None:
        self._text, self._at = text, 0

    def _skip_space(self) -> None:
        text = self._text
        while True:
            if found := _SPACE.match(text, self._at):
                self._at = found.end()
            elif text.startswith(b"/*", self._at):
                self._at = _end_of_comment(text, self._at)
            else:
                return

    def first(self) -> bytes:
        """The first word, in capitals; empty if there is nothing to run, and ``?`` if it is no word."""
        self._skip_space()
        while self._text.startswith(b"(", self._at):
            self._at += 1
            self._skip_space()
        if self._at >= len(self._text):
            return b""
        return self._next() or b"?"

    def skip(self, word: bytes) -> bool:
        """Go on behind this word, if it is the next."""
        before = self._at
        if self._next() == word:
            return True
        self._at = before
        return False

    def _next(self) -> bytes:
        self._skip_space()
        found = _WORD.match(self._text, self._at)
        if found is None:
            return b""
        self._at = found.end()
        return found[0].upper()

    def name(self) -> bytes:
        """A savepoint's name, as the server compares it; empty if it is written in another way (``U&"..."``)."""
        self._skip_space()
        if found := _QUOTED.match(self._text, self._at):
            return found[1].replace(b'""', b'"')[:_LONGEST_NAME]
        found = _WORD.match(self._text, self._at)
        if found is None or self._text.startswith(b"&", found.end()):
            return b""
        return found[0].lower()[:_LONGEST_NAME]


def _end_of_comment(text: bytes, at: int) -> int:
    """Comments of this kind nest."""
    depth = 0
    while at < len(text):
        if text.startswith(b"/*", at):
            depth, at = depth + 1, at + 2
        elif text.startswith(b"*/", at):
            depth, at = depth - 1, at + 2
            if depth == 0:
                return at
        else:
            at += 1
    return at
