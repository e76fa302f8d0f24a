"""The finding of a workflow that a defect has stopped (P9): opened with the stop, closed when it goes on."""

from __future__ import annotations

from recordfirst.core import codec
from recordfirst.core.finding import NewFinding
from recordfirst.core.start import Start

CODE = "RF-WORKFLOW-STOPPED"
WITHOUT_A_PART = "~part"
"""Behind the version in a start's ``stopped_in``: it does not have a part, and has not tried the workflow without."""


def stop_of(start: Start) -> NewFinding:
    """The finding, of the start as it is stopped. It holds no message: an error may quote arguments."""
    stop = codec.decode(start.stop or "{}")
    step = f" in step {stop['step']}" if stop.get("step") else ""
    [version] = (start.stopped_in or "").split()[-1:] or ["?"]
    undoing = "; an undo had begun" if stop.get("undoing") else ""
    detail = (
        f"{start.workflow} is stopped{step}: {stop.get('type', 'Error')} at {stop.get('at') or 'recordfirst'}; "
        f"version {version.removesuffix(WITHOUT_A_PART)}{undoing}"
    )
    return NewFinding(code=CODE, subject=start.id, workflow=start.id, detail=detail)
