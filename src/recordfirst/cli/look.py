"""Commands that read by business key (P10); arguments and results are hidden unless asked for."""

from __future__ import annotations

import json
from typing import Any

import click

from recordfirst.cli.common import LISTED, app_option, fail, json_option, load_app, print_json, runs, table, time_of
from recordfirst.cli.screen import say
from recordfirst.client.app import App
from recordfirst.core import codec
from recordfirst.core.receipt import Receipt
from recordfirst.core.reversal import DISMISSED, StoredReversal
from recordfirst.core.start import Start
from recordfirst.operations.look import Listed, Unsettled


@click.command()
@app_option
@click.option(
    "--state",
    type=click.Choice(["open", "stopped", "succeeded", "failed", "cancelled"]),
    help="List the workflows of one state; stopped ones are open, too. Default: open and failed.",
)
@click.option("--limit", default=20, show_default=True, type=LISTED, help="How many to list, newest first.")
@json_option
@runs
async def status(app_path: str, state: Listed | None, limit: int, as_json: bool) -> None:
    """Count workflows and effects by state, say when a worker was last seen, and list what is open or failed.

    Reversals are listed that nobody has dealt with: their on_reversal fails, or there is none.

    \b
    Examples:
      recordfirst status --app shop.app:app
      recordfirst status --app shop.app:app --state failed --json
    """
    app = load_app(app_path)
    async with app.looking():
        seen = await app.look.overview()
        states: list[Listed] = [state] if state else ["open", "failed"]
        starts = [start for one in states for start in await app.look.starts(one, limit)]
        unhandled = [] if state else [_reversal(app, each) for each in await app.look.unhandled(limit)]
    held = None if seen.held is None else {"code": seen.held, "since": time_of(seen.held_at_ms)}
    if as_json:
        more = {"findings": seen.findings, "held": held, "worker_seen_s": seen.worker_seen_s}
        shown = {"workflows": [_start(start) for start in starts], "reversals": unhandled}
        print_json({"counts": seen.counts} | shown | more)
        return
    rows = [(name.replace(".", "s "), count) for name, count in sorted(seen.counts.items())]
    worker_seen = "never" if seen.worker_seen_s is None else f"{seen.worker_seen_s:,} s ago"
    table([*rows, ("findings open", seen.findings), ("worker seen", worker_seen)])
    if held is not None:
        say(f"Effects are held since {held['since']}: {held['code']}. See: recordfirst explain {held['code']}")
    if starts:
        say()
        head = ("ID", "WORKFLOW", "STATE", "EPOCH", "SINCE", "ERROR")
        table([head, *(_row(start) for start in starts)])
    if unhandled:
        say()
        head = ("REVERSAL OF", "KIND", "ID", "TRIES", "NEXT", "ERROR")
        table([head, *map(_waiting, unhandled)])


def _waiting(shown: dict[str, Any]) -> tuple[Any, ...]:
    ahead = shown["next"] if shown["behind"] is None else _after(shown)
    return shown["key"], shown["kind"], shown["id"], shown["tries"], ahead or "", shown["error"] or ""


def _row(start: Start) -> tuple[Any, ...]:
    state = "stopped" if start.is_stopped else start.state
    since = time_of(start.created_at_ms)
    return start.id, start.workflow, state, start.epoch, since, _error(start.stop or start.error)


@click.command()
@app_option
@click.argument("name", metavar="WORKFLOW_OR_KEY")
@click.option("--reveal", is_flag=True, help="Print arguments, requests and results too; they may hold personal data.")
@json_option
@runs
async def show(app_path: str, name: str, reveal: bool, as_json: bool) -> None:
    """Show a workflow with all its receipts, or every attempt of an effect's or write's key.

    \b
    Examples:
      recordfirst show --app shop.app:app order:42
      recordfirst show --app shop.app:app order:42:charge --reveal
    """
    app = load_app(app_path)
    async with app.looking():
        start = await app.look.start(name)
        receipts = await app.look.receipts(name) if start else await app.look.attempts(name)
        reversals = [
            [_reversal(app, each) for each in await app.look.reversals(receipt)] if receipt.kind == "effect" else []
            for receipt in receipts
        ]
        known = [await app.look.references(receipt) if receipt.kind == "effect" else {} for receipt in receipts]
    if start is None and not receipts:
        fail(f"app {app.name!r} has no workflow and no key {name!r}")
    if as_json:
        shown_receipts = [
            _receipt(app, receipt, reveal=reveal) | {"references": ids, "reversals": taken}
            for receipt, ids, taken in zip(receipts, known, reversals, strict=True)
        ]
        body: dict[str, Any] = {"receipts": shown_receipts}
        if start is not None:
            body["workflow"] = _start(start) | _hidden(app, start, ("arguments", "result"), reveal=reveal)
        print_json(body)
        return
    if start is not None:
        none = {"engine": "none yet: no worker has taken it"} if start.state == "open" else {}
        facts = {key: none.get(key) if value is None else value for key, value in _start(start).items()}
        facts |= _hidden(app, start, ("arguments", "result"), reveal=reveal)
        table([(key, _cell(value)) for key, value in facts.items() if value is not None])
    for number, receipt in enumerate(receipts):
        if number or start is not None:
            say()
        shown = {
            key: value for key, value in _receipt(app, receipt, reveal=reveal).items() if value not in (None, 0, False)
        }
        lines: list[tuple[Any, ...]] = [(name.replace("_", " "), _cell(value)) for name, value in shown.items()]
        lines += [("at provider", f"{kind} {id}") for kind, id in known[number].items()]
        for taken in reversals[number]:
            named = f"reversal {taken['number']}"
            lines += [(named if line == 0 else "", said) for line, said in enumerate(_told(taken))]
        table(lines)


@click.command()
@app_option
@click.option("--unknown", is_flag=True, help="Effects whose outcome only an operator can tell. The default.")
@click.option("--pending", is_flag=True, help="Effects that the provider has accepted and not decided.")
@click.option("--declined", is_flag=True, help="Effects that the provider refused.")
@click.option("--open", "open_", is_flag=True, help="Effects that are under way, or wait for their next time.")
@click.option("--limit", default=50, show_default=True, type=LISTED, help="How many to list, oldest first.")
@json_option
@runs
async def effects(
    app_path: str, unknown: bool, pending: bool, declined: bool, open_: bool, limit: int, as_json: bool
) -> None:
    """List effects that have not succeeded: by default, those whose outcome is unknown.

    \b
    Examples:
      recordfirst effects --app shop.app:app
      recordfirst effects --app shop.app:app --declined --json
    """
    if [unknown, pending, declined, open_].count(True) > 1:
        raise click.UsageError("--unknown, --pending, --declined and --open exclude each other: it is in one state")
    state: Unsettled = "declined" if declined else "intended" if open_ else "pending" if pending else "unknown"
    app = load_app(app_path)
    async with app.looking():
        receipts = await app.look.unsettled(state, limit)
    if as_json:
        print_json([_receipt(app, receipt, reveal=False) for receipt in receipts])
        return
    rows = [
        (r.key, r.attempt, r.workflow, r.calls, time_of(r.last_call_at_ms) or "never", _error(r.error))
        for r in receipts
    ]
    table([("KEY", "ATTEMPT", "WORKFLOW", "CALLS", "LAST CALL", "ERROR"), *rows] if rows else [("none", "")])


def _start(start: Start) -> dict[str, Any]:
    return {
        "id": start.id,
        "workflow": start.workflow,
        "state": start.state,
        "stopped": _error(start.stop) or None,
        "stopped_since": time_of(start.stopped_at_ms),
        "epoch": start.epoch,
        "engine": start.engine,
        "created": time_of(start.created_at_ms),
        "finished": time_of(start.finished_at_ms),
        "error": _error(start.error) or None,
    }


def _receipt(app: App, receipt: Receipt, *, reveal: bool) -> dict[str, Any]:
    return {
        "key": receipt.key,
        "attempt": receipt.attempt,
        "kind": receipt.kind,
        "function": receipt.function,
        "workflow": receipt.workflow,
        "state": receipt.state,
        "calls": receipt.calls,
        "in_doubt": receipt.doubts,
        "reissued": receipt.reissue,
        "created": time_of(receipt.created_at_ms),
        "last_call": time_of(receipt.last_call_at_ms),
        "next": time_of(receipt.next_at_ms) if receipt.state in ("intended", "pending") else None,
        "pending_since": time_of(receipt.pending_since_ms),
        "until": time_of(receipt.until_at_ms),
        "settled": time_of(receipt.settled_at_ms),
        "marker": app.look.marker(receipt),
        "parked_on": receipt.parked_on,
        "undo": receipt.undo,
        "undone_by": receipt.undone_by,
        "error": _error(receipt.error) or None,
    } | _hidden(app, receipt, ("request", "frozen", "result", "reply"), reveal=reveal)


def _reversal(app: App, each: StoredReversal) -> dict[str, Any]:
    error = app.look.reversal_error(each)
    return {
        "key": each.key,
        "attempt": each.attempt,
        "number": each.number,
        "kind": each.kind,
        "id": each.id,
        "amount_minor": each.amount_minor,
        "currency": each.currency,
        "taken_minor": each.taken_minor,
        "made": time_of(each.at_ms),
        "seen": time_of(each.seen_at_ms),
        "found_by": each.found_by,
        "handled_by": each.handled_by,
        "tries": each.tries,
        "next": time_of(each.next_at_ms),
        "behind": each.behind,
        "error": None if error is None else _reason(error),
    }


def _told(shown: dict[str, Any]) -> tuple[str, ...]:
    """One reversal, in words: what it is, whence it is known, what has become of it."""
    taken, currency = shown["taken_minor"], shown["currency"]
    moves = f"{'takes back' if taken > 0 else 'gives back'} {abs(taken):,} {currency} (minor units)"
    what = f"{shown['kind']} {shown['id']} {moves if taken else 'moves no money'}"
    return what, f"made {shown['made']}, found {shown['seen']} by {shown['found_by']}", _handled(shown)


def _handled(shown: dict[str, Any]) -> str:
    """What has become of it."""
    by = shown["handled_by"]
    if by is not None:
        return by if by.startswith(DISMISSED) else f"handled by {by}"
    error = "" if shown["error"] is None else f", on_reversal failed {shown['tries']} times: {shown['error']}"
    ahead = "nothing tries it" if shown["next"] is None else f"tried next at {shown['next']}"
    if shown["behind"] is not None:
        ahead = f"tried {_after(shown)}"
    return f"not handled{error}; {ahead}"


def _after(shown: dict[str, Any]) -> str:
    """For which of its receipt's reversals it waits."""
    return f"after reversal {shown['behind']}"


def _hidden(app: App, row: Start | Receipt, names: tuple[str, ...], *, reveal: bool) -> dict[str, Any]:
    """Values that can hold personal data: their size, or themselves."""
    shown: dict[str, Any] = {}
    for name in names:
        text: str | None = getattr(row, name)
        if text is not None and not (isinstance(row, Start) and row.state == "collected"):
            shown[name] = _revealed(app, name, text) if reveal else f"({len(text)} bytes, --reveal shows them)"
    return shown


def _revealed(app: App, name: str, text: str) -> Any:
    value = app.look.reveal(text)
    if name == "reply":  # an answer that could not be stored as an outcome yet is kept as it would be stored
        value |= {"text": codec.decode(value["text"])}
    return value


def _cell(value: Any) -> Any:
    """A value as JSON, as a machine gets it; what is no container as it is."""
    return json.dumps(codec.to_builtins(value), ensure_ascii=False) if isinstance(value, dict | list) else value


def _error(error: str | None) -> str:
    if error is None:
        return ""
    return _reason(codec.decode(error))


def _reason(what: dict[str, str]) -> str:
    text = f"{what['type']}: {what['message']}" if "type" in what else what.get("reason", "")
    more = what.get("code") or what.get("at")
    return text + (f" ({more})" if more else "")
