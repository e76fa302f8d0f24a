"""Idempotency keys as https://docs.stripe.com/api/idempotent_requests describes them. Pure: the time is an argument.

| the request's key | the request gets |
|---|---|
| is new, or older than the retention | its execution |
| was used on another endpoint, or with other parameters | 400 ``idempotency_error`` |
| is that of a request that is still running | 409 ``idempotency_key_in_use`` |
| has a stored reply, also a 402 or 500 | that reply, with ``Idempotent-Replayed: true`` |

If an endpoint's execution has begun, its reply is stored. An earlier refusal (bad parameters, 401, 409, 429) is not
stored and does not use the key: the same key may be sent again.
"""

from __future__ import annotations

import msgspec

from recordfirst.testing.stripe.wire import Refusal, Reply, Request, fingerprint

RETENTION_MS = 24 * 3600 * 1000
"""Keys may be removed "after they're at least 24 hours old"; here they expire then, to the millisecond."""
KEY_CHARS = 255


class Use(msgspec.Struct, kw_only=True):
    """A key in use."""

    path: str
    fingerprint: bytes
    since_ms: int
    request_id: str
    reply: Reply | None = None
    """``None`` while the first request is running."""


class KeyStore:
    """The keys of all accounts, until they expire."""

    def __init__(self) -> None:
        self._uses: dict[tuple[str, str], Use] = {}

    def __len__(self) -> int:
        return len(self._uses)

    def check(self, request: Request, now_ms: int) -> Reply | None:
        """Return the stored reply, marked as replayed; ``None`` if the endpoint must execute.

        Raises:
            Refusal: if the key was used for another request, or its request is still running.
        """
        key = request.idempotency_key
        if key is None:
            return None
        if len(key) > KEY_CHARS:
            raise Refusal(400, _conflict(f"Idempotency keys can be at most {KEY_CHARS} characters long."))
        self._forget(now_ms)
        use = self._uses.get((request.account, key))
        if use is None or _expired(use, now_ms):
            return None
        other = f"Try using a key other than '{key}' if you meant to execute a different request."
        if use.path != request.path:
            raise Refusal(
                400,
                _conflict(
                    "Keys for idempotent requests can only be used for the same endpoint they were first used for "
                    f"('{request.path}' vs '{use.path}'). {other}"
                ),
            )
        if use.fingerprint != fingerprint(request.params):
            raise Refusal(
                400,
                _conflict(
                    "Keys for idempotent requests can only be used with the same parameters they were first used "
                    f"with. {other}"
                ),
            )
        if use.reply is None:
            error = {
                "code": "idempotency_key_in_use",
                "message": "There is currently another in-progress request using this Idempotent Key (that probably "
                f"means you submitted twice, and the other request is still going through): {key}.",
                "type": "invalid_request_error",
            }
            raise Refusal(409, error, {"Stripe-Should-Retry": "true"})
        marks = {"Idempotent-Replayed": "true", "Original-Request": use.request_id}
        return msgspec.structs.replace(use.reply, headers=use.reply.headers | marks, delivery="send")

    def start(self, request: Request, now_ms: int, request_id: str) -> None:
        """Mark the key as in use: the execution begins."""
        if request.idempotency_key is not None:
            name = request.account, request.idempotency_key
            self._uses.pop(name, None)  # an expired use: its successor is added at the end
            self._uses[name] = Use(
                path=request.path, fingerprint=fingerprint(request.params), since_ms=now_ms, request_id=request_id
            )

    def store(self, request: Request, reply: Reply) -> None:
        """Store the reply, of any status: the execution has ended, and the key answers this from now on."""
        if request.idempotency_key is not None:
            self._uses[request.account, request.idempotency_key].reply = reply

    def _forget(self, now_ms: int) -> None:
        """Drop expired keys. They are in the order of their times, so at most one that has not expired is read."""
        while self._uses:
            oldest, use = next(iter(self._uses.items()))
            if not _expired(use, now_ms):
                return
            del self._uses[oldest]


def _expired(use: Use, now_ms: int) -> bool:
    """Return whether the key is free again; the key of a running request never is."""
    return use.reply is not None and now_ms >= use.since_ms + RETENTION_MS


def _conflict(message: str) -> dict[str, str]:
    return {"message": message, "type": "idempotency_error"}
