"""P10: what others wrote reaches a screen as text, and never as something that a terminal obeys."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from recordfirst.cli import screen
from recordfirst.cli.common import fail, print_json, table
from recordfirst.core.text import escaped, escaped_lines
from recordfirst.explore.report import html, junit

SRC = Path(__file__).parents[2] / "src"
RAW = "a\x1b[31mb\x07\r\n\x7f\x9b2J\u202ec\u2066d\u2028e\u200bf\ufeff\U000e0041\ud800"
CONTROLS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0041]"
)
PRINTERS = {"echo", "secho", "print", "echo_via_pager", "excepthook"}
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}


def test_whatever_controls_a_screen_is_an_escape():
    """One line stays one line, and everything else is shown."""
    assert CONTROLS.search(escaped(RAW)) is None
    assert "\n" not in escaped(RAW)
    assert escaped(RAW).startswith(r"a\x1b[31mb\x07\r\n\x7f\x9b2J\u202ec\u2066d\u2028e\u200bf")
    assert escaped_lines("one\n\x1btwo") == "one\n\\x1btwo"
    assert escaped("Zürich 東京 ✗ — 👍") == "Zürich 東京 ✗ — 👍"


def printing(tree):
    """Calls that print, by line: of click, of the builtins, of a stream, of a file number."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
        of = called.value if isinstance(called, ast.Attribute) else None
        stream = isinstance(of, ast.Attribute) and of.attr in STREAMS
        constant = node.args and all(isinstance(each, ast.Constant) for each in node.args)
        if (name in PRINTERS or (name == "write" and (stream or ast.unparse(called) == "os.write"))) and not constant:
            yield node.lineno, ast.unparse(node)


def test_everything_that_is_printed_goes_through_one_module():
    """A command that prints for itself would print as it is."""
    found = []
    for folder in ("recordfirst/cli", "recordfirst/demo", "recordfirst_pytest"):
        for path in sorted((SRC / folder).rglob("*.py")):
            if path.name != "screen.py":
                found += [f"{path.name}:{line}: {text}" for line, text in printing(ast.parse(path.read_text()))]
    # The one below is called by a signal's handler, which must not use Python's buffers.
    assert [each for each in found if "os.write(fd, f'{escaped(line)}" not in each] == []


def refused(text):
    with pytest.raises(SystemExit):
        fail(text)


@pytest.mark.parametrize(
    "say",
    [
        screen.say,
        lambda text: screen.say(text, err=True),
        screen.say_over,
        screen.say_lines,
        lambda text: screen.say_lines(screen.style(text, "bold", bold=True)),
        lambda text: table([("HEAD", "B"), (text, 1)]),
        lambda text: print_json({text: text}),
        lambda text: screen.say_failure(ValueError, ValueError(text), None),
        refused,
    ],
)
def test_each_way_of_printing_escapes(say, capsys):
    """Also of an error that nobody expected, and into a pipe."""
    say(RAW)
    said = "".join(capsys.readouterr())
    assert CONTROLS.search(said.removeprefix("\r")) is None
    assert "31mb" in said


def test_a_failures_text_has_no_password(capsys):
    """Security: a driver's error may hold the URL that it was given."""
    screen.say_failure(ValueError, ValueError("bad postgresql://shop:correct-horse@db/shop"), None)
    with pytest.raises(SystemExit):
        fail("bad password=correct-horse")
    assert "correct-horse" not in "".join(capsys.readouterr())


def test_json_stays_json(capsys):
    """And is plain ASCII, with the value as it was."""
    print_json({"id": RAW.removesuffix("\ud800")})
    said = capsys.readouterr().out
    assert said.isascii()
    assert json.loads(said) == {"id": RAW.removesuffix("\ud800")}


def test_pages_and_reports_escape():
    """HTML and JUnit are read in terminals and browsers."""
    for text in (html._(RAW + "<b>"), junit._clean(RAW)):
        assert CONTROLS.search(text) is None
    assert "<b>" not in html._("<b>")


def test_commands_print_no_control_characters(cli):
    """P10: an id, as commands print it into a pipe."""
    cli.done("migrate", "--apply")
    id = RAW.removesuffix("\ud800").replace("\n", "")
    words = [["start", "create_order", '[{"id": "1", "amount": 5}]', "--id", id]]
    words += [["status"], ["show", id], ["show", id, "--reveal"], ["show", id, "--json"], ["show", "31m\x1b[2J"]]
    for arguments in words:
        ended = cli.run(*arguments)
        said = ended.stdout + ended.stderr
        assert CONTROLS.search(said) is None, arguments
        assert "31m" in said
