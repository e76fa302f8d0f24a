"""Signed events of any provider, in a few lines: an HMAC in a header, or https://www.standardwebhooks.com.

::

    app.events(SignedEvents("warehouse", secrets=[secret], header="X-Signature", prefix="sha256="))
    app.events(StandardWebhooks("resend", secrets=["whsec_..."]))

Nothing here waits or asks: what an event is about is read from its body.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from recordfirst.core.event import NewEvent
from recordfirst.errors import Misuse
from recordfirst.providers.events import MOST_BYTES, TOLERANCE_S, BadSignature, NotAnEvent

type Names = Callable[[Any], Iterable[str]]
"""Names out of a decoded body."""


class SignedEvents:
    """Events with an HMAC-SHA256 of their body in a header.

    Args:
        name: the provider's, as its effects have it.
        secrets: what it signs with; several while one replaces another.
        header: where the signature is.
        encoding: how it is written.
        prefix: what stands before it, such as ``sha256=``.
        id, type: fields of the body that hold them.
        markers, keys, references: read from the decoded body what the event is about; each is none, by default.
        most_bytes: the largest body that is read.

    The body alone is signed: anyone who has seen an event can send it again, which changes nothing: it counts once.
    """

    def __init__(
        self,
        name: str,
        *,
        secrets: Sequence[str],
        header: str,
        encoding: Literal["hex", "base64"] = "hex",
        prefix: str = "",
        id: str = "id",
        type: str = "type",
        markers: Names = lambda _: (),
        keys: Names = lambda _: (),
        references: Names = lambda _: (),
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.name, self.most_bytes = name, most_bytes
        self._secrets = [secret.encode() for secret in check_secrets(secrets, f"SignedEvents({name!r})")]
        self._header, self._encoding, self._prefix = header.lower(), encoding, prefix
        self._id, self._type, self._names = id, type, (keys, markers, references)

    def read(self, body: bytes, headers: Mapping[str, str]) -> NewEvent:
        """Verify the header, and read the body.

        Raises:
            BadSignature: if none of the secrets has signed the body.
            NotAnEvent: if the body is no JSON object, or lacks its id or type.
        """
        given = headers.get(self._header, "").removeprefix(self._prefix)
        if not any(hmac.compare_digest(self._signature(secret, body), given.encode()) for secret in self._secrets):
            raise BadSignature(f"{self._header} is no signature of this body by a secret of {self.name}")
        data = decoded(body)
        return event_of(self.name, _field(data, self._id), _field(data, self._type), data, body, self._names)

    def is_ours(self, event: NewEvent) -> bool:
        """Always: it knows no test mode."""
        del event
        return True

    def _signature(self, secret: bytes, body: bytes) -> bytes:
        digest = hmac.digest(secret, body, "sha256")
        return digest.hex().encode() if self._encoding == "hex" else base64.b64encode(digest)


class StandardWebhooks:
    """Events as https://github.com/standard-webhooks/standard-webhooks specifies them: ``v1``, symmetric.

    ``webhook-signature`` has signatures of ``id.timestamp.body``, separated by blanks; a secret is ``whsec_`` and
    base64.

    Args:
        name: the provider's, as its effects have it.
        secrets: what it signs with; several while one replaces another.
        type: the field of the body that holds the event's type.
        markers, keys, references: as in :class:`SignedEvents`.
        tolerance_s: how far the time of a signature may be off, in seconds.
        most_bytes: the largest body that is read.
        clock: says what time it is, in seconds since 1970.
    """

    def __init__(
        self,
        name: str,
        *,
        secrets: Sequence[str],
        type: str = "type",
        markers: Names = lambda _: (),
        keys: Names = lambda _: (),
        references: Names = lambda _: (),
        tolerance_s: float = TOLERANCE_S,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.most_bytes, self._clock = name, most_bytes, clock
        what = f"StandardWebhooks({name!r})"
        self._secrets = [_raw(secret, what) for secret in check_secrets(secrets, what)]
        self._type, self._names, self._tolerance_s = type, (keys, markers, references), tolerance_s

    def read(self, body: bytes, headers: Mapping[str, str]) -> NewEvent:
        """Verify signature and time, and read the body.

        Raises:
            BadSignature: if a header is missing, none of the secrets has signed the body, or the time is further off
                than ``tolerance_s``.
            NotAnEvent: if the body is no JSON object, or lacks its type.
        """
        id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not id or not (at.isascii() and at.isdigit()):
            raise BadSignature("webhook-id or webhook-timestamp is missing")
        signed = f"{id}.{at}.".encode() + body
        wanted = [b"v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")) for secret in self._secrets]
        given = [each.encode() for each in headers.get("webhook-signature", "").split(" ")]
        if not any(hmac.compare_digest(ours, theirs) for ours in wanted for theirs in given):
            raise BadSignature(f"webhook-signature has no signature by a secret of {self.name}")
        if abs(self._clock() - int(at)) > self._tolerance_s:
            raise BadSignature(f"it was signed at {at}, which is not now")
        data = decoded(body)
        return event_of(self.name, id, _field(data, self._type), data, body, self._names)

    def is_ours(self, event: NewEvent) -> bool:
        """Always: it knows no test mode."""
        del event
        return True


def check_secrets(secrets: Sequence[str], what: str) -> Sequence[str]:
    """Refuse what would let everybody in."""
    if isinstance(secrets, str) or not secrets or not all(str(each).strip() for each in secrets):
        raise Misuse(f"{what}: secrets= takes a list of one or more signing secrets, none of them empty")
    return secrets


def decoded(body: bytes) -> Any:
    """Return a body's JSON object."""
    try:
        data = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise NotAnEvent(f"the body is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise NotAnEvent("the body is no JSON object")
    return data


def event_of(provider: str, id: str, type: str, data: Any, body: bytes, names: tuple[Names, Names, Names]) -> NewEvent:
    """Make an event of what was verified."""
    try:
        keys, markers, references = (tuple(map(str, read(data))) for read in names)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise NotAnEvent(f"what it is about cannot be read from it: {error!r}") from error
    return NewEvent(
        provider=provider, id=id, type=type, keys=keys, markers=markers, references=references, body=body.decode()
    )


def _field(data: Any, path: str) -> str:
    for name in path.split("."):
        data = data.get(name) if isinstance(data, dict) else None
    if not isinstance(data, str | int) or data == "":
        raise NotAnEvent(f"it has no {path}")
    return str(data)


def _raw(secret: str, what: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise Misuse(f"{what}: a secret is whsec_ and base64") from None
