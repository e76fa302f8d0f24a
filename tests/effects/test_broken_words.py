"""P5, P7: what others say may be what no JSON, or no database, can carry: half an emoji, cut off by a length limit."""

from __future__ import annotations

import asyncio

import pytest

from recordfirst import (
    Call,
    CannotTell,
    Context,
    Declined,
    NotDone,
    Unknown,
    WorkflowFailed,
    WorkflowStopped,
    Write,
    effect,
    inject,
    workflow,
    write,
)
from recordfirst.core.finding import Audit, NewFinding
from recordfirst.providers.contract import Probed
from tests.effects.harness import Script, receipt, until_state
from tests.effects.program import KEYED, PLAIN

CUT = "no \ud83d\0"
KEPT = "no \ufffd"
"""What is read of it; JSON itself can carry a NUL, and SQLite too, but not Postgres's text."""


async def probe(call: Call, id: str) -> Probed:
    return CannotTell(CUT)


@effect(key="order:{id}:charge", provider=KEYED, after=None)
async def charge(call: Call, id: str, *, script: Script = inject()) -> str:
    return str(script.next(call))


@effect(key="order:{id}:post", provider=PLAIN, after=None, probe=probe)
async def post(call: Call, id: str, *, script: Script = inject()) -> str:
    return str(script.next(call))


class Refused(Exception):  # noqa: N818 - an outcome, as users name it
    """In what words it was said."""


@write
async def refuse(w: Write) -> None:
    raise Refused(CUT)


@workflow
async def charging(ctx: Context, id: str) -> str:
    return await charge(ctx, id)


@workflow
async def posting(ctx: Context, id: str) -> str:
    return await post(ctx, id)


runs: list[str] = []


@workflow(fails=Refused)
async def failing(ctx: Context) -> None:
    runs.append("failing")
    raise Refused(CUT)


@workflow
async def stopping(ctx: Context) -> None:
    runs.append("stopping")
    raise ValueError(CUT)


@workflow
async def catching(ctx: Context) -> str:
    runs.append("catching")
    with pytest.raises(Refused) as refused:
        await refuse(ctx)
    return "caught" if refused.value.args == (CUT,) else "changed"  # of the app's own, and stored exactly


async def test_p5_a_decline_is_a_decline(shop):
    """Stored, final, and called once: in what words it was said makes no difference."""
    script = Script(Declined(CUT, "\udc80"), "a second call")
    async with shop.working(charging, provide={Script: script}) as app:
        handle = await app.start(charging, "1", id="o")
        with pytest.raises(WorkflowFailed, match=f"Declined.*{KEPT}"):
            await handle.result()
        assert (await receipt(app, "order:1:charge")).state == "declined"
    assert len(script.calls) == 1


@pytest.mark.parametrize("answer", [NotDone(CUT), Unknown(CUT), ValueError(CUT)], ids=["not done", "unknown", "other"])
async def test_p5_what_is_not_final_goes_on(shop, answer):
    """Under the same key, as after any such answer."""
    script = Script(answer, "done")
    async with shop.working(charging, provide={Script: script}) as app:
        assert await (await app.start(charging, "1", id="o")).result() == "done"
    assert [call.key for call in script.calls] == ["shop/order:1:charge"] * 2


async def test_p5_a_probe_and_a_person(shop):
    """What the probe says parks the effect, and what the person says is stored, with who and why."""
    script = Script(TimeoutError(CUT))
    async with shop.working(posting, provide={Script: script}, random=lambda: 0.0) as app:
        handle = await app.start(posting, "1", id="o")
        parked = await until_state(app, "order:1:post", "unknown")
        assert KEPT in (parked.error or "")
        await app.reconcile(apply=True, who=CUT, why=CUT)
        await app.resolve("order:1:post", outcome="declined", reason=CUT, who=CUT, why=CUT)
        with pytest.raises(WorkflowFailed, match=f"Declined.*{KEPT}"):
            await handle.result()


async def test_p7_a_workflow_fails_once(shop):
    """It ends, in the record and in the engine; or it is stopped, in the record alone.

    Its body ran for ever before: the engine could not keep the error.
    """
    runs.clear()
    async with shop.working(failing, stopping, catching) as app:
        async with asyncio.timeout(60):
            with pytest.raises(WorkflowFailed, match=f"Refused: {KEPT}"):
                await (await app.start(failing, id="o")).result()
            with pytest.raises(WorkflowStopped, match=f"ValueError: {KEPT}"):
                await (await app.start(stopping, id="s")).result(if_stopped="raise")
            assert await (await app.start(catching, id="p")).result() == "caught"
    assert runs == ["failing", "stopping", "catching"]


async def test_p10_findings_and_audit_rows(shop):
    """They hold what others have said as well as it can be held: a round of a pass does not end for it."""
    found = NewFinding(code="RF-INVARIANT", subject=CUT, detail=CUT)
    async with shop.app(charging, provide={Script: Script()}) as app, app.runtime.record.session() as session:
        await session.saw_findings([found], "r")
        await session.add_audit(Audit(who=CUT, command="dismiss", subject=CUT, why=CUT, detail=CUT))
        [audit] = await session.audits(CUT, 1)
        assert audit.why == "no \ufffd\ufffd"
        [kept] = await session.findings(1)
        assert kept.detail == "no \ufffd\ufffd"
        await session.close_findings([found], CUT)
        assert await session.findings(1) == []
