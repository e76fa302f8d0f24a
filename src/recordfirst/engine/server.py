"""An engine that is a Resonate Server: requests over HTTP, work by server-sent events.

May be lost: the whole server. The record puts back what is open, and receipts answer for what was done.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import groupby
from typing import Any

import msgspec
from resonate.connections import HttpConnection, SSEConnection
from resonate.ids import origin_of
from resonate_base import ConnectorError

from recordfirst.core.text import without_credentials
from recordfirst.engine.shared import Membership, SharedEngine
from recordfirst.process.seams import Sleeper

_log = logging.getLogger("recordfirst")


def server_engine(url: str, token: str | None, membership: Membership) -> SharedEngine:
    """Return the engine at ``url``, not started.

    Args:
        url: ``http://`` or ``https://``; certificates are checked against the system's, or ``SSL_CERT_FILE``.
        token: sent as ``Authorization: Bearer``, where a proxy looks, and in each request, where the server does.
        membership: which part of its work is ours.
    """
    pid, address = membership.seams.new_id(), membership.seams.address_of(url)
    network = _Requests(address, auth=token)
    source = _Work(address, membership.seams.pause, pid=pid, group=membership.group, auth=token)
    # The identity is stored with each start; a password in the address is not, and may change.
    return SharedEngine(network, source, without_credentials(url), pid, membership, token)


class _Requests(HttpConnection):
    """The SDK's requests, with heartbeats as the server takes them, and with nothing of HTTP that a body would see.

    The server refuses a heartbeat that names tasks of more than one workflow, and then all of their leases would lapse.
    """

    async def send(self, req: str, headers: dict[str, str] | None = None) -> str:
        if not req.startswith(_HEARTBEAT):
            return await self._send(req, headers)
        request = msgspec.json.decode(req)
        beats = []
        for _, of_one in groupby(sorted(request["data"]["tasks"], key=_origin), key=_origin):
            request["data"]["tasks"] = list(of_one)
            beats.append(msgspec.json.encode(request).decode())
        # Side by side: one behind the other, many take longer than a lease.
        replies = await asyncio.gather(*(self._send(beat, dict(headers or {})) for beat in beats))
        return replies[-1] if replies else ""

    async def _send(self, req: str, headers: dict[str, str] | None) -> str:
        """Ask. What fails is the engine's failure: the body would take another exception for its step's (P9)."""
        try:
            return await super().send(req, headers)
        except ConnectorError:
            raise
        except Exception as error:  # a server that does not answer in five minutes, or not in text
            raise ConnectorError(error) from error


class _Work(SSEConnection):
    """The SDK's source of work, which listens again whatever has ended it: the HTTP client does so in five minutes.

    What came meanwhile is not lost: the server delivers again what nobody has taken.
    """

    def __init__(self, address: str, pause: Sleeper, *, pid: str, group: str, auth: str | None) -> None:
        super().__init__(address, pid=pid, group=group, auth=auth)
        self._pause = pause

    async def _sse_loop(self) -> None:
        while True:
            try:
                return await super()._sse_loop()
            except Exception as error:  # noqa: BLE001 - a worker that no longer listens would do nothing
                _log.info("the engine's messages ended, and are asked for again: %s", type(error).__name__)
                await self._pause(_AGAIN_S)


_AGAIN_S = 0.5
_HEARTBEAT = '{"kind":"task.heartbeat",'


def _origin(task: dict[str, Any]) -> str:
    return origin_of(task["id"])
