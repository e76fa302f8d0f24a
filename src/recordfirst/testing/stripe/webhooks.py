"""Sends events to a URL, signed as Stripe signs them, and repeats them until the endpoint accepts them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import msgspec

from recordfirst.testing.stripe.objects import StripeEvent
from recordfirst.testing.stripe.sending import Sending, signature, thin

_TIMEOUT_S = 10.0


class SentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One try to deliver an event."""

    event: str
    type: str
    status: int | None
    """The endpoint's status; ``None``: it did not answer."""


class WebhookSender:
    """Delivers to one endpoint."""

    def __init__(self, url: str, secret: str, sending: Sending) -> None:
        self.url, self.secret, self.sending = url, secret, sending
        self.sent: list[SentEvent] = []
        self.lost: list[str] = []
        """The ids of events that are not sent."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def take(self, event: StripeEvent) -> None:
        """Send an event, as often and as late as ``sending`` draws it."""
        delays = self.sending.delays_of(event.id)
        if not delays:
            self.lost.append(event.id)
        for delay_s in delays:
            self.send(event, delay_s)

    def send(self, event: StripeEvent, delay_s: float = 0.0) -> None:
        """Send an event once more, whatever ``sending`` has drawn."""
        task = asyncio.create_task(self._deliver(event, delay_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait until nothing is on its way."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Cancel what is on its way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _deliver(self, event: StripeEvent, delay_s: float) -> None:
        for wait_s in (delay_s, *self.sending.again_s):
            await asyncio.sleep(wait_s)
            if await self._post(event):
                event.pending_webhooks = 0
                return

    async def _post(self, event: StripeEvent) -> bool:
        told = thin(event) if self.sending.thin else event
        body = msgspec.json.format(msgspec.json.encode(told), indent=2)  # as Stripe does: verify the bytes as received
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(body, self.secret, int(time.time())),
        }
        status: int | None = None
        try:
            async with self._client().post(self.url, data=body, headers=headers) as reply:
                status = reply.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        self.sent.append(SentEvent(event=event.id, type=event.type, status=status))
        return status is not None and 200 <= status < 300  # noqa: PLR2004 - HTTP's own numbers

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S))
        return self._session


def shown(sender: WebhookSender | None) -> dict[str, Any]:
    """Everything that was sent, for a caller in another process."""
    return {"sent": [], "lost": []} if sender is None else {"sent": sender.sent, "lost": sender.lost}
