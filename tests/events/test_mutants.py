"""Each rule of events is needed: with a line that breaks it, the test that holds it fails, and says so."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from recordfirst.conformance.record import run
from tests.events import test_endpoint as endpoint
from tests.events import test_kept_open as kept_open
from tests.events import test_reversals as reversals
from tests.events import test_slow_provider as slow
from tests.events import test_taking as taking
from tests.events import test_together as together
from tests.events import test_whose_reversals as whose
from tests.explore.mutants.mutant import Edit, edited
from tests.rules.stage import HUNG_S
from tests.starts.harness import Shop


class Broken(NamedTuple):
    """A rule's line, changed, and the test that shows it."""

    name: str
    scene: Callable[..., Any]
    says: str
    edit: Edit


MUTANTS = [
    Broken(
        "an event is trusted without its signature",
        endpoint.test_what_is_not_signed_is_answered_400_and_not_stored,
        "(400, 'bad signature')",
        Edit(
            "recordfirst.providers.stripe.events:StripeEvents.read",
            "stripe.WebhookSignature.verify_header(body, header, secret, self._tolerance_s)",
            "pass",
        ),
    ),
    Broken(
        "an event counts once within its retention alone",
        endpoint.test_its_retention_drops_the_body_and_keeps_that_it_came,
        "(200, 'repeated')",
        Edit(
            "recordfirst.events.store:EventStore.add",
            "        added = await tx.run(\n",
            '        await tx.run("DELETE FROM recordfirst_event WHERE body IS NULL AND app = :app")\n'
            "        added = await tx.run(\n",
        ),
    ),
    Broken(
        "a provider that does not answer delays them all",
        slow.test_a_provider_that_does_not_answer_delays_its_own_events_alone,
        "TimeoutError",
        Edit(
            "recordfirst.events.taking:Taker._claimed",
            "if not await self._store.is_due(session, besides=full)",
            "if full or not await self._store.is_due(session, besides=full)",
        ),
    ),
    Broken(
        "a handler runs without its receipt",
        taking.test_a_stopped_event_is_found_and_replayed,
        "await at.visits() == [created.id]",
        Edit("recordfirst.events.handling:_run", "gathered.flush(done)", "gathered.flush()"),
    ),
    Broken(
        "an event of the other mode is applied",
        endpoint.test_an_event_of_the_other_mode_is_kept_and_never_applied,
        "(200, 'other mode')",
        Edit(
            "recordfirst.providers.stripe.events:StripeEvents.is_ours",
            "event.livemode == self._livemode and (",
            "bool(event.id) and (",
        ),
    ),
    Broken(
        "an event before its order is let go",
        taking.test_before_its_order_exists,
        "TimeoutError",
        Edit("recordfirst.events.matching:verdict", "if waits_for_receipt:", "if waits_for_receipt and looks > 99:"),
    ),
    Broken(
        "our own refund is taken for a reversal",
        reversals.test_refunds_of_our_own_are_none,
        "== ([], [])",
        Edit(
            "recordfirst.execution.reversals:is_ours",
            'return taken.how == "refund" and (made_by_a_call or (taken.marker or "").startswith(prefix))',
            "return False",
        ),
    ),
    Broken(
        "a refund of ours is known by its marker alone",
        reversals.test_refunds_of_our_own_are_none,
        "== ([], [])",
        Edit("recordfirst.execution.reversals:is_ours", "(made_by_a_call or (", "(False or ("),
    ),
    Broken(
        "a refund that may be that of a call in doubt is taken for somebody else's",
        reversals.test_a_refund_of_ours_whose_reply_is_lost,
        """== ["1 disputed 100"]""",
        Edit(
            "recordfirst.execution.reversals:Reversals.compared",
            "if may_be_ours:",
            "if may_be_ours and False:",
        ),
    ),
    Broken(
        "a fact is handled twice",
        reversals.test_two_workers_store_it_once,
        """(["1 refunded 700"], 1)""",
        Edit("recordfirst.execution.reversals:Reversals._add", "if not added:", "if False:"),
    ),
    Broken(
        "a fact is stored without its handler's rows",
        reversals.test_refunds_of_others_are_told_one_by_one,
        "await at.visits() == [",
        Edit("recordfirst.execution.reversals:Reversals._add", "if runs else None\n\n", "if False else None\n\n"),
    ),
    Broken(
        "evidence is rewritten",
        reversals.test_a_refund_of_ours_that_fails_after_it_had_succeeded,
        "== before",
        Edit(
            "recordfirst.execution.reversals:Reversals._add",
            "                behind = any(",
            "                declined = \"UPDATE recordfirst_receipt SET state = 'declined' WHERE key = :key\"\n"
            "                await tx.run(declined, key=receipt.key)\n"
            "                behind = any(",
        ),
    ),
    Broken(
        "a dispute that was won is told without that it was opened",
        reversals.test_twice_late_and_in_another_order,
        "stored",
        Edit(
            "recordfirst.execution.reversals:compare",
            "in FACTS[taken.how, taken.state]:",
            "in FACTS[taken.how, taken.state][-1:]:",
        ),
    ),
    Broken(
        "a fact is handled before one that was there earlier",
        reversals.test_a_handler_that_fails_is_tried_again,
        """([], {"disputed"})""",
        Edit(
            "recordfirst.execution.reversals:Reversals._add",
            "any(each.next_at_ms is not None for each in known)",
            "False",
        ),
    ),
    Broken(
        "an event is done although its provider did not answer",
        reversals.test_a_provider_that_does_not_answer_is_asked_again,
        """== ["1 refunded 700"]""",
        Edit("recordfirst.events.matching:verdict", "if look_failed:", "if look_failed and looks < 3:"),
    ),
    Broken(
        "an event takes the answer of a look that had begun before it",
        together.test_events_that_come_while_a_look_is_under_way_share_the_next,
        "TimeoutError",
        Edit(
            "recordfirst.process.sharing:Sharing.once",
            "shared = self._next.get(key)",
            "shared = self._next.get(key) or self._under_way.get(key)",
        ),
    ),
    Broken(
        "events that come together each ask for themselves",
        together.test_events_that_come_while_a_look_is_under_way_share_the_next,
        "assert 3 == 2",
        Edit(
            "recordfirst.process.sharing:Sharing.once",
            "shared = self._next.get(key)",
            "return await work(False)",
        ),
    ),
    Broken(
        "an event is let go while what it is about has no outcome",
        kept_open.test_an_event_is_not_done_before_its_outcome_is_known,
        """== {"e1": "open"}""",
        Edit(
            "recordfirst.events.taking:Taker._looked",
            "under_way=under_way)",
            "under_way=under_way and looks < matching.LOOKS_MOST)",
        ),
    ),
    Broken(
        "a fact is another one when another receipt of the same payment is asked about",
        whose.test_what_comes_of_a_dispute_is_told_where_the_dispute_was,
        "1 1 dispute_won",
        Edit("recordfirst.execution.reversals:Reversals._owner", "bool(k[1]), ", ""),
    ),
    Broken(
        "what another provider has by the same id is taken for the same",
        whose.test_what_another_provider_has_by_that_number_is_not_our_refund,
        "1 sent refunded 30",
        Edit(
            "recordfirst.execution.reversals:Reversals._may_be_at",
            "other is None or other.provider.name == effect.provider.name",
            "True",
        ),
    ),
    Broken(
        "a fact is stored outside of its handler's transaction",
        reversals.test_a_handler_that_fails_is_tried_again,
        '([], {"disputed"})',
        Edit(
            "recordfirst.execution.reversals:Reversals._add",
            "return True, await self._run(tx, receipt, reversal) if runs else None\n",
            "runs = runs\n"
            "            if not runs:\n"
            "                return True, None\n"
            "            async with runtime.record.transaction() as tx:\n"
            "                return True, await self._run(tx, receipt, reversal)\n",
        ),
    ),
    Broken(
        "a finding is closed when somebody is asked to deal with it",
        reversals.test_a_stopped_handler_that_is_tried_again_stays_a_finding_until_it_has_run,
        "not enough values to unpack",
        Edit("recordfirst.reconcile.reconciler:_done", "if discrepancy.ends:", "if True:"),
    ),
    Broken(
        "what an operator has dealt with is handled all the same",
        reversals.test_one_that_is_dismissed_is_not_tried,
        "dismissed by ann",
        Edit(
            "recordfirst.execution.reversals:Reversals.dismiss",
            'bool(await tx.run(self._sql["dismissed"], subject=subject, by=f"{DISMISSED}{who}"))',
            "True",
        ),
    ),
    Broken(
        "a stopped handler is tried by a worker again and again",
        reversals.test_a_handler_that_fails_too_often_is_stopped,
        "RF-REVERSAL-UNHANDLED",
        Edit("recordfirst.reconcile.passes.reversals:_seen", "UnhandledReversals.name in scope.named", "True"),
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
@pytest.mark.filterwarnings("ignore")  # a scene that breaks off leaves open what it has opened
def test_mutant_is_found(mutant: Broken, sqlite_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """P11: the scene fails by it."""
    given: dict[str, Any] = {"shop": Shop(f"sqlite:///{sqlite_path}")}
    if "monkeypatch" in mutant.scene.__code__.co_varnames:
        given["monkeypatch"] = monkeypatch
    said = ""
    with edited([mutant.edit]):
        try:
            run(asyncio.wait_for(mutant.scene(**given), HUNG_S))
        except Exception as error:
            said = "".join(traceback.format_exception(error))
    assert said, f"nothing shows that {mutant.name}"
    assert mutant.says in said
