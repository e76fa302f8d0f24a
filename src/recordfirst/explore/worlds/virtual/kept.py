"""A pool of directories that are reused, with the SQLite connections that are open in them.

Opening a file is expensive: SQLite reads its schema and prepares each statement again. That took a third of an
exploration's time. So the files of a directory are overwritten in place, and the index of each file's log is made
invalid, as if it had been lost in a crash of the machine. At its next transaction SQLite notices that, discards its
cache and reads the log from the beginning, as after a crash: https://www.sqlite.org/walformat.html#recovery.

So an exploration skips only how SQLite opens a file, and how it closes one, which moves the log into the file.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import weakref
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

type Role = Literal["writer", "reader", "looker", "engine"]

_LOG, _INDEX = "-wal", "-shm"
_LOG_HEADER_BYTES = 32
_INDEX_HEADER = bytes(136)
"""Two headers, and how much of the log is in the file: https://www.sqlite.org/walformat.html#the_wal_index_header."""
_STAYS_BEHIND = (_INDEX, "-lock", ".lease")
"""The suffixes of files that vanish with the process."""


class KeptConnection(sqlite3.Connection):
    """A connection that can be kept for reuse instead of being closed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.slot: _Slot | None = None
        """The slot in which it is kept; ``None``, if it is to be closed."""
        self.role: Role = "writer"
        self.uses = 0
        """How often its users have closed it."""
        self.is_odd = False
        """Whether something was done to it that its next user would notice."""
        self.told: dict[str, Any] = {}
        """The pragmas that were set, and their results. Some unprepare all statements, and so does an authorizer."""
        self.clock: Callable[[], int] | None = None
        """The time of its user, in milliseconds since 1970."""
        self._cursors: list[weakref.ref[sqlite3.Cursor]] = []
        self._authorizer: Callable[..., int] | None = None

    def cursor(self, *args: Any, **options: Any) -> Any:
        cursor = super().cursor(*args, **options)
        self._cursors.append(weakref.ref(cursor))
        return cursor

    def execute(self, *args: Any) -> sqlite3.Cursor:
        cursor = super().execute(*args)
        self._cursors.append(weakref.ref(cursor))
        return cursor

    def set_authorizer(self, authorizer_callback: Any) -> None:
        if self._authorizer is None:
            self._authorizer = authorizer_callback
            super().set_authorizer(lambda *asked: self._authorizer(*asked) if self._authorizer else sqlite3.SQLITE_OK)
        self._authorizer = authorizer_callback

    def close(self) -> None:
        self.uses += 1
        if self.slot is not None and self._is_as_new():
            self.slot.rests(self)
        else:
            self.end()

    def closing(self) -> Callable[[], None]:
        """A function that closes it for its present user, unless that one has done so."""
        uses = self.uses
        return lambda: self.close() if self.uses == uses else None

    def end(self) -> None:
        """Really close it."""
        if self.slot is not None:
            self.slot.lost += 1
            self.slot = None
        super().close()

    def _is_as_new(self) -> bool:
        if self.is_odd or self.row_factory is not None or self.text_factory is not str:
            return False
        if self.in_transaction:
            self.rollback()
        # A cursor that was not read to its end holds an old snapshot of the file.
        is_read = all(cursor() is None for cursor in self._cursors)
        self._cursors.clear()
        return is_read


class _Slot:
    """One directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.idle: dict[str, dict[Role, list[KeptConnection]]] = defaultdict(lambda: defaultdict(list))
        """The idle connections, by file name and role."""
        self.taken: dict[KeptConnection, str] = {}
        self.lost = 0
        """How many connections could not be kept."""
        self.is_over = False
        self._same: dict[str, tuple[_State, _State]] = {}
        """For each file, the state of another file with the same content, and its own state then."""

    def open(self, name: str, role: Role, options: dict[str, Any]) -> KeptConnection:
        idle = self.idle[name][role]
        kept: KeptConnection = (
            idle.pop() if idle else sqlite3.connect(self.path / name, factory=KeptConnection, **options)
        )
        kept.slot, kept.role = self, role
        self.taken[kept] = name
        return kept

    def rests(self, kept: KeptConnection) -> None:
        if self.is_over:
            kept.end()
            return
        self.idle[self.taken.pop(kept)][kept.role].append(kept)

    @property
    def is_fit(self) -> bool:
        """Whether no connection can still hold anything in it."""
        return not (self.taken or self.lost)

    def end(self, name: str | None = None) -> None:
        """Close the idle connections."""
        for each in [name] if name is not None else list(self.idle):
            for resting in self.idle.pop(each, {}).values():
                for kept in resting:
                    kept.slot = None
                    kept.end()

    def fill(self, files: Path) -> None:
        """Give its files the content of those in another directory."""
        path = f"{self.path}"
        wanted = {name for name in os.listdir(files) if not name.endswith(_STAYS_BEHIND)}  # noqa: PTH208
        same = {name for name in self.idle if name in wanted and self._is_same(f"{files}/{name}", name)}
        # A connection notices a new log, and discards its cache. Without a log, it notices only a change of the file.
        for name in [name for name in self.idle if name not in same and not _says_something(f"{files}/{name}{_LOG}")]:
            self.end(name)
        there = set(os.listdir(path))  # noqa: PTH208 - each schedule does this twice, and Path is three times as slow
        stays = {name + end for name in self.idle for end in (_LOG, _INDEX)}
        for name in there - wanted - stays:
            os.unlink(f"{path}/{name}")  # noqa: PTH108
        for name in wanted - same:
            shutil.copyfile(f"{files}/{name}", f"{path}/{name}")
        for name in stays & there:
            if name.endswith(_LOG):
                if name not in wanted:
                    os.truncate(f"{path}/{name}", 0)
            else:
                with open(f"{path}/{name}", "r+b", 0) as index:  # noqa: PTH123
                    index.write(_INDEX_HEADER)

    def _is_same(self, file: str, name: str) -> bool:
        """Whether one of its files, without its log, has the same content as another, which never changes.

        It changes only when a log of 1,000 pages is moved into it, which takes longer than a tick of a file's clock.
        """
        own = f"{self.path}/{name}"
        states = _state_of(file), _state_of(own)
        if self._same.get(name) == states:
            return True
        with open(file, "rb", 0) as one, open(own, "rb", 0) as other:  # noqa: PTH123
            if one.read() != other.read():
                return False
        self._same[name] = states
        return True


type _State = tuple[int, int, int]


def _state_of(file: str) -> _State:
    found = os.stat(file)  # noqa: PTH116
    return found.st_ino, found.st_mtime_ns, found.st_size


def _says_something(log: str) -> bool:
    try:
        return os.path.getsize(log) > _LOG_HEADER_BYTES  # noqa: PTH202
    except FileNotFoundError:
        return False


class Slots:
    """Directories for processes, which are reused.

    Args:
        new: returns the name of a directory that does not exist yet.
    """

    def __init__(self, new: Callable[[], Path]) -> None:
        self._new = new
        self._free: list[_Slot] = []
        self._taken: dict[str, _Slot] = {}

    def take(self, files: Path) -> Path:
        """A directory with the content of another."""
        slot = self._free.pop() if self._free else _Slot(self._new())
        slot.path.mkdir(exist_ok=True)
        slot.fill(files)
        self._taken[f"{slot.path}"] = slot
        return slot.path

    def give_back(self, path: Path) -> bool:
        """Return a directory to the pool. Returns whether it belongs to the pool, and can still be used."""
        slot = self._taken.pop(f"{path}", None)
        if slot is None:
            return False
        if slot.is_fit:
            self._free.append(slot)
            return True
        slot.end()
        slot.is_over = True
        return False

    def open(self, path: Path, role: Role, options: dict[str, Any]) -> KeptConnection:
        """Connect to a file, with an idle connection if there is one."""
        folder, _, name = f"{path}".rpartition("/")
        slot = self._taken.get(folder)
        return opened(path, role, options) if slot is None else slot.open(name, role, options)

    def forget(self, path: Path) -> None:
        """Close the idle connections to a file that will be deleted."""
        slot = self._taken.get(f"{path.parent}")
        if slot is not None:
            slot.end(path.name)

    def close(self) -> None:
        """Close all idle connections."""
        for slot in (*self._free, *self._taken.values()):
            slot.end()
            slot.is_over = True


def opened(path: Path, role: Role, options: dict[str, Any]) -> KeptConnection:
    """Connect to a file with a connection that is not kept: ``close`` closes it."""
    kept: KeptConnection = sqlite3.connect(path, factory=KeptConnection, **options)
    kept.role = role
    return kept
