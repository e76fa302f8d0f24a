"""P5: reading what comes out of a call or a probe cannot fail; what cannot be read is unknown, and is told."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from recordfirst import Absent, Call, Context, Found, Provider, effect, inject, workflow
from recordfirst.core import codec
from recordfirst.errors import Declined, NotDone, Undeclared, Unknown
from recordfirst.execution.verdict import MOST_UNDECLARED, undeclared_in, verdict_of
from recordfirst.process.limit import Limit
from recordfirst.providers.contract import Probed, describe
from recordfirst.steps.function import Function
from tests.effects.harness import ORDER, Bank, Order, Script, pass_time, receipt, until
from tests.effects.program import KEYED


class DumbError(Exception):
    def __str__(self):
        return {}["message"]  # type: ignore[index]


class NumericError(Exception):
    def __str__(self):
        return 503  # noqa: PLE0307 - that is what is wrong with it


class FatalError(Exception):
    def __str__(self):
        raise SystemExit


class Odd(str):  # noqa: SLOT000
    def strip(self, *_):
        raise ValueError

    __getitem__ = strip


class OddlyError(Exception):
    def __str__(self):
        return Odd("odd")


class Meta(type):
    @property
    def __name__(cls):  # type: ignore[override]
        raise ValueError


class NamelessError(Exception, metaclass=Meta):
    pass


class LyingError(Exception):
    @property  # type: ignore[misc]
    def __class__(self):
        raise ValueError

    @property
    def __dict__(self):  # type: ignore[override]
        raise ValueError


ODD = [
    DumbError(),
    NumericError(),
    FatalError(),
    OddlyError("x"),
    NamelessError("x"),
    LyingError("x"),
    Exception("\ud800\0"),
    Exception("x" * 10**7),
]


class Broken(Provider, frozen=True, kw_only=True):
    name: str = "broken"

    def classify(self, error):
        raise DumbError


class Mute(Provider, frozen=True, kw_only=True):
    name: str = "mute"

    def classify(self, error):
        return None


class Knowing(Provider, frozen=True, kw_only=True):
    name: str = "knowing"

    def classify(self, error):
        return Unknown("it is known") if isinstance(error, KeyError) else Provider.classify(self, error)


def charge(call: Call, order: Order) -> None:
    """It is not called here."""


class OwnError(Exception):
    """Of the package that the effect is of."""


FUNCTION = Function(charge, kind="effect")
PLAIN = Provider(name="plain")


def read(error, provider=PLAIN):
    async def limited():
        async with Limit(1, asyncio.get_running_loop().time() + 1) as limit:
            limit.begin()
            return verdict_of(error, provider, FUNCTION, limit)

    verdict = asyncio.run(limited())
    json.dumps(verdict.args)
    assert all(codec.told(arg) == arg and len(arg) < 5_000 for arg in verdict.args if isinstance(arg, str))
    return verdict


@pytest.mark.parametrize("odd", range(len(ODD)))
@pytest.mark.parametrize("provider", [PLAIN, Broken(), Mute(), Knowing()], ids=lambda provider: provider.name)
def test_any_exception_is_read(odd, provider):
    """P5: whatever it is made of, and whatever the provider makes of it, it is unknown, in words that can be stored."""
    error = ODD[odd]
    assert isinstance(read(error, provider), Undeclared)
    assert codec.told(describe(error)) == describe(error)
    assert len(describe(error)) < 3_000


@pytest.mark.parametrize("error", [KeyError("error"), TypeError(), json.JSONDecodeError("x", "", 0)], ids=repr)
def test_what_sdks_raise_on_what_they_cannot_read_is_unknown(error):
    """P5: the answer was not read, so the call may have had its effect."""
    assert type(read(error)) is Undeclared
    assert type(read(error, Knowing())) is (Unknown if isinstance(error, KeyError) else Undeclared)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), Unknown),
        (ConnectionResetError(), Unknown),
        (EOFError(), Unknown),
        (ConnectionRefusedError(), NotDone),
        (OwnError("?"), Undeclared),
        (pytest.fail.Exception("an SDK's own"), Unknown),
        (ExceptionGroup("two", [Declined("no"), KeyError()]), Undeclared),
        (ExceptionGroup("one", [Declined("no", "c")]), Declined),
        (ExceptionGroup("one", [ExceptionGroup("of one", [Declined("no", "c")])]), Declined),
        (ExceptionGroup("one", [NotDone("later", 7)]), NotDone),
        (ExceptionGroup("one", [Unknown("who knows")]), Unknown),
        (ExceptionGroup("one", [ConnectionRefusedError()]), Unknown),
    ],
    ids=repr,
)
def test_who_declares_what(error, kind):
    """P5: a time-out speaks of the way there, a group of one of what it holds; a cancelled sibling is not in it."""
    if isinstance(error, Exception):
        assert type(read(error)) is kind


def test_declined_whatever_its_reason_is_made_of():
    """P5: the class declares it; what cannot be read of the reason is told in its place."""

    class OutOfFunds(Declined):
        def __init__(self):
            self.balance = 0

    for declined in (Declined(DumbError(), 402), Declined(b"\xff", DumbError()), OutOfFunds()):  # type: ignore[arg-type]
        assert type(read(declined)) is Declined
    assert read(Declined("no", 402)).code == "402"  # type: ignore[arg-type,union-attr]
    waits = [read(NotDone("later", ms)).retry_after_ms for ms in (30, 30.5, "soon", float("nan"), -1, None)]  # type: ignore[arg-type,union-attr]
    assert waits == [30, 30, None, None, None, None]


# ── time in our own queue ──


async def test_what_waits_for_a_thread_can_be_given_up():
    """P5: it never began, and never runs, also when a thread is free at last; so it is not done."""
    called, free = [], threading.Event()

    def work(call: Call) -> None:
        called.append(call)

    function, loop = Function(work, kind="effect"), asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(free.wait)
        limit = Limit(60, loop.time() + 0.05)
        with pytest.raises(TimeoutError) as caught:
            async with limit:
                await function.call(None, {}, {}, executor, limit)
        free.set()
    assert (limit.given_up, called) == (True, [])
    assert isinstance(verdict_of(caught.value, PLAIN, FUNCTION, limit), NotDone)


async def test_time_counts_from_the_beginning():
    """P5: a wait for a thread that is longer than the time-out takes nothing of it; then the time-out is unknown."""
    begun, over = threading.Event(), threading.Event()

    def work(call: Call) -> None:
        begun.set()
        over.wait(10)

    function, loop, busy = Function(work, kind="effect"), asyncio.get_running_loop(), threading.Event()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(busy.wait)
        limit = Limit(0.05, loop.time() + 60)
        loop.call_later(0.2, busy.set)
        with pytest.raises(TimeoutError) as caught:
            async with limit:
                await function.call(None, {}, {}, executor, limit)
        busy.set()
        over.set()
    assert (limit.given_up, limit.expired(), begun.is_set()) == (False, True, True)
    assert verdict_of(caught.value, PLAIN, FUNCTION, limit).reason == "no answer within 0.05 s"


async def test_cancelled_while_it_waits():
    """P5: what is cancelled before it has a thread never runs."""
    called, free = [], threading.Event()

    def work(call: Call) -> None:
        called.append(call)

    function, loop, limit = Function(work, kind="effect"), asyncio.get_running_loop(), None

    async def limited():
        nonlocal limit
        async with Limit(60, loop.time() + 60) as limit:
            await function.call(None, {}, {}, executor, limit)

    with ThreadPoolExecutor(1) as executor:
        executor.submit(free.wait)
        task = asyncio.create_task(limited())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        free.set()
    assert limit is not None
    assert (limit.given_up, called) == (True, [])


# ── through the record ──


@effect(key="order:{order.id}:odd", provider=KEYED, after=None)
async def charge_oddly(call: Call, order: Order, *, bank: Bank = inject(), script: Script = inject()) -> str:
    done = bank.post("charge", order, key=call.key, marker=call.marker)
    script.next(call)
    return done


@workflow
async def paying_oddly(ctx: Context, order: Order) -> str:
    try:
        return await charge_oddly(ctx, order)
    except Exception as error:
        return f"not paid: {type(error).__name__}"


async def test_taken_charge_is_never_not_paid(shop):
    """P5: the bank has taken the money, and its SDK raises what nobody can read: asked again under the same key."""
    script = Script(DumbError(), FatalError(), ExceptionGroup("two", [KeyError(), ValueError()]))
    async with shop.working(paying_oddly, provide={Script: script}) as app:
        assert await (await app.start(paying_oddly, ORDER, id="a")).result() == "charge of 1"
    assert len(shop.bank.applied) == 1


@effect(key="order:{order.id}:declined", provider=Provider(name="post"), after=None, in_doubt="repeat")
async def repeated(call: Call, order: Order, *, script: Script = inject()) -> str:
    return script.next(call)


@workflow
async def repeating(ctx: Context, order: Order) -> str:
    return await repeated(ctx, order)


async def test_decline_says_nothing_of_an_earlier_call(shop):
    """P5: without a key the first call may have had its effect, whatever the second got: an operator is asked."""
    script = Script(TimeoutError(), ExceptionGroup("one", [Declined("no credit")]))
    async with shop.working(repeating, provide={Script: script}) as app:
        handle = await app.start(repeating, ORDER, id="a")

        async def unknown():
            found = [each for each in await _receipts(app, "a") if each.state == "unknown"]
            return found[0] if found else None

        stored = await until(unknown)
        assert stored is not None
        assert (stored.doubts, stored.calls) == (1, 2)
        assert "no credit" in (stored.error or "")
        await app.resolve(stored.key, outcome="declined", reason="it never arrived")
        with pytest.raises(Exception, match="it never arrived"):
            await handle.result()


async def test_success_keeps_the_doubt_of_an_earlier_call(shop):
    """P5: without a key the first call may have had the effect, too, and the receipt goes on saying so."""
    async with shop.working(repeating, provide={Script: Script(TimeoutError())}) as app:
        assert await (await app.start(repeating, ORDER, id="a")).result() == "done"
        stored = await receipt(app, "order:1:declined")
        assert (stored.state, stored.doubts, stored.calls) == ("succeeded", 1, 2)


async def _receipts(app, workflow):
    async with app.runtime.record.session() as session:
        return await session.receipts_of(workflow)


async def find_charge(call: Call, order: Order, *, bank: Bank = inject()) -> Probed:
    found = bank.find("charge", call.marker)
    return Found(found) if found else Absent()


@effect(key="order:{order.id}:buggy", provider=KEYED, after=None, probe=find_charge)
async def charge_buggily(call: Call, order: Order, *, bank: Bank = inject(), script: Script = inject()) -> str:
    bank.post("charge", order, key=call.key, marker=call.marker)
    script.next(call)
    raise KeyError("id")


@workflow
async def paying_buggily(ctx: Context, order: Order) -> str:
    return await charge_buggily(ctx, order)


async def test_five_exceptions_that_nobody_declared(shop):
    """P5, P9: then it is no longer called; what became of the calls is in doubt, and a reconcile asks the probe."""
    script = Script(TimeoutError(), NotDone("busy"))
    async with shop.working(paying_buggily, provide={Script: script}) as app:
        await app.start(paying_buggily, ORDER, id="a")

        async def stopped():
            found = await _receipts(app, "a")
            return found and undeclared_in(found[0]) >= MOST_UNDECLARED and found[0]

        stored = await until(stopped)
        # The time-out is a doubt as well, but no defect; what was not done is neither.
        assert (stored.state, stored.calls, stored.doubts) == ("intended", 7, 6)
    assert len(script.calls) == 7
    async with shop.app(paying_buggily, provide={Script: script}) as app:
        await pass_time(app, 3_600)
        await app.reconcile(apply=True)
        stored = await receipt(app, "order:1:buggy")
        assert (stored.state, stored.result) == ("succeeded", '"charge of 1"')
    assert (len(script.calls), len(shop.bank.applied)) == (7, 1)


@effect(key="order:{order.id}:unread", provider=Broken(), after=None)
async def charge_unread(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    bank.post("charge", order, key=None, marker=call.marker)
    raise OwnError("?")


@workflow
async def paying_unread(ctx: Context, order: Order) -> str:
    return await charge_unread(ctx, order)


async def test_a_provider_that_cannot_be_read_is_not_called_again(shop):
    """P3, P5: its classify raises, it takes no keys, and it has the money: in doubt, and an operator is asked."""
    async with shop.working(paying_unread) as app:
        await app.start(paying_unread, ORDER, id="a")

        async def unknown():
            assert len(shop.bank.applied) <= 1
            found = await _receipts(app, "a")
            return found and found[0].state == "unknown" and found[0]

        stored = await until(unknown)
    assert (stored.calls, stored.doubts, len(shop.bank.applied)) == (1, 1, 1)
