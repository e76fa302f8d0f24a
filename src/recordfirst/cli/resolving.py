"""Commands by which an operator decides: resolve an outcome, retry, cancel and collect workflows."""

from __future__ import annotations

import shlex
import sys
from typing import Literal

import click

from recordfirst.cli.common import (
    LISTED,
    age_in_s,
    app_option,
    audited,
    dry_run_option,
    json_option,
    load_app,
    parse_json,
    print_json,
    runs,
    table,
)
from recordfirst.cli.screen import say, say_over
from recordfirst.operations.cancel import Cancellation
from recordfirst.operations.gc import REASONS
from recordfirst.operations.retry import Retry


@click.command()
@app_option
@click.argument("key")
@click.option(
    "--succeeded", metavar="JSON", help="It happened; this is its result, as the effect would have returned it."
)
@click.option("--declined", metavar="REASON", help="It was refused for good.")
@click.option("--not-done", is_flag=True, help="It certainly did not happen: call again.")
@click.option("--attempt", type=click.IntRange(1, 1_000_000), help="Which attempt. Default: the latest.")
@audited
@dry_run_option
@json_option
@runs
async def resolve(
    app_path: str,
    key: str,
    succeeded: str | None,
    declined: str | None,
    not_done: bool,
    attempt: int | None,
    who: str,
    why: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Say what became of the effect KEY, whose outcome is unknown. Its workflow then goes on.

    The record is written first, with what on_success or on_decline does, in one transaction. Of an effect that
    succeeded and whose result could not be stored, say the result with --succeeded; then retry its workflow.

    \b
    Examples:
      recordfirst resolve --app shop.app:app order:42:charge --succeeded '{"id": "pi_1", "amount_minor": 1999}'
      recordfirst resolve --app shop.app:app order:42:charge --declined "card reported stolen"
      recordfirst resolve --app shop.app:app order:42:mail --not-done
    """
    if [succeeded is not None, declined is not None, not_done].count(True) != 1:
        raise click.UsageError("say exactly one of --succeeded JSON, --declined REASON, --not-done")
    outcome: Literal["succeeded", "declined", "not done"] = (
        "succeeded" if succeeded is not None else "declined" if declined is not None else "not done"
    )
    result = parse_json(succeeded, "--succeeded") if succeeded is not None else None
    app = load_app(app_path)
    async with app:
        receipt = await app.resolve(
            key, outcome=outcome, result=result, reason=declined, attempt=attempt, who=who, why=why, dry_run=dry_run
        )
        start = await app.look.start(receipt.workflow)
    what, attempted = receipt.workflow, f"{key} (attempt {receipt.attempt})"
    if as_json:
        shown = {"key": key, "attempt": receipt.attempt, "state": receipt.state, "workflow": what, "dry_run": dry_run}
        print_json(shown)
    elif dry_run:
        say(f"{attempted} is {receipt.state}, and would be stored as {outcome}. Nothing was changed.")
    else:
        goes_on = "goes on" if start is None or start.state == "open" else f"is {start.state}, and stays so"
        if start is not None and start.state == "failed":
            goes_on += f" until: recordfirst retry {shlex.quote(what)}"
        say(f"{attempted} is {receipt.state}; workflow {what} {goes_on}")


@click.command()
@app_option
@click.argument("workflow_ids", metavar="WORKFLOW...", nargs=-1)
@click.option("--stopped", is_flag=True, help="All workflows that a defect has stopped, longest stopped first.")
@click.option("--limit", default=100, show_default=True, type=LISTED, help="With --stopped: how many at most.")
@click.option(
    "--again",
    is_flag=True,
    help="Repeat effects of a failed workflow that were undone or declined, under new keys. --dry-run shows which.",
)
@audited
@dry_run_option
@json_option
@runs
async def retry(
    app_path: str,
    workflow_ids: tuple[str, ...],
    stopped: bool,
    limit: int,
    again: bool,
    who: str,
    why: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let each WORKFLOW go on that a defect has stopped, or open it again if it has failed.

    What was completed stays done; one that is open, and not stopped, stays as it is. If what it had done was undone,
    a retry is refused, unless you say --again: then it is done anew, with new attempts and new keys.

    \b
    Examples:
      recordfirst retry --app shop.app:app order:42
      recordfirst retry --app shop.app:app --stopped --why "the grant is back"
      recordfirst retry --app shop.app:app order:42 --again --dry-run
    """
    if bool(workflow_ids) == stopped:
        raise click.UsageError("name workflows, or say --stopped")
    app = load_app(app_path)
    done = []
    async with app:
        ids = list(workflow_ids) or [start.id for start in await app.stopped(limit)]
        for id in ids:
            retried = await app.plan_retry(id, again=again, who=who, why=why, dry_run=dry_run)
            start = retried.start
            done.append(
                {"id": id, "state": start.state, "epoch": start.epoch, "again": retried.again, "dry_run": dry_run}
            )
            if not as_json:
                _show_retry(retried, dry_run=dry_run)
    if as_json:
        print_json(done[0] if len(workflow_ids) == 1 else done)
    elif not done:
        say("nothing is stopped")


def _show_retry(retried: Retry, *, dry_run: bool) -> None:
    start, keys = retried.start, [f"{key} (attempt {number})" for key, number in retried.again.items()]
    if not retried.changed:
        say(f"{start.id} is open, in epoch {start.epoch}")
    elif dry_run:
        what = "go on" if start.is_stopped else f"be opened again, in epoch {start.epoch + 1}"
        say(f"{start.id} would {what}. Nothing was changed.")
    else:
        say(f"{start.id} is open, in epoch {start.epoch}")
    for key in keys:
        say(f"  {'would be called' if dry_run else 'is called'} again under a new key: {key}")


@click.command()
@app_option
@click.argument("workflow_id", metavar="WORKFLOW")
@click.option(
    "--undo/--no-undo",
    default=None,
    help="Undo the effects that have happened, with those that undo= names, or leave them. Required if there are any.",
)
@audited
@dry_run_option
@json_option
@runs
async def cancel(
    app_path: str, workflow_id: str, undo: bool | None, who: str, why: str | None, dry_run: bool, as_json: bool
) -> None:
    """End the open WORKFLOW, which may be parked or suspended: none of its steps begins.

    A call that is on its way may still arrive. With --undo the workflow stays open until what has happened
    is undone, and what is unknown is known; --no-undo, also said later, ends it at once.

    \b
    Examples:
      recordfirst cancel --app shop.app:app order:42 --dry-run
      recordfirst cancel --app shop.app:app order:42 --undo --why "the customer called"
    """
    app = load_app(app_path)
    async with app:
        done = await app.cancel(workflow_id, undo=undo, who=who, why=why, dry_run=dry_run)
    if as_json:
        print_json(done_of(done) | {"dry_run": dry_run})
        return
    state = "being cancelled" if done.state == "open" else done.state
    if not done.changed:
        say(f"{workflow_id} is {state} already: {done.told}")
    elif dry_run:
        say(f"{workflow_id} would be {state}: {done.told}. Nothing was changed.")
    else:
        say(f"{workflow_id} is {state}: {done.told}")
        if done.state == "open":
            say(f"See how far it is with: recordfirst show --app {app_path} {workflow_id}")


def done_of(done: Cancellation) -> dict[str, object]:
    """For a machine."""
    return {name: getattr(done, name) for name in ("id", "state", "epoch", "undone", "left", "changed")}


@click.command()
@app_option
@audited
@dry_run_option
@json_option
@runs
async def reseal(app_path: str, who: str, why: str | None, dry_run: bool, as_json: bool) -> None:
    """Encrypt rows that are in clear, or under an older key, with the newest key of the app's encryptor.

    Workers may work meanwhile. It may be killed and run again at any time. Rows that cannot be decrypted are left
    and named, and the command ends with 1.

    \b
    Examples:
      recordfirst reseal --app shop.app:app --dry-run
      recordfirst reseal --app shop.app:app --why "key of 2025 retired"
    """
    telling = sys.stderr.isatty() and not as_json

    def tell(looked: int) -> None:
        if telling:
            say_over(f"{looked:,} rows looked at")

    app = load_app(app_path)
    async with app:
        done = await app.reseal(who=who, why=why, dry_run=dry_run, tell=tell)
    if telling:
        say(err=True)
    if as_json:
        shown = {name: getattr(done, name) for name in ("looked", "resealed", "moved", "left", "unreadable")}
        print_json(shown | {"dry_run": dry_run})
    else:
        say(f"{done.looked:,} rows looked at; {'would be ' if dry_run else ''}resealed: {done.told}")
        if done.moved:
            say(f"{done.moved:,} rows were changed by others meanwhile: run it again")
        if done.unreadable:
            table([("ROW", "WHY"), *done.unreadable.items()])
    if done.left or done.moved:
        sys.exit(1)


@click.command()
@app_option
@click.option("--older-than", required=True, metavar="AGE", help="Of what ended longer ago than this: 90d, 12h, 4w.")
@audited
@dry_run_option
@json_option
@runs
async def gc(app_path: str, older_than: str, who: str, why: str | None, dry_run: bool, as_json: bool) -> None:
    """Delete finished workflows and their receipts, in small batches. May be killed and run again at any time.

    Ids stay taken, so that nothing runs again under them. What is still needed is left, and it is said why. Findings
    and audit rows are never deleted.

    \b
    Examples:
      recordfirst gc --app shop.app:app --older-than 90d --dry-run
      recordfirst gc --app shop.app:app --older-than 90d --why "kept for a quarter"
    """
    age_s = age_in_s("--older-than", older_than)
    telling = sys.stderr.isatty() and not as_json

    def tell(looked: int) -> None:
        if telling:
            say_over(f"{looked:,} looked at")

    app = load_app(app_path)
    async with app:
        done = await app.collect(older_than_s=age_s, who=who, why=why, dry_run=dry_run, tell=tell)
    if telling:
        say(err=True)
    if as_json:
        shown = {name: getattr(done, name) for name in ("collected", "receipts", "left", "examples")}
        print_json(shown | {"dry_run": dry_run})
        return
    what = f"{done.collected:,} workflows with {done.receipts:,} receipts"
    say(f"{what} would be collected. Nothing was changed." if dry_run else f"{what} were collected")
    if done.left:
        say()
        rows = [(f"{count:,}", reason, REASONS[reason]) for reason, count in sorted(done.left.items())]
        table([("LEFT", "WHY", "WHAT THAT IS, AND WHAT ENDS IT"), *rows])
        examples = ", ".join(f"{id} ({reason})" for id, reason in done.examples.items())
        say(f"Such as: {examples}")
