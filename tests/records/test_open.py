"""Records from URLs, and without their drivers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from recordfirst.conformance.record import run
from recordfirst.errors import Misuse
from recordfirst.records.open import record_from_url


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgresql://me:secret@h/d", "postgresql://me@h/d"),
        ("postgres://me@h/d", "postgresql://me@h/d"),
        ("sqlite:///shop.db", "shop.db"),
        ("sqlite:////var/shop", "/var/shop"),
        ("./shop.db", "./shop.db"),
        ("shop.sqlite", "shop.sqlite"),
    ],
)
def test_p10_a_record_is_named_by_its_url(url, where):
    """As people and SQLAlchemy write them."""
    assert record_from_url(url).where == where


@pytest.mark.parametrize("url", ["mysql://me:secret@h/d", "shop", "", "sqlite://shop.db", "sqlite:///"])
def test_p8_what_is_no_record_is_refused(url):
    """And told how it is written, with no password repeated."""
    with pytest.raises(Misuse, match=r"write postgresql://") as caught:
        record_from_url(url)
    assert "secret" not in str(caught.value)


def test_p10_either_product_opens_by_its_url(record_url):
    """The name that the tests use is one that the command line takes."""

    async def go():
        record = record_from_url(record_url)
        await record.open("shop")
        assert await record.schema_version() == 0
        await record.close()

    run(go())


@pytest.mark.parametrize(
    ("driver", "extra"), [("psycopg", "postgres"), ("psycopg_pool", "postgres"), ("aiosqlite", "sqlite")]
)
def test_p10_a_missing_driver_names_the_extra(driver, extra):
    """The import says what to install."""
    program = f"import sys; sys.modules[{driver!r}] = None; import recordfirst.records.{extra}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert f"pip install 'recordfirst[{extra}]'" in done.stderr.strip().splitlines()[-1]
