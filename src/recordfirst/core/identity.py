"""Names that survive everything: ids in the engine, keys at providers, ids derived from keys (P3, P8).

All are pure functions of the business id or key, published with test vectors (``tests/core/vectors``), and never
change: a changed derivation would make every open workflow a stranger.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from recordfirst.errors import BadId, BadKey

_NAMESPACE = uuid.UUID("6f2d0f5e-9d0c-5d5b-8a53-0f3f4b0b7a10")
"""Namespace of the UUIDs that :func:`derived_uuid` makes; arbitrary, fixed for ever."""

_PLAIN = "-_.@+ "
"""What an engine id carries as it is, besides letters and digits. ``:`` is Resonate's, ``~`` marks the epoch."""

_KEY_PLAIN = "!$&'()*+,-.:;=@_"
"""What a provider key carries as it is, besides letters and digits. ``/``, ``#`` and ``~`` part what it is made of."""

_MARK = int.from_bytes(b"rf")
_NOT_OF_A_GROUP = re.compile(r"[^a-z0-9._-]")

_LIMIT_LEAST = 20
"""Characters that a provider must take when a key is too long for it: eighty bits of a hash."""

APP_BYTES_MOST = 64
ID_BYTES_MOST = 255
KEY_BYTES_MOST = 1_000
"""Bytes of UTF-8, the same for every record. A Postgres index takes 2,704 in one row, where an app's name is, too. In
an engine whatever is not plain is three times as long (:func:`engine_id`), and resonate-pg keeps two ids in one row,
with the steps below one of them: at 255 that is 2,000, and leaves room for those. A key is in no engine's id."""


def check_id(id: Any, what: str = "a workflow id", bytes_most: int = ID_BYTES_MOST) -> str:
    """Return a workflow id, or another name, that every store can carry.

    Raises:
        BadId: if it is not text, is empty, holds a NUL character or is too long.
    """
    if not isinstance(id, str) or not id:
        raise BadId(f"{what} must be text and not empty, not {id!r}")
    if "\0" in id:
        raise BadId(f"{what} must not hold a NUL character, which Postgres cannot store: {id!r}")
    try:
        length = len(id.encode())
    except UnicodeEncodeError:
        raise BadId(f"{what} must be valid Unicode text, not {id!r}") from None
    if length > bytes_most:
        raise BadId(
            f"{what} may have {bytes_most} bytes of UTF-8, not {length:,}: {_beginning(id)}; use a shorter name "
            "for it, or a hash of it"
        )
    return id


def check_key(key: str, whose: str) -> str:
    """Return a key that every store can carry.

    Raises:
        BadKey: if it is too long.
    """
    if len(key) * 4 > KEY_BYTES_MOST and (length := len(key.encode())) > KEY_BYTES_MOST:
        raise BadKey(
            f"the key of {whose} may have {KEY_BYTES_MOST:,} bytes of UTF-8, not {length:,}: {_beginning(key)}; put an "
            "id, or a hash, in place of what is long in it"
        )
    return key


def _beginning(text: str) -> str:
    return f"{text[:60]!r}..."


def engine_id(app: str, id: str, epoch: int) -> str:
    """Return the id of a workflow's promise in the engine: the app, the business id, and the epoch from the second on.

    Reversible (:func:`parse_engine_id`). Resonate reserves ``:``, so that and whatever is not plain is percent-encoded.
    """
    suffix = f"~{epoch}" if epoch > 1 else ""
    return f"{_quote(app)}~{_quote(id)}{suffix}"


def group(app: str) -> str:
    """Return the name of the group of workers that an app's workflows are started in.

    Addresses are made of it, so it is of small letters, digits, ``.``, ``_`` and ``-``; any other name is cut down to
    those, and gets a hash that keeps it apart.
    """
    plain = _NOT_OF_A_GROUP.sub("-", app.lower())
    return plain if plain == app else f"{plain}-{hashlib.sha256(app.encode()).hexdigest()[:8]}"


def check_group(name: str) -> str:
    """Return the name of a group of workers.

    Raises:
        BadId: if it has characters that no address can carry.
    """
    if not name or _NOT_OF_A_GROUP.search(name):
        raise BadId(f"group {name!r}: write it with small letters, digits, '.', '_' and '-' alone")
    return name


def mark_id(app: str, generation: int, number: int) -> str:
    """Return the id of a mark in the engine; no workflow's id has as many parts."""
    return f"recordfirst~mark~{_quote(app)}~{generation}~{number}"


def parse_mark_id(app: str, engine: str) -> tuple[int, int] | None:
    """Return generation and number, if this is the engine id of an app's mark; ``None`` if it is anything else."""
    generation, _, number = engine.removeprefix(f"recordfirst~mark~{_quote(app)}~").partition("~")
    if not (generation.isdecimal() and number.isdecimal()) or engine != mark_id(app, int(generation), int(number)):
        return None
    return int(generation), int(number)


def parse_engine_id(engine: str) -> tuple[str, str, int, str]:
    """Return app, workflow id, epoch, and the lineage below it (empty for the workflow itself) of an engine id."""
    root, _, lineage = engine.partition(":")
    app, id, *epoch = root.split("~")
    return unquote(app), unquote(id), int(epoch[0]) if epoch else 1, lineage


def epoch_of(app: str, engine: str) -> tuple[str, int] | None:
    """Return workflow id and epoch, if this is the engine id of an app's epoch; ``None`` if it is anything else."""
    try:
        owner, id, epoch, _ = parse_engine_id(engine)
    except ValueError:
        return None  # a mark, or somebody else's
    return (id, epoch) if owner == app and engine_id(app, id, epoch) == engine else None


def is_wait_of(promise: str, step: str) -> bool:
    """Whether a promise is one that this step waits on, in this or an earlier epoch. Both are engine ids.

    What an earlier epoch waits on, nobody needs to wake. A body of an earlier epoch that is still at it leaves alone
    what a later one waits on: without that, nothing would wake the later one.
    """
    try:
        app, id, epoch, lineage = parse_engine_id(promise)
    except ValueError:
        return False
    own_app, own_id, own_epoch, own = parse_engine_id(step)
    return epoch <= own_epoch and (app, id, lineage.rpartition(".")[0]) == (own_app, own_id, own)


def call_segment(name: str, what: str, number: int) -> str:
    """Return what names one call of a workflow's body in the engine's ids, below the workflow's own.

    ``what`` is all that makes the call the one that it is, ``number`` counts calls that are the same. It holds no
    position, so that a step which is inserted moves no other; ``name`` is there for people.
    """
    digest = hashlib.blake2b(f"{what}#{number}".encode(), digest_size=12).hexdigest()
    return f"{_readable(name)}-{digest}"


@lru_cache
def _readable(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)[:40]


@lru_cache(maxsize=1024)  # an app's name, and the ids and keys at work: each is quoted several times
def _quote(text: str, plain: str = _PLAIN) -> str:
    # quote() leaves "~" alone whatever it is told, and here it separates.
    return quote(text, safe=plain).replace("~", "%7E")


def provider_key(app: str, key: str, attempt: int, reissue: int, limit: int) -> str:
    """Return the idempotency key that a provider gets: namespaced by app, one per attempt, within its length limit.

    ``reissue`` counts keys given up because the provider had stored an unusable answer under them, after a probe
    had shown that nothing happened. What is not plain is percent-encoded, so that two effects never share a key, and
    any header can carry it.

    Raises:
        BadKey: if it is over a limit that leaves no room to tell effects apart.
    """
    full = f"{_quote(app, _KEY_PLAIN)}/{_quote(key, _KEY_PLAIN + '/')}"
    if attempt > 1:
        full += f"#{attempt}"
    if reissue:
        full += f"~{reissue}"
    if len(full) <= limit:
        return full
    if limit < _LIMIT_LEAST:
        raise BadKey(f"key {full!r} is too long for a provider that takes {limit} characters; {_LIMIT_LEAST} would do")
    digest = hashlib.sha256(full.encode()).hexdigest()[:32]
    room = limit - len(digest) - 1
    return f"{full[:room]}~{digest}" if room > 0 else digest[:limit]


def marker(app: str, key: str, attempt: int, limit: int) -> str:
    """Return the text that a call leaves at the provider for a probe to find; the same however often it is sent."""
    return provider_key(app, key, attempt, 0, limit)


def parse_marker(app: str, marker: str) -> tuple[str, int] | None:
    """Return key and attempt of a :func:`marker`; ``None`` if it is another app's, or its tail was cut off."""
    head = f"{_quote(app, _KEY_PLAIN)}/"
    if not marker.startswith(head) or "~" in marker:
        return None
    key, _, attempt = marker.removeprefix(head).partition("#")
    numbered = not attempt or (attempt.isascii() and attempt.isdigit())
    return (unquote(key), int(attempt or 1)) if key and numbered else None


def derived_uuid(key: str) -> uuid.UUID:
    """Return the UUID (version 5) that belongs to ``key``: for rows and messages that need an id of their own."""
    return uuid.uuid5(_NAMESPACE, key)


def transfer_id(app: str, key: str, attempt: int, part: int, since_ms: int) -> int:
    """Return the 128-bit id of a ledger transfer: 48 bits of time, and 80 of what it is for.

    ``since_ms`` is the intent's time by the record's clock, so ids stay close to sorted. ``part`` counts the transfers
    of one linked chain, from 0. The last 80 bits are the same whatever the time: they tell which key a transfer is of.
    """
    text = f"recordfirst transfer\0{app}\0{key}\0{attempt}\0{part}"
    tail = int.from_bytes(hashlib.sha256(text.encode()).digest()[:10])
    return (since_ms & ((1 << 48) - 1)) << 80 | tail


def transfer_tail(id: int) -> int:
    """Return what of a :func:`transfer_id` is the same whatever the time."""
    return id & ((1 << 80) - 1)


def ledger_mark(app: str, key: str, attempt: int) -> int:
    """Return what a transfer carries in ``user_data_128``, so that a ledger finds it by the key that it is for.

    16 bits say that it is a mark, 32 of which app, 80 of which key and attempt.
    """
    text = f"recordfirst mark\0{app}\0{key}\0{attempt}"
    return app_mark(app) << 80 | int.from_bytes(hashlib.sha256(text.encode()).digest()[:10])


def app_mark(app: str) -> int:
    """Return the first 48 bits of every :func:`ledger_mark` of an app."""
    return _MARK << 32 | int.from_bytes(hashlib.sha256(f"recordfirst app\0{app}".encode()).digest()[:4])


def account_id(name: str) -> int:
    """Return the 128-bit id that belongs to ``name``, such as ``"customer:42"``: for accounts that have none yet."""
    return int.from_bytes(hashlib.sha256(f"recordfirst account\0{name}".encode()).digest()[:16])
