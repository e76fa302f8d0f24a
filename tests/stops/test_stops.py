"""P9: only what is declared fails a workflow. A defect stops it: visibly, nothing is undone, nothing more called."""

from __future__ import annotations

import asyncio
import contextlib
import dis
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from resonate.retry import Never

from recordfirst import (
    App,
    Call,
    Context,
    Misuse,
    Provider,
    Read,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowStopped,
    Write,
    effect,
    inject,
    read,
    workflow,
    write,
)
from recordfirst.core import codec
from recordfirst.execution.calls import current
from recordfirst.observe import Resumed, Stopped
from recordfirst.records.sqlite import SqliteRecord
from tests.starts.harness import Shop

BANK = Provider(name="bank", retention_s=86_400)


class Bank:
    """Who is called, in order; and what the tests switch while an app is open."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.raises: Callable[[], BaseException] | None = None
        self.gate = asyncio.Event()


class OutOfStock(Exception):  # noqa: N818 - an outcome, as users name it
    def __init__(self, sku: str, left: int) -> None:
        self.sku, self.left = sku, left
        super().__init__(f"{sku}: {left} left")


class Surprise(Exception):  # noqa: N818
    """Of the app's own, and declared by nobody."""


@effect(key="refund:{id}", provider=BANK, after=None)
async def refund(call: Call, id: str, *, bank: Bank = inject()) -> str:
    bank.calls.append(call.key.removeprefix("shop/"))
    return "back"


@effect(key="charge:{id}", provider=BANK, after=None, undo=refund)
async def charge(call: Call, id: str, *, bank: Bank = inject()) -> str:
    bank.calls.append(call.key.removeprefix("shop/"))
    return "paid"


@effect(key="ship:{id}", provider=BANK, after=None)
async def ship(call: Call, id: str, *, bank: Bank = inject()) -> str:
    bank.calls.append(call.key.removeprefix("shop/"))
    await bank.gate.wait()
    return "on its way"


@write(fails=OutOfStock)
async def reserve(w: Write[Any], id: str, *, bank: Bank = inject()) -> str:
    await w.tx.execute("INSERT INTO reserved VALUES ('it')")
    if bank.raises is not None:
        raise bank.raises()
    return "reserved"


@read
async def stock(r: Read[Any], id: str, *, bank: Bank = inject()) -> int:
    if bank.raises is not None:
        raise bank.raises()
    return 1


async def price(ctx: Context, bank_raises: str) -> int:
    raise {"KeyError": KeyError("price"), "Surprise": Surprise("no price")}[bank_raises]


@workflow
async def order(ctx: Context, id: str) -> str:
    await charge(ctx, id)
    try:
        await reserve(ctx, id)
    except Exception:
        await refund(ctx, id)
        return "taken back"
    finally:
        with contextlib.suppress(Exception):
            await ship(ctx, f"{id}-finally")
    return "done"


@workflow
async def plain(ctx: Context, id: str) -> str:
    await charge(ctx, id)
    await reserve(ctx, id)
    return "done"


@workflow
async def hiding(ctx: Context, id: str, how: str) -> str:
    await charge(ctx, id)
    if how == "gather":
        await asyncio.gather(reserve(ctx, id), ship(ctx, id), return_exceptions=True)
    elif how == "timeout":
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                await reserve(ctx, id)
    elif how == "group":
        with contextlib.suppress(BaseExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(_reserve(ctx, id))
    elif how == "base":
        with contextlib.suppress(BaseException):
            await reserve(ctx, id)
    elif how == "unawaited":
        task = reserve(ctx, id)
        while (execution := current()) is not None and execution.defect is None:
            await asyncio.sleep(0.001)
        del task
    await refund(ctx, id)
    return "done"


async def _reserve(ctx: Context, id: str) -> None:
    try:
        await reserve(ctx, id)
    finally:
        await refund(ctx, id)


@workflow
async def looking(ctx: Context, id: str) -> str:
    await charge(ctx, id)
    with contextlib.suppress(Exception):
        await stock(ctx, id)
    await refund(ctx, id)
    return "done"


@workflow
async def pricing(ctx: Context, id: str, raises: str) -> str:
    await charge(ctx, id)
    try:
        await ctx.options(retry_policy=Never()).run(price, raises)
    except Surprise as error:
        return f"caught {error}"
    except Exception:
        await refund(ctx, id)
    return "done"


@workflow
async def miscalled(ctx: Context, id: str) -> str:
    await charge(ctx, id)
    with contextlib.suppress(Exception):
        await reserve(ctx, id, "one too many")  # type: ignore[call-arg]
    await refund(ctx, id)
    return "done"


@workflow
async def buggy(ctx: Context, id: str) -> str:
    await charge(ctx, id)
    raise KeyError("bug")


@workflow(fails=Surprise)
async def failing(ctx: Context, id: str) -> str:
    await charge(ctx, id)
    raise Surprise(id)


catching_seen: list[str] = []


@workflow
async def catching(ctx: Context, id: str) -> list[Any]:
    try:
        await reserve(ctx, id)
    except OutOfStock as error:
        catching_seen.append(repr(error))
        await ctx.sleep(timedelta(milliseconds=20))  # the body runs again from the top
        return [type(error).__name__, error.sku, error.left, 1]
    return []


class Till:
    """What a refund needs; its factory may fail."""


broken: list[bool] = []


def make_till() -> Till:
    if broken:
        raise KeyError("the till's address is not configured")
    return Till()


@effect(key="refund:a{id}", provider=BANK, after=None)
async def refund_a(call: Call, id: str, *, bank: Bank = inject(), till: Till = inject()) -> str:
    bank.calls.append(call.key.removeprefix("shop/"))
    return "back"


@effect(key="charge:a{id}", provider=BANK, after=None, undo=refund_a)
async def charge_a(call: Call, id: str, *, bank: Bank = inject()) -> str:
    bank.calls.append(call.key.removeprefix("shop/"))
    return "paid"


@effect(key="refund:b{id}", provider=BANK, after=None)
async def refund_b(call: Call, id: str, *, bank: Bank = inject()) -> str:
    bank.calls.append(call.key.removeprefix("shop/"))
    return "back"


@effect(key="charge:b{id}", provider=BANK, after=None, undo=refund_b)
async def charge_b(call: Call, id: str, *, bank: Bank = inject()) -> str:
    bank.calls.append(call.key.removeprefix("shop/"))
    return "paid"


@workflow
async def undoing(ctx: Context, id: str) -> None:
    await charge_a(ctx, id)
    await charge_b(ctx, id)
    await reserve(ctx, id)


@workflow
async def side_by_side(ctx: Context, id: str) -> str:
    await asyncio.gather(ship(ctx, id), reserve(ctx, id))
    return "done"


WORKFLOWS = [order, plain, hiding, looking, pricing, miscalled, buggy, failing, side_by_side]


OWN = [order, plain, catching, hiding, looking, pricing, miscalled, buggy, failing, side_by_side]


@pytest.fixture
def bank() -> Bank:
    return Bank()


@contextlib.asynccontextmanager
async def at_work(shop: Shop, bank: Bank, *workflows: Any, version: str = "one") -> AsyncIterator[App]:
    bank.gate.set()
    provide: dict[Any, Any] = {Bank: bank, Till: make_till}
    async with shop.working(*(workflows or OWN), provide=provide, version=version) as app, asyncio.timeout(30):
        async with app.record.write() as w:
            await w.tx.execute("CREATE TABLE IF NOT EXISTS reserved (it TEXT)")
        yield app


async def stopped(app: App, workflow: Any, *args: Any) -> WorkflowStopped:
    """Start it as "1", wait until a defect has stopped it, and return what its handle says."""
    handle = await app.start(workflow, "1", *args, id="1")
    with pytest.raises(WorkflowStopped) as caught:
        await handle.result(if_stopped="raise")
    return caught.value


# ── a defect stops, and moves no money ──────────────────────────────────────


@pytest.mark.parametrize(
    "raised",
    [
        KeyError("sku"),
        TypeError("a deploy's"),
        Misuse("wrong"),
        ValueError("lone \ud800 surrogate \0"),
        RuntimeError(object()),
        SystemExit(1),
        KeyboardInterrupt(),
        asyncio.CancelledError("a library's"),
        GeneratorExit(),
        BaseExceptionGroup("several", [KeyError("one"), SystemExit(2)]),
        ExceptionGroup("declared and not", [OutOfStock("1", 0), KeyError("one")]),
    ],
    ids=lambda raised: type(raised).__name__,
)
async def test_a_defect_never_reaches_the_body(shop: Shop, bank: Bank, raised: BaseException) -> None:
    """P9, P7: neither its except nor its finally calls anybody; the workflow is open, stopped, and says why."""
    bank.raises = lambda: raised
    async with at_work(shop, bank) as app:
        error = await stopped(app, order)
        assert bank.calls == ["charge:1"]
        start = await (await app.handle("1")).status()
        assert (start.state, start.is_stopped) == ("open", True)
        assert "reserve" in (error.at or "")
        assert "; nothing was undone. " in str(error)
        assert await shop.rows(app, "SELECT it FROM reserved") == []
        async with app.runtime.record.session() as session:
            [finding] = [each for each in await session.findings(9) if each.code == "RF-WORKFLOW-STOPPED"]
        assert (finding.subject, "in step reserve" in finding.detail, "sku" in finding.detail) == ("1", True, False)
    assert [event.step for event in shop.seen(Stopped)] == ["reserve"]


@pytest.mark.parametrize("how", ["gather", "timeout", "group", "base", "unawaited"])
async def test_no_way_to_hide_a_defect_lets_the_body_go_on(shop: Shop, bank: Bank, how: str) -> None:
    """P9: gather(return_exceptions), a time-out, a task group, except BaseException, a call that nobody awaits."""
    bank.raises = lambda: KeyError("sku")
    async with at_work(shop, bank) as app:
        await stopped(app, hiding, how)
    assert "refund:1" not in bank.calls


@pytest.mark.parametrize("workflow", [looking, miscalled, buggy], ids=lambda each: each.name)
async def test_defects_of_reads_calls_and_bodies_stop(shop: Shop, bank: Bank, workflow: Any) -> None:
    """P9: a read that fails, arguments that do not fit, and a bug in the body itself move no money."""
    bank.raises = (lambda: KeyError("sku")) if workflow is looking else None
    async with at_work(shop, bank) as app:
        await stopped(app, workflow)
    assert bank.calls == ["charge:1"]


async def test_a_plain_function_is_judged_as_a_step_is(shop: Shop, bank: Bank) -> None:
    """P9: what ctx.run calls stops the workflow by a defect, and reaches the body by the app's own exception."""
    async with at_work(shop, bank) as app:
        await stopped(app, pricing, "KeyError")
        assert await (await app.start(pricing, "2", "Surprise", id="2")).result() == "caught no price"
    assert bank.calls == ["charge:1", "charge:2"]


async def test_siblings_in_flight_store_their_outcomes(shop: Shop, bank: Bank) -> None:
    """P3, P9: a call that was under way when its sibling had a defect is stored before the workflow stops."""
    bank.raises = lambda: KeyError("sku")
    async with at_work(shop, bank) as app:
        bank.gate.clear()
        handle = await app.start(side_by_side, "1", id="1")
        while "ship:1" not in bank.calls:
            await asyncio.sleep(0.01)
        result = asyncio.create_task(handle.result(if_stopped="raise"))
        await asyncio.wait([result], timeout=0.5)  # in which it would have stopped
        assert not result.done()
        bank.gate.set()
        with pytest.raises(WorkflowStopped):
            await result
        async with app.runtime.record.session() as session:
            receipt = (await session.find_receipt("ship:1")).receipt
        assert receipt is not None
        assert (receipt.state, receipt.doubts) == ("succeeded", 0)


# ── what is declared fails, and undoes ──────────────────────────────────────


async def test_a_declared_exception_fails_the_workflow_and_undoes(shop: Shop, bank: Bank) -> None:
    """P9: by its body's own raise, and by a step's."""
    bank.raises = lambda: OutOfStock("sku", 0)
    async with at_work(shop, bank) as app:
        with pytest.raises(WorkflowFailed, match="Surprise"):
            await (await app.start(failing, "1", id="1")).result()
        with pytest.raises(WorkflowFailed, match="OutOfStock"):
            await (await app.start(plain, "2", id="2")).result()
    assert bank.calls == ["charge:1", "refund:1", "charge:2", "refund:2"]


async def test_a_write_that_says_no_keeps_its_word_and_no_row(shop: Shop, bank: Bank) -> None:
    """P2, P5: its exception is in the record before the body sees it; the rows are not; a replay sees the same."""
    catching_seen.clear()
    bank.raises = lambda: OutOfStock("sku", 3)
    async with at_work(shop, bank) as app:
        assert await (await app.start(catching, "1", id="1")).result() == ["OutOfStock", "sku", 3, 1]
        async with app.runtime.record.session() as session:
            receipt = (await session.find_receipt("1/reserve")).receipt
        assert receipt is not None
        assert (receipt.kind, receipt.state) == ("write", "declined")
        assert codec.decode(receipt.error or "")["reason"] == "sku: 3 left"
        assert await shop.rows(app, "SELECT it FROM reserved") == []
    assert catching_seen == ["OutOfStock('sku: 3 left')"] * 2


async def test_a_word_that_cannot_be_stored_stops(shop: Shop, bank: Bank) -> None:
    """P12: an exception that would come back as another one is refused before anybody sees it."""

    def raises() -> BaseException:
        error = OutOfStock("sku", 0)
        error.left = object()  # type: ignore[assignment]
        return error

    bank.raises = raises
    async with at_work(shop, bank) as app:
        error = await stopped(app, order)
        async with app.runtime.record.session() as session:
            assert (await session.find_receipt("1/reserve")).receipt is None
    assert "OutOfStock cannot be stored as the outcome" in error.message
    assert bank.calls == ["charge:1"]


async def test_own_exceptions_reach_the_body_and_stop_if_it_does_not_catch_them(shop: Shop, bank: Bank) -> None:
    """P9: what the app's own code has decided is the body's to handle; that it fails the workflow must be declared."""
    bank.raises = lambda: Surprise("so")
    async with at_work(shop, bank) as app:
        assert await (await app.start(order, "1", id="1")).result() == "taken back"
        handle = await app.start(plain, "2", id="2")
        with pytest.raises(WorkflowStopped, match="Surprise"):
            await handle.result(if_stopped="raise")
    assert "refund:2" not in bank.calls


# ── going on ────────────────────────────────────────────────────────────────


async def test_the_next_version_tries_once_and_an_operator_at_once(shop: Shop, bank: Bank) -> None:
    """P7, P9: the stop binds the version that was stopped; after the fix the workflow ends, with nothing done twice."""
    bank.raises = lambda: KeyError("sku")
    async with at_work(shop, bank, version="one") as app:
        await stopped(app, plain)
    async with at_work(shop, bank, version="one"):
        await asyncio.sleep(0.5)  # it has looked for what is stopped, and this version has tried it
    async with at_work(shop, bank, version="two") as app:
        handle = await app.handle("1")
        with contextlib.suppress(WorkflowStopped):
            await handle.result(if_stopped="raise")
        await until(lambda: len(shop.seen(Stopped)) >= 2)
    assert [event.version for event in shop.seen(Stopped)] == ["one", "two"]
    assert [event.version for event in shop.seen(Resumed)] == ["two"]
    bank.raises = None
    async with at_work(shop, bank, version="two") as app:
        await app.retry("1", who="ann")
        assert await (await app.handle("1")).result() == "done"
        async with app.runtime.record.session() as session:
            assert await session.findings(9) == []
    assert bank.calls == ["charge:1"]


async def test_a_stopped_workflow_is_cancelled_only_by_word(shop: Shop, bank: Bank) -> None:
    """P9: cancel with undo is the operator's explicit word, and takes back what was done."""
    bank.raises = lambda: KeyError("sku")
    async with at_work(shop, bank) as app:
        await stopped(app, plain)
        with pytest.raises(Misuse, match="--undo"):
            await app.cancel("1")
        await app.cancel("1", undo=True)
        with pytest.raises(WorkflowCancelled):
            await (await app.handle("1")).result()
        async with app.runtime.record.session() as session:
            assert await session.findings(9) == []
    assert bank.calls == ["charge:1", "refund:1"]


async def test_a_retry_of_what_was_undone_must_be_said(shop: Shop, bank: Bank) -> None:
    """P3: refused with the reason; with again it shows the keys, and charges once more under new ones."""
    bank.raises = lambda: OutOfStock("sku", 0)
    async with at_work(shop, bank) as app:
        with pytest.raises(WorkflowFailed):
            await (await app.start(plain, "1", id="1")).result()
        with pytest.raises(Misuse, match="charge:1"):
            await app.retry("1")
        assert (await app.plan_retry("1", again=True)).again == {"charge:1": 2, "1/reserve": 2}
        assert (await (await app.handle("1")).status()).state == "failed"
        bank.raises = None
        assert await (await app.retry("1", again=True)).result() == "done"
    assert bank.calls == ["charge:1", "refund:1", "charge:1#2"]


async def test_what_is_done_again_is_undone_under_its_own_key(shop: Shop, bank: Bank) -> None:
    """P3: the second charge has a refund of its own."""
    bank.raises = lambda: OutOfStock("sku", 0)
    async with at_work(shop, bank) as app:
        with pytest.raises(WorkflowFailed):
            await (await app.start(plain, "1", id="1")).result()
        with pytest.raises(WorkflowFailed):
            await (await app.retry("1", again=True)).result()
    assert bank.calls == ["charge:1", "refund:1", "charge:1#2", "refund:1#2"]


async def test_a_defect_after_a_retry_does_not_deny_the_undo_before_it(shop: Shop, bank: Bank) -> None:
    """P10: the first attempt was refunded, and a stop of the second does not say that nothing was."""
    bank.raises = lambda: OutOfStock("sku", 0)
    async with at_work(shop, bank) as app:
        with pytest.raises(WorkflowFailed):
            await (await app.start(plain, "1", id="1")).result()
        bank.raises = lambda: KeyError("sku")
        with pytest.raises(WorkflowStopped, match="an undo of what it did had begun"):
            await (await app.retry("1", again=True)).result(if_stopped="raise")
    assert bank.calls == ["charge:1", "refund:1", "charge:1#2"]


async def test_a_defect_in_an_undo_stops_and_the_rest_is_undone(shop: Shop, bank: Bank) -> None:
    """P9: one undo that fails stops no other; the workflow stops, and ends when the defect is fixed."""
    bank.raises = lambda: OutOfStock("sku", 0)
    broken.append(True)
    try:
        async with at_work(shop, bank, undoing) as app:
            handle = await app.start(undoing, "1", id="1")
            with pytest.raises(WorkflowStopped, match="till") as caught:
                await handle.result(if_stopped="raise")
            assert bank.calls == ["charge:a1", "charge:b1", "refund:b1"]
            # What is told is true of the money: one charge is taken back.
            assert "nothing was undone" not in str(caught.value)
            assert "an undo of what it did had begun, which counts: recordfirst show 1" in str(caught.value)
            async with app.runtime.record.session() as session:
                assert [each.detail.endswith("; an undo had begun") for each in await session.findings(9)] == [True]
            assert [event.undoing for event in shop.seen(Stopped)] == [True]
            broken.clear()
            await app.retry("1")
            with pytest.raises(WorkflowFailed, match="OutOfStock"):
                await handle.result()
    finally:
        broken.clear()
    assert bank.calls == ["charge:a1", "charge:b1", "refund:b1", "refund:a1"]


@pytest.mark.parametrize("fails", [Exception, Misuse, "OutOfStock", SystemExit, (OutOfStock, BaseException)])
def test_fails_takes_outcomes_of_the_business_alone(fails: Any) -> None:
    """P9: what would make every defect business is refused where it is declared."""
    with pytest.raises(Misuse, match="fails="):
        workflow(fails=fails)(plain.function.fn)


def test_the_version_is_the_code(tmp_path: Path) -> None:
    """P9: the same code is the same version in every process, and another body is another one."""
    sources = {"same": "return 1", "again": "return 1", "other": "return 2"}
    versions = {}
    for name, text in sources.items():
        module = tmp_path / f"shop_{name}.py"
        module.write_text(PROGRAM.replace("BODY", text))
        versions[name] = subprocess.run(
            [sys.executable, str(module), str(tmp_path / "db")], capture_output=True, text=True, check=True
        ).stdout
    assert versions["same"] == versions["again"] != versions["other"]


def test_a_second_app_reads_no_code_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app looks at all its code for the version: once in a process, since tests make many apps of one code."""
    first = App("shop", record=SqliteRecord(tmp_path / "db"), workflows=[plain])
    monkeypatch.setattr(dis, "get_instructions", None)
    second = App("shop", record=SqliteRecord(tmp_path / "db"), workflows=[plain])
    assert second.runtime.version == first.runtime.version


PROGRAM = """
import sys
from recordfirst import App, Context, workflow
from recordfirst.records.sqlite import SqliteRecord

def helper() -> int:
    {"one", "two", "three"}
    BODY

@workflow
async def work(ctx: Context) -> int:
    return helper()

print(App("shop", record=SqliteRecord(sys.argv[1]), workflows=[work]).runtime.version)
"""


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for it; the test's own time limit ends that."""
    while not is_so():
        await asyncio.sleep(0.02)
