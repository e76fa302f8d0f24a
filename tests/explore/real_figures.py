"""The same as ``figures.py`` in the real world: some hundreds of schedules, the first single faults of each workflow.

``python -m tests.explore.real_figures --seconds 720 --write`` writes its table into ``docs/reliability.md``, with
``--resonate-sql FILE`` or ``--engine URL`` the one of that engine.
"""

from __future__ import annotations

import datetime
import platform
import sys
from collections import Counter
from importlib.metadata import version

import click

from recordfirst.explore import Budget, Report
from recordfirst.explore.running import explore
from recordfirst.explore.schedule import CHANGES, FAULTS
from recordfirst.explore.worlds import Where
from tests.explore.figures import PAGE, STORIES
from tests.explore.stories import CASES

_NOT_REAL = ("timer", "keyless")
"""One sleeps for a week, the other waits for 35 s until a claim has run out: that is for a clock that can be moved."""
_END = "<!-- end -->\n"


@click.command(context_settings={"show_default": True})
@click.option("--seconds", default=720.0, help="For all workflows together.")
@click.option("--jobs", default=2, help="Processes that share the work.")
@click.option("--seed", default=1)
@click.option("--resonate-sql", help="The engine is Resonate in Postgres.")
@click.option("--engine", help="The engine is a Resonate Server at this URL.")
@click.option("--only", multiple=True, help="These workflows alone.")
@click.option("--write", is_flag=True, help="Write the table of docs/reliability.md.")
def main(
    seconds: float, jobs: int, seed: int, resonate_sql: str, engine: str, only: tuple[str, ...], write: bool
) -> None:
    """Explore the stories, and say what came of it; exit with 1 if a promise was broken."""
    reports: dict[str, Report] = {}
    names = [name for name in STORIES if name not in _NOT_REAL and (not only or name.split()[0] in only)]
    for name in names:
        reference = f"tests.explore.stories:CASES.{name}" if name in CASES else "tests.explore.test_stripe:CASE"
        where = Where(world="real", resonate_sql=resonate_sql, engine=engine, case=reference)
        reports[name] = explore(STORIES[name], Budget(seconds=seconds / len(names)), where=where, seed=seed, jobs=jobs)
        click.echo(f"{name}: {reports[name].schedules:,} schedules, {reports[name].failed} failed", err=True)
        for failure in reports[name].failures:
            click.echo(f"  {failure.found} -> {failure.smallest.schedule}: {failure.smallest.violations}", err=True)
    page = table(reports, f"real world, {jobs} processes, seed {seed}")
    click.echo(page)
    if write:
        begin = "<!-- real: {} -->\n".format("resonate-pg" if resonate_sql else "server" if engine else "embedded")
        before, _, rest = PAGE.read_text().partition(begin)
        _, _, after = rest.partition(_END)
        PAGE.write_text(f"{before}{begin}{page}{_END}{after}")
    sys.exit(any(report.failed for report in reports.values()))


def table(reports: dict[str, Report], how: str) -> str:
    """What came of it."""
    whole, failed = (sum(getattr(each, name) for each in reports.values()) for name in ("schedules", "failed"))
    minutes = sum(report.seconds for report in reports.values()) / 60
    tried: Counter[str] = Counter()
    for report in reports.values():
        for what, times in report.tried.items():
            fault, _, change = what.partition(" at ")[0].partition(", ")
            tried[change or fault] += times
    today = datetime.datetime.now(tz=datetime.UTC).date()
    versions = f"recordfirst {version('recordfirst')}, Python {platform.python_version()}"
    versions += f", resonate-sdk {version('resonate-sdk')}"
    done = f"**{whole:,} schedules** in {minutes:.0f} minutes, **{failed:,} broke a promise**"
    lines = [
        f"{today}, {versions}; {how}: {done}.",
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
        *(f"| `{what}` | {tried[what]:,} | {meaning} |" for what, meaning in (FAULTS | CHANGES).items() if tried[what]),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
