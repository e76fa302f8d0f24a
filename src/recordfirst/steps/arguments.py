"""Arguments as they are stored, and as a step gets them (P12)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from recordfirst.core import codec


class Arguments(dict[str, Any]):
    """A call's arguments by name: the copy that is read back of them, as it will be after a crash, with its defaults.

    What was given may be changed by then; this is the call's own.
    """

    __slots__ = ("asked", "defaulted", "is_plain", "text")

    def __init__(self, values: Mapping[str, Any], text: str, asked: str, defaulted: Collection[str] = ()) -> None:
        super().__init__(values)
        self.text = text
        """All of them, as canonical JSON: the frozen request."""
        self.asked = asked
        """Without the defaults, which a deploy may change: by these a call is known to be the same."""
        self.defaulted = defaulted
        """Names of those that are defaults: no key may rest on one."""
        self.is_plain = False
        """Nothing of them can be changed by a function that gets them."""

    @classmethod
    def of(cls, arguments: Mapping[str, Any], what: str) -> Arguments:
        """The same, or what was read from a row."""
        if isinstance(arguments, cls):
            return arguments
        text = codec.encode(arguments, what)
        return cls(arguments, text, text)
