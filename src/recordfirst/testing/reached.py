"""An :class:`Outside` in another process, reached over HTTP. In the real world a case's doubles get this one."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from recordfirst.testing.outside import Asked, KeyReused, Outside, Refused

_TIMEOUT_S = 5.0
"""The time limit of a double's request, which blocks its process."""
_PATIENCE_S = 60.0
"""The time limit of requests that no double makes."""


class ReachedOutside(Outside):
    """Asks the outside at ``url``. A request that is cut off, or gets no answer, raises an ``OSError``."""

    def __init__(self, url: str, now_ms: Callable[[], int]) -> None:
        super().__init__(Path("unused"), now_ms)
        self.url = url

    @property
    def asked(self) -> list[Asked]:
        with self.lock:
            body = self._ask("GET", "asked", {"since": str(len(self._asked))})
            self._asked += msgspec.json.decode(body, type=list[Asked])
            return self._asked

    def apply(self, kind: str, request: Any, **options: Any) -> Any:
        given = {"kind": kind, "request": msgspec.to_builtins(request), "options": msgspec.to_builtins(options)}
        answer = msgspec.json.decode(self._ask("POST", "apply", body=msgspec.json.encode(given)))
        if "reused" in answer:
            raise KeyReused(answer["reused"])
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["result"]

    def find(self, kind: str, marker: str) -> Asked | None:
        body = self._ask("GET", "find", {"kind": kind, "marker": marker})
        return msgspec.json.decode(body, type=Asked | None)

    def keep(self, asked: Asked) -> None:
        self._ask("POST", "keep", body=msgspec.json.encode(asked))

    def forget(self) -> None:
        """Delete everything that is stored."""
        self._ask("POST", "forget", timeout_s=_PATIENCE_S)

    def _ask(
        self,
        method: str,
        what: str,
        query: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        timeout_s: float = _TIMEOUT_S,
    ) -> bytes:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
        try:
            connection.request(method, f"/outside/{what}" + (f"?{urlencode(query)}" if query else ""), body)
            reply = connection.getresponse()
            answer = reply.read()
        except http.client.HTTPException as error:
            raise ConnectionResetError(f"the answer is incomplete: {type(error).__name__}") from error
        finally:
            connection.close()
        if reply.status != http.client.OK:
            raise ConnectionError(f"the outside answered {reply.status}")
        return answer
