"""Events for everything that is dropped or repeated on purpose, so that a test can assert them."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

import msgspec

from recordfirst.core.text import class_name, masked

_log = logging.getLogger("recordfirst")


class LostRace(msgspec.Struct, frozen=True):
    """Another execution stored this write's receipt first: ours was rolled back, and its result is used (P2)."""

    key: str


class CommitFound(msgspec.Struct, frozen=True):
    """The connection was lost while a COMMIT was on its way; its receipt, or start, shows that it had arrived (P2)."""

    what: str
    """The write's key, or the id of the workflow that the caller's own transaction started."""
    cause: str


class StaleStep(msgspec.Struct, frozen=True):
    """At COMMIT the engine had given this write's task to another worker: it was rolled back, and left to that (P2)."""

    key: str


class LateOutcome(msgspec.Struct, frozen=True):
    """A call's outcome came when the receipt was final already: the stored one stands."""

    key: str
    stored: str
    dropped: str


class LateSuccess(msgspec.Struct, frozen=True):
    """A success came when the outcome was stored already, and is not that outcome: a finding says so (P3)."""

    key: str
    stored: str
    what: str
    """Who reports it: a call, a probe."""


class DefaultKept(msgspec.Struct, frozen=True):
    """A deploy has changed the default of a parameter: what was stored with the request counts, for as long as that is
    retried (P4).
    """

    key: str
    function: str
    parameters: str


class Repeated(msgspec.Struct, frozen=True):
    """A transaction is run again after a deadlock, a serialization failure or a lost connection (P9)."""

    what: str
    fault: str
    cause: str


class StepWaits(msgspec.Struct, frozen=True):
    """A step has waited for the record for minutes. It goes on when it can; a finding says so meanwhile (P9)."""

    workflow: str
    what: str
    waited_s: float
    cause: str


class Released(msgspec.Struct, frozen=True):
    """The record stayed out of reach: the task went back to the engine, nothing was recorded (P9)."""

    what: str
    cause: str


class Suspected(msgspec.Struct, frozen=True):
    """A call ended without a known outcome."""

    key: str
    cause: str


class CredentialRefused(msgspec.Struct, frozen=True):
    """A provider refuses the app's credential (401, 403). Said once, until a call gets through; calls go on waiting."""

    provider: str
    cause: str


class CredentialAccepted(msgspec.Struct, frozen=True):
    """A provider that had refused the app's credential answers again."""

    provider: str


class StagedBefore(msgspec.Struct, frozen=True):
    """What was to be staged was there already, and the same: an earlier call's, or somebody else's (P3)."""

    key: str
    id: str


class LateProjection(msgspec.Struct, frozen=True):
    """A projection came to its mirror when a newer one had been there: it has changed nothing."""

    key: str
    version: int
    newer: int
    """What the mirror has."""


class RecordOutrun(msgspec.Struct, frozen=True):
    """A mirror has a version that the record never gave, so the record was restored: it gives a higher one (P6)."""

    key: str
    version: int
    """The record's."""
    mirrored: int


class ProjectionFailed(msgspec.Struct, frozen=True):
    """A mirror did not take a projection, or did not say so: it is sent again."""

    key: str
    cause: str


class WorkInterrupted(msgspec.Struct, frozen=True):
    """This worker stopped working (its lease was lost, its record or engine is out of reach) and will try again."""

    app: str
    cause: str


class DispatchFailed(msgspec.Struct, frozen=True):
    """A round of handing starts and wakes to the engine, or of closing starts, failed and will be repeated."""

    cause: str


class CollectFailed(msgspec.Struct, frozen=True):
    """A round of forgetting what has ended in the engine failed and will be repeated."""

    cause: str


class EventRefused(msgspec.Struct, frozen=True):
    """A request to an endpoint for events was refused: nothing of it is stored."""

    source: str
    said: str
    """What it was answered: ``bad signature``, say."""
    why: str


class ForeignEvent(msgspec.Struct, frozen=True):
    """An event of the other mode (test or live), or of an account that does not count: kept, and never applied."""

    provider: str
    event: str
    livemode: bool | None
    account: str | None


class EventFailed(msgspec.Struct, frozen=True):
    """A handler of an event, or the look that it asks for, failed and will be repeated."""

    provider: str
    event: str
    cause: str
    at: str | None = None
    """Where in the user's code it was raised."""


class EventStopped(msgspec.Struct, frozen=True):
    """A handler has failed too often: fix it, then ``recordfirst events --replay``."""

    provider: str
    event: str
    cause: str
    at: str | None = None
    """Where in the user's code it was raised."""


class ReversalFailed(msgspec.Struct, frozen=True):
    """An ``on_reversal`` failed and will be tried again."""

    key: str
    kind: str
    id: str
    cause: str
    at: str | None = None
    """Where in the user's code it was raised."""


class ReversalStopped(msgspec.Struct, frozen=True):
    """An ``on_reversal`` has failed too often: fix it, then ``recordfirst reconcile --pass reversals --apply``."""

    key: str
    kind: str
    id: str
    cause: str
    at: str | None = None
    """Where in the user's code it was raised."""


class Failed(msgspec.Struct, frozen=True):
    """A workflow ends in failure: fix the cause, then ``retry`` it."""

    workflow: str
    name: str
    cause: str
    at: str | None
    """Where in the user's code it was raised."""


class Stopped(msgspec.Struct, frozen=True):
    """A defect has stopped a workflow: it is open, and nothing of it runs until a fix. The stop undoes nothing (P9)."""

    workflow: str
    name: str
    cause: str
    at: str | None
    """Where in the user's code it was raised."""
    step: str | None
    version: str
    undoing: bool = False
    """An undo of what it did had begun before."""


class Resumed(msgspec.Struct, frozen=True):
    """A stopped workflow goes on: this version of the app has not tried it yet."""

    workflow: str
    version: str


class StaleEpoch(msgspec.Struct, frozen=True):
    """The engine ran an epoch that the record knows nothing of, or not: it has ended without a step (P6)."""

    engine_id: str


class NotBegun(msgspec.Struct, frozen=True):
    """An epoch that is over (an operator, or another worker, has ended its workflow) came to a step: it was not
    begun.
    """

    workflow: str
    what: str


class Reconciled(msgspec.Struct, frozen=True):
    """A worker's own reconcile has found something new, and repaired it or left it to an operator."""

    code: str
    subject: str
    repaired: str | None


class RepairFailed(msgspec.Struct, frozen=True):
    """A reconcile could not repair what it found: it stays a finding, and is tried again in the next round."""

    code: str
    subject: str
    cause: str


class LookFailed(msgspec.Struct, frozen=True):
    """A look at what is pending could not be taken, or its outcome not stored: it is taken again."""

    what: str
    """The effect's key."""
    cause: str


class EpochUnreadable(msgspec.Struct, frozen=True):
    """What the engine holds of a workflow cannot be read with this app's encryptor; it has a new epoch."""

    workflow: str
    epoch: int
    """The one that is over."""
    promise: str
    """What could not be read."""


class ReconcileFailed(msgspec.Struct, frozen=True):
    """A round of a worker's own reconcile failed, and will be repeated."""

    cause: str


class ThreadsBusy(msgspec.Struct, frozen=True):
    """Sync functions have waited for a second, and wait on: all threads of the app are busy with others."""

    app: str
    threads: int
    waiting: int


class LoopBlocked(msgspec.Struct, frozen=True):
    """The worker's event loop does not turn: one step's code keeps it, and nothing else of the worker runs.

    It is told from a thread of its own, since the loop cannot be asked.
    """

    app: str
    workflow: str | None
    """Whose code runs; ``None`` if it is no workflow's."""
    step: str | None
    """``None``: the body itself."""
    blocked_s: float
    at: str
    """Where the loop's thread is now."""
    ends: bool
    """The process is ended for it, and the next worker goes on."""

    def __str__(self) -> str:
        where = "no workflow's" if self.workflow is None else f"workflow {self.workflow!r}"
        step = f", step {self.step}" if self.step else ""
        then = "this process ends, and the next worker goes on" if self.ends else "nothing else of this worker runs"
        return (
            f"app {self.app!r}: the event loop is blocked for {self.blocked_s:g} s by {where}{step}: {then}; {self.at}"
        )


type Event = (
    LostRace
    | CommitFound
    | StaleStep
    | LateOutcome
    | LateSuccess
    | DefaultKept
    | Repeated
    | StepWaits
    | Released
    | Suspected
    | StagedBefore
    | LateProjection
    | RecordOutrun
    | ProjectionFailed
    | WorkInterrupted
    | DispatchFailed
    | CollectFailed
    | EventRefused
    | ForeignEvent
    | EventFailed
    | EventStopped
    | ReversalFailed
    | ReversalStopped
    | Failed
    | Stopped
    | Resumed
    | StaleEpoch
    | NotBegun
    | Reconciled
    | RepairFailed
    | LookFailed
    | ReconcileFailed
    | EpochUnreadable
    | CredentialRefused
    | CredentialAccepted
    | ThreadsBusy
    | LoopBlocked
)
_WARNINGS = (
    CredentialRefused,
    LateSuccess,
    Suspected,
    StepWaits,
    DefaultKept,
    RecordOutrun,
    ProjectionFailed,
    Released,
    WorkInterrupted,
    DispatchFailed,
    CollectFailed,
    EventRefused,
    ForeignEvent,
    EventFailed,
    ReversalFailed,
    RepairFailed,
    LookFailed,
    Failed,
    ReconcileFailed,
    EpochUnreadable,
    ThreadsBusy,
)
type Observer = Callable[[Event], None]


def log_events(event: Event) -> None:
    """Write each event to the ``recordfirst`` logger. No event carries arguments or results."""
    if isinstance(event, LoopBlocked):
        return  # it is logged where it is noticed, as an error with its stack, whatever observes
    left = isinstance(event, Reconciled) and event.repaired is None
    level = logging.WARNING if left or isinstance(event, _WARNINGS) else logging.INFO
    if isinstance(event, Stopped | EventStopped | ReversalStopped):
        level = logging.ERROR
    _log.log(level, "%s", event)


def log_place(what: str, error: BaseException) -> None:
    """Write to the ``recordfirst`` logger where an error was raised: its stack, without its message.

    One that was never raised has no stack, and its class is named.
    """
    where = "".join(traceback.format_tb(error.__traceback__))
    if where:
        _log.error("%s, raised here:\n%s", what, where)
    else:
        _log.error("%s: %s", what, class_name(error))


def _masked(event: Event) -> Event:
    """An event without the secrets that a library's error may hold."""
    texts = {name: getattr(event, name) for name in event.__struct_fields__}
    without = {name: masked(text) for name, text in texts.items() if isinstance(text, str) and masked(text) != text}
    return msgspec.structs.replace(event, **without) if without else event


def unfailing(observer: Observer) -> Observer:
    """An observer that raises is logged, and decides nothing: it is told in the middle of what must be stored (P9)."""

    def observe(event: Event) -> None:
        try:
            observer(_masked(event))
        except Exception:  # noqa: BLE001 - it is the user's, and whatever it raises is logged
            _log.exception("the observer has failed to take %s", type(event).__name__)

    return observe
