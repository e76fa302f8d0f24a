"""The text of what other code has raised, read so that reading it cannot fail, and without the secrets in it.

An exception's ``__str__`` is the user's or a library's code: it may raise, or return what no store can carry.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

MASK = "***"
"""What stands in a text in place of a secret."""


_LONGEST = 20_000
"""Characters of an error's text that are looked at."""


def text_of(error: object) -> str:
    """Return ``str(error)``, as far as it is looked at; if that fails, a text that names the class and says so.

    Total, but for an interrupt.
    """
    try:
        # The slice of a subclass of str is a str.
        return str.__getitem__(str(error), slice(0, _LONGEST))
    except KeyboardInterrupt:
        raise
    except BaseException as failure:  # noqa: BLE001 - whatever the user's code raises, the text is unreadable
        return f"{class_name(error)} without a readable text: its __str__ raises {class_name(failure)}"


def safe_text(error: object) -> str:
    """Return :func:`text_of` an exception as it may be stored and logged: any store takes it, secrets are masked."""
    return storable_text(masked(text_of(error)))


def shown(value: object) -> str:
    """Return ``repr(value)`` as an error may print it: without the secrets in it. Total."""
    try:
        return masked(repr(value))
    except Exception:  # noqa: BLE001 - the user's code
        return f"a {class_name(value)}"


def class_name(value: object) -> str:
    """Return the class of ``value``, with its module unless it is built in. Total: a metaclass may be odd, too."""
    cls = type(value)
    try:
        name, module = str(cls.__qualname__), str(cls.__module__)
    except Exception:  # noqa: BLE001 - the user's code
        return "a class without a readable name"
    return name if module in ("builtins", "__main__") else f"{module}.{name}"


def storable_text(text: str) -> str:
    """Return a text as every store can carry it: half a surrogate pair, or NUL, becomes U+FFFD."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")


# ── screens ─────────────────────────────────────────────────────────────────

_UNPRINTED = re.compile(
    # Controls (C0, DEL, C1), what reorders or hides text, other ends of lines, and halves of surrogate pairs.
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def escaped(text: object) -> str:
    """Return a text as a screen may show it, in one line: what a terminal obeys instead of showing is an escape."""
    return _UNPRINTED.sub(_escape, str(text))


def escaped_lines(text: object) -> str:
    """Return a text of several lines, each :func:`escaped`. For texts whose lines are ours."""
    return "\n".join(map(escaped, str(text).split("\n")))


def _escape(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


# ── secrets ─────────────────────────────────────────────────────────────────

_NAMES = r"\w*passw(?:or)?d|pwd|passphrase|\w*secret|(?:\w+[-_]?)?api[-_]?key|private[-_]?key"
"""Whose value is a secret wherever it is named."""
_MORE_NAMES = rf"{_NAMES}|(?:\w+[-_])?token|signature|sig|credentials?"
"""Whose value is one where it is assigned."""
_HEADER = r"(?:proxy-)?authorization|(?:x-)?api-key|x-[\w-]*(?:token|key|secret)|(?:set-)?cookie"
_VALUE = r"(?:b?'(?:[^'\\]|\\.)*'|b?\"(?:[^\"\\]|\\.)*\"|[^\s,;)\]}&'\"]+)"

_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<user>[^\s:@/?#'\"]*)(?P<password>:[^\s'\"<>]*)?@")
_PARAMETER = re.compile(r"(?P<lead>[?&;])(?P<name>[\w%.-]+)=(?P<value>[^&\s'\"<>]*)")
_ASSIGNED = re.compile(
    rf"(?P<name>\b(?:{_MORE_NAMES})\s*=\s*|\b(?:{_MORE_NAMES})['\"]\s*:\s*|\b(?:{_NAMES}):\s+){_VALUE}", re.IGNORECASE
)
_HEADERS = re.compile(
    rf"(?P<name>\b(?:{_HEADER})['\"]?\s*[:=,]\s*)(?:b?'[^'\r\n]*'|b?\"[^\"\r\n]*\"|[^\r\n'\"]+)", re.IGNORECASE
)
_BEARER = re.compile(r"\b(?P<name>bearer|basic)\s+(?=[^\s'\"]*[\d=+/_-])[\w.~+/=-]{8,}", re.IGNORECASE)
_KEYS = re.compile(r"\b(?P<kind>(?:sk|rk|pk|whsec|xox[bap]|ghp|github_pat)[_-](?:live_|test_)?)\w{6,}")
_SECRET_NAME = re.compile(_MORE_NAMES, re.IGNORECASE)
_HINTS = (
    "@", "%", "passw", "pwd", "passphrase", "secret", "apikey", "api-key", "api_key", "private", "-key", "token", "sig",
    "credential", "authorization", "cookie", "bearer", "basic", "sk_", "rk_", "pk_", "whsec", "xox", "ghp", "github_",
)  # fmt: skip
"""One of these, in small letters, is in each form below; what has none is not looked at further."""


def masked(text: str, *known: str) -> str:
    """Return a text without the secrets that can be told from its form, and without those in ``known``.

    Known forms: the password in a URL or a connection string (also percent-encoded, also in the query), credentials in
    headers, and keys of well-known providers. More is masked rather than less.
    """
    for secret in sorted(filter(None, known), key=len, reverse=True):
        text = text.replace(secret, MASK)
    small = text.lower()
    if not any(hint in small for hint in _HINTS):
        return text
    if "://" in text:
        text = _USERINFO.sub(_without_password, text)
    if "=" in text:
        text = _PARAMETER.sub(_without_value, text)
    text = _HEADERS.sub(rf"\g<name>{MASK}", text)
    text = _ASSIGNED.sub(rf"\g<name>{MASK}", text)
    text = _BEARER.sub(rf"\g<name> {MASK}", text)
    return _KEYS.sub(rf"\g<kind>{MASK}", text)


def misplaced_at(url: str) -> bool:
    """Whether a URL's password holds @ or /, which end it: the rest of it is then taken for a host, and printed."""
    _, separator, rest = url.partition("://")
    userinfo, at, _ = re.split(r"[?#]", rest, maxsplit=1)[0].rpartition("@")
    address, slash, _ = userinfo.partition("/")
    host, _, port = address.rpartition(":")
    is_path = bool(slash) and (not host or port.isdigit()) and "@" not in address
    return bool(separator and at) and ("@" in userinfo or "/" in userinfo) and not is_path


def without_credentials(url: str) -> str:
    """Return a URL without user, password, query and fragment; one without these is the same."""
    head, separator, rest = url.partition("://")
    address, slash, path = rest.partition("/")
    path = re.split(r"[?#]", path, maxsplit=1)[0]
    return f"{head}{separator}{re.split(r'[?#]', address.rpartition('@')[2], maxsplit=1)[0]}{slash}{path}"


def _without_password(found: re.Match[str]) -> str:
    # A user without a password names a role of a database, but for HTTP it is a token more often than not.
    if found["password"] is None and not found["scheme"].lower().startswith("http"):
        return found[0]
    user = "" if found["scheme"].lower().startswith("http") else found["user"]
    return f"{found['scheme']}://{user}:{MASK}@" if user else f"{found['scheme']}://{MASK}@"


def _without_value(found: re.Match[str]) -> str:
    return f"{found['lead']}{found['name']}={MASK}" if _SECRET_NAME.fullmatch(unquote(found["name"])) else found[0]
