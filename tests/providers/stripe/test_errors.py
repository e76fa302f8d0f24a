"""Each exception of the SDK means one thing: declined, not done or unknown."""

from __future__ import annotations

import asyncio
import pickle
import socket
import ssl

import aiohttp
import pytest
import stripe
from aiohttp import web

from recordfirst.errors import Declined, NotDone, Unknown
from recordfirst.providers.contract import Verdict
from recordfirst.providers.stripe import Stripe, stripe_client

CARD = {"type": "card_error", "code": "card_declined", "decline_code": "lost_card", "message": "No."}
CVC = {"type": "card_error", "code": "incorrect_cvc", "message": "No."}
LOCK = {"type": "invalid_request_error", "code": "lock_timeout", "message": "Busy."}
IN_USE = {"type": "invalid_request_error", "code": "idempotency_key_in_use", "message": "Running."}
IN_USE_TYPED = {"type": "idempotency_error", "code": "idempotency_key_in_use", "message": "Running."}
REUSED = {"type": "idempotency_error", "message": "Keys for idempotent requests..."}
INVALID = {"type": "invalid_request_error", "code": "resource_missing", "message": "No such thing."}
BROKEN = {"type": "api_error", "message": "Broken."}


def said(verdict: Verdict) -> object:
    """A verdict without its reason: what decides."""
    match verdict:
        case Declined(code=code):
            return Declined, code
        case NotDone(retry_after_ms=ms):
            return NotDone, ms
        case Unknown(replayed=replayed):
            return Unknown, replayed


def classify(error: Exception) -> Verdict:
    return Stripe().classify(error)


async def ask(url: str, timeout_s: float = 5.0) -> Exception:
    """Make a call that must fail, and return how."""
    async with stripe_client("sk_test_x", base_url=url, timeout_s=timeout_s) as client:
        try:
            await client.v1.refunds.create_async({"charge": "ch_1"}, {"idempotency_key": "k"})
        except Exception as error:
            return error
    raise AssertionError("it succeeded")


@pytest.mark.parametrize(
    ("status", "error", "headers", "expected"),
    [
        (402, CARD, {}, (Declined, "lost_card")),
        (402, CVC, {}, (Declined, "incorrect_cvc")),
        (402, CARD, {"Idempotent-Replayed": "true"}, (Declined, "lost_card")),
        (400, INVALID, {}, (Declined, "resource_missing")),
        (404, INVALID, {}, (Declined, "resource_missing")),
        (400, {"message": "?"}, {}, (Declined, "invalid_request_error")),
        (429, {"message": "Slow down."}, {"Retry-After": "3"}, (NotDone, 3000)),
        (429, {"message": "Slow down."}, {}, (NotDone, None)),
        (429, {"message": "Slow down."}, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, (NotDone, None)),
        (429, LOCK, {"Stripe-Should-Retry": "true"}, (NotDone, None)),
        (400, {"code": "rate_limit", "message": "Old style."}, {}, (NotDone, None)),
        (409, IN_USE, {}, (NotDone, None)),
        (409, IN_USE_TYPED, {}, (NotDone, None)),
        (409, INVALID, {}, (NotDone, None)),
        (400, REUSED, {}, (Unknown, True)),
        (409, REUSED, {}, (Unknown, True)),
        (401, INVALID, {}, (NotDone, None)),
        (403, INVALID, {}, (NotDone, None)),
        (500, BROKEN, {}, (Unknown, True)),
        (500, BROKEN, {"Stripe-Should-Retry": "false"}, (Unknown, True)),
        (500, BROKEN, {"Idempotent-Replayed": "true"}, (Unknown, True)),
        (503, BROKEN, {"Stripe-Should-Retry": "true"}, (Unknown, False)),
        (418, BROKEN, {}, (Unknown, False)),
    ],
)
async def test_answers(server, status, error, headers, expected):
    """P5: what Stripe answers decides, by status, type, code and headers, through the SDK's own mapping."""

    async def answer(request):
        return web.json_response({"error": error}, status=status, headers=headers)

    async with server(answer) as url:
        assert said(classify(await ask(url))) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (502, "<html>Bad Gateway</html>", (Unknown, False)),
        (504, "", (Unknown, False)),
        (500, '{"oops": 1}', (Unknown, False)),
        (500, '{"error": "text"}', (Unknown, False)),
        (400, "<html>Bad Request</html>", (Unknown, False)),
        (402, "<html>Pay</html>", (Unknown, False)),
        (409, "<html>Conflict</html>", (Unknown, False)),
        (429, "<html>Slow down</html>", (NotDone, None)),
        (200, "<html>Welcome to the hotel</html>", (Unknown, False)),
    ],
)
async def test_answers_that_are_not_stripes(server, status, body, expected):
    """P5: what something in between answers proves nothing; the same key is asked again."""

    async def answer(request):
        return web.Response(status=status, text=body)

    async with server(answer) as url:
        assert said(classify(await ask(url))) == expected


async def test_conflicts_are_loud(server):
    """P8: a key that stands for another request is named as such."""

    async def answer(request):
        return web.json_response({"error": REUSED}, status=400)

    async with server(answer) as url:
        assert "KEY CONFLICT" in str(classify(await ask(url)))


async def test_refused_connection_is_not_done():
    """P5: nobody listens, so nothing was sent."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    verdict = classify(await ask(f"http://127.0.0.1:{port}"))
    assert isinstance(verdict, NotDone)
    assert "was not reached" in verdict.reason


async def test_host_not_found_is_not_done(monkeypatch):
    """P5: without an address nothing was sent."""

    async def nowhere(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", nowhere)
    assert isinstance(classify(await ask("http://nowhere.invalid")), NotDone)


async def test_no_connection_in_time_is_not_done(monkeypatch):
    """P5: the time-out of connecting is told from the time-out of the answer."""

    async def never(*_, **__):
        await asyncio.sleep(60)

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", never)
    async with stripe_client("sk_test_x", base_url="http://127.0.0.1:1", timeout_s=5, connect_timeout_s=0.05) as client:
        with pytest.raises(stripe.APIConnectionError) as caught:
            await client.v1.refunds.create_async({"charge": "ch_1"}, {"idempotency_key": "k"})
    assert isinstance(classify(caught.value), NotDone)


async def test_no_tls_is_not_done(server):
    """P5: a handshake that fails comes before the request."""

    async def answer(request):
        return web.Response()

    async with server(answer) as url:
        assert isinstance(classify(await ask(url.replace("http:", "https:"))), NotDone)


async def test_time_out_after_sending_is_unknown(server):
    """P5: no answer says nothing; the same key is asked again."""
    ended = asyncio.Event()

    async def answer(request):
        await ended.wait()
        return web.Response()

    async with server(answer) as url:
        verdict = classify(await ask(url, timeout_s=0.1))
        ended.set()
    assert said(verdict) == (Unknown, False)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{", b"nonsense\r\n\r\n"])
async def test_answers_cut_off_are_unknown(sent):
    """P5: cut before, within or instead of an answer."""

    async def cut(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        assert said(classify(await ask(f"http://127.0.0.1:{port}"))) == (Unknown, False)


async def test_answer_that_stops_half_way_is_unknown(server):
    """P5: a time-out while the body is read means the same."""
    ended = asyncio.Event()

    async def answer(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        await ended.wait()
        return response

    async with server(answer) as url:
        error = await ask(url, timeout_s=0.1)
        ended.set()
    assert isinstance(error, stripe.APIConnectionError)
    assert said(classify(error)) == (Unknown, False)


async def test_synchronous_client_refused_is_not_done():
    """P5: the SDK's synchronous client hides the cause deeper; it is found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    client = stripe.StripeClient("sk_test_x", base_addresses={"api": url}, max_network_retries=0)
    with pytest.raises(stripe.APIConnectionError) as caught:
        await asyncio.to_thread(client.v1.refunds.create, {"charge": "ch_1"}, {"idempotency_key": "k"})
    client._requestor._get_http_client().close()  # type: ignore[no-untyped-call]
    assert isinstance(classify(caught.value), NotDone)


def test_a_refusal_that_merely_came_before_proves_nothing():
    """P5: only what an error says it came from counts, not what was handled when it was raised."""
    error = stripe.APIConnectionError("reset")  # type: ignore[no-untyped-call]
    error.__context__ = ConnectionRefusedError()
    assert said(classify(error)) == (Unknown, False)


@pytest.mark.parametrize(
    "error",
    [
        stripe.StripeError(),
        stripe.APIError("x", json_body={"error": ["?"]}, http_status=500),
        stripe.CardError(None, None, None, http_status=402, json_body={"error": {"type": "card_error"}}),  # type: ignore[no-untyped-call]
        stripe.RateLimitError("x", http_status=429, headers={"Retry-After": "²"}),
        stripe.AuthenticationError("No API key provided."),
        ssl.SSLError("reason"),
        aiohttp.ClientPayloadError("cut off"),
        TimeoutError(),
        ValueError(),
    ],
)
def test_classifying_never_raises(error):
    """P5: whatever it is, there is a verdict, and it survives storing."""
    verdict = classify(error)
    assert said(pickle.loads(pickle.dumps(verdict))) == said(verdict)


def test_guarantees():
    """P3: what recordfirst relies on is what Stripe documents."""
    assert (Stripe().name, Stripe().retention_s, Stripe().key_limit) == ("stripe", 86_400, 255)
    assert Stripe(lag_s=60).lag_s == 60
