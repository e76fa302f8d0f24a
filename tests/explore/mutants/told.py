"""The mutants of what providers tell by themselves: of pending effects, events and reversals."""

from __future__ import annotations

from tests.explore.mutants.mutant import Edit, Mutant
from tests.explore.mutants.ours import NO_KEEPER

_WITHIN = 300
"""Schedules with one fault until it is found, for each fault that shows it."""


def _mutant(name: str, promise: str, story: str, *edits: Edit, shown_by: str) -> Mutant:
    return Mutant(
        name=name,
        promise=promise,
        story=story,
        edits=edits,
        shown_by=frozenset(shown_by.split()),
        within=_WITHIN,
    )


MUTANTS = [
    _mutant(
        "pending is taken for success",
        "P5",
        "informed",
        Edit(
            "recordfirst.execution.storing:outcome_of",
            '    return Outcome("pending", text, found, error)',
            '    debit = found.references["debit"]\n'
            '    return Outcome("succeeded", codec.encode(debit, "a debit"), debit, error)',
        ),
        shown_by="none",
    ),
    _mutant(
        "an event before its call's reply is lost",
        "P11",
        "notified",
        Edit("recordfirst.events.matching:verdict", "if under_way:", "if under_way and False:"),
        shown_by="early",
    ),
    _mutant(
        "an event counts once within a day alone",
        "P11",
        "informed",
        Edit(
            "recordfirst.events.store:EventStore.add",
            "        added = await tx.run(\n",
            "        day_ms = 86_400_000\n"
            '        old = "received_at_ms < (SELECT now_ms FROM recordfirst_clock) - :day_ms AND app = :app"\n'
            '        await tx.run(f"DELETE FROM recordfirst_event WHERE {old}", day_ms=day_ms)\n'
            "        added = await tx.run(\n",
        ),
        Edit("recordfirst.events.handling:handle", "receipt is not None:", "receipt is None:"),
        Edit("recordfirst.events.handling:_run", "if not await gathered.flush(done):", "if await gathered.flush():"),
        shown_by="twice",
    ),
    _mutant(
        "a reversal is told again by the next look",
        "P11",
        "returned",
        Edit("recordfirst.execution.reversals:compare", "(taken.id, kind) not in known and not (", "True or ("),
        Edit(
            "recordfirst.execution.reversals:reversal_hash",
            "{reversal.kind}",
            "{reversal.kind}\\0{id(reversal)}",
        ),
        shown_by="crash crash-after",
    ),
    _mutant(
        "an event is done before what it is about was looked at",
        "P11",
        "returned",
        Edit(
            "recordfirst.events.taking:Taker.take",
            "        failed = await self._handled(event)\n",
            '        await self._came_to(event, matching.EventVerdict("done", None), None)\n'
            "        failed = await self._handled(event)\n",
        ),
        shown_by="crash crash-after",
    ),
    _mutant(
        "a reversal counts within thirty days alone",
        "P11",
        "returned",
        Edit(
            "recordfirst.worker.events:looker",
            "            if provider.name == event.provider and",
            "            age_ms = event.received_at_ms - (now.settled_at_ms or 0)\n"
            "            if age_ms < 30 * 86_400_000 and provider.name == event.provider and",
        ),
        shown_by="late",
    ),
    _mutant(
        "an event that is older than the last one is let go",
        "P11",
        "informed",
        Edit(
            "recordfirst.events.store:EventStore.add",
            "        added = await tx.run(\n",
            '        newer = "SELECT 1 FROM recordfirst_event WHERE happened_at_ms > :at_ms AND app = :app"\n'
            "        if await tx.run(newer, at_ms=event.at_ms):\n"
            "            return False\n"
            "        added = await tx.run(\n",
        ),
        shown_by="overtaken",
    ),
    _mutant(
        "nobody looks by schedule",
        "P7",
        "informed",
        NO_KEEPER,
        Edit("recordfirst.worker.looker:PendingLooker._round", "due = await session.due(asked, _MOST)", "due = []"),
        shown_by="never",
    ),
    _mutant(
        "what is pending is called again",
        "P5",
        "informed",
        Edit(
            "recordfirst.core.decide:decide",
            "guarantee) else Park()",
            "guarantee) else MakeCall() if receipt.calls < 2 else Park()",
        ),
        shown_by="none",
    ),
]
