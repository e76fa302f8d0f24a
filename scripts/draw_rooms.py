"""Draw the rooms of recordfirst and the imports between them, from the code itself, into ARCHITECTURE.md.

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
BEGINS, ENDS = "<!-- rooms: made by scripts/draw_rooms.py -->", "<!-- end of rooms -->"
EVERYWHERE = frozenset({"errors", "observe"})


def rooms() -> dict[str, set[str]]:
    """Which rooms each room imports."""
    graph = grimp.build_graph("recordfirst", cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules - {"recordfirst"}:
        room = module.split(".")[1]
        found.setdefault(room, set())
        for imported in graph.find_modules_directly_imported_by(module) - {"recordfirst"}:
            found[room].add(imported.split(".")[1])
    return {room: imports - {room} - EVERYWHERE for room, imports in found.items() if room not in EVERYWHERE}


def reached(graph: dict[str, set[str]], room: str) -> set[str]:
    """All that a room imports, and what that imports, and so on."""
    found: set[str] = set()
    queue = [room]
    while queue:
        for each in graph[queue.pop()] - found:
            found.add(each)
            queue.append(each)
    return found


def picture() -> str:
    """The picture, as Mermaid."""
    graph = rooms()
    lines = ["```mermaid", "graph TD"]
    for room in sorted(graph):
        by_way = {far for near in graph[room] for far in reached(graph, near)}
        lines += [f"    {room} --> {imported}" for imported in sorted(graph[room] - by_way)]
    return "\n".join([BEGINS, *lines, "```", ENDS])


def main() -> int:
    """Write the picture, or check it."""
    page = PAGE.read_text()
    start, end = page.index(BEGINS), page.index(ENDS) + len(ENDS)
    drawn = page[:start] + picture() + page[end:]
    if drawn == page:
        return 0
    if "--check" in sys.argv:
        sys.stderr.write("the picture in ARCHITECTURE.md is not that of the code: run scripts/draw_rooms.py\n")
        return 1
    PAGE.write_text(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
