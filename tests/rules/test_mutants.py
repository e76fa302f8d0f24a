"""P1 to P12: a test fails for each rule that is broken. Every mutant, by the test that is said to find it."""

from __future__ import annotations

import traceback

import pytest

from tests.explore.mutants.mutant import edited
from tests.rules.mutants import MUTANTS
from tests.rules.stage import HUNG_S, Mutant, Stage

BY_NAME = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.rule} {mutant.name}")


@BY_NAME
def test_scene_passes(mutant: Mutant, request: pytest.FixtureRequest) -> None:
    """Without the mutant."""
    Stage(request).plays(mutant.scene)


@BY_NAME
@pytest.mark.filterwarnings("ignore")  # a scene that breaks off leaves open what it has opened
def test_mutant_is_found(mutant: Mutant, request: pytest.FixtureRequest) -> None:
    """With it the scene fails, and says what is wrong."""
    said = ""
    stage = Stage(request)
    with edited(mutant.edits):
        try:
            stage.plays(mutant.scene, HUNG_S)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            said = "".join(traceback.format_exception(error))
    assert said, f"nothing shows that {mutant.name}"
    assert mutant.says in said


def test_every_rule_has_mutants() -> None:
    """Each of the eight that are about what moves money."""
    assert {mutant.rule for mutant in MUTANTS} == set(range(1, 9))
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
