"""The operator of every world, who looks outside and answers for unknown outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from recordfirst.client.app import App
from recordfirst.core import identity
from recordfirst.core.receipt import Receipt
from recordfirst.errors import Misuse
from recordfirst.explore.case import Case
from recordfirst.testing.outside import Outside


def provided(case: Case, outside: Outside) -> Mapping[Any, Any]:
    """The values that are injected into steps.

    Raises:
        Misuse: if the case's own function does not return them.
    """
    try:
        given: Any = case.provide(outside)
    except Exception as error:
        raise Misuse(f"provide= of the case raised {type(error).__name__}: {error}") from error
    if not isinstance(given, Mapping):
        raise Misuse(f"provide= of the case must return a mapping from types to values, not {given!r}")
    return given


async def answer(app: App, outside: Outside, note: Callable[[str], None]) -> bool:
    """Look up unknown outcomes outside and answer, as an operator does. Return whether there was one."""
    async with app.runtime.record.session() as session:
        unknown: list[Receipt] = await session.unsettled("unknown", None, 0, 100)
    for receipt in unknown:
        marker = identity.marker(app.name, receipt.key, receipt.attempt, 255)
        # A double that stores no marker has the key, which begins with the same text.
        done = next((asked for asked in outside.applied if marker in (asked.marker, asked.key)), None)
        note(f"an operator looks for {receipt.key!r} outside: {'done' if done is not None else 'not done'}")
        if done is None:
            await _says(app, note, receipt, outcome="not done")
        # An effect mostly returns what the provider answered. If it returns nothing, no result is given.
        elif not await _says(app, note, receipt, outcome="succeeded", result=done.result):
            await _says(app, note, receipt, outcome="succeeded", result=None)
    return bool(unknown)


async def _says(app: App, note: Callable[[str], None], receipt: Receipt, **said: Any) -> bool:
    """Answer. Return whether the answer was accepted."""
    try:
        await app.resolve(receipt.key, attempt=receipt.attempt, **said)
    except Misuse as refused:
        note(f"and is told: {refused}")
        return False
    return True
