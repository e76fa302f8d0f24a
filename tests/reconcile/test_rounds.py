"""What a round of a reconcile closes: what it has looked for and not found, and nothing that came meanwhile."""

from __future__ import annotations

from recordfirst import App
from recordfirst.core.finding import NewFinding
from recordfirst.reconcile.contract import Page, PassContext
from recordfirst.reconcile.reconciler import Report, _run
from tests.reconcile.harness import Bank, order
from tests.starts.harness import Shop


def stop_of(id: str) -> NewFinding:
    return NewFinding(code="RF-WORKFLOW-STOPPED", subject=id, workflow=id, detail="it is stopped")


class Stops:
    """A pass with one page, on which nothing is; behind it a workflow stops."""

    name = "stops"
    codes: tuple[str, ...] = ("RF-WORKFLOW-STOPPED",)
    full_scan = False
    dated = False

    async def pages(self, scope, position):
        yield Page([], 1, "p")
        async with scope.runtime.record.session() as session:
            await session.saw_findings([stop_of("late")], "stop 2")


async def a_later_ms(app: App) -> None:
    """A round closes what was seen before the millisecond in which it began, by the record's clock."""
    async with app.runtime.record.session() as session:
        seen_ms = await session.now_ms()
        while await session.now_ms() <= seen_ms:
            pass


async def test_p9_a_stop_behind_its_page_is_found(shop: Shop):
    """Also in a round that another worker has begun; and what was open before, and is not there, is closed."""
    async with shop.app(order, provide={Bank: Bank()}) as app:
        async with app.runtime.record.session() as session:
            await session.saw_findings([stop_of("early")], "stop 1")
        await a_later_ms(app)
        scope = PassContext(app.runtime, app.operations._registered, None)
        await _run(scope, Stops(), Report(engine_asked=False), lambda _, __: None)
        async with app.runtime.record.session() as session:
            assert [found.subject for found in await session.findings(10)] == ["late"]
            await session.save_pass("stops", f"{await session.now_ms()}-x", "p", finished=False)
        await _run(scope, Stops(), Report(engine_asked=False), lambda _, __: None)
        async with app.runtime.record.session() as session:
            assert [found.subject for found in await session.findings(10)] == ["late"]
