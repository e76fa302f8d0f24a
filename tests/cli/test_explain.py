"""``recordfirst explain``: what a code means, where there is neither an app nor a record."""

from __future__ import annotations

import json
import subprocess

import pytest

from recordfirst.cli.explaining import plain
from recordfirst.core.finding import KINDS
from recordfirst.errors.pages import page
from tests.cli.conftest import command, run_here

NOWHERE = {"RECORDFIRST_APP": "tests.cli.no_such:app"}


def explained(*words):
    return run_here(("explain", *words), NOWHERE)


def test_a_code_is_explained_where_nothing_else_is(tmp_path):
    """P10: as a process, in an empty folder, by the texts of the reference."""
    words = command("explain", "RF-EFFECT-UNKNOWN")
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    kind = KINDS["RF-EFFECT-UNKNOWN"]
    assert ended.stdout.splitlines() == [
        f"RF-EFFECT-UNKNOWN: {kind.means}",
        f"How it comes about: {kind.cause}",
        f"What recordfirst reconcile --apply does: {kind.apply}",
        f"What an operator does: {kind.person}",
        f"Step by step: {page('how-to/clear-findings', 'rf-effect-unknown')}",
    ]
    assert ended.stderr == ""


@pytest.mark.parametrize("code", sorted(KINDS))
def test_every_code_can_be_explained(code):
    """P10: for an operator and for a machine, with addresses in place of links."""
    ended = explained(code)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{code}: {KINDS[code].means}\n")
    assert "](" not in ended.stdout
    assert (f"recordfirst dismiss {code} SUBJECT --why REASON" in ended.stdout) is KINDS[code].dismissible
    said = json.loads(explained(code, "--json").stdout)
    kind = KINDS[code]
    assert said == {
        "code": code,
        "means": plain(kind.means),
        "cause": plain(kind.cause),
        "apply": plain(kind.apply),
        "operator": plain(kind.person),
        "dismissible": kind.dismissible,
        "steps": page("how-to/clear-findings", code.lower()),
    }


def test_a_link_is_shown_as_its_address():
    """No screen follows a link, and no wheel has the page."""
    assert f"then accept: {page('how-to/restore-the-record')}.\n" in explained("RF-RECORD-MOVED").stdout


@pytest.mark.parametrize("code", ["rf-effect-unknown", "effect-unknown", " RF-EFFECT-UNKNOWN "])
def test_however_a_code_is_typed(code):
    """It is one and the same."""
    assert explained(code).stdout == explained("RF-EFFECT-UNKNOWN").stdout


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("RF-EFFECT-UNKNWON", "there is no finding 'RF-EFFECT-UNKNWON'; near are RF-EFFECT-UNKNOWN, RF-EFFECT-"),
        ("RF-MIRROR", "there is no finding 'RF-MIRROR'; near are RF-MIRROR-DRIFT, RF-MIRROR-BEHIND"),
        ("qqq", f"there is no finding 'qqq'; all are at {page('reference/findings')} (see "),
        ("", f"there is no finding ''; all are at {page('reference/findings')} (see "),
        ("\x1b[31m", r"there is no finding '\x1b[31m'; all are at "),
        (None, "Missing argument 'CODE'"),
    ],
)
def test_a_code_that_there_is_not(code, said):
    """P8: in one line, with those that may be meant."""
    ended = explained(*([code] if code is not None else []))
    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"recordfirst: {said}")
