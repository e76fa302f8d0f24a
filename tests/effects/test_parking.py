"""P5: unknown is a state: it parks its workflow until an operator answers, in the record first; then it goes on."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from recordfirst import (
    App,
    Call,
    CannotTell,
    Context,
    Declined,
    Embedded,
    Misuse,
    NotDone,
    Unencodable,
    Unknown,
    Write,
    effect,
    inject,
    workflow,
)
from recordfirst.core import decide as d
from recordfirst.core.receipt import Wake
from recordfirst.engine.sdk import steps as sdk
from recordfirst.execution.resolve import OperatorAnswer, resolve
from tests.effects.harness import ORDER, Order, Plug, Script, mark, orders, receipt, until, until_state
from tests.effects.program import PLAIN, insert_order

KEY = "order:1:charge"


class Charge(msgspec.Struct, frozen=True):
    id: str


@effect(key="order:{order.id}:charge", provider=PLAIN, after=insert_order)
async def charge(call: Call, order: Order, *, script: Script = inject()) -> Charge:
    return Charge(str(script.next(call)))


@charge.on_success
async def mark_paid(w: Write, order: Order, charge: Charge, *, plug: Plug = inject()) -> None:
    await mark(w, order.id, f"paid {charge.id}")
    plug("in on_success")


@charge.on_decline
async def mark_declined(w: Write, order: Order, declined: Declined) -> None:
    await mark(w, order.id, f"declined {declined.reason}")


@workflow
async def ordering(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    try:
        return (await charge(ctx, order)).id
    except Declined as declined:
        return f"declined: {declined.reason}"


def in_doubt() -> dict[Any, Any]:
    return {Script: Script(Unknown("timeout"), "second")}


ANSWERS: list[tuple[dict[str, Any], str, tuple[str, int], int]] = [
    ({"outcome": "succeeded", "result": {"id": "c1"}}, "c1", ("paid c1", 1), 1),
    ({"outcome": "declined", "reason": "no"}, "declined: no", ("declined no", 1), 1),
    ({"outcome": "not done"}, "second", ("paid second", 1), 2),
]
EACH = pytest.mark.parametrize(("answer", "result", "row", "calls"), ANSWERS, ids=["succeeded", "declined", "not-done"])


async def parks(shop: Any, app: App) -> Any:
    handle = await app.start(ordering, ORDER, id="order:1")
    await until_state(app, KEY, "unknown")
    return handle


@EACH
async def test_resolved_here(shop, answer, result, row, calls):
    """P5: an operator answers, the follow-up's row is there with the answer, and the workflow goes on from it."""
    given = in_doubt()
    async with shop.working(ordering, provide=given, random=lambda: 0.0) as app:
        handle = await parks(shop, app)
        assert await orders(app) == [("new", 0)]
        await app.resolve(KEY, **answer)
        assert await handle.result() == result
        assert await orders(app) == [row]
        assert (await receipt(app, KEY)).parked_on is None
    assert len(given[Script].calls) == calls


@EACH
async def test_resolved_while_no_worker_runs(shop, answer, result, row, calls):
    """P5, P6: the answer goes into the record alone; whichever worker comes, on whichever engine, follows it."""
    given = in_doubt()
    async with shop.working(ordering, provide=given, random=lambda: 0.0) as app:
        await parks(shop, app)
    async with shop.app(ordering, provide=given) as app:
        await app.resolve(KEY, **answer)
        assert await orders(app) == [row if calls == 1 else ("new", 0)]
        async with app.worker():
            assert await (await app.handle("order:1")).result() == result
        assert await orders(app) == [row]
        assert (await receipt(app, KEY)).parked_on is None
    assert len(given[Script].calls) == calls


async def test_worker_restarted_while_parked(shop):
    """P5, P7: the engine's file knows what the workflow waits for, and the next worker goes on with that."""
    given = in_doubt()
    async with shop.working(ordering, provide=given, random=lambda: 0.0) as app:
        await parks(shop, app)
        before = (await receipt(app, KEY)).parked_on
    async with shop.working(ordering, provide=given) as app:
        assert (await receipt(app, KEY)).parked_on == before
        await app.resolve(KEY, outcome="succeeded", result={"id": "c1"})
        assert await (await app.handle("order:1")).result() == "c1"
    assert len(given[Script].calls) == 1


async def test_engine_lost_while_parked(shop):
    """P5, P6: another worker's engine knows nothing of the promise: the workflow parks anew, and calls nothing."""
    given, forgetful = in_doubt(), Embedded(":memory:")
    async with shop.working(ordering, provide=given, random=lambda: 0.0, engine=forgetful) as app:
        await parks(shop, app)
        before = (await receipt(app, KEY)).parked_on
    async with shop.working(ordering, provide=given, engine=forgetful) as app:

        async def anew() -> bool:
            return (await receipt(app, KEY)).parked_on not in (None, before)

        await until(anew)
        await app.resolve(KEY, outcome="succeeded", result={"id": "c1"})
        assert await (await app.handle("order:1")).result() == "c1"
    assert len(given[Script].calls) == 1


CLI_APP = """
from recordfirst import App
from recordfirst.records.open import record_from_url
from tests.effects.harness import Plug, Script
from tests.effects.test_parking import ordering
app = App("shop", record=record_from_url({url!r}), workflows=[ordering])
app.provide(Script())
app.provide(Plug())
"""


async def command(folder: Path, shop: Any, *arguments: str) -> tuple[int, str, str]:
    """Run the command line in another process."""
    (folder / "shop_app.py").write_text(CLI_APP.format(url=shop.url))
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "recordfirst.cli", *arguments, "--app", "shop_app:app",
        cwd=folder, env=os.environ | {"PYTHONPATH": str(root)}, stdout=-1, stderr=-1,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize(
    ("option", "result", "row"),
    [
        (["--succeeded", '{"id": "c1"}'], "c1", ("paid c1", 1)),
        (["--declined", "no"], "declined: no", ("declined no", 1)),
        (["--not-done"], "second", ("paid second", 1)),
    ],
    ids=["succeeded", "declined", "not-done"],
)
async def test_resolved_from_the_command_line(shop, tmp_path, option, result, row):
    """P5, P10: another process resolves it, and the worker in this one goes on."""
    async with shop.working(ordering, provide=in_doubt(), random=lambda: 0.0) as app:
        handle = await parks(shop, app)
        code, out, err = await command(tmp_path, shop, "resolve", KEY, *option, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["key"] == KEY
        assert await handle.result() == result
        assert await orders(app) == [row]


async def test_refused_on_the_command_line(shop, tmp_path):
    """P8, P10: what is not unknown is one line that says what it is, and a status that is not zero."""
    async with shop.working(ordering, provide={Script: Script("first")}) as app:
        await (await app.start(ordering, ORDER, id="order:1")).result()
        code, _, err = await command(tmp_path, shop, "resolve", KEY, "--not-done")
    assert code == 1
    assert err == (
        "recordfirst: effect 'order:1:charge' (attempt 1) is succeeded; "
        "only an outcome that is unknown or pending can be resolved\n"
    )


async def test_promise_settled_by_nobody(shop):
    """P5, P6: the engine says that the wait is over and the record does not: the record wins, and it parks again."""
    given = in_doubt()
    async with shop.working(ordering, provide=given, random=lambda: 0.0) as app:
        handle = await parks(shop, app)
        for _ in range(2):
            before = (await receipt(app, KEY)).parked_on

            async def settled(before: str | None = before) -> bool:
                return await app._dispatcher.engine.settle(before)  # the promise is made behind the receipt

            await until(settled)

            async def again(before: str | None = before) -> bool:
                return (await receipt(app, KEY)).parked_on != before

            await until(again)
        stored = await receipt(app, KEY)
        assert (stored.state, stored.calls) == ("unknown", 1)
        await app.resolve(KEY, outcome="succeeded", result={"id": "c1"})
        assert await handle.result() == "c1"


async def test_unknown_again_after_not_done(shop):
    """P5: what was resolved as not done is called again, may be unknown again, and parks and is resolved again."""
    script = Script(Unknown("timeout"), Unknown("timeout"), "third")
    async with shop.working(ordering, provide={Script: script}, random=lambda: 0.0) as app:
        handle = await parks(shop, app)
        for calls in (1, 2):

            async def called(calls: int = calls) -> bool:
                found = await until_state(app, KEY, "unknown")
                return found.calls == calls

            await until(called)
            await app.resolve(KEY, outcome="not done")
        assert await handle.result() == "third"
        assert await orders(app) == [("paid third", 1)]


async def test_refused(shop):
    """P5, P8: an answer to what is not unknown, to what does not exist, or of another shape, changes nothing."""
    async with shop.working(ordering, provide=in_doubt(), random=lambda: 0.0) as app:
        handle = await parks(shop, app)
        with pytest.raises(Misuse, match="no effect has the key 'order:2:charge'"):
            await app.resolve("order:2:charge", outcome="not done")
        with pytest.raises(Misuse, match="and attempt 2"):
            await app.resolve(KEY, outcome="not done", attempt=2)
        with pytest.raises(Unencodable, match=r"result of effect 'charge' is not .*Charge"):
            await app.resolve(KEY, outcome="succeeded", result={"ident": "c1"})
        await app.resolve(KEY, outcome="succeeded", result={"id": "c1"})
        assert await handle.result() == "c1"
        with pytest.raises(Misuse, match="is succeeded; only an outcome that is unknown or pending can be resolved"):
            await app.resolve(KEY, outcome="declined")
        assert await orders(app) == [("paid c1", 1)]


async def test_two_persons(shop):
    """P5, P8: of two who answer at once one is told that it is too late, and there is one answer."""
    async with shop.working(ordering, provide=in_doubt(), random=lambda: 0.0) as app:
        handle = await parks(shop, app)
        answers = [app.resolve(KEY, outcome="succeeded", result={"id": id}) for id in ("c1", "c2")]
        answers.append(app.resolve(KEY, outcome="declined", reason="no"))
        told = await asyncio.gather(*answers, return_exceptions=True)
        refused = [answer for answer in told if isinstance(answer, Misuse)]
        assert len(refused) == 2
        await handle.result()
        [(_, marks)] = await orders(app)
        assert marks == 1


@EACH
async def test_same_answer_twice(shop, answer, result, row, calls):
    """P5: who says the same as somebody else at that moment is not contradicted, and it counts once."""
    async with shop.working(ordering, provide=in_doubt(), random=lambda: 0.0) as app:
        handle = await parks(shop, app)
        told = await asyncio.gather(app.resolve(KEY, **answer), app.resolve(KEY, **answer), return_exceptions=True)
        assert len([answer for answer in told if isinstance(answer, Misuse)]) <= 1  # either may be the first
        assert await handle.result() == result
        assert await orders(app) == [row]


async def test_answered_while_it_parks(shop):
    """P5: the worker that parks anew and the person who answers are in each other's way: the answer counts."""
    async with shop.working(ordering, provide=in_doubt(), random=lambda: 0.0) as app:
        await parks(shop, app)
    async with shop.app(ordering, provide=in_doubt()) as app:
        async with app.runtime.record.session() as session:
            seen = (await session.find_receipt(KEY)).receipt
            await session.change_receipt(seen, d.parked(seen, "another promise"))
        answer: OperatorAnswer = ("succeeded", {"id": "c1"}, None)
        answered = await resolve(app.runtime, app._registered.effects, [seen], KEY, answer, None, said_by=("ann", None))
        assert (answered.state, answered.parked_on) == ("succeeded", "another promise")
        assert await orders(app) == [("paid c1", 1)]


async def test_follow_up_fails(shop):
    """P5: on_success fails as an operator answers: they are told, nothing is stored, and they may answer again."""
    plug = Plug({"in on_success": LookupError("a mistake")})
    async with shop.working(ordering, provide=in_doubt(), plug=plug, random=lambda: 0.0) as app:
        handle = await parks(shop, app)
        with pytest.raises(LookupError, match="a mistake"):
            await app.resolve(KEY, outcome="succeeded", result={"id": "c1"})
        assert (await receipt(app, KEY)).state == "unknown"
        await app.resolve(KEY, outcome="succeeded", result={"id": "c1"})
        assert await handle.result() == "c1"
        assert await orders(app) == [("paid c1", 1)]


async def test_wake_is_repeated(shop):
    """P7: whoever resolved it could not tell the worker; the worker finds it in the record by itself."""
    async with shop.working(ordering, provide=in_doubt(), random=lambda: 0.0) as app:
        handle = await parks(shop, app)
        stored = await receipt(app, KEY)
        async with shop.app(ordering, provide={Script: Script()}) as other:
            async with other.runtime.record.session() as session:
                assert await session.wakes(10) == []
            other.runtime.record.notify = nothing
            await other.resolve(KEY, outcome="declined", reason="no")
            async with other.runtime.record.session() as session:
                assert await session.wakes(10) in ([], [Wake(key=KEY, attempt=1, parked_on=str(stored.parked_on))])
        assert await handle.result() == "declined: no"


async def nothing(*_: object) -> None:
    """A notification that is lost."""


@effect(key="shared", provider=PLAIN, after=None)
async def share(call: Call, *, script: Script = inject()) -> str:
    return str(script.next(call))


@workflow
async def sharing(ctx: Context, number: int) -> str:
    return f"{number}: {await share(ctx)}"


async def sharing_in_doubt(app: App) -> Any:
    """One workflow that is parked on a key which others ask for, too."""
    first = await app.start(sharing, 1, id="first")
    return first, (await until_state(app, "shared", "unknown")).parked_on


async def test_two_workflows_wait_on_one_key(shop, monkeypatch):
    """P5, P7: a second workflow asks for the same, and waits too: it does not take the place of the first."""
    monkeypatch.setattr("recordfirst.execution.parking._SHARED_MS", 300)
    async with shop.working(sharing, provide=in_doubt(), random=lambda: 0.0) as app:
        first, place = await sharing_in_doubt(app)
        seen: list[str] = []
        monkeypatch.setattr("recordfirst.execution.parking.sdk.sleep", noted(sdk.sleep, seen))
        second = await app.start(sharing, 2, id="second")
        await until(lambda: looked(seen))
        assert (await receipt(app, "shared")).parked_on == place
        await app.resolve("shared", outcome="succeeded", result="found")
        assert (await first.result(), await second.result()) == ("1: found", "2: found")
        assert (await receipt(app, "shared")).parked_on is None


def noted(sleep: Any, seen: list[str]) -> Any:
    async def noting(ctx: Any, number: int, seconds: float) -> None:
        seen.append(ctx.info.id)
        await sleep(ctx, number, seconds)

    return noting


async def looked(seen: list[str]) -> bool:
    """Whether the second has slept, and looked again."""
    return len(seen) > 1


async def test_second_goes_on_before_the_first_is_woken(shop, monkeypatch):
    """P7: who finds it resolved goes on, and leaves the wake of the one that is parked where it is."""
    async with shop.working(sharing, provide=in_doubt(), random=lambda: 0.0) as app:
        first, _ = await sharing_in_doubt(app)
        wakes, may = app._dispatcher._wakes, asyncio.Event()

        async def late(wake: Wake) -> bool:
            return may.is_set() and await wakes(wake)

        monkeypatch.setattr(app._dispatcher, "_wakes", late)
        await app.resolve("shared", outcome="succeeded", result="found")
        assert await (await app.start(sharing, 2, id="second")).result() == "2: found"
        may.set()
        assert await first.result() == "1: found"


async def test_owner_of_a_shared_key_is_cancelled(shop, monkeypatch):
    """P7: the workflow that stored the key is ended, while another is parked on it: that one is still woken."""
    monkeypatch.setattr("recordfirst.execution.parking._SHARED_MS", 300)
    async with shop.working(sharing, provide=in_doubt(), random=lambda: 0.0) as app:
        _, place = await sharing_in_doubt(app)
        second = await app.start(sharing, 2, id="second")
        await app.cancel("first", undo=False)

        async def parked() -> bool:
            return (await receipt(app, "shared")).parked_on not in (None, place)

        await until(parked)
        third = await app.start(sharing, 3, id="third")
        await app.resolve("shared", outcome="succeeded", result="found")
        assert (await second.result(), await third.result()) == ("2: found", "3: found")


async def test_owner_of_a_shared_key_has_ended(shop):
    """P7: the workflow that stored the key is ended before it could call: another one that asks for it calls."""
    script = Script(NotDone("busy", 500), "found")
    async with shop.working(sharing, provide={Script: script}, random=lambda: 0.0) as app:
        await app.start(sharing, 1, id="first")

        async def refused() -> bool:
            async with app.runtime.record.session() as session:
                found = (await session.find_receipt("shared")).receipt
            return found is not None and (found.calls, found.doubts) == (1, 0)

        await until(refused)
        await app.cancel("first", undo=False)
        assert await (await app.start(sharing, 2, id="second")).result() == "2: found"
    assert [call.key for call in script.calls] == ["shop/shared"] * 2


async def puzzled(call: Call, order: Order) -> Any:
    return CannotTell("two charges have that amount")


@effect(key="order:{order.id}:puzzle", provider=PLAIN, after=None, probe=puzzled)
async def puzzle(call: Call, order: Order, *, script: Script = inject()) -> str:
    return str(script.next(call))


@workflow
async def puzzling(ctx: Context, order: Order) -> str:
    return await puzzle(ctx, order)


async def test_probe_cannot_tell(shop):
    """P5: a probe that cannot tell parks, and says why; nothing is guessed."""
    async with shop.working(puzzling, provide=in_doubt(), random=lambda: 0.0) as app:
        handle = await app.start(puzzling, ORDER, id="order:1")
        parked = await until_state(app, "order:1:puzzle", "unknown")
        assert "the probe cannot tell: two charges have that amount" in str(parked.error)
        await app.resolve("order:1:puzzle", outcome="succeeded", result="the first")
        assert await handle.result() == "the first"
