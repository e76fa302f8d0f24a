"""The faults of the simulator: by seed and rates, or one by one as a test orders them. Pure.

The seed, the idempotency key, and the number of earlier requests with that key decide which fault hits a request. So a
run can be repeated although its requests arrive in another order, and a retry of the same key draws again.

| fault | what it does | what the client can know |
|---|---|---|
| ``reset_before`` | cuts the connection; nothing applied | nothing |
| ``rate_limited`` | 429 with ``Retry-After``; nothing applied or stored | not done |
| ``error_before`` | 500, stored under the key; nothing applied | nothing: it looks like the next one |
| ``error_after`` | applied; 500, stored under the key and replayed until the key expires | nothing |
| ``lost_reply`` | applied and stored; cuts the connection | nothing |
| ``timeout_after_applying`` | applied and stored; answers nothing for ``hang_s`` | nothing |
| ``decline`` | the card is declined: 402, stored | declined |
| ``slow`` | answers as usual, ``slow_s`` late; the key is in use meanwhile (409) | everything, later |
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Literal, get_args

import msgspec

type FaultKind = Literal[
    "reset_before",
    "rate_limited",
    "error_before",
    "error_after",
    "lost_reply",
    "timeout_after_applying",
    "decline",
    "slow",
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind.__value__)

AT_THE_DOOR: frozenset[FaultKind] = frozenset({"reset_before", "rate_limited"})
"""These hit before the key is checked."""
IN_EXECUTION: frozenset[FaultKind] = frozenset({"error_before", "error_after"})
"""These hit only an execution, not a replay."""
ON_THE_WAY_BACK: frozenset[FaultKind] = frozenset({"lost_reply", "timeout_after_applying", "slow"})
"""These hit any reply, also a replay."""
DECLINE: frozenset[FaultKind] = frozenset({"decline"})
"""This hits only a charge of a card."""


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates of faults, each between 0 and 1, together at most 1. They hit POST requests.

    Raises:
        ValueError: if a rate is negative, the sum of the rates is above 1, or a time is negative.
    """

    seed: int = 0
    reset_before: float = 0.0
    rate_limited: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    lost_reply: float = 0.0
    timeout_after_applying: float = 0.0
    decline: float = 0.0
    slow: float = 0.0
    slow_s: float = 0.5
    hang_s: float = 120.0
    """It is longer than the SDK's own time-out of 80 s."""
    retry_after_s: int = 1

    def __post_init__(self) -> None:
        rates = [getattr(self, kind) for kind in KINDS]
        if min(rates) < 0 or sum(rates) > 1 + 1e-9:
            raise ValueError("fault rates must not be negative, and their sum must be at most 1")
        if min(self.slow_s, self.hang_s, self.retry_after_s) < 0:
            raise ValueError("slow_s, hang_s and retry_after_s must not be negative")

    def draw(self, key: str, nth: int) -> FaultKind | None:
        """Return the fault that hits the ``nth`` request with this key."""
        digest = hashlib.blake2b(f"{self.seed}\0{key}\0{nth}".encode(), digest_size=8).digest()
        left = int.from_bytes(digest) / 2**64
        for kind in KINDS:
            rate: float = getattr(self, kind)
            if left < rate:
                return kind
            left -= rate
        return None


class Scripted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault that a test has ordered. It hits the next request whose ``METHOD /path`` starts with ``on``."""

    kind: FaultKind
    on: str = "POST"


class FaultPlan:
    """The rates, and the faults that were ordered. Orders take precedence over rates."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.orders: deque[Scripted] = deque()
        self.hits: dict[FaultKind, int] = dict.fromkeys(KINDS, 0)

    def take(self, method: str, path: str, key: str, nth: int, among: frozenset[FaultKind]) -> FaultKind | None:
        """Return the fault that hits this request, if it is one of ``among``."""
        kind = self._ordered(f"{method} {path}", among)
        if kind is None and method == "POST":
            drawn = self.faults.draw(key, nth)
            kind = drawn if drawn in among else None
        if kind is not None:
            self.hits[kind] += 1
        return kind

    def _ordered(self, what: str, among: frozenset[FaultKind]) -> FaultKind | None:
        for index, order in enumerate(self.orders):
            if what.startswith(order.on):
                if order.kind not in among:
                    return None
                del self.orders[index]
                return order.kind
        return None
