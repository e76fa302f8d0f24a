"""Stripe's wire format as plain values: form-encoded parameters in, JSON bodies and error bodies out. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec

METADATA_KEYS = 50
METADATA_KEY_CHARS = 40
METADATA_VALUE_CHARS = 500
"""https://docs.stripe.com/api/metadata"""

type Params = Mapping[str, str]
"""The parameters as they were sent, flat: ``metadata[order]`` is one name."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request of the API."""

    method: str
    path: str
    params: Params
    """From the query of a GET, or the form of a POST."""
    api_key: str | None = None
    account: str = ""
    """The ``Stripe-Account`` header. Accounts do not share keys and requests."""
    idempotency_key: str | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The reply, and its delivery: it is sent, cut off, or withheld until the client gives up."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}
    delivery: Literal["send", "cut", "hang"] = "send"


class Refusal(Exception):  # noqa: N818 - an answer of the API, not an error of ours
    """A refusal by the API: an HTTP status and Stripe's error object."""

    def __init__(self, status: int, error: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self.status, self.error, self.headers = status, error, headers or {}
        super().__init__(status, error, self.headers)


def invalid(message: str, *, code: str | None = None, param: str | None = None, status: int = 400) -> Refusal:
    """Return the ``invalid_request_error`` that Stripe would give."""
    given = {"code": code, "param": param, "message": message, "type": "invalid_request_error"}
    return Refusal(status, {name: value for name, value in given.items() if value is not None})


def parse_form(text: str) -> dict[str, str]:
    """Decode a query or a form body; if a name is given twice, the last value counts."""
    return dict(parse_qsl(text, keep_blank_values=True))


def fingerprint(params: Params) -> bytes:
    """Return a hash of the parameters that does not depend on their order."""
    return hashlib.blake2b(repr(sorted(params.items())).encode(), digest_size=16).digest()


def allow(params: Params, names: frozenset[str]) -> None:
    """Refuse parameters whose first part is not among ``names``."""
    for name in params:
        if name.partition("[")[0] not in names:
            raise invalid(
                f"Received unknown parameter: {name} (or one that this simulator does not know)",
                code="parameter_unknown",
                param=name,
            )


def required(params: Params, name: str) -> str:
    """Return a parameter that must be there."""
    if not params.get(name):
        raise invalid(f"Missing required param: {name}.", code="parameter_missing", param=name)
    return params[name]


def integer(params: Params, name: str) -> int | None:
    """Return a whole number, if the parameter is there."""
    text = params.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise invalid(f"Invalid integer: {text}", code="parameter_invalid_integer", param=name) from None


def positive(params: Params, name: str) -> int | None:
    """Return a whole number of at least one, if the parameter is there."""
    value = integer(params, name)
    if value is not None and value < 1:
        raise invalid("This value must be greater than or equal to 1.", code="parameter_invalid_integer", param=name)
    return value


def boolean(params: Params, name: str) -> bool:
    """Return a flag; false, if the parameter is not there."""
    text = params.get(name, "false")
    if text not in ("true", "false"):
        raise invalid(f"Invalid boolean: {text}", param=name)
    return text == "true"


def metadata(params: Params) -> dict[str, str]:
    """Return ``metadata[...]`` as a mapping, within Stripe's limits."""
    found = {name[9:-1]: value for name, value in params.items() if name.startswith("metadata[") and value}
    if len(found) > METADATA_KEYS:
        raise invalid(f"Metadata can have up to {METADATA_KEYS} keys.", param="metadata")
    for key, value in found.items():
        if len(key) > METADATA_KEY_CHARS:
            raise invalid(f"Metadata keys must be under {METADATA_KEY_CHARS} characters in length.", param="metadata")
        if len(value) > METADATA_VALUE_CHARS:
            raise invalid(
                f"Metadata values can have up to {METADATA_VALUE_CHARS} characters, but you passed in a value that is "
                f"{len(value)} characters.",
                param=f"metadata[{key}]",
            )
    return found
