"""An engine that is a Resonate Server: requests over HTTP, work by server-sent events.

May be lost: the whole server. The record puts back what is open, and receipts answer for what was done.
"""

from __future__ import annotations

import uuid
from itertools import groupby
from typing import Any

import msgspec
from resonate.connections import HttpConnection, SSEConnection
from resonate.ids import origin_of

from recordfirst.engine.shared import Membership, SharedEngine


def server_engine(url: str, token: str | None, membership: Membership) -> SharedEngine:
    """Return the engine at ``url``, not started.

    Args:
        url: ``http://`` or ``https://``; certificates are checked against the system's, or ``SSL_CERT_FILE``.
        token: sent as ``Authorization: Bearer``, where a proxy looks, and in each request, where the server does.
        membership: which part of its work is ours.
    """
    pid = uuid.uuid4().hex
    network = _Requests(url, auth=token)
    source = SSEConnection(url, pid=pid, group=membership.group, auth=token)
    return SharedEngine(network, source, url, pid, membership, token)


class _Requests(HttpConnection):
    """The SDK's requests, with heartbeats as the server takes them.

    It refuses one that names tasks of more than one workflow, and then all of their leases would lapse.
    """

    async def send(self, req: str, headers: dict[str, str] | None = None) -> str:
        if not req.startswith(_HEARTBEAT):
            return await super().send(req, headers)
        request = msgspec.json.decode(req)
        tasks = sorted(request["data"]["tasks"], key=_origin)
        reply = ""
        for _, of_one in groupby(tasks, key=_origin):
            request["data"]["tasks"] = list(of_one)
            reply = await super().send(msgspec.json.encode(request).decode(), headers)
        return reply


_HEARTBEAT = '{"kind":"task.heartbeat",'


def _origin(task: dict[str, Any]) -> str:
    return origin_of(task["id"])
