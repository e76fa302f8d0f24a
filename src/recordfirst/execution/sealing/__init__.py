"""How stored data is covered: values by the app's encryptor, fingerprints by a key of their own.

With an encryptor, arguments, requests, results and the texts of errors go into the record encrypted; an error keeps
its code or its type in clear, for SQL to search. Fingerprints are keyed: who reads the record cannot confirm a guess of
what was encrypted. Their key is random, is stored in the record, encrypted, and stays when the encryptor's keys change;
else every replay after a rotation would be a conflict.

It reads what this or an earlier key has written, and what was stored in clear before the app had an encryptor. The
encryptor knows the key (:class:`Keyring`). Lost: whatever was sealed with a key that was removed.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

from recordfirst.core import codec
from recordfirst.errors import Misuse, WrongEncryptor
from recordfirst.records.contract import Record

_SEALED, _KEY = "encrypted", "key"
_FORM, ERROR_FORM = "rf1:", "rf1e:"
"""Before what is encrypted: no text of JSON that was stored in clear looks like it."""
_VISIBLE = ("code", "type")
"""What of an error stays in clear, to be searched for."""
_MARK = b"rf1:"
_FIRST = "k1"


class Encryptor(Protocol):
    """Covers requests and results at rest; the same protocol as the SDK's. ``decrypt`` raises if it cannot."""

    def encrypt(self, data: bytes) -> bytes: ...
    def decrypt(self, data: bytes) -> bytes: ...


class Keyring:
    """An encryptor of several, by the ids of their keys: the first encrypts, and each decrypts what it encrypted.

    What was encrypted before there was a keyring, and so names no key, is tried with each of them.
    """

    def __init__(self, keys: Mapping[str, Encryptor]) -> None:
        """``keys``: encryptors by id, the newest first, such as ``Keyring({"2026": new, "2025": old})``.

        Raises:
            Misuse: if there is none, or an id is empty, not ASCII, or has a colon.
        """
        if not keys or not all(key and key.isascii() and key.isprintable() and ":" not in key for key in keys):
            raise Misuse("Keyring takes encryptors by id, the newest first: ids are ASCII, without a colon")
        self._keys = dict(keys)
        self.key_id = next(iter(self._keys))
        """Id of the key that encrypts."""

    def __repr__(self) -> str:
        return f"<Keyring of {', '.join(self._keys)}>"

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt with the newest key, whose id goes with the text."""
        return _MARK + self.key_id.encode() + b":" + self._keys[self.key_id].encrypt(data)

    def decrypt(self, data: bytes) -> bytes:
        """Decrypt with the key that the text names.

        Raises:
            LookupError: if that key is not here, or the text names none and no key decrypts it.
            Exception: what the key's own ``decrypt`` raises.
        """
        if data.startswith(_MARK):
            id, _, rest = data.removeprefix(_MARK).partition(b":")
            key = self._keys.get(id.decode("ascii", "replace"))
            if key is None:
                raise LookupError(f"it was encrypted with key {id.decode('ascii', 'replace')!r}, which is not here")
            return key.decrypt(rest)
        failure: Exception | None = None
        for key in self._keys.values():
            try:
                return key.decrypt(data)
            except Exception as error:  # noqa: BLE001 - a cipher raises what it likes; another key may do
                failure = error
        raise LookupError(f"none of the keys {', '.join(self._keys)} decrypts it") from failure


class Sealing:
    """How one app covers what it stores. Without an encryptor it is stored as it is."""

    def __init__(self, app: str, encryptor: Encryptor | None) -> None:
        self._app, self._encryptor = app, encryptor
        self.key_id: str | None = getattr(encryptor, "key_id", None)
        self._print_keys: dict[str, bytes] = {}
        self._print_key: str | None = None

    @property
    def on(self) -> bool:
        """Whether there is an encryptor."""
        return self._encryptor is not None

    # ── values ──────────────────────────────────────────────────────────────

    def seal(self, text: str) -> str:
        """Return JSON text as it goes into the record."""
        return text if self._encryptor is None else codec.encode(self._sealed(text), "sealed text")

    def unseal(self, text: str) -> str:
        """Return JSON text as it was before :meth:`seal`; what was stored in clear is that already.

        Raises:
            WrongEncryptor: if it is encrypted, and cannot be decrypted here.
        """
        fields = _fields_of(text)
        if fields is None or not fields.keys() <= {_SEALED, _KEY}:
            return text
        if self._encryptor is None and not fields[_SEALED].startswith(_FORM):
            return text  # of an app that never had an encryptor, and has a parameter of that name
        return self._decrypted(fields, _FORM)

    def is_current(self, text: str | None) -> bool:
        """Whether a stored text is covered as :meth:`seal` would cover it now."""
        if text is None or self._encryptor is None:
            return True
        fields = _fields_of(text)
        forms = (_FORM, ERROR_FORM)
        return fields is not None and fields.get(_KEY) == self.key_id and fields[_SEALED].startswith(forms)

    # ── errors ──────────────────────────────────────────────────────────────

    def seal_error(self, text: str) -> str:
        """Return an error's JSON as it goes into the record."""
        if self._encryptor is None:
            return text
        error = _json_of(text)
        shown = {name: error[name] for name in _VISIBLE if error.get(name) is not None}
        return codec.encode(shown | self._sealed(text, ERROR_FORM), "a sealed error")

    def unseal_error(self, text: str, *, strictly: bool = False) -> str:
        """Return an error's JSON as it was. One that cannot be decrypted says so: reading it does not fail (P5).

        ``strictly``: raise ``WrongEncryptor`` instead.
        """
        fields = _fields_of(text)
        if fields is None or not fields[_SEALED].startswith(ERROR_FORM):
            return text
        try:
            return self._decrypted(fields, ERROR_FORM)
        except WrongEncryptor as wrong:
            if strictly:
                raise
            shown = {name: fields[name] for name in _VISIBLE if name in fields}
            told = {"message": str(wrong)} if "type" in shown else {"reason": str(wrong)}
            return codec.encode(shown | told, "an error")

    def _sealed(self, text: str, form: str = _FORM) -> dict[str, str]:
        assert self._encryptor is not None
        sealed = {_SEALED: form + base64.b64encode(self._encryptor.encrypt(text.encode())).decode()}
        return sealed if self.key_id is None else sealed | {_KEY: self.key_id}

    def _decrypted(self, fields: dict[str, Any], form: str) -> str:
        with_key = f" with key {fields[_KEY]!r}" if _KEY in fields else ""
        if self._encryptor is None:
            raise WrongEncryptor(self._app, f"a row is encrypted{with_key}, and App has no encryptor=")
        try:
            return self._encryptor.decrypt(base64.b64decode(fields[_SEALED].removeprefix(form))).decode()
        except Exception as error:
            cause = f"a row that is encrypted{with_key} cannot be decrypted by encryptor= ({type(error).__name__})"
            raise WrongEncryptor(self._app, cause) from error

    # ── fingerprints ────────────────────────────────────────────────────────

    def fingerprint(self, *parts: str) -> str:
        """Return the fingerprint of a request: with an encryptor, one that only who can decrypt can compute."""
        return self.rekeyed(codec.fingerprint(*parts))

    def rekeyed(self, plain: str) -> str:
        """Return a fingerprint as it is stored now, from the one without a key."""
        return plain if self._print_key is None else self._keyed(self._print_key, plain)

    def same(self, stored: str, *parts: str) -> bool:
        """Whether a stored fingerprint, keyed or not, is that of this request."""
        plain, (id, colon, _) = codec.fingerprint(*parts), stored.partition(":")
        if not colon:
            return stored == plain
        return id in self._print_keys and hmac.compare_digest(stored, self._keyed(id, plain))

    def covered(self, what: str) -> str:
        """Return what names a call in the engine's ids: with an encryptor, its arguments cannot be guessed from it."""
        return what if self._print_key is None else self._keyed(self._print_key, what)

    def _keyed(self, id: str, text: str) -> str:
        return f"{id}:{hmac.digest(self._print_keys[id], text.encode(), 'sha256').hex()[:32]}"

    # ── opening ─────────────────────────────────────────────────────────────

    async def open(self, record: Record[Any]) -> None:
        """Read the keys of fingerprints, or make the first.

        Raises:
            WrongEncryptor: if the encryptor is not the one that this record's rows were encrypted with.
        """
        if self._encryptor is None:
            return
        sql = record.statements_of(__name__)
        async with record.session() as session:
            rows = await session.run(sql["keys"])
            if not rows:
                for (text,) in await session.run(sql["sample"]):
                    self.unseal(text)
                key = codec.encode(secrets.token_hex(32), "a key")
                await session.run(sql["add_key"], id=_FIRST, sealed=self.seal(key))
                rows = await session.run(sql["keys"])
        self._print_keys = {str(id): bytes.fromhex(codec.decode(self.unseal(sealed))) for id, sealed in rows}
        self._print_key = str(rows[-1][0])


def _fields_of(text: str) -> dict[str, Any] | None:
    """What a sealed text consists of; ``None`` if it is in clear."""
    if f'"{_SEALED}"' not in text:
        return None
    fields = _json_of(text)
    return fields if isinstance(fields.get(_SEALED), str) else None


def _json_of(text: str) -> dict[str, Any]:
    try:
        value = codec.decode(text)
    except ValueError:  # an error of a projection is a text
        return {}
    return value if isinstance(value, dict) else {}
