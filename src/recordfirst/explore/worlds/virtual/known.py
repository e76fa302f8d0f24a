"""What statements are called, by their text: the record's own, and those of rooms that have theirs beside them."""

from __future__ import annotations

from recordfirst.records import statements

_OTHERS = {"event": "recordfirst.events", "reversal": "recordfirst.execution.reversals"}
"""Whose statements are done for a workflow, too; with what their names begin here."""


def names_by_text(product: str) -> dict[str, str]:
    """Return the names of the statements for a product: ``sqlite``, say."""
    known = statements.load(f"recordfirst.records.{product}").by_text()
    for kind, package in _OTHERS.items():
        known |= {text: f"{kind}_{name}" for name, text in statements.folder(package, product).items()}
    return known
