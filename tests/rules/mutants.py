"""What broke each rule once, put back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from recordfirst.conformance.record import ReceiptConformance
from recordfirst.errors import Declined
from recordfirst.providers.contract import Absent
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.sqlite import SqliteRecord
from tests.effects import test_after as after
from tests.effects import test_announced as announced
from tests.effects import test_bound as bound
from tests.effects import test_deploys as deploys
from tests.effects import test_late as late
from tests.effects import test_pending as pending
from tests.effects import test_verdicts as verdicts
from tests.explore.mutants.mutant import Edit
from tests.providers.stripe import test_final as final
from tests.records import test_conformance as conformance
from tests.records import test_lent as lent
from tests.records import test_sqlite_guard as guarded
from tests.rules import loose
from tests.rules.stage import Mutant, Stage
from tests.stops import test_stops as stops
from tests.worker import test_blocked as blocked
from tests.worker import test_owner as owner
from tests.worker import test_places as places
from tests.writes import test_savepoints as savepoints


def _rule(number: int) -> Callable[..., Mutant]:
    def mutant(name: str, scene: Callable[[Stage], Any], says: str, *edits: Edit) -> Mutant:
        return Mutant(number, name, scene, says, edits)

    return mutant


_1, _2, _3, _4, _5, _6, _7, _8 = map(_rule, range(1, 9))


def _process(on: Stage) -> str:
    """Let the mutants loose in the process that a scene begins, too; return where its record is."""
    on.patch.setattr(owner, "run", loose.run)
    return f"sqlite:///{on.path}"


def _record(on: Stage, product: str) -> Callable[[], Any]:
    """What makes a record, for the suite of records."""
    return partial(SqliteRecord, on.path) if product == "sqlite" else partial(PostgresRecord, on.dsn)


_SUITES = {"sqlite": conformance.TestSqlite(), "postgres": conformance.TestPostgres()}
_INTEND = ReceiptConformance.test_p1_an_intent_needs_the_write_that_it_depends_on
_BEGIN = ReceiptConformance.test_p1_a_first_call_needs_the_write_that_it_depends_on
_KIND = {
    ("sqlite", "intend"): "      AND kind = :after_kind AND function = :after_function\n",
    ("sqlite", "begin_call"): "        AND done.kind = :after_kind AND done.function = :after_function\n",
    ("postgres", "intend"): "          AND kind = %(after_kind)s AND function = %(after_function)s\n",
    ("postgres", "begin_call"): "        AND done.kind = %(after_kind)s AND done.function = %(after_function)s\n",
}
"""The line of a statement that tells the step, besides its key."""
_SQLITE, _LENT = "recordfirst.records.sqlite.guard:", "recordfirst.records.postgres.lent:"

MUTANTS = [
    # ── only what is declared is an outcome ──
    _1(
        "an undeclared exception fails the workflow and undoes",
        lambda on: stops.test_defects_of_reads_calls_and_bodies_stop(on.shop(), stops.Bank(), stops.buggy),
        "WorkflowFailed",
        Edit("recordfirst.steps.declared:Declared.fails_on", "(Declined, Undone, *self.fails)", "Exception"),
    ),
    _1(
        "a defect of a step reaches the body",
        lambda on: stops.test_a_defect_never_reaches_the_body(on.shop(), stops.Bank(), KeyError("sku")),
        "stopped(app, order)",
        Edit(
            "recordfirst.steps.declared:Declared.reaches_body",
            "all(self.fails_on(each) or self._is_own(each) for each in _leaves(error))",
            "True",
        ),
    ),
    _1(
        "what a body has called by ctx.run is not judged",
        lambda on: stops.test_a_plain_function_is_judged_as_a_step_is(on.shop(), stops.Bank()),
        "stopped(app, pricing",
        Edit(
            "recordfirst.engine.sdk.context:_Watched.__await__",
            "stop = self._over.judge(error, self._name)",
            "stop = None",
        ),
    ),
    _1(
        "a body that a defect has stopped begins steps",
        lambda on: stops.test_no_way_to_hide_a_defect_lets_the_body_go_on(on.shop(), stops.Bank(), "unawaited"),
        "refund:1",
        Edit("recordfirst.execution.execution:Execution.stopped_by", "        self.over.all = True\n", ""),
    ),
    _1(
        "a sibling in flight is not waited for when a defect stops",
        lambda on: stops.test_siblings_in_flight_store_their_outcomes(on.shop(), stops.Bank()),
        "assert",
        Edit("recordfirst.execution.body:_join_siblings", "await ctx.flush_local_work()", "pass"),
    ),
    _1(
        "a declared exception of a write is not stored",
        lambda on: stops.test_a_write_that_says_no_keeps_its_word_and_no_row(on.shop(), stops.Bank()),
        "assert receipt is not None",
        Edit(
            "recordfirst.execution.write_runner:WriteRun._ended_with",
            "not self.execution.declared.reaches_body(error)",
            "True",
        ),
    ),
    _1(
        "a version tries a stopped workflow again and again",
        lambda on: stops.test_the_next_version_tries_once_and_an_operator_at_once(on.shop(), stops.Bank()),
        "assert",
        Edit("sqlite:stopped", "instr(stopped_in, ' ' || :version || ' ') = 0", "TRUE"),
    ),
    _1(
        "a workflow that was undone is retried for the asking",
        lambda on: stops.test_a_retry_of_what_was_undone_must_be_said(on.shop(), stops.Bank()),
        "DID NOT RAISE",
        Edit("recordfirst.operations.retry:_plan", "if undone and not again:", "if False:"),
    ),
    _1(
        "a retry that says again uses the old keys",
        lambda on: stops.test_what_is_done_again_is_undone_under_its_own_key(on.shop(), stops.Bank()),
        "charge:1#2",
        Edit("recordfirst.execution.effect_runner:_behind_retries", "if behind else effect", "if False else effect"),
    ),
    _1(
        "a defect in an undo is told as a failure",
        lambda on: stops.test_a_defect_in_an_undo_stops_and_the_rest_is_undone(on.shop(), stops.Bank()),
        "NOT UNDONE",
        Edit("recordfirst.execution.body:undo_all", "if not execution.declared.fails_on(error):", "if False:"),
    ),
    # ── identity is computed once, and then read ──
    _2(
        "what takes back is named by today's code",
        lambda on: deploys.test_undone_by_what_the_receipt_names(on.bank_shop()),
        "refund_v2",
        Edit("recordfirst.execution.undo:_undo", "else receipt.undo\n", "else effects[receipt.function].undo.name\n"),
    ),
    _2(
        "what settles is looked for under today's key",
        lambda on: deploys.test_undone_by_its_own_key(on.bank_shop()),
        "Error",
        Edit(
            "recordfirst.execution.undo:go_on",
            'return run_bound(effect, execution, ctx, Arguments({}, "{}", "{}"))',
            "receipt, effect.of = effect.of, None\n"
            "    stored = __import__('json').loads(execution.runtime.unseal(receipt.request))\n"
            "    return run_bound(effect, execution, ctx, effect.function.adopt(stored, {}))",
        ),
        Edit("sqlite:requests_of", "key <> :key", "FALSE AND key <> :key"),
    ),
    _2(
        "what settles calls where nothing has happened",
        lambda on: deploys.test_undo_waits_for_nothing_that_did_not_happen(on.bank_shop(), "is refused first"),
        "TimeoutError",
        Edit("recordfirst.steps.effect:Effect.next", "if self.settles and", "if False and"),
    ),
    _2(
        "what settles repeats a call that is in doubt",
        lambda on: late.test_cancelling_waits_for_what_may_still_arrive(on.bank_shop(), arrives=True),
        "assert",
        Edit("recordfirst.core.decide:_key_settles_it", "guarantee.settles or ", ""),
    ),
    _2(
        "two effects that share the key of their undo are built",
        lambda on: deploys.test_two_effects_with_one_undo_are_refused(on.fixture("tmp_path")),
        "DID NOT RAISE",
        Edit("recordfirst.steps.workflow:Workflow.check_undos", "if undo is None:", "if True:"),
    ),
    _2(
        "one undo under one key undoes two effects",
        lambda on: deploys.test_one_key_undoes_one_effect(on.bank_shop()),
        "Error",
        Edit("recordfirst.execution.undo:_begin", "if undoes != receipt.key:", "if False:"),
    ),
    _2(
        "the changed key of an effect is not seen",
        lambda on: deploys.test_a_key_that_is_made_otherwise_by_now(on.bank_shop(), {"key": "pay:{id}"}, "charge"),
        "DID NOT RAISE",
        Edit("sqlite:requests_of", "key <> :key", "FALSE AND key <> :key"),
    ),
    _2(
        "the changed key of a write is not seen",
        lambda on: deploys.test_a_key_that_is_made_otherwise_by_now(on.bank_shop(), {"noted": "memo:{id}"}, "note"),
        "DID NOT RAISE",
        Edit("sqlite:requests_of", "key <> :key", "FALSE AND key <> :key"),
    ),
    _2(
        "the key of an undo that has begun is rendered anew",
        lambda on: deploys.test_an_undo_goes_on_under_the_key_that_it_has(on.bank_shop()),
        "Error",
        Edit("recordfirst.execution.undo:_undo", "    if begun is not None:\n", "    if False:\n"),
        Edit(
            "recordfirst.execution.undo:_undo",
            "name = begun.function if begun is not None else receipt.undo",
            "name = effects[receipt.function].undo.name",
        ),
    ),
    _2(
        "a retry sends the default of today",
        lambda on: deploys.test_a_retry_sends_the_default_that_was_stored(on.bank_shop()),
        "eur",
        Edit(
            "recordfirst.steps.function:Function.freeze",
            "codec.encode(full, self._what)",
            "codec.encode(given, self._what)",
        ),
    ),
    _2(
        "a changed default is not told",
        lambda on: deploys.test_a_retry_sends_the_default_that_was_stored(on.bank_shop()),
        "IndexError",
        Edit("recordfirst.execution.conflicts:_say_changed_default", "    if changed:\n", "    if False:\n"),
    ),
    # ── values are what they will be after a crash ──
    _3(
        "arguments go by reference",
        lambda on: bound.test_each_call_has_what_it_was_given(on.bank_shop()),
        "assert",
        Edit(
            "recordfirst.steps.function:Function.freeze", "if not values.is_plain(value, self._plans[name])", "if False"
        ),
    ),
    _3(
        "tries of a write share their arguments",
        lambda on: bound.test_each_try_of_a_write_has_what_it_was_given(on.bank_shop()),
        "assert",
        Edit(
            "recordfirst.steps.function:Function.fresh",
            "arguments if arguments.is_plain else self.thaw(arguments.text)",
            "arguments",
        ),
    ),
    _3(
        "arguments are compared by their bytes",
        lambda on: bound.test_a_start_that_would_not_come_back_is_refused(on.bank_shop()),
        "DID NOT RAISE",
        Edit(
            "recordfirst.steps.function:Function._proved",
            "values.difference(given, back, type_)",
            'values.difference(codec.encode(given, "it"), codec.encode(back, "it"), str)',
        ),
    ),
    _3(
        "a part of a workflow is given what its caller changes afterwards",
        lambda on: bound.test_parts_and_reads(on.bank_shop()),
        "assert",
        Edit(
            "recordfirst.engine.sdk.context:WorkflowContext.rpc",
            "_bound(fn, name, args, kwargs, given)",
            "args, kwargs",
        ),
    ),
    _3(
        "a word that cannot be rebuilt is stored",
        lambda on: stops.test_a_word_that_cannot_be_stored_stops(on.shop(), stops.Bank()),
        "assert",
        Edit("recordfirst.execution.write_runner:WriteRun._refusal", "if why is not None:", "if False:"),
    ),
    # ── a transaction's bookkeeping is the transaction's ──
    _4(
        "promises survive a savepoint that is rolled back",
        lambda on: savepoints.test_what_a_savepoint_took_back_is_not_started((on.shop(), "statements")),
        "outer",
        Edit("recordfirst.records.savepoints:Savepoints.done", "del self._notes[self._open[place][1] :]", "pass"),
    ),
    _4(
        "promises survive a savepoint of the driver's on Postgres",
        lambda on: savepoints.test_what_a_savepoint_took_back_is_not_started((on.shop(on.dsn), "driver")),
        "outer",
        Edit(_LENT + "Lent._exec_command", "if step is not None:", "if False:"),
    ),
    _4(
        "COMMIT goes through on SQLite",
        lambda on: guarded.test_p2_what_the_transaction_cannot_take_back_is_refused(on.path, "COMMIT"),
        "DID NOT RAISE",
        Edit(_SQLITE + "Guard.allows", '_REFUSED.get(action, "this")', '""'),
    ),
    _4(
        "a statement lands behind a transaction that has ended",
        lambda on: guarded.test_p2_what_comes_after_a_rollback_inside_the_block_is_not_kept(
            on.path, "INSERT OR ROLLBACK", goes_on=True
        ),
        "credit",
        Edit(_SQLITE + "Block.do", "if not raw.in_transaction:", "if False:"),
    ),
    _4(
        "a receipt lands behind a transaction that has ended",
        lambda on: guarded.test_p2_what_comes_after_a_rollback_inside_the_block_is_not_kept(
            on.path, "INSERT OR ROLLBACK", goes_on=False
        ),
        "assert",
        Edit(_SQLITE + "Block.rows", "if not self.raw.in_transaction:", "if False:"),
    ),
    _4(
        "a kept connection works in another's transaction",
        lambda on: guarded.test_p2_after_its_block_a_connection_is_of_no_use(on.path, "execute"),
        "DID NOT RAISE",
        Edit(_SQLITE + "Block.check", "if self.is_over:", "if False:"),
    ),
    _4(
        "a statement that was given up commits",
        lambda on: guarded.test_p2_a_statement_that_was_given_up_while_it_ran_is_not_kept(on.path, in_savepoint=False),
        "DID NOT RAISE",
        Edit(_SQLITE + "Block.ask", "if call.has_begun and name in _STATEMENTS:", "if False:"),
    ),
    _4(
        "a statement that was given up runs later",
        lambda on: guarded.test_p2_a_statement_that_was_given_up_before_it_began_is_not_executed(on.path),
        "given up",
        Edit(_SQLITE + "_Call.__call__", "None if self.is_given_up else ", ""),
    ),
    _4(
        "a cursor keeps its snapshot behind its block",
        lambda on: guarded.test_p2_a_cursor_that_was_not_read_to_its_end_keeps_nothing_back(on.path),
        "",
        Edit(_SQLITE + "Block._close_cursors", "cursor.close()", "pass"),
    ),
    _4(
        "a temporary table stays on the connection",
        lambda on: guarded.test_p2_what_is_temporary_ends_with_its_block(on.path, "a temporary table"),
        "DID NOT RAISE",
        Edit(_SQLITE + "Guard.allows", "self.must_replace = True", "pass"),
    ),
    _4(
        "a factory for rows stays on the connection",
        lambda on: guarded.test_p2_factories_are_the_blocks_own(on.path),
        "",
        Edit(_SQLITE + "Block.do", "raw.row_factory, raw.text_factory = None, str", "pass"),
    ),
    _4(
        "COMMIT goes through on Postgres",
        lambda on: lent.test_p2_nothing_on_the_connection_ends_the_transaction(
            on.fixture("lent_shop"), on.fixture("lent_look"), lent.by_execute
        ),
        "DID NOT RAISE",
        Edit("recordfirst.records.postgres.guard:admit", "raise StatementRefused(_why(first))", "pass"),
    ),
    _4(
        "a second statement rides along on Postgres",
        lambda on: lent.test_p2_a_second_statement_does_not_ride_along(
            on.fixture("lent_shop"), on.fixture("lent_look"), lent.by_execute, "SELECT 1; COMMIT AND CHAIN"
        ),
        "",
        Edit(_LENT + "_Guarded._execute_send", "force_extended=True", "force_extended=False"),
    ),
    _4(
        "a receipt commits in another transaction than the write's on Postgres",
        lambda on: lent.test_p2_what_goes_around_the_driver_commits_no_receipt(
            on.fixture("lent_shop"), on.fixture("lent_look"), b"COMMIT AND CHAIN"
        ),
        "DID NOT RAISE",
        Edit(_LENT + "_Outer._commit_gen", "check = [_CHECK] if lent._used and not lent._reads else []", "check = []"),
    ),
    _4(
        "a kept connection works in another's transaction on Postgres",
        lambda on: lent.test_p2_after_its_block_a_connection_does_nothing(
            on.fixture("lent_shop"), on.fixture("lent_look")
        ),
        "DID NOT RAISE",
        Edit(_LENT + "Lent.refuse_if_over", "if not self._is_open:", "if False:"),
    ),
    _4(
        "a statement that nobody awaits commits on Postgres",
        lambda on: lent.test_p2_a_statement_that_nobody_awaits_is_not_committed(
            on.fixture("lent_shop"), on.fixture("lent_look")
        ),
        "DID NOT RAISE",
        Edit(_LENT + "Lent.close_to_the_user", "if self._under_way:", "if False:"),
    ),
    _4(
        "a statement that was given up commits on Postgres",
        lambda on: lent.test_p2_given_up_too_late_it_is_not_committed_either(
            on.fixture("lent_shop"), on.fixture("lent_look"), on.patch
        ),
        "DID NOT RAISE",
        Edit(_LENT + "Lent.wait", "self.savepoints.note(_STOPPED_WAITING)", "pass"),
    ),
    _4(
        "the state of a session reaches the next on Postgres",
        lambda on: lent.test_p2_no_state_of_a_session_reaches_the_next(
            on.fixture("lent_shop"), on.fixture("lent_look"), "SET app.tenant = 'acme'", kept=True
        ),
        "acme",
        Edit(_LENT + "_Outer._commit_gen", "clean = [lent._clean] if lent._used else []", "clean = []"),
    ),
    # ── reading an outcome cannot fail ──
    _5(
        "a classify that raises means that nothing was done",
        lambda on: verdicts.test_a_provider_that_cannot_be_read_is_not_called_again(on.bank_shop()),
        "assert",
        Edit("recordfirst.execution.effect_runner:verdict_of", 'return Undeclared(f"', 'return NotDone(f"'),
    ),
    _5(
        "a later decline erases an earlier doubt",
        lambda on: verdicts.test_decline_says_nothing_of_an_earlier_call(on.bank_shop()),
        "TimeoutError",
        Edit(
            "recordfirst.core.decide:speaks_for_all",
            'if receipt.doubts <= (0 if receipt.state == "pending" else 1):',
            "if True:",
        ),
    ),
    _5(
        "time in our own queue is the provider's",
        lambda on: verdicts.test_time_counts_from_the_beginning(),
        "assert",
        Edit("recordfirst.process.limit:Limit.__aenter__", "asyncio.timeout(None)", "asyncio.timeout(self.timeout_s)"),
    ),
    _5(
        "exceptions that nobody declared are repeated for ever",
        lambda on: verdicts.test_five_exceptions_that_nobody_declared(on.bank_shop()),
        "Error",
        Edit(
            "recordfirst.execution.effect_runner:EffectRun._store_verdict",
            "undeclared_in(stored) >= MOST_UNDECLARED",
            "False",
        ),
    ),
    _5(
        "a decline inside a group of one is unknown",
        lambda on: verdicts.test_who_declares_what(ExceptionGroup("one", [Declined("no", "c")]), Declined),
        "assert",
        Edit("recordfirst.execution.verdict:alone", "while isinstance", "while False and isinstance"),
    ),
    # ── pending is no outcome ──
    _5(
        "what is pending is taken for a success",
        lambda on: final.test_a_payment_has_succeeded_or_has_not(),
        "assert",
        Edit(
            "recordfirst.providers.stripe.probe:payment_on_its_way",
            'if intent.status == "succeeded" or',
            'if intent.status in ("succeeded", "requires_action", "processing", "requires_capture") or',
        ),
    ),
    _5(
        "a pending erases an earlier doubt",
        lambda on: pending.test_an_earlier_doubt_stays_a_doubt(on.bank_shop()),
        "assert",
        Edit(
            "recordfirst.core.pending:became_pending",
            "d.others_in_doubt(receipt, guarantee, claim) if by_a_call else receipt.doubts",
            "0",
        ),
    ),
    _5(
        "a deadline declines what is in doubt",
        lambda on: pending.test_a_deadline_declines_nothing_that_is_in_doubt(on.bank_shop()),
        "too late",
        Edit("recordfirst.core.decide:_deadline_ms", " or receipt.doubts > 0", ""),
    ),
    _5(
        "expiry ends the wait without the provider's answer",
        lambda on: pending.test_expiry_that_is_refused_ends_nothing(on.bank_shop()),
        "pending for too long",
        Edit("recordfirst.execution.effect_runner:EffectRun._expire", "await cancelling.outcome()", "pass"),
    ),
    _5(
        "a look that finds nothing lets what is pending be called again",
        lambda on: pending.test_a_look_that_brings_nothing(on.bank_shop(), Absent()),
        "Error",
        Edit(
            "recordfirst.execution.looking:_left",
            "pending.looked(receipt, now_ms, effect.guarantee, error)",
            "d.resolved_not_done(receipt)",
        ),
    ),
    # ── absent is believed when nothing can arrive ──
    _6(
        "absent is believed at once",
        lambda on: late.test_cancelling_waits_for_what_may_still_arrive(on.bank_shop(), arrives=True),
        "cancelled",
        Edit(
            "recordfirst.core.decide:believed_at_ms",
            "guarantee.lag_ms + (0 if answered else guarantee.arrives_ms)",
            "0",
        ),
    ),
    _6(
        "a second success is dropped in silence",
        lambda on: late.test_second_success(on.bank_shop(), late.mailing, [late.declined], "declined"),
        "assert",
        Edit("recordfirst.execution.storing:dropped", "    await tell_late(", "    _ = lambda: tell_late("),
    ),
    _6(
        "a second success has an event and no finding",
        lambda on: late.test_second_success(on.bank_shop(), late.mailing, [late.declined], "declined"),
        "assert",
        Edit("recordfirst.execution.late:tell_late", 'await session.saw_findings([finding], "as it came")', "pass"),
    ),
    # ── what comes after a step comes after that very step ──
    _7(
        "the caller's own transaction stands for the write",
        lambda on: announced.test_own_transaction_is_not_the_write(on.bank_shop(), announced.charge_late),
        "DID NOT RAISE",
        Edit(
            "recordfirst.execution.flush:store_intents",
            "own is not None and _is_of(own, after)",
            "(own is None or _is_of(own, after))",
        ),
    ),
    _7(
        "an announced effect is called before its write",
        lambda on: announced.test_announced_before_its_write_by_an_older_version(on.bank_shop(), announced.charge_late),
        "",
        Edit("sqlite:begin_call", ":after IS NULL OR EXISTS", "TRUE OR EXISTS"),
    ),
    *(
        _7(
            f"a key alone tells that a step is done ({product}, {statement})",
            lambda on, product=product, scene=_INTEND if statement == "intend" else _BEGIN: scene(
                _SUITES[product], _record(on, product)
            ),
            "assert",
            Edit(f"{product}:{statement}", clause, ""),
        )
        for (product, statement), clause in _KIND.items()
    ),
    *(
        _7(
            f"a key alone tells that a step is done ({place})",
            scene,
            says,
            Edit(
                f"recordfirst.execution.{place}:is_done",
                "return (receipt.kind, receipt.function) ==",
                "return True or None ==",
            ),
        )
        for place, scene, says in (
            (
                "intents",
                lambda on: after.test_another_receipt_does_not_let_the_caller_announce(
                    on.bank_shop(), after.charge_plain
                ),
                "DID NOT RAISE",
            ),
            (
                "write_runner",
                lambda on: after.test_another_receipt_under_the_key_is_not_the_write(
                    on.bank_shop(), after.written, "another"
                ),
                "DID NOT RAISE",
            ),
        )
    ),
    _7(
        "a step that has declined is done",
        lambda on: after.test_another_receipt_under_the_key_is_not_the_write(on.bank_shop(), after.written, "declined"),
        "DID NOT RAISE",
        Edit(
            "recordfirst.execution.write_runner:is_done",
            'receipt is None or receipt.state != "succeeded"',
            "receipt is None",
        ),
    ),
    _7(
        "an intent is let through by a receipt of its own transaction that has the key alone",
        lambda on: after.test_a_write_with_its_key_does_not_announce_for_it(on.bank_shop(), after.announce),
        "DID NOT RAISE",
        Edit(
            "recordfirst.execution.intents:_is_of",
            "return (receipt.key, receipt.kind, receipt.function) == (after.key, after.kind, after.function)",
            "return receipt.key == after.key",
        ),
    ),
    # ── user code may raise anything, and what waits holds nothing up ──
    _8(
        "SystemExit of a step ends the worker",
        lambda on: stops.test_a_defect_never_reaches_the_body(on.shop(), stops.Bank(), SystemExit(1)),
        "SystemExit",
        Edit(
            "recordfirst.steps.function:contained",
            "    except Exception:\n        raise\n    except BaseException as error:\n",
            "    except Exception:\n        raise\n    except BaseException as error:\n        raise\n",
        ),
    ),
    _8(
        "a step that raises CancelledError is cancelled",
        lambda on: stops.test_a_defect_never_reaches_the_body(on.shop(), stops.Bank(), asyncio.CancelledError()),
        "",
        Edit("recordfirst.steps.function:contained", "if task is not None and task.cancelling():", "if True:"),
    ),
    _8(
        "a body that waits holds its place",
        lambda on: places.test_calls_in_flight_hold_up_nobody_and_are_bounded(on.shop()),
        "TimeoutError",
        Edit("recordfirst.process.places:Place._give_back_if_idle", "if held is not None and", "if False and"),
    ),
    _8(
        "a plain function holds its place",
        lambda on: places.test_plain_functions_hold_no_place(on.shop(), places.waits),
        "TimeoutError",
        Edit("recordfirst.engine.sdk.context:WorkflowContext.run", "place.waits_for(future._task)", "pass"),
    ),
    _8(
        "a second loop is let in",
        lambda on: owner.test_another_loop_is_refused(on.shop()),
        "assert",
        Edit("recordfirst.process.owner:Owned._compare", "if here is loop:", "if True:"),
    ),
    _8(
        "a forked child uses what its parent has open",
        lambda on: owner.test_a_forked_child_harms_nobody(_process(on)),
        "assert",
        Edit("recordfirst.process.owner:Owned._compare", "if os.getpid() != pid:", "if False:"),
    ),
    _8(
        "a forked child keeps a lease",
        lambda on: owner.test_a_forked_child_keeps_no_lease(on.shop(_process(on))),
        "TimeoutError",
        Edit("recordfirst.process.file_lock:keep_from_children", "_kept_from_children.add(open)", "pass"),
    ),
    _8(
        "a blocked event loop does not end the process",
        lambda on: blocked.test_it_is_told_while_it_lasts(on.shop(), on.fixture("caplog")),
        "assert",
        Edit("recordfirst.worker.watchdog:Watchdog._watch", "self._end(EXIT_CODE)", "pass"),
    ),
    _8(
        "the watchdog's timer is renewed behind the worker's end",
        lambda on: blocked.test_who_has_left_is_not_ended(on.fixture("monkeypatch")),
        "assert",
        Edit("recordfirst.worker.watchdog:Watchdog._arm", "with self._leaving", "with contextlib.nullcontext()"),
        Edit("recordfirst.worker.watchdog:Watchdog._arm", "self._stopped.is_set()", "False"),
    ),
    _8(
        "a blocked event loop is not told",
        lambda on: blocked.test_it_is_told_while_it_lasts(on.shop(), on.fixture("caplog")),
        "assert",
        Edit("recordfirst.worker.watchdog:Watchdog._watch", "self._tell(blocked_s, ends=False)", "pass"),
    ),
]
