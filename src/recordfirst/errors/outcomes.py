"""What an effect's call can come to (P5)."""

from __future__ import annotations

from recordfirst.errors.base import RecordfirstError


class Declined(RecordfirstError):
    """The provider refused for good. Stored, final, never retried; a new try is a new attempt.

    Raised by an effect's own code or by its provider's classification, and raised again, from the stored
    receipt, wherever the effect is asked for. ``key`` is filled in from the receipt.
    """

    def __init__(self, reason: str, code: str | None = None, key: str | None = None) -> None:
        self.reason, self.code, self.key = reason, code, key
        super().__init__(reason, code, key)

    def __str__(self) -> str:
        what = f"effect {self.key!r}: " if self.key else ""
        return f"{what}declined: {self.reason}" + (f" ({self.code})" if self.code else "")


REFUSED_CREDENTIAL = "refused credential"
"""``NotDone.code`` for a key that is wrong, expired, revoked, or lacks a permission (401, 403)."""


class NotDone(RecordfirstError):
    """The call certainly had no effect, and the same request may succeed later (refused connection, 429).

    ``retry_after_ms`` is the provider's own wish, if it gave one. ``code``: :data:`REFUSED_CREDENTIAL` if it was not
    the request that was refused but who sent it: no call of the app gets through until an operator has changed that.
    """

    def __init__(self, reason: str, retry_after_ms: int | None = None, code: str | None = None) -> None:
        self.reason, self.retry_after_ms, self.code = reason, retry_after_ms, code
        super().__init__(reason, retry_after_ms, code)

    def __str__(self) -> str:
        return f"not done: {self.reason}"


class Unknown(RecordfirstError):
    """The call may or may not have had its effect (timeout after sending, 5xx, reset).

    ``replayed``: the provider stored this answer under the key, so asking again with the same key only
    repeats it (Stripe's 500); only a probe can tell.
    """

    fate = "unknown"

    def __init__(self, reason: str, replayed: bool = False) -> None:  # noqa: FBT001, FBT002 - positional so that it pickles
        self.reason, self.replayed = reason, replayed
        super().__init__(reason, replayed)

    def __str__(self) -> str:
        return f"outcome unknown: {self.reason}"


class Undeclared(Unknown):
    """The same, where neither the effect nor its provider says what the exception means: a bug, or an answer that an
    SDK could not read. The call may have had its effect; calls that end like this are counted (:class:`EffectStopped`).
    """


class EffectStopped(RecordfirstError):
    """An effect's calls have ended too often in an exception that is not declared: it is not called again for now.

    What became of the calls stays in doubt in the record. A reconcile goes on asking the probe, if there is one.
    """

    fate = "unknown"

    def __init__(self, key: str, count: int, cause: str) -> None:
        self.key, self.count, self.cause = key, count, cause
        super().__init__(key, count, cause)

    def __str__(self) -> str:
        return (
            f"effect {self.key!r} is stopped: {self.count} calls ended in an exception that neither its code nor its "
            f"provider's classify() declares, the last one in {self.cause}; what became of them is in doubt, and "
            "the stop undoes nothing: fix the effect, or let classify() say what the exception means, and deploy it"
        )
