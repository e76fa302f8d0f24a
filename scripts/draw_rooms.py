"""Draw the rooms of recordfirst, and of its explorer, and their imports, from the code itself, into ARCHITECTURE.md.

    .venv/bin/python scripts/draw_rooms.py            write the picture
    .venv/bin/python scripts/draw_rooms.py --check    fail if the picture is not that of the code

An arrow means "imports". One that follows from others is left out: what a room reaches by way of another, it may import
as well. ``observe`` and ``errors``, which every room may import, have no arrows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import grimp

PAGE = Path(__file__).parent.parent / "ARCHITECTURE.md"
PICTURES = {"recordfirst": "rooms", "recordfirst.explore": "rooms of the explorer"}
"""What is drawn, and how its place on the page is called."""
EVERYWHERE = frozenset({"errors", "observe"})


def rooms(graph: grimp.ImportGraph, package: str) -> dict[str, set[str]]:
    """Which rooms of a package each room imports."""
    found: dict[str, set[str]] = {}
    for module in graph.find_descendants(package):
        room = _room(module, package)
        found.setdefault(room, set())
        for imported in graph.find_modules_directly_imported_by(module) & graph.find_descendants(package):
            found[room].add(_room(imported, package))
    return {room: imports - {room} - EVERYWHERE for room, imports in found.items() if room not in EVERYWHERE}


def _room(module: str, package: str) -> str:
    return module.removeprefix(f"{package}.").partition(".")[0]


def reached(graph: dict[str, set[str]], room: str) -> set[str]:
    """All that a room imports, and what that imports, and so on."""
    found: set[str] = set()
    queue = [room]
    while queue:
        for each in graph[queue.pop()] - found:
            found.add(each)
            queue.append(each)
    return found


def picture(graph: grimp.ImportGraph, package: str) -> str:
    """The picture of a package, as Mermaid."""
    imports = rooms(graph, package)
    lines = ["```mermaid", "graph TD"]
    for room in sorted(imports):
        by_way = {far for near in imports[room] for far in reached(imports, near)}
        lines += [f"    {room} --> {imported}" for imported in sorted(imports[room] - by_way)]
    return "\n".join([*lines, "```"])


def main() -> int:
    """Write the pictures, or check them."""
    page = drawn = PAGE.read_text()
    graph = grimp.build_graph("recordfirst", cache_dir=None)
    for package, name in PICTURES.items():
        begins, ends = f"<!-- {name}: made by scripts/draw_rooms.py -->", f"<!-- end of {name} -->"
        start, end = drawn.index(begins) + len(begins), drawn.index(ends)
        drawn = f"{drawn[:start]}\n{picture(graph, package)}\n{drawn[end:]}"
    if drawn == page:
        return 0
    if "--check" in sys.argv:
        sys.stderr.write("a picture in ARCHITECTURE.md is not that of the code: run scripts/draw_rooms.py\n")
        return 1
    PAGE.write_text(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
