"""The same as ``figures.py`` in the real world: some hundreds of schedules, the first single faults of each workflow.

``python -m tests.explore.real_figures --seconds 720 --write`` writes its table into ``docs/reliability.md``, with
``--resonate-sql FILE`` or ``--engine URL`` the one of that engine.
"""

from __future__ import annotations

import sys

import click

from recordfirst.explore import Budget, Exploration
from recordfirst.explore.running import explore
from recordfirst.explore.worlds.named import Where
from tests.explore.figures import PAGE, STORIES, table
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
    reports: dict[str, Exploration] = {}
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


if __name__ == "__main__":
    main()
