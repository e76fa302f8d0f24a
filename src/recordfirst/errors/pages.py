"""Where the docs are that errors and commands name: by their address, since a wheel does not contain them."""

from __future__ import annotations

DOCS = "https://recordfirst.readthedocs.io/en/latest/"
"""The same as ``[project.urls]`` says."""


def page(name: str, section: str = "") -> str:
    """Return the address of a page, by its path in ``docs/`` without a suffix, and of a section of it."""
    return f"{DOCS}{name}.html" + (f"#{section}" if section else "")
