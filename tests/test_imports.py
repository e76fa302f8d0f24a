"""What ``import recordfirst`` loads, and that what it puts off is not missed."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recordfirst.process.imports import lazily


def said(code: str) -> str:
    """What a fresh process prints, in which a warning is an error."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_web_framework_and_no_http_client_is_loaded():
    """They are installed here, and what recordfirst rests on imports them in any case."""
    loaded = "any(name in sys.modules for name in ('aiohttp.client', 'fastapi', 'flask', 'starlette'))"
    assert said(f"import recordfirst, recordfirst.cli, sys; print({loaded})") == "False"


@pytest.mark.parametrize(
    "code",
    [
        "import aiohttp; print(aiohttp.ClientSession.__name__)",
        "from aiohttp import ClientSession; print(ClientSession.__name__)",
        "import aiohttp.client; print(aiohttp.client.ClientSession.__name__)",
        "import svcs; print(svcs.aiohttp.web.Response and 'ClientSession')",
    ],
)
def test_what_is_put_off_is_there_when_it_is_used(code: str):
    assert said(f"import recordfirst; {code}") == "ClientSession"


def test_a_framework_that_svcs_serves_is_there_when_it_is_used():
    assert said("import recordfirst, svcs; print(svcs.fastapi.lifespan.__name__)") == "lifespan"


def test_what_was_imported_before_stays_as_it_was():
    before = "import aiohttp; before = aiohttp.ClientSession"
    assert said(f"{before}; import recordfirst; print(aiohttp.ClientSession is before)") == "True"


# ── modules of the test's own ───────────────────────────────────────────────


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that can be imported, and is forgotten at the end."""
    package = tmp_path / "putoff"
    package.mkdir()
    (package / "part.py").write_text("VALUE = 2\n")
    (package / "__init__.py").write_text("from . import part\nfrom .part import VALUE\nLOADED = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [name for name in sys.modules if name.partition(".")[0] == "putoff"]:
        del sys.modules[name]


def put_off():
    with lazily("putoff"):
        return importlib.import_module("putoff")


@pytest.mark.usefixtures("written")
def test_a_submodule_loads_its_package_first():
    module = put_off()
    assert "putoff.part" not in sys.modules
    assert importlib.import_module("putoff.part").VALUE == 2
    assert vars(module)["LOADED"]


@pytest.mark.usefixtures("written")
def test_importing_it_again_does_not_load_it():
    module = put_off()
    assert importlib.import_module("putoff") is module
    assert "putoff.part" not in sys.modules
    assert module.VALUE == 2
    with pytest.raises(AttributeError, match="missing"):
        _ = module.missing


def test_one_that_cannot_be_loaded_says_so_each_time(written: Path):
    (written / "__init__.py").write_text("import putoff_needs_this\n")
    module = put_off()
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="putoff_needs_this"):
            _ = module.VALUE


def test_many_threads_get_it_whole(written: Path):
    (written / "__init__.py").write_text("import time\ntime.sleep(0.1)\nVALUE = 2\n")
    module, values = put_off(), []
    threads = [threading.Thread(target=lambda: values.append(module.VALUE)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == [2] * 8
