"""The group of commands, and those that set things up and run them."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import click

from recordfirst.cli.common import (
    OneLine,
    app_option,
    collect_seldom,
    json_option,
    load_app,
    load_schema,
    parse_json,
    print_json,
    runs,
)
from recordfirst.cli.demo import demo
from recordfirst.cli.events import events
from recordfirst.cli.explaining import explain
from recordfirst.cli.exploring import explore
from recordfirst.cli.ledger import ledger
from recordfirst.cli.look import effects, show, status
from recordfirst.cli.reconciling import audit, dismiss, findings, reconcile
from recordfirst.cli.resolving import cancel, gc, reseal, resolve, retry
from recordfirst.cli.screen import say, say_lines
from recordfirst.cli.stopping import Stopping
from recordfirst.client.app import App
from recordfirst.core.start import Start

_PROGRAM = "recordfirst"


@click.group(cls=OneLine, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name=_PROGRAM, prog_name=_PROGRAM)
def main() -> None:
    """Durable workflows in which the system of record is written first, asked first and never contradicted.

    \b
    Completion for your shell:
      bash:  eval "$(_RECORDFIRST_COMPLETE=bash_source recordfirst)"
      zsh:   eval "$(_RECORDFIRST_COMPLETE=zsh_source recordfirst)"
      fish:  _RECORDFIRST_COMPLETE=fish_source recordfirst | source
    """


@main.command()
@click.option(
    "--app", "app_path", envvar="RECORDFIRST_APP", metavar="MODULE:APP", help="The app whose record to migrate."
)
@click.option("--record", "url", metavar="URL", help="postgresql://... or sqlite:///path, instead of --app.")
@click.option("--apply", "apply_", is_flag=True, help="Run what is shown.")
@click.option("--sql", is_flag=True, help="Print the SQL itself: for review, Alembic or psql.")
@json_option
@runs
async def migrate(app_path: str | None, url: str | None, apply_: bool, sql: bool, as_json: bool) -> None:
    """Show which of recordfirst's tables the record lacks; create them with --apply.

    \b
    Examples:
      recordfirst migrate --record sqlite:///shop.db
      recordfirst migrate --record postgresql://localhost/shop --apply
      recordfirst migrate --app shop.app:app --sql > recordfirst.sql
    """
    async with load_schema(None if url else app_path, url).opened() as schema:
        version = await schema.version()
        found, missing = version.found, version.missing
        if sql:
            for step in missing:
                say_lines(f"-- {step.version}: {step.name}\n{step.sql.rstrip()}\n")
            return
        applied = await schema.migrate(lambda text: say(f"recordfirst: {text}", err=True)) if apply_ else []
        if as_json:
            steps = applied if apply_ else missing
            print_json({"where": schema.where, "found": found, "applied": apply_, "steps": [s.name for s in steps]})
            return
        if not missing:
            say(f"{schema.where} is at version {found}: nothing to do")
        for step in applied if apply_ else missing:
            say(f"{'done' if apply_ else 'would run'}  {step.version}  {step.name}")
        if missing and not apply_:
            say("Nothing was changed. Add --apply to run this, or --sql to read it.")


@main.command()
@app_option
@click.option(
    "--group",
    metavar="NAME",
    help="Whose work to take, on an engine that workers share. Default: the app's own.",
)
@click.option(
    "--blocked-s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    default=60.0,
    show_default=True,
    help="End the process when a step has blocked the event loop for this number of seconds; 0: only report it.",
)
@click.option("--quiet", is_flag=True, help="Print only errors.")
@runs
async def worker(app_path: str, group: str | None, blocked_s: float, quiet: bool) -> None:
    """Run workflows until SIGTERM or Ctrl-C; a second one ends it at once, and the next worker recovers what ran.

    With the embedded engine one worker works at a time. A second one waits, and takes over at once
    when the first ends, however it ends. At the end, what runs comes to its next wait or end.

    Workers of a Resonate Server or of resonate-pg work side by side. At the end of one, the steps that run come
    to their end, and the others go on with their workflows.

    \b
    Examples:
      recordfirst worker --app shop.app:app
      recordfirst worker --app shop.app:app --group heavy
    """
    app = load_app(app_path)
    collect_seldom()
    stopping = Stopping(app, quiet=quiet)
    async with app.worker(group=group, blocked_s=blocked_s or None) as running:
        if not quiet:
            say(f"{app.name} on {app.record.where}: standing by")
        told = asyncio.create_task(stopping.told.wait())
        ours = asyncio.create_task(running.working.wait())
        await asyncio.wait({told, ours, running.task}, return_when=asyncio.FIRST_COMPLETED)
        if ours.done() and not quiet:
            say(f"{app.name} on {app.record.where}: working")
        await asyncio.wait({told, running.task}, return_when=asyncio.FIRST_COMPLETED)
        for task in (told, ours):
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(told, ours)


@main.command()
@app_option
@click.argument("workflow")
@click.argument("arguments", default="{}")
@click.option("--id", required=True, help="The workflow's business id, such as order:42.")
@click.option("--wait", is_flag=True, help="Wait for its end and print the result, or say what has stopped it.")
@json_option
@runs
async def start(app_path: str, workflow: str, arguments: str, id: str, wait: bool, as_json: bool) -> None:
    """Start WORKFLOW with ARGUMENTS: a JSON object by parameter name, or a JSON array by position.

    The same id with the same arguments is the same workflow; with others it is refused.

    \b
    Examples:
      recordfirst start --app shop.app:app create_order '[{"id": "42", "amount_minor": 1999}]' --id order:42
      recordfirst start --app shop.app:app create_order '{"order": {"id": "42"}}' --id order:42 --wait
    """
    app = load_app(app_path)
    given = parse_json(arguments, "ARGUMENTS")
    if not isinstance(given, dict | list):
        raise click.UsageError("ARGUMENTS must be a JSON object or array")
    async with app:
        found = app.workflow(workflow)
        fitted = found.function.fit(found.function.bind(*(((), given) if isinstance(given, dict) else (given, {}))))
        # A parameter of the workflow's may be called id, too.
        args, kwargs = (tuple(fitted.values()), {}) if "id" in fitted else ((), fitted)
        handle = await app.start(found, *args, id=id, **kwargs)
        row = await handle.status()
        if wait:
            if sys.stderr.isatty():
                await _say_if_nobody_works(app, row)
            result = await handle.result(if_stopped="raise")
            if as_json:
                print_json({"id": id, "state": "succeeded", "result": result})
            else:
                say(f"{id} succeeded: {result!r}")
        elif as_json:
            print_json({"id": id, "state": row.state, "workflow": row.workflow})
        else:
            say(f"{id} is {row.state}")


async def _say_if_nobody_works(app: App, row: Start) -> None:
    """Tell an operator who waits for a workflow that no worker runs."""
    seen_s = (await app.look.overview()).worker_seen_s
    if row.state == "open" and (seen_s is None or seen_s > _SILENT_S):
        since = "ever" if seen_s is None else f"for {seen_s:,} s"
        say(f"recordfirst: {row.id} is open, and no worker was seen {since}: recordfirst worker", err=True)


_SILENT_S = 30
"""Three times what lies between two signs of a worker's epoch."""


for command in (
    status,
    show,
    effects,
    reconcile,
    findings,
    explain,
    dismiss,
    resolve,
    retry,
    cancel,
    gc,
    reseal,
    events,
    audit,
    ledger,
    explore,
    demo,
):
    main.add_command(command)
