"""SQL from files: one statement each, with its reason, read once.

In a file, ``{receipt}`` and the like stand for the column list in ``_receipt.sql``, in the order of the fields of
:class:`Receipt`. Comment lines are for the reader and are not sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

from recordfirst.records.contract import Migration


class Statements:
    """A record's statements; the name of each is that of its file."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)

    def __getattr__(self, name: str) -> str:
        try:
            return self.__dict__["_texts"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"no file {name}.sql is among this record's statements") from None

    def items(self) -> Iterable[tuple[str, str]]:
        """Names and texts."""
        return self._texts.items()

    def by_text(self) -> dict[str, str]:
        """Names by text, for code that sees what is sent."""
        return {text: name for name, text in self._texts.items()}

    def changed(self, change: Callable[[str, str], str]) -> Statements:
        """The same, each text as ``change(name, text)`` returns it."""
        return Statements({name: change(name, text) for name, text in self._texts.items()})


@cache
def load(package: str) -> Statements:
    """Read every statement of a product's package: the files in the folders of its ``sql/``."""
    texts = {name: _bare(text) for name, text in _files(package).items()}
    return Statements(_filled_in(texts))


@cache
def _files(package: str) -> Mapping[str, str]:
    """What is in a package's ``sql/`` and the folders in it, but for migrations, by name."""
    place = files(package) / "sql"
    folders = [place, *(each for each in place.iterdir() if each.is_dir() and each.name != "migrations")]
    return {
        file.name.removesuffix(".sql"): file.read_text()
        for folder in folders
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    }


def read(package: str, name: str) -> str:
    """Return one file's SQL without its comment lines."""
    return _bare(_files(package)[name.removesuffix(".sql")])


def _bare(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--")).strip()


@cache
def folder(package: str, product: str) -> Mapping[str, str]:
    """Read what a package has in its folder for a product; ``{name}`` in a statement stands for its ``_name.sql``."""
    place = files(package) / product
    texts = {file.name.removesuffix(".sql"): _bare(file.read_text()) for file in place.iterdir()}
    return _filled_in(texts)


def _filled_in(texts: Mapping[str, str]) -> dict[str, str]:
    """Put each ``_name`` where the others say ``{name}``."""
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


def indexes_first(step: Migration) -> dict[str, str]:
    """What makes each index that a step makes before all else: they stand on columns that are there."""
    found: dict[str, str] = {}
    rest = _bare(step.sql)
    while made := _INDEX.match(rest):
        [(name, statement)] = _indexed_by(made[0])
        found[name] = statement
        rest = rest[made.end() :].lstrip()
    return found
