"""Mistakes in a case: an error without any fault is reported in one line. It is not a broken promise."""

from __future__ import annotations

import re
import sqlite3

import msgspec

from recordfirst.errors import Misuse
from recordfirst.explore.case import Case
from recordfirst.explore.runs.run import RunOutcome

_OF_THE_RECORD = frozenset(
    name for name, value in vars(sqlite3).items() if isinstance(value, type) and issubclass(value, sqlite3.Error)
) | {"UndefinedTable", "UndefinedColumn", "SyntaxError"}
"""Errors of a driver about a wrong statement or table. The workflow of a correct case does not end with one."""
_OF_CODE = frozenset(
    {"AttributeError", "NameError", "ImportError", "ModuleNotFoundError", "UnboundLocalError", "TypeError"}
)


_STOPPED = re.compile(
    r"is stopped by a defect: (?P<type>[\w.]+): (?P<message>.*?)(?:; at [^;]*)?; (?:nothing was undone|an undo)"
)


class _Failed(msgspec.Struct):
    type: str = ""
    message: str = ""


def check(case: Case, reference: RunOutcome) -> None:
    """Check the run without faults.

    Raises:
        Misuse: if the case itself cannot be run; the text says why.
    """
    name = case.workflow.name
    stop = _STOPPED.search(reference.why or "")
    if stop is not None:
        kind = stop["type"].rpartition(".")[2]
        hint = "; check tables= of the case" if kind in _OF_THE_RECORD else ""
        raise Misuse(f"{name} fails without faults: {stop['type']}: {stop['message']}{hint}")
    if reference.why:
        raise Misuse(f"{name} cannot be explored, because it does not end without faults: {_cause(reference)}")
    for start in reference.seen.starts:
        if start.state != "failed" or start.error is None:
            continue
        error = msgspec.json.decode(start.error, type=_Failed)
        if error.type in _OF_THE_RECORD:
            raise Misuse(f"{name} fails without faults: {error.type}: {error.message}; check tables= of the case")
        if error.type in _OF_CODE:
            raise Misuse(f"{name} fails without faults: {error.type}: {error.message}")


def _cause(reference: RunOutcome) -> str:
    errors = [event.detail for event in reference.events if event.what == "arrived" and event.detail]
    said = f"a call raised {errors[-1]}" if errors else ""
    why = re.sub(r"^\w*\d+ processes have not ended the workflow; the last: ", "", reference.why)
    why = why.replace("call app.provide(...) before the app starts", "let provide= of the case return it")
    return "; ".join(each for each in (said, why) if each)
