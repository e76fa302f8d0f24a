"""SQL from files: one statement each, with its reason, read once.

In a file, ``{receipt}`` and the like stand for the column list in ``_receipt.sql``, in the order of the fields of
:class:`Receipt`. Comment lines are for the reader and are not sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

import msgspec

from recordfirst.records.contract import Migration

_SHARED = ("audit", "change", "finding", "projection", "receipt", "start", "timeline")


class Statements(msgspec.Struct, frozen=True, kw_only=True):
    """What both products say in their own SQL. A field's name is its file's name."""

    accept: str
    add_audit: str
    add_receipt: str
    add_receipts: str
    add_start: str
    add_starts: str
    alive: str
    announce_mark: str
    audits: str
    begin_call: str
    begin_try: str
    begin_timeline: str
    begin_undo: str
    change_receipt: str
    close_findings: str
    close_unseen: str
    confirm_mark: str
    counts: str
    dispatched: str
    done_by: str
    doubt_all: str
    end_epochs: str
    find_mark: str
    find_pass: str
    find_projection: str
    find_receipt: str
    find_starts: str
    still_open: str
    find_timeline: str
    findings: str
    finish: str
    hold: str
    intend: str
    left_epochs: str
    epochs_gone: str
    lock_start: str
    may_witness: str
    migrated: str
    missing_indexes: str
    next_version: str
    not_projected: str
    now: str
    open_finding: str
    open_projections: str
    open_starts: str
    projected: str
    projections: str
    new_epoch: str
    new_epochs: str
    receipts_by_key: str
    receipts_of: str
    reopen: str
    requests_of: str
    reset_marks: str
    resume: str
    save_pass: str
    saw_findings: str
    schema_version: str
    starts: str
    stop: str
    stopped: str
    tries_over: str
    undispatched: str
    undoings_of: str
    undone_under: str
    unpark: str
    unsettled: str
    wakes: str
    witness: str
    woken: str


@cache
def load(package: str) -> Statements:
    """Read every statement of a product's package."""
    shared = {name: read(package, f"_{name}.sql").replace("\n", " ") for name in _SHARED}

    def statement(name: str) -> str:
        text = read(package, f"{name}.sql")
        for placeholder, part in shared.items():
            text = text.replace(f"{{{placeholder}}}", part)
        return text

    return Statements(**{name: statement(name) for name in Statements.__struct_fields__})


def read(package: str, name: str) -> str:
    """Return one file's SQL without its comment lines."""
    return _bare((files(package) / "sql" / name).read_text())


def _bare(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--")).strip()


@cache
def folder(package: str, product: str) -> Mapping[str, str]:
    """Read what a package has in its folder for a product; ``{name}`` in a statement stands for its ``_name.sql``."""
    place = files(package) / product
    texts = {file.name.removesuffix(".sql"): _bare(file.read_text()) for file in place.iterdir()}
    shared = {f"{{{name[1:]}}}": text.replace("\n", " ") for name, text in texts.items() if name.startswith("_")}
    statements = {name: text for name, text in texts.items() if not name.startswith("_")}
    for placeholder, names in shared.items():
        statements = {name: text.replace(placeholder, names) for name, text in statements.items()}
    return statements


@cache
def migrations(package: str) -> Sequence[Migration]:
    """Read the steps of the schema, ``0001_name.sql`` first, with their comments."""
    folder = files(package) / "sql" / "migrations"
    steps = []
    for name in sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql")):
        number, _, title = name.removesuffix(".sql").partition("_")
        steps.append(Migration(version=int(number), name=title, sql=(folder / name).read_text()))
    return tuple(steps)


_INDEX = re.compile(r"^CREATE (?:UNIQUE )?INDEX IF NOT EXISTS [^;]+;", re.MULTILINE)
_DROPPED = re.compile(r"^DROP (?:INDEX|TABLE) (?:IF EXISTS )?[^;]+;", re.MULTILINE)


def indexes(steps: Sequence[Migration]) -> dict[str, str]:
    """Return what makes each index of the schema, by its name: the last step that makes or drops one has the say."""
    found: dict[str, str] = {}
    for step in steps:
        for name, statement in _indexed_by(step.sql):
            if statement.startswith("CREATE "):
                found[name] = statement
            else:  # an index goes with its table
                found = {key: made for key, made in found.items() if name not in (key, _table_of(made))}
    return found


@cache
def _indexed_by(sql: str) -> Sequence[tuple[str, str]]:
    """What makes an index or drops one, in order: the index's name, or the dropped table's, and the statement."""
    bare = _bare(sql)
    found = sorted([*_INDEX.finditer(bare), *_DROPPED.finditer(bare)], key=re.Match.start)
    statements = [" ".join(match[0].split()) for match in found]
    return [(_NAME.findall(each)[0], each) for each in statements]


_IN_SCHEMA = r'(?:(?:"(?:[^"]|"")+"|\w+)\.)?(\w+)'
_NAME = re.compile(r"(?:INDEX|TABLE) (?:IF (?:NOT )?EXISTS )?" + _IN_SCHEMA)
_TABLE = re.compile(r" ON " + _IN_SCHEMA)


def _table_of(statement: str) -> str:
    """The table of an index, by the statement that makes it."""
    return str(_TABLE.findall(statement)[0])


def makes_indexes_alone(step: Migration) -> bool:
    """Whether a step does nothing else."""
    return not _INDEX.sub("", _bare(step.sql)).strip()
