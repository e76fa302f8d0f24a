"""The mutants of recordfirst itself, promise by promise."""

from __future__ import annotations

from tests.explore.mutants.mutant import Edit, Mutant


def _mutant(name: str, promise: str, story: str, *edits: Edit, shown_by: str) -> Mutant:
    return Mutant(name=name, promise=promise, story=story, edits=edits, shown_by=frozenset(shown_by.split()))


NO_KEEPER = Edit("recordfirst.reconcile.loop:_round", "record: Any = scope.runtime.record", "return")
"""The reconciler of a worker would put much of it right."""

MUTANTS = [
    _mutant(
        "after is not checked",
        "P1",
        "hasty",
        Edit("sqlite:intend", ":after IS NULL OR EXISTS", "TRUE OR EXISTS"),
        shown_by="fail contend",
    ),
    _mutant(
        "the receipt of a write is stored after its commit",
        "P2",
        "order",
        Edit("recordfirst.execution.write_runner:WriteRun._once", "gathered.flush(done)", "gathered.flush()"),
        Edit(
            "recordfirst.execution.write_runner:WriteRun._once",
            "        settled()\n",
            "        async with runtime.record.session() as late:\n"
            "            await late.add_receipts([done], epoch=self.execution.epoch)\n"
            "        settled()\n",
        ),
        shown_by="none",
    ),
    _mutant(
        "the loser of a race goes on",
        "P2",
        "order",
        Edit("recordfirst.execution.write_runner:WriteRun._once", "raise _Lost", "pass"),
        shown_by="stall",
    ),
    _mutant(
        "on_success has a transaction of its own",
        "P2",
        "order",
        Edit(
            "recordfirst.execution.storing:Storing._apply",
            "                return None\n            await tx.refer(",
            "                return None\n        async with record.transaction() as tx:\n            await tx.refer(",
        ),
        shown_by="none",
    ),
    _mutant(
        "a key is made of the clock",
        "P3",
        "order",
        Edit(
            "recordfirst.steps.effect:Effect.call_for",
            "key=identity.provider_key(",
            'key=str(__import__("time").time_ns()) + identity.provider_key(',
        ),
        shown_by="crash crash-after lose hang",
    ),
    _mutant(
        "keys are believed to last for ever",
        "P3",
        "order",
        Edit(
            "recordfirst.core.decide:_is_young",
            "at_ms < receipt.key_since_ms + guarantee.key_honoured_ms",
            "True",
        ),
        shown_by="keys-expired",
    ),
    _mutant(
        "whose call it is does not matter",
        "P3",
        "keyless",
        Edit(
            "recordfirst.execution.effect_runner:EffectRun._first_look",
            "receipt.claim == claim and receipt.calls == 1",
            "True",
        ),
        shown_by="crash-after",
    ),
    _mutant(
        "a time-out is taken for nothing done",
        "P3",
        "keyless",
        Edit(
            "recordfirst.execution.verdict:_read",
            'Unknown(f"no answer within {limit.timeout_s:g} s")',
            'NotDone("no answer")',
        ),
        shown_by="hang",
    ),
    _mutant(
        "two executions in one process know nothing of each other",
        "P3",
        "keyless",
        Edit(
            "recordfirst.execution.runtime:Runtime.one_at_a_time",
            "self._in_flight.setdefault(key, (asyncio.Lock(), []))",
            "asyncio.Lock(), []",
        ),
        Edit("recordfirst.execution.runtime:Runtime.one_at_a_time", "del self._in_flight[key]", "pass"),
        Edit("recordfirst.core.decide:decide", "if receipt.claim and", "if False and"),
        Edit("recordfirst.core.decide:absent", "if now_ms < visible_at_ms:", "if False:"),
        shown_by="redeliver",
    ),
    _mutant(
        "a retry renders its request anew",
        "P4",
        "park",
        Edit(
            "recordfirst.steps.effect:Effect.call_for",
            "codec.decode(host.unseal(receipt.frozen)) if",
            "self.freeze.fn(**self.function.fit(codec.decode(host.unseal(receipt.request)))) if",
        ),
        shown_by="crash-after lose hang",
    ),
    _mutant(
        "unknown is taken for declined",
        "P5",
        "order",
        Edit("recordfirst.execution.verdict:_read", "provider.classify(inner)", "Declined(str(inner))"),
        shown_by="lose",
    ),
    _mutant(
        "compare and set compares nothing",
        "P9",
        "order",
        Edit("sqlite:change_receipt", " AND revision = :revision", ""),
        shown_by="stall",
    ),
    _mutant(
        "an engine that was lost gets nothing back",
        "P6",
        "timer",
        NO_KEEPER,
        Edit("sqlite:undispatched", "engine < :engine", "engine < ''"),
        Edit("sqlite:undispatched", "engine > :engine", "engine < ''"),
        shown_by="engine-lost",
    ),
    _mutant(
        "an engine that was restored is believed",
        "P6",
        "timer",
        NO_KEEPER,
        Edit("recordfirst.worker.dispatcher:Dispatcher._putting_back", "for start in page:", "for start in ():"),
        Edit(
            "recordfirst.reconcile.restores:look",
            "if less is not None or engine is None or not engine.lasting:",
            "if less is not None or engine is None or engine.lasting:",
        ),
        shown_by="engine-older",
    ),
    _mutant(
        "steps are known by their place",
        "P9",
        "deployed",
        Edit(
            "recordfirst.engine.sdk.context:WorkflowContext._begin",
            "identity.call_segment(name, self.covered(what), self._calls[what])",
            'identity.call_segment("step", "", sum(self._calls.values()))',
        ),
        shown_by="deploy",
    ),
    _mutant(
        "a busy record is the step's failure",
        "P9",
        "order",
        Edit("recordfirst.records.sqlite.client:SqliteRecord.fault", "if code in CONTENTION:", "if False:"),
        shown_by="contend",
    ),
    _mutant(
        "a record out of reach is the step's failure",
        "P9",
        "order",
        Edit(
            "recordfirst.records.sqlite.client:SqliteRecord.fault",
            '"unreachable" if code in UNREACHABLE else None',
            "None",
        ),
        shown_by="fail lose",
    ),
    _mutant(
        "after a lost COMMIT nobody looks",
        "P7",
        "order",
        Edit("recordfirst.execution.write_runner:WriteRun.outcome", "                look = True\n", ""),
        shown_by="lose",
    ),
    _mutant(
        "an engine that could not be compared stays locked",
        "P7",
        "order",
        Edit(
            "recordfirst.worker.worker:Worker._with",
            "            await engine.stop()\n            raise",
            "            raise",
        ),
        shown_by="fail lose contend",
    ),
]
