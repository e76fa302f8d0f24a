"""Which receipts an event is about, and whether it is a reason to look now. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from recordfirst.core import identity
from recordfirst.core.event import EventNames
from recordfirst.core.receipt import Receipt

WAIT_MS = (250, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000)
"""Between two times that an event is taken up; the last one stays."""
TRIES_MOST = 8
"""How often a handler may fail; then the event is stopped."""
LOOKS_MOST = 8
"""How often what is unknown is looked at because of one event, which then waits until others have settled it."""
FAILED_LOOKS_MOST = 120
"""How often the provider may fail to answer because of one event, two hours about; then the event is stopped, or waits
until others have settled what is pending."""

type Glance = Literal["look", "later", "absent"]


class EventVerdict(NamedTuple):
    """What is to be done with an event now."""

    state: Literal["open", "waiting", "done", "stopped"]
    wait_ms: int | None


def receipts_named(app: str, names: EventNames) -> list[tuple[str, int]]:
    """Key and attempt of each receipt that an event names by marker or key; what is another app's is left out."""
    found: dict[tuple[str, int], None] = {}
    for text in (*names.markers, *names.keys):
        # A key that was given up for another has the number of that behind a tilde: the marker never has.
        head, _, reissue = text.rpartition("~")
        named = identity.parse_marker(app, head if head and reissue.isdigit() else text)
        if named is not None:
            found[named] = None
    return list(found)


def glance(receipt: Receipt, looks: int) -> Glance:
    """What an event that was taken up so often, since its receipt is there, is a reason for, as the receipt stands.

    One whose call is under way is left to its workflow, and seen again: the call's own answer comes first. Any other is
    looked at; the look knows what can still change. One that was never called is not what the event is about: the
    record has lost that, and it comes again. What no look has settled is settled by others, and looked at then.
    """
    match receipt.state:
        case "intended":
            return "absent" if receipt.calls == 0 else "later"
        case "unknown":
            return "look" if looks < LOOKS_MOST else "later"
        case "pending":
            return "look" if looks < FAILED_LOOKS_MOST else "later"
    return "look"


def verdict(
    *,
    looks: int,
    tries: int,
    failed: bool,
    waits_for_receipt: bool,
    under_way: bool,
    look_failed: bool = False,
) -> EventVerdict:
    """What comes of an event that was taken up: ``looks`` times before, its handlers failed ``tries`` times by now.

    ``under_way``: what it may be about has no outcome yet, so it is not done before that has one. ``look_failed``: the
    provider did not answer.
    """
    wait_ms = WAIT_MS[min(looks, len(WAIT_MS) - 1)]
    if failed:
        return EventVerdict("stopped", None) if tries >= TRIES_MOST else EventVerdict("open", wait_ms)
    if look_failed:
        return EventVerdict("stopped", None) if looks >= FAILED_LOOKS_MOST else EventVerdict("open", wait_ms)
    if waits_for_receipt:
        return EventVerdict("waiting", wait_ms)
    if under_way:
        return EventVerdict("open", wait_ms)
    return EventVerdict("done", None)
