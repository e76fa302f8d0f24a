"""The fast world for programs: one template of files for all of them, and a history of each run instead of a verdict.

A handwritten workflow is judged by its run without faults. That says little here, because a program may stop without
any fault. So the model judges it.
"""

from __future__ import annotations

from typing import Any

from recordfirst.errors import RecordfirstError
from recordfirst.explore.programs.build import Version, case, versions
from recordfirst.explore.programs.ground import (
    At,
    End,
    FastWorld,
    Observed,
    Outside,
    Place,
    Process,
    Running,
    Schedule,
    VirtualTrial,
)
from recordfirst.explore.programs.history import FinalReceipt, FinalStart, History
from recordfirst.explore.programs.kit import Others, notes
from recordfirst.explore.programs.process import work
from recordfirst.explore.programs.tree import Program


class OfVersion(Running):
    """A process that imports the module of its own version, even if another version runs beside it."""

    def __init__(self, version: Version, *given: Any) -> None:
        super().__init__(*given)
        self._version = version

    def advance(self) -> tuple[End, str]:
        self._version.enter()
        return super().advance()


class ProgramTrial(VirtualTrial):
    """One schedule of one program."""

    world: ProgramWorld

    def history(self) -> History:
        """Run it, and return what was seen."""
        notes.all = []
        self._commits: list[Observed] = []
        self._go()
        with self.world.looking(self.files) as connection:
            outside = Outside(self.files / "outside", self.clock.now_ms)
            Others(outside).land()
            struck = [at for process in self._processes for at in process.struck]
            changes = {at.change for at in struck}
            return History(
                program=self.world.program,
                schedule=str(self.schedule),
                faults=tuple(sorted({f"{each}" for at in struck for each in (at.fault, _told_change(at)) if each})),
                points=tuple(self._processes[0].points),
                processes=len(self._processes),
                asked=tuple(outside.asked),
                receipts=tuple(FinalReceipt(*row) for row in connection.execute(_RECEIPTS)),
                starts=tuple(FinalStart(*row) for row in connection.execute(_STARTS)),
                findings=tuple(connection.execute(_FINDINGS)),
                rows=tuple(connection.execute("SELECT step, n, part FROM rows ORDER BY step, n, part")),
                commits=tuple(self._commits),
                notes=tuple(notes.all),
                why=self._why,
                versions=2 if "deploy" in changes else 1,
            )

    def _start(self, process: Process, place: Place, version: Any) -> Any:
        made, begin = self.world.of(version), self.world.program.begin
        return OfVersion(made, work(self.world.case.app, made, begin, place, process), process)

    def _called(self, *_: Any) -> None:
        """Do nothing: the double notes the call."""

    def _committed(self, process: Process, connection: Any, outside: Outside, *_: Any) -> None:
        del process
        self._commits.append(self.world.look_by(connection, outside))


def _told_change(at: At) -> str | None:
    return "beside" if at.fault == "stall" and at.change else at.change


_RECEIPTS = """
SELECT key, attempt, kind, function, state, undo, undone_by, doubts FROM recordfirst_receipt ORDER BY key, attempt
"""
_STARTS = "SELECT id, state, result, error, stopped_at_ms IS NOT NULL, stop FROM recordfirst_start ORDER BY id"

_FINDINGS = "SELECT code, subject FROM recordfirst_finding WHERE closed_at_ms IS NULL ORDER BY code, subject"


class ProgramWorld(FastWorld):
    """Runs one program after another."""

    def __init__(self, *, seed: int = 1) -> None:
        self.program = Program(steps=(), body=())
        self._versions = versions(self.program)
        super().__init__(case(self._versions), deaths="abandoned", seed=seed)

    def load(self, program: Program) -> None:
        """Load the program that runs from now on.

        Raises:
            RecordfirstError: if the program is refused when it is declared.
        """
        self._versions = versions(program)
        self.program, self.case = program, case(self._versions)

    def of(self, workflow: Any) -> Version:
        """The version to which a workflow belongs."""
        return next(each for each in self._versions if each.main is workflow)

    def observe(self, schedule: Schedule) -> History:
        """Run the program under a schedule."""
        run = ProgramTrial(self, schedule, 0, briefly=True)
        try:
            return run.history()
        finally:
            run.clean_up()

    def snapshot(self, first: At | None, *, briefly: bool) -> None:
        """Keep no snapshot: each program is run only a few times."""
        del first, briefly


REFUSED = RecordfirstError
"""The exceptions with which a program may be refused when it is declared."""
