"""pytest's side of ``recordfirst.explore``: a fixture, a marker and options. It costs nothing until a test asks for it.

It is a package of its own, since pytest imports every plugin that is installed: this one imports pytest and no more.
``recordfirst`` is imported by the first test that explores.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from recordfirst.explore import Case, Exploration

_OURS = "recordfirst_explored"
_WHERE = ("world", "record", "resonate_sql", "engine")
_OF_PYTEST = ("world", "record")
"""Those that are options of ``pytest``, too."""
_OPTIONS = frozenset({"budget", "seed", *_WHERE})


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of ``pytest`` itself; they win over what a test says."""
    group = parser.getgroup("recordfirst", "recordfirst: workflows that die at every point")
    group.addoption(
        "--explore-budget",
        metavar="BUDGET",
        help="for each test that explores: 60s, 5m, 1h or a number of schedules. Default: each single fault, once",
    )
    group.addoption(
        "--explore-world",
        metavar="WORLD",
        help="where tests that explore run: fast (the default), forked, postgres, real",
    )
    group.addoption("--explore-record", metavar="URL", help="a Postgres for the world; it makes databases of its own")
    group.addoption("--explore-seed", metavar="N", type=int, help="of what is drawn when two and more faults are tried")
    group.addoption(
        "--explore-parts",
        metavar="N",
        type=int,
        help="divide each exploration into so many tests, which xdist runs side by side; each has the whole of a time",
    )
    group.addoption("--explore-replay", metavar="SCHEDULE", help='run this alone, such as "1.17:crash-after 2.5:lose"')
    group.addoption("--explore-report", metavar="DIR", help="write an HTML page and JUnit XML for each such test there")


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marker means."""
    # Of a process that dies: the SDK holds a task back, and nobody is left who would begin it.
    config.addinivalue_line("filterwarnings", "ignore:coroutine 'Core.on_message' was never awaited:RuntimeWarning")
    config.addinivalue_line(
        "markers",
        "explore(budget=None, seed=None, world=None, parts=1, **case): what `explore` takes when its call does not say",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each part of an exploration that is divided."""
    if "explore" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("explore")
    parts = metafunc.config.getoption("--explore-parts")
    parts = (marker.kwargs.get("parts") if marker is not None else None) if parts is None else parts
    if parts is None:
        return
    if not isinstance(parts, int) or isinstance(parts, bool) or parts < 1:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: an exploration has parts, 1 or more, not {parts!r}")
    if parts > 1:
        ids = [f"part{part}of{parts}" for part in range(1, parts + 1)]
        metafunc.parametrize("explore", [(part, parts) for part in range(parts)], indirect=True, ids=ids)


@pytest.fixture
def explore_defaults() -> Mapping[str, Any]:
    """What ``explore`` takes when neither its call nor a marker says it; override it for a package."""
    return {}


@pytest.fixture
def explore(request: pytest.FixtureRequest, explore_defaults: Mapping[str, Any]) -> Explore:
    """Die at every point of a workflow: ``explore(create_order, order, invariants=[...])``."""
    return Explore(request, explore_defaults)


class Explore:
    """What the fixture gives. To call it is to explore."""

    def __init__(self, request: pytest.FixtureRequest, defaults: Mapping[str, Any]) -> None:
        self._request, self._defaults = request, defaults

    def __repr__(self) -> str:
        return "<explore>"

    def __call__(self, workflow: Any, /, *args: Any, **options: Any) -> Exploration:
        """Run the workflow under every single fault, and under more if the budget allows.

        Args:
            workflow: a ``@workflow``; or a whole ``Case``, or ``"module:name"`` of one, which options change.
            args: its arguments.
            options: the fields of ``recordfirst.explore.Case``; ``budget`` and ``seed``; and the world: ``world``,
                ``record``, ``resonate_sql`` and ``engine``.

        Raises:
            AssertionError: if a promise or an invariant was broken: with the history that shows it.
            Misuse: if the case cannot be run.
        """
        __tracebackhide__ = True
        from recordfirst.errors import Misuse

        try:
            report = self._run(workflow, args, options)
        except Misuse as error:
            raise error.with_traceback(None) from None
        _keep(self._request, report)
        if not report.ok:
            raise _broken(self._request, report)
        return report

    def _run(self, workflow: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Exploration:
        from recordfirst.errors import Misuse
        from recordfirst.explore import parse
        from recordfirst.explore.running import explore as run
        from recordfirst.explore.running import replay

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise Misuse("explore(...) has event loops of its own: call it from `def test_...`, not from `async def`")
        config = self._request.config
        marker = self._request.node.get_closest_marker("explore")
        if marker is not None and marker.args:
            raise Misuse(f"@pytest.mark.explore takes keywords alone, not {marker.args!r}")
        marked = dict(marker.kwargs) if marker is not None else {}
        marked.pop("parts", None)  # of which each is a test
        case, chosen = _case(workflow, args, {**self._defaults, **marked, **options})
        budget, seed = _budget(config, chosen), _seed(config, chosen)
        where = _where(config, chosen, workflow if isinstance(workflow, str) else None)
        schedule = config.getoption("--explore-replay")
        if schedule is not None:
            return replay(case, parse(schedule), where=where, seed=seed)
        return run(case, budget, where=where, seed=seed, part=getattr(self._request, "param", (0, 1)))


def _case(workflow: Any, args: tuple[Any, ...], given: Mapping[str, Any]) -> tuple[Case, Mapping[str, Any]]:
    """Make the case of what was given, as lists or as tuples, and say which of it is none of the case's."""
    import msgspec

    from recordfirst.errors import Misuse
    from recordfirst.explore import Case
    from recordfirst.explore.worlds.real.programs.sending import found

    whole = found(workflow) if isinstance(workflow, str) else workflow
    is_whole = isinstance(whole, Case)
    names = frozenset(Case.__struct_fields__) - {"workflow"} - (frozenset() if is_whole else {"args"})
    strangers = sorted(set(given) - names - _OPTIONS)
    if strangers:
        raise Misuse(
            f"explore has no {', '.join(f'{name}=' for name in strangers)}; it takes the workflow, its arguments, and "
            f"{', '.join(f'{name}=' for name in sorted(names | _OPTIONS))}"
        )
    fields = {name: given[name] for name in given if name in names}
    for name, make in (
        ("invariants", tuple),
        ("always", tuple),
        ("versions", tuple),
        ("ignore", frozenset),
        ("event_handlers", tuple),
    ):
        if isinstance(fields.get(name), list | tuple | set | frozenset):
            fields[name] = make(fields[name])
    chosen = {name: given[name] for name in given if name in _OPTIONS}
    if not is_whole:
        return Case(workflow=workflow, args=args, **fields), chosen
    if args:
        name = repr(workflow) if isinstance(workflow, str) else "Case"
        raise Misuse(f"explore({name}) is a whole case: give it no arguments, or args=(...)")
    return msgspec.structs.replace(whole, **fields), chosen


def _budget(config: pytest.Config, chosen: Mapping[str, Any]) -> Any:
    from recordfirst.errors import Misuse
    from recordfirst.explore import Budget
    from recordfirst.explore.running import parse_budget

    given = config.getoption("--explore-budget") or chosen.get("budget")
    if isinstance(given, Budget):
        return given
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if given is not None and not isinstance(given, str):
        raise Misuse(f"budget= must be a text such as '60s', a number of schedules or a Budget, not {given!r}")
    return parse_budget(given)


def _seed(config: pytest.Config, chosen: Mapping[str, Any]) -> int:
    from recordfirst.errors import Misuse

    seed = config.getoption("--explore-seed")
    seed = chosen.get("seed", 1) if seed is None else seed
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise Misuse(f"seed= must be a number, not {seed!r}")
    return seed


def _where(config: pytest.Config, chosen: Mapping[str, Any], case: str | None) -> Any:
    from recordfirst.explore.worlds.named import Where

    given = {name: chosen[name] for name in _WHERE if chosen.get(name) is not None}
    for name in _OF_PYTEST:
        value = config.getoption(f"--explore-{name}")
        if value is not None:
            given[name] = value
    return Where(**given, case=case)


# ── what is said ────────────────────────────────────────────────────────────


def _command(request: pytest.FixtureRequest, schedule: str, seed: int) -> str:
    words = ["pytest", request.node.nodeid, "--explore-replay", schedule]
    for name in (*_OF_PYTEST, "parts"):
        value = request.config.getoption(f"--explore-{name}")
        words += [f"--explore-{name}", str(value)] if value is not None else []
    return shlex.join(words if seed == 1 else [*words, "--explore-seed", str(seed)])


def _broken(request: pytest.FixtureRequest, report: Exploration) -> AssertionError:
    from recordfirst.core.text import escaped_lines
    from recordfirst.explore.report.text import render
    from recordfirst.explore.report.words import titled
    from recordfirst.explore.runs.violation import by_weight

    text = render(report, lambda each: _command(request, str(each.smallest.schedule), report.seed), table=False)
    return AssertionError(escaped_lines(f"{titled(by_weight(report.failures[0].smallest.violations)[0])}\n\n{text}"))


def _keep(request: pytest.FixtureRequest, report: Exploration) -> None:
    from recordfirst.core.text import escaped
    from recordfirst.explore.report import html, junit
    from recordfirst.explore.report.text import headline

    request.node.user_properties.append((_OURS, escaped(headline(report))))
    folder = request.config.getoption("--explore-report")
    if folder is None:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^\w.-]+", "-", request.node.nodeid.replace(".py::", "-")).strip("-")
    again = lambda each: _command(request, str(each.smallest.schedule), report.seed)  # noqa: E731
    (Path(folder) / f"{name}.html").write_text(html.page([report], again))
    (Path(folder) / f"{name}.xml").write_text(junit.document([report], again))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was tried, also of what passed: a test that tried nothing looks the same as one that tried it all."""
    lines = [
        f"{report.nodeid}  {value}"
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for name, value in getattr(report, "user_properties", [])
        if name == _OURS and report.when == "call"
    ]
    if lines:
        terminalreporter.section("explored")
        for line in lines:
            terminalreporter.write_line(line)
