"""Commands that compare: reconcile, and its findings."""

from __future__ import annotations

import datetime as dt
import sys

import click
import msgspec

from recordfirst.cli.common import (
    LISTED,
    app_option,
    audited,
    dry_run_option,
    json_option,
    load_app,
    print_json,
    runs,
    table,
    time_of,
)
from recordfirst.cli.explaining import plain
from recordfirst.cli.screen import say, say_over
from recordfirst.core.finding import KINDS
from recordfirst.errors.pages import page
from recordfirst.reconcile.reconciler import OPEN, PASSES, Report, Sighting

_ASK_THE_ENGINE = frozenset({"timeline", "epochs"})
"""Passes that compare the record with the engine; the others miss nothing without it."""


_LINE = 40
"""As long as the longest line of progress, which a shorter one is to cover."""
_DATED = {each.name for each in PASSES if each.dated}
_NAMED = ", ".join(each.name for each in OPEN), ", ".join(each.name for each in PASSES if each.full_scan)
"""Passes that run by themselves, and those that run only if they are named."""


@click.command()
@app_option
@click.option("--apply", "apply_", is_flag=True, help="Repair what can be repaired, and store the findings.")
@click.option(
    "--accept-restore",
    is_flag=True,
    help="With --apply: the record was restored or moved, and is the one to go on with.",
)
@click.option(
    "--doubt-hours",
    default=24,
    show_default=True,
    type=click.IntRange(0),
    help="After --accept-restore: for this number of hours a new start may be a workflow that was lost.",
)
@click.option(
    "--pass",
    "only",
    multiple=True,
    metavar="NAME",
    help=f"Run only this pass: {_NAMED[0]}. Or one that compares everything, and runs only if it is named: "
    f"{_NAMED[1]}. May be given more than once.",
)
@click.option(
    "--since",
    metavar="TIME",
    help="Look only at what began since then: 2026-11-24T15:00, in UTC. For "
    f"{', '.join(sorted(_DATED))}; the other passes look at everything.",
)
@audited
@dry_run_option
@json_option
@runs
async def reconcile(
    app_path: str,
    apply_: bool,
    accept_restore: bool,
    doubt_hours: int,
    only: tuple[str, ...],
    since: str | None,
    who: str,
    why: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Compare record, engine and providers; print where they differ, and exit 1 if they do.

    Nothing is changed without --apply. Workers do the same by themselves, every minute, with --apply.

    \b
    Examples:
      recordfirst reconcile --app shop.app:app
      recordfirst reconcile --app shop.app:app --apply --why "after the outage"
      recordfirst reconcile --app shop.app:app --pass unknown --json
    """
    since_ms = _checked(apply_, accept_restore, dry_run, only, since)
    app = load_app(app_path)
    telling = sys.stderr.isatty() and not as_json

    def tell(name: str, looked: int) -> None:
        if telling:
            say_over(f"{name}: {looked:,} looked at".ljust(_LINE))

    async with app:
        report = await app.reconcile(
            apply=apply_,
            accept_restore=accept_restore,
            doubt_ms=doubt_hours * 3_600_000,
            only=only,
            since_ms=since_ms,
            who=who,
            why=why,
            tell=tell,
        )
    if telling:
        say(err=True)
    _print(report, only, applied=apply_, as_json=as_json)
    if report.left:
        sys.exit(1)


@click.command()
@app_option
@click.option("--closed", is_flag=True, help="List closed findings, too.")
@click.option("--limit", default=50, show_default=True, type=LISTED, help="How many to list, newest first.")
@json_option
@runs
async def findings(app_path: str, closed: bool, limit: int, as_json: bool) -> None:
    """List what reconciles have found and kept: the open findings, and what an operator must do about each.

    \b
    Examples:
      recordfirst findings --app shop.app:app
      recordfirst findings --app shop.app:app --closed --json
    """
    app = load_app(app_path)
    async with app.looking():
        found = await app.look.findings(limit, closed=closed)
    if as_json:
        print_json(found)
        return
    if not found:
        say("no findings")
        return
    rows = [(f.code, f.subject, f.detail, time_of(f.opened_at_ms), f.times, f.closed_because or "open") for f in found]
    table([("CODE", "SUBJECT", "WHAT", "SINCE", "SEEN", "STATE"), *rows])
    _say_what_to_do({f.code for f in found if f.closed_at_ms is None})


@click.command()
@app_option
@click.argument("code")
@click.argument("subject")
@audited
@dry_run_option
@json_option
@runs
async def dismiss(
    app_path: str, code: str, subject: str, who: str, why: str | None, dry_run: bool, as_json: bool
) -> None:
    """Say that the finding CODE about SUBJECT has been seen to, and will not go away. Needs --why.

    It is not found again for as long as it says the same. What can be put right is put right instead, and only
    findings that an operator must settle can be dismissed.

    \b
    Example:
      recordfirst dismiss --app shop.app:app RF-EFFECT-MISSING order:42:charge --why "charged by order:42b"
    """
    if why is None:
        raise click.UsageError("--why is needed here: say how it was seen to")
    app = load_app(app_path)
    async with app:
        done = await app.dismiss(code, subject, why=why, who=who, dry_run=dry_run)
    if as_json:
        print_json(msgspec.to_builtins(done) | {"dry_run": dry_run})
    elif not done.changed:
        say(f"{code} of {subject} is dismissed already: {done.detail}")
    elif dry_run:
        say(f"{code} of {subject} would be dismissed: {done.detail}. Nothing was changed.")
    else:
        say(f"{code} of {subject} is dismissed: {done.detail}")


@click.command()
@app_option
@click.argument("subject", required=False)
@click.option("--limit", default=50, show_default=True, type=LISTED, help="How many to list, newest first.")
@json_option
@runs
async def audit(app_path: str, subject: str | None, limit: int, as_json: bool) -> None:
    """List who has changed what, when, and why; of all, or of one SUBJECT: a workflow's id or an effect's key.

    \b
    Examples:
      recordfirst audit --app shop.app:app
      recordfirst audit --app shop.app:app order:42:charge
    """
    app = load_app(app_path)
    async with app.looking():
        rows = await app.look.audits(subject, limit)
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("no audit rows" if subject is None else f"no audit rows about {subject!r}")
        return
    lines = [(time_of(r.at_ms), r.who, r.command, r.subject, r.detail, r.why or "") for r in rows]
    table([("WHEN", "WHO", "COMMAND", "SUBJECT", "WHAT", "WHY"), *lines])


def _checked(apply_: bool, accept_restore: bool, dry_run: bool, only: tuple[str, ...], since: str | None) -> int:
    """Since when to look, if the options go together."""
    if dry_run and apply_:
        raise click.UsageError("--dry-run and --apply exclude each other; without --apply nothing is changed")
    if accept_restore and not apply_:
        raise click.UsageError("--accept-restore changes the record: give --apply, too")
    since_ms = _since(since)
    if since is not None and only and not _DATED & set(only):
        raise click.UsageError(f"--since is for {', '.join(sorted(_DATED))}; {', '.join(only)} look at all there is")
    return since_ms


def _print(report: Report, only: tuple[str, ...], *, applied: bool, as_json: bool) -> None:
    if as_json:
        shown = {"accepted": report.accepted, "engine_asked": report.engine_asked, "notes": report.notes}
        print_json(
            {"found": report.found, "looked": report.looked, "left": len(report.left), "dismissed": report.dismissed}
            | shown
        )
        return
    if report.accepted is not None:
        say(f"Restore {report.accepted}.")
    rows = [(f.finding.code, f.finding.subject, f.finding.detail, _done(f)) for f in report.found]
    table([("CODE", "SUBJECT", "WHAT", "REPAIRED"), *rows] if rows else [])
    looked = ", ".join(f"{name} {count:,}" for name, count in report.looked.items() if count) or _nothing(only)
    dismissed = f" ({report.dismissed:,} more were dismissed)" if report.dismissed else ""
    say(f"{len(report.found)} found, {len(report.left)} left{dismissed}; looked at: {looked}")
    for note in report.notes:
        say(note)
    if not report.engine_asked and _ASK_THE_ENGINE & report.looked.keys():
        say("The engine was not asked: it is in a worker's process, and the worker looks.")
    if any(finding.code in _RESTORES for finding in report.left):
        say("Effects are held. If this is the record to go on with: --apply --accept-restore.")
    elif report.left and not applied:
        say("Nothing was changed. Add --apply to repair what can be repaired.")
    if report.left and applied:
        _say_what_to_do({finding.code for finding in report.left})


def _done(seen: Sighting) -> str:
    begun = f"begun: {seen.begun}" if seen.begun is not None else ""
    return seen.repaired or begun or (f"failed: {seen.failed}" if seen.failed is not None else "")


_RESTORES = ("RF-RECORD-BEHIND", "RF-RECORD-MOVED")


def _say_what_to_do(codes: set[str]) -> None:
    """For each code one line, and where the steps are."""
    if not codes:
        return
    say()
    for code in sorted(codes & KINDS.keys()):
        say(f"{code}: {KINDS[code].means} To do: {plain(KINDS[code].person)}")
    say("How each comes about: recordfirst explain CODE")
    say(f"Step by step, from a finding to a clean reconcile: {page('how-to/clear-findings')}")


def _nothing(only: tuple[str, ...]) -> str:
    return f"nothing: there is nothing to look at for {', '.join(only)}" if only else "nothing is open"


def _since(text: str | None) -> int:
    if text is None:
        return 0
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--since {text!r}: write a time such as 2026-11-24T15:00, in UTC") from None
    return int((at if at.tzinfo else at.replace(tzinfo=dt.UTC)).timestamp() * 1000)
