"""What a round of a reconcile closes: what it has looked for and not found, and nothing that came meanwhile."""

from __future__ import annotations

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

    async def pages(self, scope, position):
        yield Page([], 1, "p")
        async with scope.runtime.record.session() as session:
            await session.saw_findings([stop_of("late")], "stop 2")


async def test_p9_a_stop_behind_its_page_is_found(shop: Shop):
    """Also in a round that another worker has begun; and what was open before, and is not there, is closed."""
    async with shop.app(order, provide={Bank: Bank()}) as app:
        async with app.runtime.record.session() as session:
            await session.saw_findings([stop_of("early")], "stop 1")
        scope = PassContext(app.runtime, app.operations._registered, None)
        await _run(scope, Stops(), Report(engine_asked=False), lambda _, __: None)
        async with app.runtime.record.session() as session:
            assert [found.subject for found in await session.findings(10)] == ["late"]
            await session.save_pass("stops", f"{await session.now_ms()}-x", "p", finished=False)
        await _run(scope, Stops(), Report(engine_asked=False), lambda _, __: None)
        async with app.runtime.record.session() as session:
            assert [found.subject for found in await session.findings(10)] == ["late"]
