"""The names of points, for an operator. Pure."""

from __future__ import annotations

import re

from recordfirst.core import identity
from recordfirst.explore.runs.schedule import Boundary

_MOST = 110
"""How many characters of a detail are shown."""


_KEEPING = "what a worker does for itself"


_RECORD = {
    "add_start": "store the start of {}",
    "add_receipt": "store the receipt of {}",
    "add_receipts": "store receipts",
    "intend": "store the intent of {}",
    "find_receipt": "look for the receipt of {}",
    "receipts_by_key": "look for the receipts of {}",
    "receipts_of": "read the workflow's receipts",
    "begin_call": "begin a call of {}",
    "change_receipt": "receipt of {}",
    "finish": "close what has ended",
    "woken": "note who was woken",
    "new_epoch": "begin a new epoch of the workflow",
    "new_epochs": "begin a new epoch of each workflow",
    "reopen": "open the workflow again",
    "BEGIN IMMEDIATE": "BEGIN",
    "event_add": "store a provider event",
    "event_due": "claim provider events",
    "event_came_to": "note what came of a provider event",
    "reversal_add": "store a reversal of {}",
    "reversal_of": "look for reversals of {}",
    "reversal_handled": "note that a reversal is handled",
    "COMMIT": "COMMIT",
}
"""What each statement for a workflow does, by its name. Other statements of recordfirst are a worker's own."""


_OURS = re.compile(r"[a-z_]+")


_ENGINE = {
    "promise.create": "make the promise of {}",
    "promise.get": "look at the promise of {}",
    "promise.settle": "settle the promise of {}",
    "promise.register_callback": "wait for the promise of {}",
    "promise.register_listener": "listen to the promise of {}",
    "task.create": "make the promise of {}, and take its task",
    "task.acquire": "take the task of {}",
    "task.fulfill": "end the task of {}",
    "task.release": "give back the task of {}",
    "task.suspend": "suspend the task of {}",
    "task.heartbeat": "keep the lease",
}


def is_keeping(boundary: Boundary, name: str, detail: str) -> bool:
    """Whether a point belongs to a worker's own work: it looks for work, compares record and engine, stores marks."""
    if boundary == "engine":
        return "recordfirst~mark" in detail or name.endswith("heartbeat")
    ours = _OURS.fullmatch(name) is not None or "sqlite_master" in name
    return boundary == "record" and ours and name not in _RECORD


def name_of(boundary: Boundary, name: str, detail: str) -> str:
    """The text of what is done at a point."""
    if is_keeping(boundary, name, detail):
        return _KEEPING
    if boundary == "engine":
        plain = name.removeprefix("task.fence ")
        if plain.startswith("task.fulfill"):
            plain = "task.fulfill"
        return _filled(_ENGINE.get(plain, plain + " {}"), engine_name(detail))
    if boundary == "record" and name in _RECORD:
        return _filled(_RECORD[name], detail.removesuffix(": intended") if name == "intend" else detail)
    if boundary == "provider":
        return name
    return f"{name} ({shorten(detail)})" if detail else name


def _filled(text: str, detail: str) -> str:
    return text.format(shorten(detail)).strip() if detail else text.replace(" of {}", "").replace(" {}", "")


def engine_name(id: str) -> str:
    """A promise's id, written as workflow and step."""
    if id.count("~") < 1 or id.startswith("recordfirst~"):
        return id
    _, workflow, epoch, lineage = identity.parse_engine_id(id)
    step = re.sub(r"-[0-9a-f]{6,}$|^(?:write|effect|read|workflow)_", "", lineage.rsplit(":", 1)[-1])
    return workflow + (f" (epoch {epoch})" if epoch > 1 else "") + (f", step {step}" if step else "")


def shorten(text: str, most: int = _MOST) -> str:
    """Put text on one line, and cut it if it is too long."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
