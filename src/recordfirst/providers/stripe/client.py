"""The official client, built as an effect needs it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Never

import aiohttp
import stripe

from recordfirst.process.owner import Owned


@asynccontextmanager
async def stripe_client(
    api_key: str,
    *,
    base_url: str | None = None,
    timeout_s: float = 30.0,
    connect_timeout_s: float = 10.0,
    stripe_account: str | None = None,
    stripe_version: str | None = None,
) -> AsyncIterator[stripe.StripeClient]:
    """Give a ``StripeClient`` for the ``*_async`` methods, and close its connections at the end.

    Made to be provided as is: ``app.provide_factory(StripeClient, partial(stripe_client, key))``.

    - The SDK's own retries are off: recordfirst retries, with the key and the request that the record holds. Beneath
      it, aiohttp repeats no POST either.
    - Getting a connection has a time-out of its own, because that failure proves that nothing was sent.
    - A call must still pass ``{"idempotency_key": call.key}``: without it, the SDK invents a new key for each call.
    - ``base_url`` points it somewhere else: at a ``recordfirst.testing.StripeSimulator``.

    It serves the event loop that it is made in (in another: ``Misuse``, before anything is sent) and only ``*_async``
    methods; for the others build a ``StripeClient`` with ``max_network_retries=0``. One
    ``payment_intents.create_async`` costs 0.4 ms of CPU, nearly all of it the SDK's, and takes 0.7 ms against a
    simulator on the same machine (stripe 16.1, Python 3.13): 2,400 per core and second at most.

    Raises:
        ValueError: if a time-out is not above 0.
    """
    if timeout_s <= 0 or connect_timeout_s <= 0:
        raise ValueError("timeout_s and connect_timeout_s are positive")
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=stripe.ca_bundle_path)),
        timeout=aiohttp.ClientTimeout(total=timeout_s, connect=min(connect_timeout_s, timeout_s)),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield client_on(
            session, api_key, base_url=base_url, stripe_account=stripe_account, stripe_version=stripe_version
        )


def client_on(
    session: aiohttp.ClientSession,
    api_key: str,
    *,
    base_url: str | None = None,
    stripe_account: str | None = None,
    stripe_version: str | None = None,
) -> stripe.StripeClient:
    """Return what :func:`stripe_client` gives, on a session that the caller closes."""
    return stripe.StripeClient(
        api_key,
        base_addresses={} if base_url is None else {"api": base_url.rstrip("/")},
        max_network_retries=0,
        stripe_account=stripe_account,
        stripe_version=stripe_version,
        http_client=_Http(session),
    )


class _Http(stripe.HTTPClient):
    """One request per call, over a session of ours.

    The SDK's own aiohttp client leaves a connection open when the body stops half-way or the call is cancelled, and
    lets aiohttp's errors through from there; this one gives the connection back and wraps them.
    """

    name = "aiohttp"

    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__()
        self._session = session
        self._owned = Owned("this StripeClient")
        with suppress(RuntimeError):  # made outside of any loop: then the first request says whose it is
            self._owned.take()

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send, and read the whole answer.

        Raises:
            Misuse: in another event loop or process than its own. aiohttp would send it all the same, and then fail.
        """
        self._owned.take()
        data = post_data.encode() if isinstance(post_data, str) else post_data
        try:
            async with self._session.request(
                method, url, headers=headers, data=data, allow_redirects=False
            ) as response:
                return await response.read(), response.status, response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            message = f"No answer from Stripe: {type(error).__name__}: {error}"
            raise stripe.APIConnectionError(message) from error  # type: ignore[no-untyped-call]

    def request(self, *_: Any, **__: Any) -> Never:
        """Say what to do instead."""
        raise TypeError("this StripeClient serves only the *_async methods; see recordfirst's stripe_client")
