"""P3, P4, P8: a deploy changes an undo, a key, a default, while workflows are under way: what receipts say counts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from recordfirst import (
    App,
    Call,
    Context,
    Declined,
    NotDone,
    Read,
    SharedKey,
    Unknown,
    WorkflowFailed,
    Write,
    effect,
    inject,
    read,
    workflow,
    write,
)
from recordfirst.engine.options import Embedded
from recordfirst.errors import DifferentKey, Undone
from recordfirst.execution.conflicts import refuse_other_key
from recordfirst.execution.undone import refuse_undone
from recordfirst.observe import DefaultKept, Stopped
from recordfirst.records.open import record_from_url
from recordfirst.steps.arguments import Arguments
from tests.effects.harness import receipt, until, until_state
from tests.effects.program import KEYED, PLAIN


class World:
    """What was called, in order, and what it is to answer."""

    def __init__(self, **answers: Any) -> None:
        self.log: list[str] = []
        self.answers = answers
        self.fail = asyncio.Event()
        """When the write beside it fails."""

    def call(self, what: str) -> str:
        self.log.append(what)
        answer = self.answers.get(what, self.answers.get(what.partition(" ")[0], what))
        if isinstance(answer, Exception):
            raise answer
        return str(answer)


@effect(key="ask:{id}", provider=PLAIN, after=None)
async def ask(call: Call, id: str, *, world: World = inject()) -> str:
    return world.call("ask")


@effect(key="ship:{id}", provider=KEYED, after=None)
async def ship(call: Call, id: str, *, world: World = inject()) -> str:
    return world.call("ship")


@write(key="{id}:posted")
async def post(w: Write, id: str, *, world: World = inject()) -> None:
    world.call("posted")
    w.intend(ship, id)


@workflow
async def parcel(ctx: Context, id: str) -> str:
    return await ship(ctx, id)


async def ships_in_a_part(ctx: Context, id: str) -> str:
    return str(await ctx.rpc(parcel, id))


async def does_nothing(ctx: Context, id: str) -> str:
    return "done"


LAST: dict[str, Any] = {"ask": ask, "ship": ship, "post": post, "part": ships_in_a_part, "nothing": does_nothing}
"""What the order does at its end."""


def version(
    *,
    key: str = "charge:{id}",
    undo: str = "refund",
    undo_key: str = "{name}:{{id}}",
    attempt: int = 1,
    currency: str = "usd",
    noted: str = "note:{id}",
    last: str = "ask",
    announces: bool = False,
) -> Any:
    """The shop as one deploy has it: a charge that is taken back by ``undo``, then something that nobody can tell, or
    what else is ``last``. The first write may announce what is shipped. ``attempt``: 2, if the first card is declined.
    """

    def refunding(name: str) -> Any:
        @effect(key=undo_key.format(name=name), provider=KEYED, after=None, name=name)
        async def refund(call: Call, id: str, *, world: World = inject()) -> str:
            return world.call(name)

        return refund

    refunds = {name: refunding(name) for name in ("refund", "refund_v2")}

    @effect(key=key, provider=KEYED, after=None, undo=refunds[undo])
    async def charge(call: Call, id: str, currency: str = currency, *, world: World = inject()) -> str:
        return world.call(f"charge {call.key} {currency}")

    @write(key=noted)
    async def note(w: Write, id: str, *, world: World = inject()) -> None:
        world.call("note")
        if announces:
            w.intend(ship, id)

    @workflow(steps=(*refunds.values(), ask, ship, post))
    async def order(ctx: Context, id: str) -> str:
        await note(ctx, id)
        if attempt > 1:
            with contextlib.suppress(Declined):
                await charge(ctx, id)
        await charge.attempt(attempt)(ctx, id)
        return await LAST[last](ctx, id)

    vars(order).update(charge=charge, note=note)
    return order


async def parked(shop: Any, order: Any, world: World) -> None:
    """A first deploy: charged, and parked in what comes next."""
    world.answers["ask"] = Unknown("timeout")
    async with shop.working(order, provide={World: world}) as app:
        await app.start(order, "1", id="o")
        await until_state(app, "ask:1", "unknown")


async def cancelled(app: App) -> None:
    async def look() -> bool:
        return (await (await app.handle("o")).status()).state == "cancelled"

    await until(look)


async def undone(shop: Any, order: Any, world: World) -> None:
    """A later deploy: an operator cancels, and what was charged is taken back."""
    async with shop.app(order, provide={World: world}) as app:
        await app.resolve("ask:1", outcome="declined")
        await app.cancel("o", undo=True)
    async with shop.working(order, provide={World: world}) as app:
        await cancelled(app)


CHARGED = ["note", "charge shop/charge:1 usd", "ask"]


async def test_undone_by_what_the_receipt_names(shop):
    """P3: a deploy names another effect in undo=: the one that the receipt names takes it back, and no other."""
    world = World()
    await parked(shop, version(), world)
    await undone(shop, version(undo="refund_v2"), world)
    assert world.log == [*CHARGED, "refund"]


async def test_undone_by_its_own_key(shop):
    """P3: a deploy changes the key of what is taken back: it is found by the key that it has, and not called again."""
    world = World()
    await parked(shop, version(), world)
    await undone(shop, version(key="pay:{id}"), world)
    assert world.log == [*CHARGED, "refund"]
    async with shop.app(version(), provide={World: world}) as app:
        assert (await receipt(app, "charge:1")).undone_by == "refund:1"


async def test_an_undo_goes_on_under_the_key_that_it_has(shop):
    """P3: half undone, and a deploy names another effect, with another key: there is one refund all the same."""
    world = World(refund=NotDone("closed", retry_after_ms=50))
    first = version()
    await parked(shop, first, world)
    async with shop.working(first, provide={World: world}) as app:
        await app.resolve("ask:1", outcome="declined")
        await app.cancel("o", undo=True)
        await until(lambda: _begun(app, "refund:1"))
    del world.answers["refund"]
    async with shop.working(version(undo="refund_v2", key="pay:{id}"), provide={World: world}) as app:
        await cancelled(app)
        assert (await receipt(app, "charge:1")).undone_by == "refund:1"
    assert set(world.log) == {*CHARGED, "refund"}


@pytest.mark.parametrize("attempt", [1, 2])
async def test_an_undo_whose_key_is_made_otherwise_by_now(shop, attempt):
    """P3: half undone under the old key, and it goes on under that, also if it is the undo of a later attempt."""
    world = World(refund=NotDone("closed", retry_after_ms=50))
    first, second = (version(attempt=attempt, undo_key=key) for key in ("{name}:{{id}}", "back-{name}:{{id}}"))
    if attempt > 1:
        world.answers["charge shop/charge:1 usd"] = Declined("no funds")
    await parked(shop, first, world)
    async with shop.working(first, provide={World: world}) as app:
        await app.resolve("ask:1", outcome="declined")
        await app.cancel("o", undo=True)
        await until(lambda: _called(app, "refund:1"))
    del world.answers["refund"]
    async with shop.working(second, provide={World: world}) as app:
        await cancelled(app)
        assert (await receipt(app, "charge:1", attempt)).undone_by == "refund:1"
        assert not await _begun(app, "back-refund:1")


@pytest.mark.parametrize("announces", [False, True])
@pytest.mark.parametrize("last", ["nothing", "ship", "post", "part"])
async def test_a_body_that_no_longer_fails_when_its_undo_has_begun(shop, last, announces):
    """P3, P9: what is half undone is undone, and ends in failure; nothing more is called, and it never succeeds."""
    world = World(ask=Declined("no"), refund=NotDone("closed", retry_after_ms=50))
    first, second = version(announces=announces), version(last=last, announces=announces)
    async with shop.working(first, provide={World: world}) as app:
        await app.start(first, "1", id="o")
        await until(lambda: _called(app, "refund:1"))
    del world.answers["refund"]
    async with shop.working(second, parcel, provide={World: world}) as app:
        with pytest.raises(WorkflowFailed, match="'charge:1' is being undone by 'refund:1'"):
            await (await app.handle("o")).result()
        assert (await receipt(app, "charge:1")).undone_by == "refund:1"
    assert set(world.log) == {*CHARGED, "refund"}


async def test_a_later_attempt_whose_undo_has_begun_is_not_handed_out(shop):
    """P3, P9: the body's second card was charged, and is being refunded: its result no longer stands."""
    world = World(ask=Declined("no"), refund=Unknown("timeout"))
    world.answers["charge shop/charge:1 usd"] = Declined("no funds")
    order = version(attempt=2)
    async with shop.working(order, provide={World: world}) as app:
        await app.start(order, "1", id="o")
        await until(lambda: _in_doubt(app, "refund:1"))
        async with app.runtime.record.session() as session:
            [charged] = [each for each in await session.receipts_of("o") if (each.key, each.attempt) == ("charge:1", 2)]
        with pytest.raises(Undone, match="'charge:1' succeeded and is being undone by 'refund:1'"):
            await refuse_undone(app.runtime, charged)
        del world.answers["refund"]


async def _in_doubt(app: App, key: str) -> bool:
    async with app.runtime.record.session() as session:
        found = (await session.find_receipt(key)).receipt
        return found is not None and found.doubts > 0


async def _called(app: App, key: str) -> bool:
    async with app.runtime.record.session() as session:
        found = (await session.find_receipt(key)).receipt
        return found is not None and found.calls > 0


async def _begun(app: App, key: str) -> bool:
    async with app.runtime.record.session() as session:
        return (await session.find_receipt(key)).receipt is not None


@pytest.mark.parametrize(
    ("changed", "kind"),
    [({"key": "pay:{id}"}, "charge"), ({"noted": "memo:{id}"}, "note")],
    ids=["effect", "write"],
)
async def test_a_key_that_is_made_otherwise_by_now(shop, changed, kind):
    """P2, P3: a deploy changes a key of a workflow under way: refused, with both keys, and nothing is called again."""
    world = World()
    await parked(shop, version(), world)
    later = version(**changed)
    step = getattr(later, kind)
    async with shop.app(later, provide={World: world}) as app, app.runtime.record.session() as session:
        arguments = Arguments.of({"id": "1"}, "it")
        with pytest.raises(
            DifferentKey, match=rf"'o' has a receipt of \w+ '{kind}' under '{kind}:1'.* is '\w+:1' by now"
        ):
            await refuse_other_key(app.runtime, session, step, "o", arguments)
        await refuse_other_key(app.runtime, session, getattr(version(), kind), "o", arguments)
        await refuse_other_key(app.runtime, session, step, "another", arguments)
    async with shop.working(later, provide={World: world}) as app:
        await app.resolve("ask:1", outcome="declined")
        with contextlib.suppress(WorkflowFailed, TimeoutError):
            async with asyncio.timeout(3):
                await (await app.handle("o")).result()
    assert [each for each in world.log if each != "refund"] == CHARGED


@pytest.mark.parametrize("changed", [{"key": "pay:{id}"}, {"noted": "memo:{id}"}], ids=["effect", "write"])
async def test_a_worker_that_died_before_the_record_knew(shop, changed, tmp_path):
    """P2, P3: with its engine; the start looks new, and yet the next version sees what was called under another key."""
    world = World()
    await parked(shop, version(), world)
    table = "recordfirst.start" if shop.url.startswith("postgres") else "recordfirst_start"
    async with shop.app(version(), provide={World: world}) as app, app.runtime.record.transaction() as tx:
        await tx.connection.execute(f"UPDATE {table} SET engine = NULL, epoch = 1")
    async with shop.working(version(**changed), provide={World: world}, engine=Embedded(tmp_path / "anew")):

        async def is_stopped() -> bool:
            return bool(shop.seen(Stopped))

        await until(is_stopped)
    assert "DifferentKey" in shop.seen(Stopped)[0].cause
    assert world.log == CHARGED


async def test_a_retry_sends_the_default_that_was_stored(shop):
    """P4: a deploy changes a default while a call is in doubt: what was first sent is sent again, and that is said."""
    world = World(charge=Unknown("timeout"))
    first, later = version(), version(currency="eur")
    async with shop.working(first, provide={World: world}) as app:
        await app.start(first, "1", id="o")
        await until(lambda: _begun(app, "charge:1"))
    world.answers = {"ask": "sure"}
    async with shop.working(later, provide={World: world}) as app:
        assert await (await app.handle("o")).result() == "sure"
        assert await (await app.start(later, "2", id="p")).result() == "sure"
    assert set(world.log) == {*CHARGED, "charge shop/charge:2 eur"}
    assert shop.seen(DefaultKept)[0].parameters == "currency"


# ── two effects, one key of their undo ──────────────────────────────────────


@effect(key="back:{id}", provider=KEYED, after=None)
async def back(call: Call, id: str, *, world: World = inject()) -> str:
    return world.call("back")


@effect(key="goods:{id}", provider=KEYED, after=None, undo=back)
async def goods(call: Call, id: str, *, world: World = inject()) -> str:
    return world.call("goods")


@effect(key="shipping:{id}", provider=KEYED, after=None, undo=back)
async def shipping(call: Call, id: str, *, world: World = inject()) -> str:
    return world.call("shipping")


@effect(key="item:{id}:{name}", provider=KEYED, after=None, undo=back)
async def item(call: Call, id: str, name: str, *, world: World = inject()) -> str:
    return world.call(f"item {name}")


@workflow
async def both(ctx: Context, id: str) -> None:
    await goods(ctx, id)
    await shipping(ctx, id)


@workflow
async def items(ctx: Context, id: str) -> None:
    await item(ctx, id, "a")
    await item(ctx, id, "b")
    raise Declined("no stock")


def test_two_effects_with_one_undo_are_refused(tmp_path):
    """P3, P8: where the key of their undo cannot tell them apart, when the app is made, and both are named."""
    with pytest.raises(
        SharedKey, match=r"'back:\{id\}' is claimed by the undo of .*goods .* and by the undo of .*shipping"
    ):
        App("shop", record=record_from_url(f"sqlite:///{tmp_path}/r.db"), workflows=[both])


async def test_one_key_undoes_one_effect(shop):
    """P3, P8: where only the run shows it, the one that is not undone is named, and its receipt does not say it was."""
    world = World()
    async with shop.working(items, provide={World: world}) as app:
        handle = await app.start(items, "1", id="o")

        async def stop() -> str | None:
            return (await handle.status()).stop

        told = str(await until(stop))
        assert all(each in told for each in ("SharedKey", "'item:1:a'", "'item:1:b'"))
        assert (await receipt(app, "item:1:a")).undone_by is None
    assert world.log == ["item a", "item b", "back"]


# ── cancelled, and given up, half way ───────────────────────────────────────


@effect(key="unhold:{id}", provider=KEYED, after=None)
async def unhold(call: Call, id: str, *, world: World = inject()) -> str:
    return world.call("unhold")


@effect(key="hold:{id}", provider=KEYED, after=None, undo=unhold)
async def hold(call: Call, id: str, *, world: World = inject()) -> str:
    return world.call("hold")


@workflow
async def held(ctx: Context, id: str) -> None:
    await hold(ctx, id)
    await goods(ctx, id)
    raise Declined("no stock")


@pytest.mark.parametrize(
    ("answer", "left", "unsure"),
    [(NotDone("down", retry_after_ms=3_600_000), ["hold:1"], {}), (Unknown("?"), [], {"hold:1": "unhold:1"})],
    ids=["not done", "in doubt"],
)
async def test_given_up_half_undone(shop, answer, left, unsure):
    """P10: what was undone is not called left as it is, and its receipt says by what; what may be is so called."""
    world = World(unhold=answer)
    async with shop.working(held, provide={World: world}) as app:
        await app.start(held, "1", id="o")
        await until(lambda: _answered(app, "unhold:1"))
        given_up = await app.cancel("o", undo=False, dry_run=True)
        assert (await receipt(app, "goods:1")).undone_by is None
        assert await app.cancel("o", undo=False) == given_up
        assert (given_up.left, given_up.unsure, given_up.reversed) == (left, unsure, {"goods:1": "back:1"})
        assert "undone before: goods:1" in given_up.told
        assert (await receipt(app, "goods:1")).undone_by == "back:1"
        assert (await receipt(app, "hold:1")).undone_by is None


async def _answered(app: App, key: str) -> bool:
    async with app.runtime.record.session() as session:
        found = (await session.find_receipt(key)).receipt
    return found is not None and found.error is not None


@read
async def look_at_stock(r: Read, id: str, *, world: World = inject()) -> None:
    await world.fail.wait()
    raise Declined("no stock")


@workflow
async def beside(ctx: Context, id: str) -> None:
    await goods(ctx, id)
    await asyncio.gather(hold(ctx, id), look_at_stock(ctx, id))


@pytest.mark.parametrize("order", ["fails first", "is refused first"])
async def test_undo_waits_for_nothing_that_did_not_happen(shop, order):
    """P9: a hold that was refused for an hour has not happened: what did is undone at once; it is called no more."""
    world = World(hold=NotDone("429", retry_after_ms=3_600_000))
    async with shop.working(beside, provide={World: world}) as app:
        handle = await app.start(beside, "1", id="o")
        await until(lambda: _begun(app, "hold:1") if order == "fails first" else _answered(app, "hold:1"))
        world.fail.set()
        async with asyncio.timeout(20):
            with pytest.raises(WorkflowFailed, match="no stock"):
                await handle.result()
        assert world.log == ["goods", "hold", "back"]
        held_ = await receipt(app, "hold:1")
        assert (held_.state, held_.doubts, held_.undone_by) == ("intended", 0, None)


async def test_cancelled_while_nothing_has_happened(shop):
    """P9: as for a workflow that fails: undoing asks for no time of what certainly did not happen."""
    world = World(hold=NotDone("429", retry_after_ms=3_600_000))
    async with shop.working(held, provide={World: world}) as app:
        await app.start(held, "1", id="o")
        await until(lambda: _answered(app, "hold:1"))
        await app.cancel("o", undo=True)
        async with asyncio.timeout(10):
            await cancelled(app)
    assert set(world.log) == {"hold"}
