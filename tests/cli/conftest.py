"""The command line as processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from click.testing import CliRunner

from recordfirst.cli import main

ROOT = Path(__file__).parents[2]
APP = "tests.cli.shop:app"
_PATIENCE_S = 60.0


class CommandLine:
    """Runs commands on one record: as processes of their own, or in this one, which takes a tenth of the time."""

    here = False
    once = True
    """Each command as a process the first time, with and without ``--json``, and in this one when it comes again."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._known: set[tuple[str, bool]] = set()
        self.fixed = folder / "fixed"
        self.env = os.environ | {"SHOP_RECORD": url, "SHOP_FIXED": str(self.fixed), "RECORDFIRST_APP": APP}

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        kind = (words[0], "--json" in words)
        if self.here or (self.once and kind in self._known):
            return run_here(words, self.env | env)
        self._known.add(kind)
        return subprocess.run(
            command(*words), cwd=ROOT, env=self.env | env, capture_output=True, text=True, timeout=60, check=False
        )

    def done(self, *words: str, **env: str) -> str:
        """What a command that must succeed prints."""
        ended = self.run(*words, **env)
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
        return ended.stdout

    def json(self, *words: str) -> Any:
        """What it prints as JSON, on its last line."""
        return json.loads(self.done(*words, "--json").splitlines()[-1])

    def refused(self, *words: str, status: int = 1, **env: str) -> str:
        """The one line of a command that must fail."""
        ended = self.run(*words, **env)
        assert ended.returncode == status, (ended.returncode, ended.stdout, ended.stderr)
        [line] = ended.stderr.splitlines()
        assert line.startswith("recordfirst: "), line
        assert ended.stdout == ""
        return line.removeprefix("recordfirst: ")

    def execute(self, sql: str) -> list[Any]:
        """Run SQL as somebody else does; return the rows, if there are any."""
        if self.url.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), autocommit=True)) as file:
                return file.execute(sql).fetchall()
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def worker(self) -> Iterator[subprocess.Popen[str]]:
        """A worker process, killed at the end if it is still there."""
        process = subprocess.Popen(
            command("worker"), cwd=ROOT, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def run_here(words: tuple[str, ...], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, on an app that is imported anew."""
    sys.modules.pop(env["RECORDFIRST_APP"].partition(":")[0], None)
    with mock.patch.dict(os.environ, env):
        result = CliRunner().invoke(main, words, prog_name="recordfirst")
    if not isinstance(result.exception, SystemExit | None):
        raise result.exception
    return subprocess.CompletedProcess(words, result.exit_code, result.stdout, result.stderr)


def command(*words: str) -> list[str]:
    """The command line as a process."""
    return [sys.executable, "-m", "recordfirst.cli", *words]


def hear(process: subprocess.Popen[str], what: str) -> None:
    """Wait for a worker's line."""
    assert process.stdout is not None
    assert any(line.rstrip().endswith(what) for line in process.stdout)


def until[T](look: Callable[[], T], is_so: Callable[[T], bool] = bool) -> None:
    """Look until it is so; what other processes do takes its time, but not for ever."""
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so(seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r}"
        time.sleep(0.01)


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """SIGTERM; return status and what was said since."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.fixture
def cli(record_url: str, tmp_path: Path) -> CommandLine:
    """On each record."""
    return CommandLine(record_url, tmp_path)


@pytest.fixture
def empty_cli(empty_record_url: str, tmp_path: Path) -> CommandLine:
    """On each record, without tables."""
    return CommandLine(empty_record_url, tmp_path)


@pytest.fixture
def empty_cli_on_postgres(empty_postgres_dsn: str, tmp_path: Path) -> CommandLine:
    return CommandLine(empty_postgres_dsn, tmp_path)


@pytest.fixture
def cli_on_postgres(postgres_dsn: str, tmp_path: Path) -> CommandLine:
    return CommandLine(postgres_dsn, tmp_path)


@pytest.fixture
def cli_on_sqlite(sqlite_path: Path, tmp_path: Path) -> CommandLine:
    return CommandLine(f"sqlite:///{sqlite_path}", tmp_path)


@pytest.fixture
def cli_here(cli_on_sqlite: CommandLine) -> CommandLine:
    """In this process."""
    cli_on_sqlite.here = True
    return cli_on_sqlite
