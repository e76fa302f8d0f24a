"""Each rule of events is needed: with a line that breaks it, the test that holds it fails, and says so."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from recordfirst.conformance.record import run
from tests.events import test_endpoint as endpoint
from tests.events import test_taking as taking
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
