"""Count what ``docs/decisions/rooms.md`` compares, in this tree and in others.

.venv/bin/python scripts/count_rooms.py                     this tree
.venv/bin/python scripts/count_rooms.py ../before .         a column for each tree, in their order
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import Counter
from pathlib import Path

import grimp

HERE = Path(__file__).parent.parent


def counts(tree: Path) -> dict[str, str]:
    """What is counted, by its line in the table."""
    source = tree / "src" / "recordfirst"
    files = [path for path in source.rglob("*.py") if path.read_text().strip()]
    folders = Counter(path.parent for path in files)
    lengths = [len(path.read_text().splitlines()) for path in files]
    circles = import_circles(tree)
    public, others = homonyms(source)
    return {
        "modules at the top": str(len([path for path in source.glob("*.py") if path.name != "__init__.py"])),
        "rooms": str(len(list(source.glob("*/__init__.py")))),
        "files": str(len(files)),
        "most files in one folder": str(max(folders.values())),
        "most siblings in one layer": str(most_siblings(tree)),
        "import circles (files in them)": f"{len(circles)} ({sum(map(len, circles))})",
        "longest file, lines": str(max(lengths)),
        "names of classes and types in more than one file: public ones and those of `core/`": str(public),
        "others": str(others),
    }


def most_siblings(tree: Path) -> int:
    """Modules that the linter lets import each other, or only keeps apart, in one layer."""
    contracts = tomllib.loads((tree / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [layer for contract in contracts if contract["type"] == "layers" for layer in contract["layers"]]
    return max(layer.count("|") + layer.count(":") + 1 for layer in layers)


def import_circles(tree: Path) -> list[set[str]]:
    """Modules that import themselves by way of each other; imports for types alone count, too."""
    sys.path.insert(0, str(tree / "src"))
    sys.modules.pop("recordfirst", None)
    graph = grimp.build_graph("recordfirst", cache_dir=None)
    sys.path.pop(0)
    behind = {module: graph.find_upstream_modules(module) for module in graph.modules}
    circles = {frozenset({other for other in reached if module in behind[other]}) for module, reached in behind.items()}
    return [set(circle) for circle in circles if len(circle) > 1]


def homonyms(source: Path) -> tuple[int, int]:
    """Names that two files give to classes or types: known to users or in the core, and elsewhere."""
    named: dict[str, set[Path]] = {}
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef | ast.TypeAlias):
                name = node.name if isinstance(node, ast.ClassDef) else node.name.id
                if not name.startswith("_"):
                    named.setdefault(name, set()).add(path.relative_to(source))
    exported = ast.parse((source / "__init__.py").read_text()).body
    [known] = [ast.literal_eval(n.value) for n in exported if isinstance(n, ast.Assign) and "__all__" in ast.dump(n)]
    twice = {name: files for name, files in named.items() if len(files) > 1}
    public = [name for name, files in twice.items() if name in known or any(f.parts[0] == "core" for f in files)]
    return len(public), len(twice) - len(public)


def main() -> int:
    """Print the table."""
    trees = [Path(given).resolve() for given in sys.argv[1:]] or [HERE]
    columns = [counts(tree) for tree in trees]
    lines = ["| " + " | ".join(["", *(tree.name for tree in trees)]) + " |", "|---" * (len(trees) + 1) + "|"]
    lines += ["| " + " | ".join([name, *(column[name] for column in columns)]) + " |" for name in columns[0]]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
