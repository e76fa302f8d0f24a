"""The command for provider events: lists them, shows one, and processes one again."""

from __future__ import annotations

import sys
from typing import Any, get_args

import click

from recordfirst.cli.common import (
    LISTED,
    age_in_s,
    app_option,
    audited,
    dry_run_option,
    fail,
    json_option,
    load_app,
    print_json,
    runs,
    table,
    time_of,
)
from recordfirst.cli.screen import say
from recordfirst.client.app import App
from recordfirst.core import codec
from recordfirst.core.event import EventState, StoredEvent
from recordfirst.events.store import names_of

_STATES = get_args(EventState.__value__)


@click.command()
@app_option
@click.argument("event", required=False)
@click.option("--state", type=click.Choice(_STATES), help="List those of one state.")
@click.option("--limit", default=50, show_default=True, type=LISTED, help="How many to list, newest first.")
@click.option("--reveal", is_flag=True, help="Of one event: print its body, too; it may hold personal data.")
@click.option("--replay", is_flag=True, help="Have it taken up again: handlers that have not run, run.")
@click.option("--catch-up", is_flag=True, help="Ask the providers for events that never arrived, and take them up.")
@click.option("--since", metavar="AGE", help="With --catch-up: how far back. Default: 3d; Stripe lists 30d.")
@click.option("--forget", metavar="AGE", help="Drop the bodies of what is over and came so long ago, such as 90d.")
@audited
@dry_run_option
@json_option
@runs
async def events(
    app_path: str,
    event: str | None,
    state: EventState | None,
    limit: int,
    reveal: bool,
    replay: bool,
    catch_up: bool,
    since: str | None,
    forget: str | None,
    who: str,
    why: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """List provider events, show one, have one taken up again, or take up what never arrived.

    \b
    Examples:
      recordfirst events --app shop.app:app --state stopped
      recordfirst events --app shop.app:app evt_1 --replay --why "handler fixed"
      recordfirst events --app shop.app:app --catch-up --since 7d
    """
    if [replay or event is not None, catch_up, forget is not None].count(True) > 1:
        raise click.UsageError("name an event, or --catch-up, or --forget: one at a time")
    if replay and event is None:
        raise click.UsageError("--replay needs the id of an event")
    if since is not None and not catch_up:
        raise click.UsageError("--since is for --catch-up; --limit says how many events are listed")
    app = load_app(app_path)
    if catch_up:
        await _catch_up(app, age_in_s("--since", since or "3d"), (who, why), dry_run=dry_run, as_json=as_json)
    elif forget is not None:
        await _forget(app, age_in_s("--forget", forget), (who, why), dry_run=dry_run)
    elif event is None:
        async with app.looking():
            found = await app.operations.events.newest(state, limit)
        _print(found, as_json=as_json)
    else:
        await _one(app, event, (who, why), replay=replay, dry_run=dry_run, reveal=reveal, as_json=as_json)


async def _one(
    app: App, id: str, said_by: tuple[str, str | None], *, replay: bool, dry_run: bool, reveal: bool, as_json: bool
) -> None:
    who, why = said_by
    async with app.looking():
        if replay:
            await app.operations.events.replay(id, who=who, why=why, dry_run=dry_run)
            say(f"{id}: {'would be taken' if dry_run else 'is taken'} up again by the next worker")
            return
        found = await app.operations.events.find(id)
        shown = [_shown(each) | _body(app, each, reveal=reveal) for each in found]
    if not found:
        fail(f"app {app.name!r} has no event {id!r}")
    if as_json:
        print_json(shown)
        return
    for each in shown:
        table([(name.replace("_", " "), value) for name, value in each.items() if value not in (None, 0, [])])


async def _catch_up(app: App, since_s: float, said_by: tuple[str, str | None], *, dry_run: bool, as_json: bool) -> None:
    who, why = said_by
    async with app:
        done = await app.operations.events.catch_up(since_s=since_s, who=who, why=why, dry_run=dry_run)
    if as_json:
        print_json({"looked": done.looked, "missed": done.missed, "cannot": done.cannot, "failed": done.failed})
    else:
        for provider, count in done.looked.items():
            say(f"{provider}: {count:,} events listed")
        for provider in done.cannot:
            say(f"{provider}: its events cannot be listed")
        if done.looked:
            say(_caught_up(len(done.missed), dry_run=dry_run))
    if done.failed:
        fail("; ".join(done.failed.values()))
    if not done.looked and not as_json:
        fail("nothing was asked: no provider whose events the app takes in can list them")
    if not done.looked:
        sys.exit(1)


def _caught_up(missed: int, *, dry_run: bool) -> str:
    if not missed:
        return "none is missing: all of them had arrived"
    return f"{missed:,} had never arrived, and {'would be' if dry_run else 'are'} taken up"


async def _forget(app: App, older_than_s: float, said_by: tuple[str, str | None], *, dry_run: bool) -> None:
    if dry_run:
        raise click.UsageError("--forget has no --dry-run: recordfirst events lists what there is")
    who, why = said_by
    async with app.looking():
        count = await app.operations.events.forget(older_than_s=older_than_s, who=who, why=why)
    say(f"{count:,} bodies dropped; each event still counts once")


def _print(found: list[StoredEvent], *, as_json: bool) -> None:
    if as_json:
        print_json([_shown(each) for each in found])
        return
    if not found:
        say("no events")
        return
    rows = [
        (each.id or each.hash[:12], each.provider, each.type, each.state, _time(each), _error(each) or "")
        for each in found
    ]
    table([("ID", "PROVIDER", "TYPE", "STATE", "CAME", "ERROR"), *rows])


def _shown(event: StoredEvent) -> dict[str, Any]:
    names = names_of(event)
    return {
        "id": event.id,
        "hash": event.hash,
        "provider": event.provider,
        "type": event.type,
        "state": event.state,
        "livemode": event.livemode,
        "account": event.account,
        "markers": list(names.markers),
        "keys": list(names.keys),
        "references": list(names.references),
        "tries": event.tries,
        "error": _error(event),
        "came": _time(event),
        "next": None if event.next_at_ms is None else time_of(event.next_at_ms),
    }


def _body(app: App, event: StoredEvent, *, reveal: bool) -> dict[str, Any]:
    if event.body is None:
        return {"body": "no longer kept"}
    return {"body": app.look.reveal(event.body) if reveal else "(hidden; --reveal prints it)"}


def _time(event: StoredEvent) -> str | None:
    return time_of(event.received_at_ms)


def _error(event: StoredEvent) -> str | None:
    if event.error is None:
        return None
    error = codec.decode(event.error)
    return str(error.get("reason")) + (f" ({error['at']})" if "at" in error else "")
