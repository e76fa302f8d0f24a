"""Commands by which a person decides: resolve an unknown outcome, retry a failed workflow."""

from __future__ import annotations

from typing import Literal

import click

from recordfirst.cli.common import app_option, audited, json_option, load_app, parse_json, print_json, runs


@click.command()
@app_option
@click.argument("key")
@click.option(
    "--succeeded", metavar="JSON", help="It happened; this is its result, as the effect would have returned it."
)
@click.option("--declined", metavar="REASON", help="It was refused for good.")
@click.option("--not-done", is_flag=True, help="It certainly did not happen: call again.")
@click.option("--attempt", type=click.IntRange(1), help="Which attempt. Default: the latest.")
@audited
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
    as_json: bool,
) -> None:
    """Say what became of the effect KEY, whose outcome is unknown. Its workflow then goes on.

    The record is written first, with what on_success or on_decline does, in one transaction.

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
            key, outcome=outcome, result=result, reason=declined, attempt=attempt, who=who, why=why
        )
    if as_json:
        print_json({"key": key, "attempt": receipt.attempt, "state": receipt.state, "workflow": receipt.workflow})
    else:
        click.echo(f"{key} (attempt {receipt.attempt}) is {receipt.state}; workflow {receipt.workflow} goes on")


@click.command()
@app_option
@click.argument("workflow_id", metavar="WORKFLOW")
@audited
@json_option
@runs
async def retry(app_path: str, workflow_id: str, who: str, why: str | None, as_json: bool) -> None:
    """Open the failed WORKFLOW again. Whatever was completed stays done.

    \b
    Example:
      recordfirst retry --app shop.app:app order:42
    """
    app = load_app(app_path)
    async with app:
        handle = await app.retry(workflow_id, who=who, why=why)
        row = await handle.status()
    if as_json:
        print_json({"id": workflow_id, "state": row.state, "epoch": row.epoch})
    else:
        click.echo(f"{workflow_id} is open again, in epoch {row.epoch}")
