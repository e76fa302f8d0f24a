"""A script of SQL as its single statements."""

from __future__ import annotations

import sqlite3


def split(script: str) -> list[str]:
    """Cut a script into its statements."""
    found, pending = [], ""
    for piece in script.split(";")[:-1]:
        pending += piece + ";"
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    return found
