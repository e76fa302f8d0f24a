"""The simulator on a socket of the loopback interface. Around the pure API, it waits, cuts, hangs and sends.

Besides the API it serves controls for other processes: ``GET /_sim/ledger``, ``POST /_sim/faults``,
``GET`` or ``POST /_sim/clock``, ``POST /_sim/happening`` (:class:`Happening`), ``GET`` or ``POST /_sim/events``.
"""

from __future__ import annotations

import asyncio
import base64
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web

from recordfirst.testing.clock import SimClock
from recordfirst.testing.stripe.api import Api, Delayed, Started
from recordfirst.testing.stripe.faults import FaultKind, Faults, Scripted
from recordfirst.testing.stripe.happenings import Happening, HappeningName, done
from recordfirst.testing.stripe.ledger import METADATA_KEY, ReplyStore
from recordfirst.testing.stripe.log import Delays
from recordfirst.testing.stripe.objects import StripeEvent
from recordfirst.testing.stripe.sending import Sending
from recordfirst.testing.stripe.webhooks import WebhookSender
from recordfirst.testing.stripe.webhooks import shown as shown_webhooks
from recordfirst.testing.stripe.wire import Refusal, Reply, Request, parse_form


class _Orders(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /_sim/faults``."""

    faults: Faults | None = None
    next: list[Scripted] = []


class _Move(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /_sim/clock``."""

    advance_s: float


class _Resend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /_sim/events``."""

    resend: str


SIGNED_WITH = "whsec_simulator"
"""The default secret with which events are signed."""
_TICK_S = 0.02
"""The pause between two checks for changes that are due, if events are sent."""


class StripeSimulator:
    """A simulated Stripe: ``async with StripeSimulator() as sim``, then point the SDK at ``sim.url``.

    Args:
        faults: seed and rates of faults; none, by default. :meth:`next` orders single faults.
        clock: decides when keys expire, and the times of objects; ``sim.clock.advance(24 * 3600)`` expires every key.
        search_lag_s: for how many seconds search does not find a new payment intent; Stripe says up to a minute.
        host, port: where to listen; port 0 takes a free one.
        events_to: the URL of the endpoint to which events are sent. They can always be listed.
        events_secret: the endpoint's signing secret.
        sending: how many events are lost, sent twice, late and in another order.
        delays: how long banks, refunds, holds, disputes and payouts take, by the clock.
        livemode: the value of ``livemode`` in objects and events.
    """

    def __init__(
        self,
        *,
        faults: Faults | None = None,
        clock: SimClock | None = None,
        search_lag_s: float = 60.0,
        host: str = "127.0.0.1",
        port: int = 0,
        events_to: str | None = None,
        events_secret: str = SIGNED_WITH,
        sending: Sending | None = None,
        delays: Delays | None = None,
        livemode: bool = False,
    ) -> None:
        self.clock = clock or SimClock()
        self.api = Api(self.clock, faults or Faults(), search_lag_s, delays=delays, livemode=livemode)
        self.events_secret, self._sending = events_secret, sending or Sending()
        self.webhooks: WebhookSender | None = None
        """Sends the events, and remembers what was sent."""
        self._ticking: asyncio.Task[None] | None = None
        if events_to is not None:
            self.send_events_to(events_to)
        self.url = ""
        self._host, self._port = host, port
        self._stopping = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        self._stopping.clear()
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._ticking = asyncio.create_task(self._tick())
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        if self.webhooks is not None:
            await self.webhooks.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def send_events_to(self, url: str, sending: Sending | None = None) -> WebhookSender:
        """Send events to this URL from now on, and to no other."""
        self.api.books.events.listeners.clear()
        self.webhooks = WebhookSender(url, self.events_secret, sending or self._sending)
        self.api.books.events.listeners.append(self.webhooks.take)
        return self.webhooks

    async def sent_all(self) -> None:
        """Wait until no event is on its way."""
        self.api.books.agenda.run_until(self.clock.now_ms())
        if self.webhooks is not None:
            await self.webhooks.settled()

    async def _tick(self) -> None:
        """Apply changes that are due, so that their events are sent."""
        while True:
            await asyncio.sleep(_TICK_S)
            if self.webhooks is not None:
                self.api.books.agenda.run_until(self.clock.now_ms())

    def next(self, kind: FaultKind, *, on: str = "POST", times: int = 1) -> None:
        """Order ``kind`` for the next request, or ``times`` requests, whose ``METHOD /path`` starts with ``on``."""
        self.api.plan.orders.extend(Scripted(kind=kind, on=on) for _ in range(times))

    def set_faults(self, faults: Faults) -> None:
        """Change seed and rates from now on."""
        self.api.plan.faults = faults

    def complete(self, id: str) -> None:
        """Give a payment intent what it waits for: its customer confirms, its bank pays, or it is captured."""
        self.do("complete", id)

    def do(self, do: HappeningName, id: str, *, amount: int | None = None, reason: str | None = None) -> Any:
        """Do what a customer, a bank or somebody at the dashboard does; see :class:`Happening`."""
        return done(self.api.books, Happening(do=do, id=id, amount=amount, reason=reason), self.clock.now_ms())

    @property
    def events(self) -> list[StripeEvent]:
        """Every event, oldest first."""
        return list(self.api.books.events.all)

    def ledger(self) -> ReplyStore:
        """Return everything that was applied until now."""
        return self.api.ledger()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith("/_sim/"):
            return self._control(request.method, request.path, parse_form(request.query_string), await request.read())
        text = (await request.read()).decode() if request.method == "POST" else request.query_string
        step = self.api.begin(
            Request(
                method=request.method,
                path=request.path,
                params=parse_form(text),
                api_key=_key_of(request.headers.get("Authorization", "")),
                account=request.headers.get("Stripe-Account", ""),
                idempotency_key=request.headers.get("Idempotency-Key"),
            )
        )
        if not isinstance(step, Reply) and step.wait_s:
            await self._wait(step.wait_s)
        if isinstance(step, Started):
            step = self.api.finish(step)
        return await self._deliver(step.reply if isinstance(step, Delayed) else step, request)

    async def _deliver(self, reply: Reply, request: web.BaseRequest) -> web.StreamResponse:
        if reply.delivery == "hang":
            await self._wait(self.api.plan.faults.hang_s)
        if reply.delivery != "send" and request.transport is not None:
            request.transport.abort()
        return web.Response(
            status=reply.status or 500, body=reply.body, headers=reply.headers, content_type="application/json"
        )

    async def _wait(self, seconds: float) -> None:
        """Wait, but only until the simulator is closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    # ── controls for other processes ────────────────────────────────────────

    def _control(self, method: str, path: str, query: dict[str, str], body: bytes) -> web.Response:
        try:
            match method, path:
                case "GET", "/_sim/ledger":
                    shown: object = self._show_ledger(query)
                case "POST", "/_sim/faults":
                    orders = msgspec.json.decode(body, type=_Orders)
                    if orders.faults is not None:
                        self.set_faults(orders.faults)
                    self.api.plan.orders.extend(orders.next)
                    shown = {"faults": self.api.plan.faults, "next": list(self.api.plan.orders)}
                case "POST", "/_sim/clock":
                    shown = {"now_ms": self.clock.advance(msgspec.json.decode(body, type=_Move).advance_s)}
                case "POST", "/_sim/happening":
                    deed = msgspec.json.decode(body, type=Happening)
                    shown = done(self.api.books, deed, self.clock.now_ms())
                case "GET", "/_sim/events":
                    shown = shown_webhooks(self.webhooks)
                case "POST", "/_sim/events":
                    event = self.api.books.events.all.find(msgspec.json.decode(body, type=_Resend).resend, "event")
                    if self.webhooks is None:
                        return _json(400, {"error": "no events are sent: give events_to="})
                    self.webhooks.send(event)
                    shown = event
                case "GET", "/_sim/clock":
                    shown = {"now_ms": self.clock.now_ms()}
                case _:
                    return _json(404, {"error": f"no such control: {method} {path}"})
        except (ValueError, msgspec.MsgspecError) as error:
            return _json(400, {"error": str(error)})
        except Refusal as refusal:
            return _json(refusal.status, {"error": refusal.error["message"]})
        return _json(200, shown)

    def _show_ledger(self, query: dict[str, str]) -> dict[str, Any]:
        """Totals, duplicates by metadata key ``?by=``, and counts; without ``?entries=0``, also the entries."""
        brief = query.get("entries") == "0"
        ledger = ReplyStore(entries=self.api.books.entries) if brief else self.ledger()
        shown: dict[str, Any] = {
            "totals": ledger.totals(),
            "duplicates": ledger.duplicates(query.get("by", METADATA_KEY)),
            "requests": self.api.count,
            "faults": self.api.plan.hits,
        }
        if not brief:
            shown |= {"charges": ledger.charges, "refunds": ledger.refunds, "declines": ledger.declines}
        return shown


def _json(status: int, shown: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(shown), content_type="application/json")


def _key_of(authorization: str) -> str | None:
    """The API key: bearer, or the user name of Basic, as ``curl -u`` has it (https://docs.stripe.com/api/authentication)."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme == "Basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0] or None
        except ValueError:  # it is no Base64, or no text
            return None
    return credentials or None if scheme == "Bearer" else None
