"""Each finding, brought about by what brings it about, and cleared by the very commands of its how-to page.

An operator's own acts (a row put right, a version deployed) stand between the blocks of the page, where it tells of
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from recordfirst.core.finding import KINDS
from recordfirst.reconcile.passes import providers as auditing
from recordfirst.reconcile.reconciler import PASSES
from tests.findings.cases import CASES, Case
from tests.findings.desk import Desk, Outside
from tests.findings.states import nothing

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "clear-findings.md").read_text()
SECTIONS = dict(re.findall(r"^## (RF-[A-Z-]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else is at work here, so a second look may come at once; what was made just now is looked at, too."""
    for module in ("starts", "references", "ledgers"):
        monkeypatch.setattr(f"recordfirst.reconcile.passes.{module}._SETTLING_S", 0.01)
    monkeypatch.setattr(auditing, "_SETTLING_MS", -3_000)
    monkeypatch.setattr(auditing, "WINDOW_MS", 2 * 3_600_000)


@pytest.fixture
def desk(case: Case, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    url = f"sqlite:///{tmp_path / 'record.db'}" if case.record == "sqlite" else request.getfixturevalue("postgres_dsn")
    with Outside(engine=case.engine) as outside:
        desk = Desk(str(url), tmp_path, outside)
        desk.done("migrate", "--apply")
        desk.inside(_with_orders)
        with desk.stack:
            yield desk


async def _with_orders(shop):
    async with shop.app, shop.app.record.write() as w:
        await w.tx.execute(shop.ORDERS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code} {case.name or case.record}".strip())
def test_from_the_finding_to_a_clean_reconcile(desk: Desk, case: Case) -> None:
    """P10, P6: found; cleared by what the page says; nothing is found, and the books are in order (P3)."""
    case.bring(desk)
    [named] = [each for each in PASSES if case.code in each.codes]
    only = ("--pass", named.name) if named.full_scan else ()
    assert case.code in desk.found(*only)
    kept = desk.run("reconcile", "--pass", named.name, "--why", "to have it kept")
    assert (kept.returncode, case.code in kept.stdout) == (1, True)

    for number, block in enumerate(re.findall(r"^```sh\n(.*?)^```", SECTIONS[case.code], re.MULTILINE | re.DOTALL)):
        if case.blocks is None or number in case.blocks:
            case.person.get(number, nothing)(desk)
            desk.follow(block, case.exits, case.seen)
    if desk.works:
        desk.until(lambda: desk.run("reconcile").returncode == 0)
    ended = desk.run("reconcile", *only)
    assert (ended.returncode, "0 found, 0 left" in ended.stdout) == (0, True), ended.stdout

    case.after(desk)
    every = [word for each in PASSES for word in ("--pass", each.name)]
    ended = desk.run("reconcile", *every, "--apply")
    assert ended.returncode == 0, ended.stdout
    assert desk.done("findings") == "no findings\n"
    assert set(desk.outside.charges().values()) <= {1}


def test_every_code_has_a_case() -> None:
    """P10: a finding that nobody has ever cleared by its page is not one that an operator can clear."""
    assert {case.code for case in CASES} == set(KINDS)
