"""What broke each of the eight rules once, put back, for programs to find; and what programs have found themselves."""

from __future__ import annotations

from typing import NamedTuple

from tests.explore.mutants.mutant import Edit
from tests.explore.mutants.ours import MUTANTS as OF_THE_EXPLORER
from tests.rules.mutants import MUTANTS as OF_THE_RULES


class ProgramMutant(NamedTuple):
    """A defect, and the runs within which it must be found from any seed."""

    rule: int
    """1 to 8; 0: found by programs."""
    name: str
    edits: tuple[Edit, ...]


def _of_the_rules(name: str) -> ProgramMutant:
    found = next(each for each in OF_THE_RULES if each.name == name)
    return ProgramMutant(found.rule, name, found.edits)


def _of_the_explorer(rule: int, name: str) -> ProgramMutant:
    return ProgramMutant(rule, name, next(each.edits for each in OF_THE_EXPLORER if each.name == name))


MUTANTS = [
    *map(
        _of_the_rules,
        (
            "an undeclared exception fails the workflow and undoes",
            "a defect of a step reaches the body",
            "the changed key of an effect is not seen",
            "what takes back is named by today's code",
            "arguments go by reference",
            "arguments are compared by their bytes",
            "promises survive a savepoint that is rolled back",
            "a decline inside a group of one is unknown",
            "a classify that raises means that nothing was done",
            "absent is believed at once",
            "a step that raises CancelledError is cancelled",
        ),
    ),
    _of_the_explorer(7, "after is not checked"),
    ProgramMutant(
        2,
        "an undo is looked for by the key of today",
        (
            Edit(
                "recordfirst.execution.effect_runner:EffectRun._standing",
                "            await refuse_undone(self.runtime, receipt)\n",
                "            await refuse_undone(self.runtime, receipt)\n"
                "            from recordfirst.execution.undone import is_begun\n"
                "            key = self.effect.undo.key_for(self.arguments) if self.effect.undo is not None else None\n"
                "            if key is not None and self.effect.undo.name == receipt.undo:\n"
                "                async with self.runtime.record.session() as session:\n"
                "                    begun = (await session.find_receipt(key, receipt.attempt)).receipt\n"
                "                if begun is not None and is_begun(begun):\n"
                "                    from recordfirst.errors import Undone\n"
                "                    raise Undone(f'{receipt.key} is being undone by {key}')\n",
            ),
        ),
    ),
    ProgramMutant(
        0,
        "a branch of a body that has failed goes on",
        (Edit("recordfirst.execution.body:_live", "        ctx.over.end(ctx.info.id)\n", ""),),
    ),
    ProgramMutant(
        0,
        "a branch that waits unwinds the body at once",
        (Edit("recordfirst.engine.sdk.over:Over.rest", "if self.all or self._ended is not None:", "if True:"),),
    ),
    ProgramMutant(
        0,
        "what is given back is what the body makes of it",
        (Edit("recordfirst.engine.sdk.over:Over.give_back", "if not self.all and", "if False and"),),
    ),
    ProgramMutant(
        0,
        "a stop is told by the reply to its COMMIT alone",
        (Edit("recordfirst.execution.body:_stop", "elif is_again:", "elif False:"),),
    ),
]
