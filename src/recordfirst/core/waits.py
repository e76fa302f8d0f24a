"""The finding of a step that has waited for the record for minutes (P9); its worker reports it while it waits."""

from __future__ import annotations

import datetime

from recordfirst.core.finding import NewFinding

CODE = "RF-STEP-WAITS"
_FRESH_MS = 5 * 60_000
"""Longest silence of a worker that is there: it tells each half minute."""


def wait_of(workflow: str, what: str, *, waited_s: float, cause: str, now_ms: int) -> NewFinding:
    """The finding, as it is told now, by the record's clock."""
    told = datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC).isoformat(timespec="seconds")
    detail = f"{told}: {what.strip('<>')} has not come through for {waited_s:.0f} s; {cause}"
    return NewFinding(code=CODE, subject=workflow, workflow=workflow, detail=detail)


def is_waiting(finding: NewFinding, now_ms: int) -> bool:
    """Whether its worker has told of it lately. One that died tells no more, and another has gone on."""
    told = datetime.datetime.fromisoformat(finding.detail.partition(": ")[0])
    return now_ms - told.timestamp() * 1000 < _FRESH_MS
