"""The promises of ``promises.md`` as rules over the history of a run. Pure.

No rule asks the product what it has decided, or why. If a rule allows several outcomes, it names them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import msgspec

from recordfirst.explore.programs.change import MISTAKES, later
from recordfirst.explore.programs.expect import BUSINESS, Way, ways
from recordfirst.explore.programs.history import FinalStart, History
from recordfirst.explore.programs.order import orders
from recordfirst.explore.programs.tree import Do, EffectSpec, Part, Program, Reused, Statement, WriteSpec, walk
from recordfirst.explore.programs.values import KINDS

ID = "p"


class Broken(msgspec.Struct, frozen=True, order=True):
    """A promise that a run has broken."""

    promise: str
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise}, {self.rule}: {self.what}"


def judge(history: History, told: Callable[[str], str]) -> list[Broken]:
    """Everything that is wrong with a run.

    Args:
        history: what was seen of the run.
        told: returns the text of a value with its types, from the value's Python expression.
    """
    if history.refused:
        return list(_refused(history))
    found: list[Broken] = []
    for rule in _RULES:
        found += rule(history)
    return sorted({*found, *_values(history, told)})


def _refused(history: History) -> Iterator[Broken]:
    """P8, P12: only what cannot work may be refused when it is declared or started."""
    yield Broken("P8", "declared", f"it was refused: {history.refused}")


# ── what is done outside ────────────────────────────────────────────────────


def _before(history: History) -> Iterator[Broken]:
    """P1: when an effect is called, the rows of its write are committed."""
    for note in history.notes:
        if note.what != "called" or note.where.startswith("child"):
            continue
        name, _, n = note.where.partition(":")
        spec = _effect(history, name)
        if spec is not None and spec.after is not None and f"str '{spec.after}:{n}'" not in note.value:
            yield Broken("P1", "before its write", f"{note.where} was called, and {spec.after}:{n} had not committed")


def _once(history: History) -> Iterator[Broken]:
    """P3: an effect whose provider honours keys or can be probed is done once."""
    times = Counter((each.kind, each.marker) for each in history.applied)
    by_kind = Counter(each.kind for each in history.applied)
    for (kind, marker), n in times.items():
        spec = _effect(history, kind.partition(":")[0])
        if spec is not None and spec.repeats and not spec.is_sure:
            continue  # its author allows that it is repeated
        if n > 1:
            yield Broken("P3", "once", f"{kind} was done {n} times under {marker!r}")
    attempts = {
        each.kind: {e.request["attempt"] for e in history.applied if e.kind == each.kind} for each in history.applied
    }
    for kind, n in by_kind.items():
        if _has_two_keys(history, kind.partition(":")[0]):
            continue
        if (
            n > 1
            and len(attempts[kind]) == 1
            and times.keys()
            and max(t for (k, _), t in times.items() if k == kind) == 1
        ):
            yield Broken("P3", "once", f"{kind} was done {n} times, under {n} keys")
        if len(attempts[kind]) > 1:
            yield Broken("P3", "once", f"{kind} was done in several attempts")


def _has_two_keys(history: History, name: str) -> bool:
    """Whether two versions made two keys of one call, and one stalled while the other worked: a limit of P3."""
    is_rekeyed = any(each.kind == "rekey" and each.step == name for each in history.program.changes)
    return is_rekeyed and "beside" in history.faults and history.schedule.count(":stall") > 1


def _same_request(history: History) -> Iterator[Broken]:
    """P4: a retry sends the request that was first sent."""
    first: dict[tuple[str, str | None], object] = {}
    # Requests that were stored before a parameter was added get its default.
    bare = {each.name for each in history.program.steps if getattr(each, "default", 0) is None}
    added = {change.step for change in history.program.changes if change.kind == "default"} & bare
    for each in history.asked:
        if each.kind in ("look", "landed") or (history.versions > 1 and each.kind.partition(":")[0] in added):
            continue
        if first.setdefault((each.kind, each.marker), each.request) != each.request:
            yield Broken(
                "P4", "same request", f"{each.kind} was sent as {each.request} after {first[each.kind, each.marker]}"
            )


def _undone(history: History) -> Iterator[Broken]:
    """P9: a workflow that failed undoes its effects. Others undo nothing, except by their bodies."""
    start = history.start(ID)
    failed = start is not None and start.state == "failed"
    error = (start.error if start is not None else None) or ""
    may_have_failed = failed or (history.versions > 1 and _may_fail(history))
    by_body = set[str]().union(*(_called_by_body(text) for text in _texts(history)))
    done = {each.kind for each in history.applied}
    undos, own = _undos(history), _undos_of_callers(history)
    for kind in sorted(done):
        name, _, n = kind.partition(":")
        backs = {f"{undo}:{n}" for undo in undos.get(name, ()) if undo is not None}
        has = backs & done
        if kind in own and has - by_body - {f"{own[kind]}:{n}"}:
            yield Broken("P9", "undone", f"{kind} is undone by {own[kind]}, and was undone by {', '.join(sorted(has))}")
        if not may_have_failed and has - by_body:
            yield Broken("P9", "undone", f"{kind} was undone, and the workflow has not failed")
        if len(has - by_body) > 1:
            yield Broken("P9", "undone", f"{kind} was undone by each of {', '.join(sorted(has))}")
        if failed and backs and not has and None not in undos[name] and "NOT UNDONE" not in error:
            yield Broken("P9", "not undone", f"{kind} was not undone, and nothing says so: {error}")
        taken = {f"{each}:{n}" for each, by in undos.items() if name in by}
        if taken and kind not in by_body and not taken & done:
            yield Broken("P3", "undid what was not done", f"{kind}, and none of {', '.join(sorted(taken))} was done")


def _may_fail(history: History) -> bool:
    """Whether it is stopped, and may have begun to fail before: a stop preserves the failure."""
    start = history.start(ID)
    if start is None or not start.is_stopped:
        return False
    allowed = _allowed(history)
    return allowed is None or any(end_of(way) == "failed" for way in allowed)


def _texts(history: History) -> list[Program]:
    """The versions that took part."""
    return [history.program, later(history.program)] if history.versions > 1 else [history.program]


def _undos(history: History) -> dict[str, set[str | None]]:
    """The effects that may undo each effect, version by version: a call names the undo of its own version."""
    found: dict[str, set[str | None]] = defaultdict(set)
    for text in _texts(history):
        for spec in text.steps:
            if isinstance(spec, EffectSpec):
                found[spec.name].add(spec.undo)
    return found


def _undos_of_callers(history: History) -> dict[str, str | None]:
    """The undo of each effect that the first version has called, and so intended, before there was another version."""
    announced = {each.intends for each in history.program.steps if isinstance(each, WriteSpec)}
    undos = {each.name: each.undo for each in history.program.steps if isinstance(each, EffectSpec)}
    found: dict[str, str | None] = {}
    seen: set[str] = set()
    for note in history.notes:
        name = note.where.partition(":")[0]
        if note.what == "by" and note.where not in seen and name in undos and name not in announced:
            seen.add(note.where)
            if note.value == "str 'first'" and "beside" not in history.faults:
                found[note.where] = undos[name]
    return found


# ── rows and receipts ───────────────────────────────────────────────────────


def _rows(history: History) -> Iterator[Broken]:
    """P2: the rows of a write exist if and only if its receipt does: all of them, once."""
    if any(_has_two_keys(history, each.name) for each in history.program.steps):
        return
    moments = [(commit.receipts, commit.tables.get("rows", ())) for commit in history.commits]
    for receipts, rows in moments:
        states = {(r.key, r.kind): r.state for r in receipts if r.attempt == 1 or r.kind == "effect"}
        yield from _rows_at(history.program, states, rows)


def _rows_at(
    program: Program, states: dict[tuple[str, str], str], rows: tuple[tuple[object, ...], ...]
) -> Iterator[Broken]:
    there: dict[tuple[object, object], list[object]] = defaultdict(list)
    for step, n, part in rows:
        there[step, n].append(part)
    for (key, kind), state in states.items():
        n, _, name = key.partition(":") if ":" in key else ("0", "", key.removeprefix(f"{ID}/"))
        name = name.removesuffix(":anew")  # the key of a next version
        spec = next((each for each in program.steps if each.name == name), None)
        if kind == "write" and isinstance(spec, WriteSpec):
            wanted = list(range(spec.rows - (spec.savepoint == "taken back"))) if state == "succeeded" else []
            numbers = [int(n)] if spec.has_key else [each for step, each in there if step == name] or [0]
            for number in numbers:
                has = sorted(there.pop((name, number), []), key=str)
                if has != wanted:
                    yield Broken("P2", "rows", f"{key} is {state}, and its rows are {has}, not {wanted}")
        if kind == "effect" and isinstance(spec, EffectSpec):
            for hook, at in (("on_success", "succeeded"), ("on_decline", "declined"), ("on_pending", "pending")):
                wanted = [0] if getattr(spec, hook) and state == at else []
                has = there.get((f"{hook} {name}", int(n)), [])
                if wanted and (has[:1] if at == "pending" else has) != wanted:  # on_pending may have run several times
                    yield Broken("P2", "rows", f"{key} is {state}, and {hook} has left {has}, not {wanted}")
    for (step, number), parts in there.items():
        if not str(step).startswith("on_"):
            yield Broken("P2", "rows", f"{step}:{number} has rows {parts}, and no receipt")


def _outcomes(history: History) -> Iterator[Broken]:
    """P5: a final outcome does not change; an effect that is declined was not done."""
    final: dict[tuple[str, int], tuple[str, str | None]] = {}
    for commit in history.commits:
        for r in commit.receipts:
            if r.state not in ("succeeded", "declined"):
                continue
            outcome = (r.state, r.result)
            if final.setdefault((r.key, r.attempt), outcome) != outcome:
                yield Broken("P5", "final", f"{r.key} was {final[r.key, r.attempt]}, and became {outcome}")
    done = {(each.kind, each.request["attempt"]) for each in history.applied}
    for receipt in history.receipts:
        kind = f"{receipt.function}:{receipt.key.partition(':')[0]}"
        if receipt.kind == "effect" and receipt.state == "declined" and (kind, receipt.attempt) in done:
            yield Broken("P5", "declined", f"{receipt.key} is declined, and was done")
        if (
            receipt.kind == "effect"
            and receipt.state == "succeeded"
            and receipt.function in {each.name for each in history.program.steps}
            and (kind, receipt.attempt) not in done
            and ":" in receipt.key
        ):
            yield Broken("P5", "succeeded", f"{receipt.key} has succeeded, and was not done")


# ── outcomes ────────────────────────────────────────────────────────────────


def _there(history: History) -> Iterator[Broken]:
    """P2, P7: a workflow that was accepted exists, and one whose start was rolled back to a savepoint does not."""
    if history.start(ID) is None:
        yield Broken("P7", "lost", "the workflow is gone")
    writes = {each.name: each for each in history.program.steps if isinstance(each, WriteSpec)}
    wanted = {ID}
    for step, n, _ in history.rows:
        spec = writes.get(step)
        if spec is not None and spec.starts and spec.savepoint != "taken back":
            wanted.add(f"child:{n}")
    has = {each.id for each in history.starts}
    if has - wanted:
        yield Broken(
            "P2", "started", f"{', '.join(sorted(has - wanted))} was started, and the request for it was rolled back"
        )
    if wanted - has:
        yield Broken("P7", "lost", f"{', '.join(sorted(wanted - has))} was requested in a write that committed")


def _open(history: History) -> Iterator[Broken]:
    """P7: a workflow that was accepted ends, or is stopped and reported."""
    told = {note.where for note in history.notes if note.what == "told"}
    for start in history.starts:
        if start.state != "open":
            continue
        if unasked := _pending_and_unasked(history):
            untold = [key for key in unasked if ("RF-EFFECT-PENDING", key) not in history.findings]
            if untold:
                yield Broken("P11", "told", f"{untold[0]} is pending, no worker looks at it, and no finding says so")
            continue
        if not start.is_stopped:
            yield Broken("P7", "open", f"{start.id} is open, and nothing says why: {history.why}")
        elif "Stopped" not in told and history.processes == 1:
            yield Broken("P7", "told", f"{start.id} is stopped, and the observer was not told")
        elif ("RF-WORKFLOW-STOPPED", start.id) not in history.findings:
            yield Broken("P7", "told", f"{start.id} is stopped, and no finding says so")
    if (
        history.why
        and not _pending_and_unasked(history)
        and all(start.state != "open" or start.is_stopped for start in history.starts)
    ):
        yield Broken("P7", "open", f"a process did not end well: {history.why}")


def _pending_and_unasked(history: History) -> list[str]:
    """Keys of pending effects that are never probed: they have no probe, or another name in the next version."""
    renamed = {each.step for each in history.program.changes if each.kind == "rename" and history.versions > 1}
    blind = {each.name for each in history.program.steps if isinstance(each, EffectSpec) and each.probe == "none"}
    pending = [each for each in history.receipts if each.state == "pending"]
    return [each.key for each in pending if each.function.removesuffix("_anew") in renamed | blind]


def _ends(history: History) -> Iterator[Broken]:
    """P6, P9: the program has an outcome that its text allows, whatever faults strike."""
    start = history.start(ID)
    if start is None:
        return
    allowed = _allowed(history)
    if allowed is None or (start.state == "open" and not start.is_stopped):
        return
    state = "stopped" if start.is_stopped and start.state == "open" else start.state
    fitting = [way for way in allowed if end_of(way) == state]
    if not fitting:
        expected = sorted({f"{end_of(way)} ({way.why or 'to its end'})" for way in allowed})
        yield Broken("P9", "ends", f"it is {state} ({start.error or start.stop}); it may be {' or '.join(expected)}")
        return
    ours = {each.step for text in _texts(history) for each in walk(text.body) if isinstance(each, Do | Reused)}
    undos = {undo for by in _undos(history).values() for undo in by}
    done = {each.kind for each in history.applied}
    done = {kind for kind in done if kind.partition(":")[0] not in undos or kind.partition(":")[0] in ours}
    if history.versions > 1:
        fitting = _of_both(allowed, fitting, [each for text in _texts(history) for each in walk(text.body)])
    if not any(_is_done(way, done, undos) for way in fitting):
        ways_ = " or ".join(f"{sorted(way.done)} and perhaps {sorted(way.perhaps)}" for way in fitting)
        yield Broken("P9", "done", f"it is {state}, and {sorted(done)} was done; allowed is {ways_}")


def _of_both(allowed: list[Way], fitting: list[Way], statements: list[Statement]) -> list[Way]:
    """The ways that fit if another version may have run before.

    A part that has ended is not run again, so its new steps need not be done.
    """
    perhaps = frozenset[str]().union(*(way.done | way.perhaps for way in allowed))
    surely = not any(isinstance(each, Part) for each in statements)
    return [msgspec.structs.replace(way, done=way.done if surely else frozenset(), perhaps=perhaps) for way in fitting]


def _is_done(way: Way, done: set[str], undos: set[str | None]) -> bool:
    """Whether exactly this way's effects were done. An undo that the body calls may also be called for the workflow."""
    surely = {each for each in done if each.partition(":")[0] not in undos}
    return way.done <= done and surely <= way.done | way.perhaps


def end_of(way: Way) -> str:
    """The state in which a workflow ends after this way."""
    if way.flow == "next":
        return "succeeded"
    return "failed" if way.flow in BUSINESS else "stopped"


def _allowed(history: History) -> list[Way] | None:
    found = ways(history.program)
    if found is None:
        return None
    allowed = [*found]
    if history.versions > 1:
        # The receipts of the first version exist, even if the next version has removed or moved their steps.
        before = frozenset(_called_by_body(history.program))
        for text in (later(history.program), later(history.program, fixed=False)):
            after = ways(text, before)
            if after is None:
                return None
            allowed += after
        # A parameter that only an undo has takes the result of what it undoes.
        undos = {undo for by in _undos(history).values() for undo in by}
        if any(
            each.kind in MISTAKES or (each.kind == "default" and each.step in undos) for each in history.program.changes
        ):
            allowed.append(Way("stop", why="a mistake of the next version"))
    return allowed


# ── values ──────────────────────────────────────────────────────────────────


def _values(history: History, told: Callable[[str], str]) -> Iterator[Broken]:
    """P12: a step gets the argument that it was given, and the body sees one result, now and on every replay."""
    seen: dict[str, str] = {}
    kinds: dict[str, list[str | None]] = defaultdict(list)
    for text in _texts(history):
        for spec in text.steps:
            kinds[spec.name].append(spec.value)
    changes = history.versions > 1 and any(each.kind in ("return", "fix") for each in history.program.changes)
    for note in history.notes:
        name = note.where.partition(":")[0]
        if note.what == "took" and _is_one(history, name):
            wanted = [told(KINDS[each].arrives or KINDS[each].value) for each in kinds[name] if each is not None]
            if wanted and None not in kinds[name] and not any(each in note.value for each in wanted):
                yield Broken("P12", "given", f"{note.where} got {note.value}, and was given {' or '.join(wanted)}")
        if note.value.startswith("Undone") and (history.start(ID) or _NONE).state == "failed":
            continue  # this epoch finishes the undo of a lost one
        if note.what == "saw" and seen.setdefault(note.where, note.value) != note.value and not changes:
            yield Broken("P12", "same", f"the body saw {seen[note.where]} of {note.where}, and then {note.value}")


_NONE = FinalStart("", "", None, None, is_stopped=False, stop=None)


def _is_one(history: History, name: str) -> bool:
    """Whether it is always given the same value."""
    return not any(isinstance(each, Reused) and each.step == name for each in walk(history.program.body))


def _reused(history: History) -> Iterator[Broken]:
    """P12: each call gets the content that the dict had when the call was made."""
    reused = {each.step for each in walk(history.program.body) if isinstance(each, Reused)}
    for note in history.notes:
        name, _, n = note.where.partition(":")
        if note.what == "took" and name in reused and f"str 'n': int {n}" not in note.value:
            yield Broken("P12", "given", f"{note.where} got {note.value}")


def _in_order(history: History) -> Iterator[Broken]:
    """P9: a step begins after the steps before it have ended. A body that waits, or is released, begins nothing."""
    if history.versions > 1:
        return
    waiting = {order.step: order for order in orders(history.program)}
    seen: set[str] = set()
    raised: set[str] = set()
    for note in history.notes:
        if note.what == "saw":
            seen.add(note.where)
        elif note.what == "raised":
            raised.add(note.where)
        elif note.what == "took" and (order := waiting.pop(note.where, None)) is not None:
            for end in order.behind:
                if not (end.seen <= seen or end.unless & raised):
                    missing = ", ".join(sorted(end.seen - seen)) or "what was to fail"
                    yield Broken("P9", "order", f"{note.where} began, and {missing} had not ended")


_RULES: list[Callable[[History], Iterator[Broken]]] = [
    _before, _once, _same_request, _undone, _rows, _outcomes, _there, _open, _ends, _reused, _in_order,
]  # fmt: skip


def _effect(history: History, name: str) -> EffectSpec | None:
    found = next((each for each in history.program.steps if each.name == name), None)
    return found if isinstance(found, EffectSpec) else None


def _called_by_body(program: Program) -> set[str]:
    return {f"{each.step}:{each.n}" for each in walk(program.body) if isinstance(each, Do)}
