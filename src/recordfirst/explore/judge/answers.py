"""Replaces in a record what providers have answered otherwise than in the run without faults. Pure.

A provider answers with values of its own: the time of a payment, its reference. The same request, a second later or
after another one, gets other values. So two runs are compared as if each request had been answered the same in both.
This covers only the same request: if the workflow asks for something else, that is a difference of its own, and the
answers are compared as they are.

Whole values are replaced, and words or numbers within texts; a short value (below :data:`_SHORT` characters) only as a
whole. References remain distinct: an order with the reference of another order's payment is still noticed. If two times
are equal in one run and differ in the other, they count as equal in both.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from recordfirst.explore.runs.observed import Observed
from recordfirst.testing.outside import Asked, identity_of

_SHORT = 6
_TIMES_S = range(1_000_000_000, 10_000_000_000)
"""Whole numbers that may be seconds since 1970. Such an answer may be stored as milliseconds, or as a time."""

type Pairs = dict[Any, set[Any]]
"""By a value of one run, the values at the same place in the other run."""


def alike(seen: Observed, reference: Observed) -> tuple[Observed, Observed]:
    """Return both as if each request had been answered the same, so that other differences remain.

    Args:
        seen: the state of a run, at its end or before.
        reference: the state of the run without faults, at its end or before.
    """
    ours, theirs = _names(_pairs(seen.applied, reference.applied))
    return _named(seen, _Replaced(ours)), _named(reference, _Replaced(theirs))


def _named(seen: Observed, replaced: _Replaced) -> Observed:
    return msgspec.structs.replace(
        seen,
        receipts=tuple(
            msgspec.structs.replace(each, result=replaced.json(each.result), error=replaced.json(each.error))
            for each in seen.receipts
        ),
        starts=tuple(
            msgspec.structs.replace(each, result=replaced.json(each.result), error=replaced.json(each.error))
            for each in seen.starts
        ),
        tables={
            # Rows are compared in the order of their values, which may have changed.
            name: tuple(sorted((tuple(map(replaced.value, row)) for row in rows), key=repr))
            for name, rows in seen.tables.items()
        },
        applied=tuple(_asked(each, replaced) for each in seen.applied),
        events=tuple(sorted(msgspec.structs.replace(each, id=replaced.value(each.id)) for each in seen.events)),
        reversals=tuple(sorted(msgspec.structs.replace(each, id=replaced.value(each.id)) for each in seen.reversals)),
    )


def _asked(asked: Asked, replaced: _Replaced) -> Asked:
    return msgspec.structs.replace(asked, request=replaced.value(asked.request), result=replaced.value(asked.result))


def _pairs(applied: Iterable[Asked], reference: Iterable[Asked]) -> Pairs:
    """Compare the answers to the same requests. Later requests may contain answers to earlier ones."""
    times = Counter(map(_about, reference))
    wanted = {_about(asked): asked for asked in reference if times[_about(asked)] == 1}
    pairs: Pairs = defaultdict(set)
    for asked in applied:
        same = _asked(asked, _Replaced({has: next(iter(wants)) for has, wants in pairs.items() if len(wants) == 1}))
        other = wanted.get(_about(same))
        if other is not None and other.request == same.request:
            for has, wants in _beside(asked.result, other.result):
                pairs[has].add(wants)
    return pairs


def _about(asked: Asked) -> tuple[str, str]:
    return asked.kind, identity_of(asked)


def _beside(has: Any, wants: Any) -> Iterator[tuple[Any, Any]]:
    """The values at the same places of two answers. Equal values are among them: they keep their own name."""
    if isinstance(has, dict) and isinstance(wants, dict):
        for name in has.keys() & wants.keys():
            yield from _beside(has[name], wants[name])
    elif isinstance(has, list) and isinstance(wants, list):
        for one, other in zip(has, wants, strict=False):
            yield from _beside(one, other)
    elif type(has) is type(wants) and isinstance(has, str | int | float) and not isinstance(has, bool):
        yield has, wants
        if isinstance(has, int) and has in _TIMES_S and wants in _TIMES_S:
            yield from zip(_times(has), _times(wants), strict=True)


def _times(seconds: int) -> tuple[int, str, str]:
    """A time in the forms that a record may hold. Those of Postgres and of ISO differ in one character."""
    at = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return seconds * 1000, at.strftime("%Y-%m-%dT%H:%M:%S"), at.strftime("%Y-%m-%d %H:%M:%S")


def _names(pairs: Pairs) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """One name for the values of the two runs that correspond; a value that has its own name already is left out."""
    groups: list[tuple[set[Any], set[Any]]] = []
    for has, wants in pairs.items():
        together = [group for group in groups if group[1] & wants]
        groups = [group for group in groups if group not in together]
        groups.append(({has}.union(*(g[0] for g in together)), set(wants).union(*(g[1] for g in together))))
    ours: dict[Any, Any] = {}
    theirs: dict[Any, Any] = {}
    for has_all, wants_all in groups:
        name = min(wants_all, key=repr)
        ours |= {has: name for has in has_all if has != name}
        theirs |= {wants: name for wants in wants_all if wants != name}
    return ours, theirs


class _Replaced:
    """Replaces values by names."""

    def __init__(self, names: Mapping[Any, Any]) -> None:
        self._names = names
        self._texts = {str(each): str(name) for each, name in names.items() if len(str(each)) >= _SHORT}
        alone = "|".join(map(re.escape, sorted(self._texts, key=len, reverse=True)))
        # Only whole words and numbers match. The Z of its zone may follow a time.
        self._pattern = re.compile(rf"(?<!\w)(?:{alone})(?!(?!Z\b)\w)") if alone else None

    def value(self, value: Any) -> Any:
        """A cell of a row, or a part of a result."""
        if isinstance(value, dict):
            return {name: self.value(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        if value in self._names:
            return self._names[value]
        if isinstance(value, str) and self._pattern is not None:
            return self._pattern.sub(lambda found: self._texts[found[0]], value)
        return value

    def json(self, text: str | None) -> str | None:
        """A result or an error, as it is stored."""
        if text is None:
            return None
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:  # it is encrypted
            return text
        return msgspec.json.encode(self.value(value)).decode()
