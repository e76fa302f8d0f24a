"""The part of Stripe's search language that a probe needs: ``metadata['k']:'v'``, ``status:'x'``, ``AND``. Pure."""

from __future__ import annotations

import re

import msgspec

from recordfirst.testing.stripe.wire import invalid

_TEXT = r"""(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')"""
_CLAUSE = re.compile(rf"\s*(?:(status)|metadata\[{_TEXT}\])\s*:\s*{_TEXT}\s*")
_AND = re.compile(r"AND\b", re.IGNORECASE)


class Query(msgspec.Struct, frozen=True):
    """Clauses that must all be true."""

    metadata: dict[str, str]
    status: str | None

    @property
    def pair(self) -> tuple[str, str]:
        """The first metadata clause, which is looked up in the index."""
        return next(iter(self.metadata.items()))

    def matches(self, metadata: dict[str, str], status: str) -> bool:
        """Return whether an object matches."""
        wanted = all(metadata.get(key) == value for key, value in self.metadata.items())
        return wanted and self.status in (None, status)


def parse_query(text: str) -> Query:
    """Parse a query. One that this simulator does not know is refused, as Stripe refuses a malformed one."""
    metadata: dict[str, str] = {}
    status: str | None = None
    at = 0
    while True:
        clause = _CLAUSE.match(text, at)
        if clause is None:
            raise invalid(f"We were unable to parse your search query, or this simulator cannot: {text}", param="query")
        field, double_key, single_key, double, single = clause.groups()
        value = _unescape(double if double is not None else single)
        if field:
            status = value
        else:
            metadata[_unescape(double_key if double_key is not None else single_key)] = value
        at = clause.end()
        if at == len(text):
            break
        conjunction = _AND.match(text, at)
        at = conjunction.end() if conjunction else len(text)
    if not metadata:
        raise invalid("This simulator searches only by metadata.", param="query")
    return Query(metadata, status)


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
