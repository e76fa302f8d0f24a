"""An encryptor for tests, with no package behind it."""

from __future__ import annotations

import hashlib
import os


class Cipher:
    """A stand-in: what it did not encrypt itself it refuses, as real ones do; the same text never comes twice."""

    def __init__(self, key: str) -> None:
        self.key = hashlib.sha256(key.encode()).digest()

    def encrypt(self, data: bytes) -> bytes:
        nonce = os.urandom(8)
        return nonce + hashlib.sha256(self.key + nonce + data).digest()[:8] + self._mixed(nonce, data)

    def decrypt(self, data: bytes) -> bytes:
        nonce, tag, text = data[:8], data[8:16], self._mixed(data[:8], data[16:])
        if hashlib.sha256(self.key + nonce + text).digest()[:8] != tag:
            raise ValueError("invalid token")
        return text

    def _mixed(self, nonce: bytes, data: bytes) -> bytes:
        stream = b"".join(
            hashlib.sha256(self.key + nonce + bytes([number >> 8, number & 255])).digest()
            for number in range(len(data) // 32 + 1)
        )
        return bytes(one ^ other for one, other in zip(data, stream, strict=False))
