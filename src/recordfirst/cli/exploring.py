"""``recordfirst explore``: die at every point of a workflow, and say what broke."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from click.core import ParameterSource

from recordfirst.cli.common import fail, json_option, load_app, load_object, parse_json, print_json
from recordfirst.cli.programs import explore_programs
from recordfirst.cli.screen import say, say_lines, style
from recordfirst.errors import RecordfirstError

if TYPE_CHECKING:
    from recordfirst.explore import Budget, Case, Exploration, Failure
    from recordfirst.explore.running import Tell

_MISTAKE = 2
"""The status when there was nothing to judge, as for any mistake in usage."""
_COLOURS: Mapping[str, Mapping[str, Any]] = {
    "bold": {"bold": True},
    "dim": {"dim": True},
    "fault": {"fg": "yellow", "bold": True},
    "broken": {"fg": "red", "bold": True},
    "state": {"fg": "cyan"},
}
_SAY_EVERY_S = 10.0


@click.command()
@click.argument("app_path", metavar="[MODULE:APP]", required=False, envvar="RECORDFIRST_APP")
@click.argument("workflow", metavar="[WORKFLOW]", required=False)
@click.option("--case", "case_path", metavar="MODULE:NAME", help="A Case, or a function that returns one.")
@click.option("--args", "arguments", metavar="JSON", help="The workflow's arguments: an object by name, or an array.")
@click.option("--id", help="The workflow's business id, such as order:42.")
@click.option(
    "--tables", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="SQL of your tables."
)
@click.option("--provide", metavar="MODULE:NAME", help="A function of an Outside that returns doubles by their types.")
@click.option(
    "--invariant", "invariants", metavar="SQL", multiple=True, help="A query that must find nothing at the end."
)
@click.option("--ignore", metavar="TABLE.COLUMN", multiple=True, help="What may differ from the run without faults.")
@click.option("--deploy", "versions", metavar="MODULE:NAME", multiple=True, help="A later version of the workflow.")
@click.option(
    "--world",
    type=click.Choice(["fast", "forked", "postgres", "real"]),
    default="fast",
    show_default=True,
    help="Where it runs; fast finds most, and the others find what it cannot show.",
)
@click.option("--record", metavar="URL", help="A Postgres for the world, which makes databases of its own there.")
@click.option("--resonate-sql", metavar="FILE", help="The engine is Resonate in the record's database, made by this.")
@click.option("--engine", metavar="URL", help="In the real world: a Resonate Server, instead of the embedded engine.")
@click.option(
    "--budget", metavar="BUDGET", help="60s, 5m, 1h, or a number of schedules. Default: each single fault, once."
)
@click.option("--seed", default=1, show_default=True, help="Of what is drawn, when two and more faults are tried.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="How many processes share the work.")
@click.option(
    "--replay", "schedule", metavar="SCHEDULE", help='Run this one alone, such as "1.17:crash-after 2.5:lose".'
)
@click.option(
    "--html", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write a page to look at."
)
@click.option(
    "--junit", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML, for CI."
)
@click.option("--programs", is_flag=True, help="Explore programs that are made up, instead of a workflow of yours.")
@click.option("--runs", type=click.IntRange(1), help="Of programs: so many at most.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Of programs: so long at most.  [default: 60]")
@click.option("--only", type=click.IntRange(0, 999_999), help="Of programs: this one of the seed alone.")
@click.option("--since", type=click.IntRange(0, 999_999), help="Of programs: go on with the one of this number.")
@click.option(
    "--keep", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path), help="Of programs: write a test here."
)
@click.option("--pairs", is_flag=True, help="Of programs: say how many runs had each two features together.")
@click.option("--quiet", is_flag=True, help="Do not say how far it is.")
@json_option
@click.pass_context
def explore(ctx: click.Context, /, **given: Any) -> None:
    """Run a workflow once to find its points; then die, fail and stall at each, and judge what comes of it.

    Everything happens in files of its own: your record, your engine and your providers are not touched. What
    steps have injected comes from a case, or from --provide.

    Status 1 if a promise or an invariant was broken; 2 if the workflow could not be run at all.

    \b
    Examples:
      recordfirst explore --case tests.cases:order
      recordfirst explore shop.app:app create_order --args '[{"id": "1", "amount_minor": 1999}]' --id order:1 \\
          --tables schema.sql --provide tests.doubles:provide --invariant "SELECT id FROM orders WHERE status = 'new'"
      recordfirst explore --case tests.cases:order --budget 10m --jobs 4 --html report.html --junit report.xml
      recordfirst explore --case tests.cases:order --replay "1.33:crash-after"
      recordfirst explore --case tests.cases:order --world postgres --record postgresql://localhost/postgres
      recordfirst explore --case tests.cases:order --world real --replay "1.call-charge_card#1:crash-after"
      recordfirst explore --programs --seed 7 --seconds 120 --keep found
    """
    if given["programs"]:
        others = [name for name in given if name not in _OF_BOTH | _OF_PROGRAMS]
        _refuse(ctx, others, "--programs makes its own workflows; give it no case")
        ctx.exit(explore_programs(given))
    _refuse(ctx, _OF_PROGRAMS - {"programs"}, "it is for --programs")
    try:
        report = _explore(given)
    except RecordfirstError as error:
        fail(str(error), status=_MISTAKE)
    except KeyboardInterrupt:
        fail("interrupted", status=130)
    _show(report, given)
    ctx.exit(0 if report.ok else 1)


_OF_PROGRAMS = {"programs", "runs", "seconds", "only", "since", "keep", "pairs"}
"""Options that mean something with ``--programs`` alone."""
_OF_BOTH = {"seed", "quiet", "as_json"}


def _refuse(ctx: click.Context, names: Collection[str], why: str) -> None:
    """Refuse what was given and would not be heard."""
    for param in ctx.command.params:
        given = ctx.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE
        if given and param.name in names:
            raise click.UsageError(f"{param.get_error_hint(ctx)} has no meaning here: {why}")


def _explore(given: Mapping[str, Any]) -> Exploration:
    from recordfirst.explore import parse  # noqa: PLC0415 - other commands need not wait for it
    from recordfirst.explore.running import explore as run  # noqa: PLC0415
    from recordfirst.explore.running import parse_budget, replay  # noqa: PLC0415
    from recordfirst.explore.worlds.named import Where  # noqa: PLC0415

    case = _case(given)
    chosen = {name: given[name] for name in ("world", "record", "resonate_sql", "engine")}
    where = Where(**chosen, case=given["case_path"])
    if given["schedule"] is not None:
        return replay(case, parse(given["schedule"]), where=where, seed=given["seed"])
    budget = parse_budget(given["budget"])
    with _progress(budget, quiet=given["quiet"] or given["as_json"]) as tell:
        return run(case, budget, where=where, seed=given["seed"], jobs=given["jobs"], tell=tell)


# ── the case ────────────────────────────────────────────────────────────────


def _case(given: Mapping[str, Any]) -> Case:
    from recordfirst.explore import Case  # noqa: PLC0415

    whole = _whole(given["case_path"])
    fields: dict[str, Any] = {}
    app_invariants: list[Any] = []
    # A case is whole by itself: RECORDFIRST_APP, set for other commands, does not ask for a workflow.
    if given["workflow"] is not None:
        app = load_app(given["app_path"], "MODULE:APP")
        fields |= {"app": app.name, "workflow": app.workflow(given["workflow"])}
        app_invariants = app.invariants
    elif whole is None:
        raise click.UsageError("give MODULE:APP and WORKFLOW, or --case MODULE:NAME")
    if given["arguments"] is not None:
        function = (fields["workflow"] if whole is None else fields.get("workflow", whole.workflow)).function
        arguments = parse_json(given["arguments"], "--args")
        if not isinstance(arguments, dict | list):
            raise click.UsageError("--args must be a JSON object or array")
        by_name = function.bind(*(((), arguments) if isinstance(arguments, dict) else (arguments, {})))
        fields |= {"args": (), "kwargs": function.fit(by_name)}
    fields |= {name: read(given[name]) for name, read in _FIELDS.items() if given[name]}
    if app_invariants:
        others = fields.get("invariants", () if whole is None else whole.invariants)
        fields["invariants"] = (*others, *app_invariants)
    return Case(**fields) if whole is None else msgspec.structs.replace(whole, **fields)


_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "id": str,
    "tables": Path.read_text,
    "provide": lambda path: load_object(path, "--provide", "MODULE:NAME, such as tests.doubles:provide"),
    "invariants": tuple,
    "ignore": frozenset,
    "versions": lambda paths: tuple(load_object(path, "--deploy", "MODULE:NAME") for path in paths),
}


def _whole(path: str | None) -> Case | None:
    from recordfirst.explore import Case  # noqa: PLC0415

    if path is None:
        return None
    found = load_object(path, "--case", "MODULE:NAME, such as tests.cases:order")
    if callable(found) and not isinstance(found, Case):
        found = found()
    if not isinstance(found, Case):
        raise click.UsageError(f"--case {path!r} is a {type(found).__name__}, not a Case")
    return found


def command_of(given: Mapping[str, Any], schedule: str) -> str:
    """The command that runs exactly this schedule again."""
    words = ["recordfirst", "explore"]
    words += [given[name] for name in ("app_path", "workflow") if given["workflow"] is not None]
    for option, name in (
        ("--case", "case_path"),
        ("--args", "arguments"),
        ("--id", "id"),
        ("--tables", "tables"),
        ("--provide", "provide"),
        ("--invariant", "invariants"),
        ("--ignore", "ignore"),
        ("--deploy", "versions"),
        ("--record", "record"),
        ("--resonate-sql", "resonate_sql"),
        ("--engine", "engine"),
    ):
        values = given[name] if isinstance(given[name], tuple) else [given[name]]
        words += [word for value in values if value is not None for word in (option, str(value))]
    words += ["--world", given["world"]] if given["world"] != "fast" else []
    words += ["--seed", str(given["seed"])] if given["seed"] != 1 else []
    return shlex.join([*words, "--replay", schedule])


# ── what is shown ───────────────────────────────────────────────────────────


def _show(report: Exploration, given: Mapping[str, Any]) -> None:
    from recordfirst.explore.report import html, junit  # noqa: PLC0415
    from recordfirst.explore.report.story import tell  # noqa: PLC0415
    from recordfirst.explore.report.text import as_data, render, timeline  # noqa: PLC0415

    def again(failure: Failure) -> str:
        return command_of(given, str(failure.smallest.schedule))

    try:
        if given["html"] is not None:
            given["html"].write_text(html.page([report], again))
        if given["junit"] is not None:
            given["junit"].write_text(junit.document([report], again))
    except OSError as error:
        raise click.UsageError(f"cannot be written: {error}") from None
    if given["as_json"]:
        print_json(as_data(report, again))
        return

    def coloured(text: str, name: str) -> str:
        return style(text, name, **_COLOURS.get(name, {}))

    if report.replayed is not None and report.ok:
        say_lines("\n".join(timeline(tell(report.replayed), coloured)) + "\n")
    say_lines(render(report, again, style=coloured, table=report.replayed is None))


@contextlib.contextmanager
def _progress(budget: Budget, *, quiet: bool) -> Iterator[Tell]:
    """Say how far it is: a bar where there is rich and a terminal; a line now and then otherwise."""
    began = time.monotonic()
    if quiet:
        yield lambda _done, _failed: None
        return
    if sys.stderr.isatty():
        try:
            from rich.console import Console  # noqa: PLC0415 - an extra
            from rich.progress import Progress  # noqa: PLC0415
        except ModuleNotFoundError:
            pass
        else:
            with Progress(console=Console(stderr=True), transient=True) as bar:
                task = bar.add_task("exploring", total=budget.schedules or budget.seconds)

                def draw(done: int, failed: int) -> None:
                    so_far = done if budget.seconds is None else time.monotonic() - began
                    bar.update(task, completed=so_far, description=f"{done:,} schedules, {failed:,} broke a promise")

                yield draw
            return
    said = began

    def now_and_then(done: int, failed: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _SAY_EVERY_S:
            said = now
            say(f"{now - began:,.0f} s: {done:,} schedules, {failed:,} broke a promise", err=True)

    yield now_and_then
