"""The official client on a :class:`StripeDouble`, as ``recordfirst.providers.stripe.stripe_client`` is on sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import stripe

from recordfirst.providers.stripe.client import client_on
from recordfirst.testing.stripe.double import StripeDouble
from recordfirst.testing.stripe.wire import Reply

type HttpAnswer = tuple[bytes, int, Mapping[str, str]]


def client_of(double: StripeDouble, api_key: str, timeout_s: float) -> stripe.StripeClient:
    """Return a client that asks the double; its own retries are off."""
    return stripe.StripeClient(api_key, max_network_retries=0, http_client=_Inside(double, timeout_s))


def client_reached(url: str, api_key: str, timeout_s: float) -> stripe.StripeClient:
    """Return a client that asks a simulator over HTTP, for as long as the running process lives."""
    return client_on(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)), api_key, base_url=url)


class _Inside(stripe.HTTPClient):
    """One request per call, without a connection."""

    name = "recordfirst.testing"

    def __init__(self, double: StripeDouble, timeout_s: float) -> None:
        super().__init__()
        self._double, self._timeout_s = double, timeout_s

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> HttpAnswer:
        """Ask, and wait for the answer until the time-out."""
        reply, late_s = self._double.ask(method, url, headers, _text(post_data))
        wait_s = self._timeout_s if reply.delivery == "hang" else min(late_s, self._timeout_s)
        if wait_s:
            await asyncio.sleep(wait_s)
        return self._answer(reply, late_s)

    def request(  # type: ignore[override]
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> HttpAnswer:
        """Ask, for the client's methods that block. A late answer arrives at once or, after the time-out, never."""
        reply, late_s = self._double.ask(method, url, headers, _text(post_data))
        return self._answer(reply, late_s)

    def _answer(self, reply: Reply, late_s: float) -> HttpAnswer:
        if reply.delivery == "hang" or late_s > self._timeout_s:
            raise _no_answer(TimeoutError(f"no answer within {self._timeout_s:g} s"))
        if reply.delivery == "cut":
            raise _no_answer(ConnectionResetError("the connection was cut"))
        return reply.body, reply.status, reply.headers


def _text(data: Any) -> str:
    return data.decode() if isinstance(data, bytes) else str(data or "")


def _no_answer(error: OSError) -> stripe.APIConnectionError:
    message = f"No answer from Stripe: {type(error).__name__}: {error}"
    wrapped = stripe.APIConnectionError(message)  # type: ignore[no-untyped-call]
    wrapped.__cause__ = error
    return wrapped
