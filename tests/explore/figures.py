"""How reliable recordfirst itself is: its own workflows under as many schedules as the time allows.

``make explore`` runs this for an hour; with ``--write`` it writes the table of ``docs/reliability.md`` and adds a line
to the runs that there were. Whatever it finds is fixed, and its schedule kept in ``test_found.py``.
"""

from __future__ import annotations

import datetime
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path

import click

from recordfirst.explore import Budget, Exploration
from recordfirst.explore.running import explore
from recordfirst.explore.runs.schedule import CHANGES, FAULTS
from tests.explore import stories, told
from tests.explore.test_stripe import CASE as DEMO

STORIES = {"create_order (the demo's, with Stripe's client)": DEMO} | stories.CASES
PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"
_BEGIN, _TOLD, _END = "<!-- figures -->\n", "<!-- told -->\n", "<!-- end -->\n"
_RUNS, _SUM = "<!-- runs -->\n", "<!-- sum -->\n"


@click.command(context_settings={"show_default": True})
@click.option("--seconds", default=3600.0, help="For all workflows together.")
@click.option("--jobs", default=2, help="Processes that share the work.")
@click.option("--seed", default=1)
@click.option("--events", is_flag=True, help="The workflows whose providers tell by themselves, instead of the others.")
@click.option("--write", is_flag=True, help="Write the table of docs/reliability.md.")
def main(seconds: float, jobs: int, seed: int, events: bool, write: bool) -> None:
    """Explore every story, and say what came of it; exit with 1 if a promise was broken."""
    reports: dict[str, Exploration] = {}
    cases, begin = (told.CASES, _TOLD) if events else (STORIES, _BEGIN)
    for name, case in cases.items():
        budget = Budget(seconds=seconds / len(cases))
        reports[name] = explore(case, budget, seed=seed, jobs=jobs)
        click.echo(_line(name, reports[name]), err=True)
        for failure in reports[name].failures:
            click.echo(f"  {failure.found} -> {failure.smallest.schedule}: {failure.smallest.violations[0]}", err=True)
    processes = "1 process" if jobs == 1 else f"{jobs} processes"
    page = table(reports, f"fast world, {processes}, seed {seed}")
    click.echo(page)
    if write:
        before, _, rest = PAGE.read_text().partition(begin)
        _, _, after = rest.partition(_END)
        PAGE.write_text(with_run(f"{before}{begin}{page}{_END}{after}", reports.values(), jobs, seed))
    sys.exit(any(report.failed for report in reports.values()))


def with_run(page: str, reports: Collection[Exploration], jobs: int, seed: int) -> str:
    """Add a run to those that there were, and count them all together."""
    before, _, rest = page.partition(_RUNS)
    table, _, rest = rest.partition(_SUM)
    _, _, after = rest.partition(_END)
    whole, failed = sum(each.schedules for each in reports), sum(each.failed for each in reports)
    minutes = sum(each.seconds for each in reports) / 60
    table += (
        f"| {_today()} | {_versions()} | {_commit()} | {seed} | {jobs} | {minutes:,.0f} | {whole:,} | {failed:,} |\n"
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    counted = sum(int(row[6].replace(",", "")) for row in rows)
    return f"{before}{_RUNS}{table}{_SUM}\nAltogether: **{counted:,} schedules**.\n{_END}{after}"


def _line(name: str, report: Exploration) -> str:
    return f"{name}: {report.schedules:,} schedules, {report.failed} failed, {report.schedules / report.seconds:.0f}/s"


def _today() -> str:
    return f"{datetime.datetime.now(tz=datetime.UTC).date()}"


def _versions() -> str:
    return f"Python {platform.python_version()}, resonate-sdk {version('resonate-sdk')}"


def _commit() -> str:
    """Return the commit that was run."""
    said = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=PAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "not known"


def table(reports: dict[str, Exploration], how: str) -> str:
    """What came of each workflow, and how often each fault struck: also those that never did."""
    whole, failed = (sum(getattr(each, name) for each in reports.values()) for name in ("schedules", "failed"))
    minutes = sum(each.seconds for each in reports.values()) / 60
    tried: Counter[str] = Counter()
    for report in reports.values():
        for what, times in report.tried.items():
            fault, _, change = what.partition(" at ")[0].partition(", ")
            tried[change or fault] += times
    done = f"**{whole:,} schedules** in {minutes:.0f} minutes, **{failed:,} broke a promise**"
    lines = [
        f"{_today()}, recordfirst {version('recordfirst')}, {_versions()}; {how}: {done}.",
        "",
        "| workflow | points | single faults there are | schedules | violations | per second |",
        "|---|---:|---:|---:|---:|---:|",
        *(
            f"| {name} | {report.points:,} | {report.singles:,} | {report.schedules:,} | {report.failed:,} "
            f"| {report.schedules / report.seconds:.1f} |"
            for name, report in reports.items()
        ),
        "",
        "| fault | struck | |",
        "|---|---:|---|",
        *(f"| `{what}` | {tried[what]:,} | {meaning} |" for what, meaning in (FAULTS | CHANGES).items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
