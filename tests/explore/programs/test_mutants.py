"""Does it catch anything? Each defect that is put back is found by a program of the seeds that found it when measured."""

from __future__ import annotations

import pytest

from recordfirst.explore.programs.runner import runs_of
from tests.explore.mutants.mutant import edited
from tests.explore.programs.mutants import FOUND_BY, MUTANTS, ProgramMutant

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


@pytest.mark.parametrize("mutant", [BY_NAME[name] for name in FOUND_BY], ids=lambda mutant: mutant.name)
def test_mutant_is_found(world, mutant: ProgramMutant):
    """By the model, which says what is broken; without it the same program breaks nothing."""
    seed = FOUND_BY[mutant.name]
    assert not any(found.broken for found in runs_of(world, seed))
    with edited(mutant.edits):
        assert any(found.broken for found in runs_of(world, seed))
