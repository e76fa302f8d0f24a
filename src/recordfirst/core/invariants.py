"""The promises about effects, as functions of a history (``model.Event``): each returns what violates it, as text.

P1, P3, P4 and P5 can be judged by what was stored, called and applied. The others speak of transactions, engines and
people, and are held by tests of those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from recordfirst.core.model import Applied, Called, ModelEvent, Resolved, Stored, Written
from recordfirst.core.receipt import Receipt

_FINAL = ("succeeded", "declined")


def violations(history: Sequence[ModelEvent], *, one_effect: bool = True) -> list[str]:
    """Everything that is wrong with a history. ``one_effect``: P3 is promised (not so with ``in_doubt="repeat"``)."""
    found = [*record_first(history), *frozen_request(history), *outcomes_stand(history), *spent_keys(history)]
    found += outcomes_are_true(history)
    return found + one_application(history) if one_effect else found


def record_first(history: Sequence[ModelEvent]) -> list[str]:
    """P1: no call before the receipt of the write that it depends on, nor before its own intent."""
    found: list[str] = []
    written: set[str] = set()
    stored: set[tuple[str, int]] = set()
    for event in history:
        match event:
            case Written(key):
                written.add(key)
            case Stored(receipt):
                stored.add(_identity(receipt))
            case Called():
                if event.after is not None and event.after not in written:
                    found.append(f"P1: {event.key!r} was called before {event.after!r} had its receipt")
                if (event.key, event.attempt) not in stored:
                    found.append(f"P1: {event.key!r} was called before its intent was stored")
    return found


def one_application(history: Sequence[ModelEvent]) -> list[str]:
    """P3: at most one effect for each key and attempt."""
    times = Counter((event.key, event.attempt) for event in history if isinstance(event, Applied))
    return [f"P3: {key!r} (attempt {attempt}) was applied {n} times" for (key, attempt), n in times.items() if n > 1]


def frozen_request(history: Sequence[ModelEvent]) -> list[str]:
    """P4: every call sends what was stored first, and that stays as it was."""
    found: list[str] = []
    first: dict[tuple[str, int], str] = {}
    for event in history:
        match event:
            case Stored(receipt):
                if first.setdefault(_identity(receipt), receipt.request) != receipt.request:
                    found.append(f"P4: the stored request of {receipt.key!r} changed")
            case Called():
                wanted = first.get((event.key, event.attempt), event.request)
                if event.request != wanted:
                    found.append(f"P4: a call of {event.key!r} sent {event.request}, not {wanted}")
    return found


def outcomes_stand(history: Sequence[ModelEvent]) -> list[str]:
    """P5: a final outcome never changes, and what is unknown is not called again until an operator has answered."""
    found: list[str] = []
    last: dict[tuple[str, int], Receipt] = {}
    unknown_calls: dict[tuple[str, int], int] = {}
    for event in history:
        match event:
            case Resolved(key, attempt):
                unknown_calls.pop((key, attempt), None)
            case Stored(receipt):
                identity = _identity(receipt)
                before = last.get(identity)
                if before is not None and before.state in _FINAL and _outcome(before) != _outcome(receipt):
                    found.append(f"P5: {receipt.key!r} was {before.state} and became {receipt.state}")
                if receipt.calls > unknown_calls.get(identity, receipt.calls):
                    found.append(f"P5: {receipt.key!r} was unknown and is called again though no operator has answered")
                if receipt.state == "unknown":
                    unknown_calls[identity] = receipt.calls
                last[identity] = receipt
    return found


def spent_keys(history: Sequence[ModelEvent]) -> list[str]:
    """P5: once an unusable answer is known to be stored under a key, no further call is begun under that key."""
    found: list[str] = []
    last: dict[tuple[str, int], Receipt] = {}
    spent: dict[tuple[str, int], int] = {}
    for receipt in (event.receipt for event in history if isinstance(event, Stored)):
        identity = _identity(receipt)
        before = last.get(identity, receipt)
        if receipt.calls > before.calls and receipt.reissue <= spent.get(identity, -1):
            found.append(f"P5: {receipt.key!r} is called again under a key whose answer is stored")
        if before.replayed:
            spent[identity] = before.reissue
        last[identity] = receipt
    return found


def outcomes_are_true(history: Sequence[ModelEvent]) -> list[str]:
    """P5: nothing is guessed: what is stored as succeeded was applied, and what is stored as declined was not."""
    applied = {(event.key, event.attempt) for event in history if isinstance(event, Applied)}
    last = {_identity(event.receipt): event.receipt for event in history if isinstance(event, Stored)}
    found: list[str] = []
    for identity, receipt in last.items():
        if receipt.state == "declined" and identity in applied:
            found.append(f"P5: {receipt.key!r} (attempt {receipt.attempt}) is declined, and was applied")
        if receipt.state == "succeeded" and identity not in applied:
            found.append(f"P5: {receipt.key!r} (attempt {receipt.attempt}) is succeeded, and was not applied")
    return found


def _identity(receipt: Receipt) -> tuple[str, int]:
    return receipt.key, receipt.attempt


def _outcome(receipt: Receipt) -> tuple[str | None, ...]:
    return receipt.state, receipt.result, receipt.error
