"""Every error of recordfirst, in one closed tree.

Each class says in ``fate`` what is known about the thing it speaks of: ``"done"``, ``"not done"`` or
``"unknown"``. Each names the workflow or key, and says what to do. All of them pickle: what is passed to
``__init__`` is kept, in order, as attributes and as ``args``.
"""

from __future__ import annotations

from recordfirst.errors.base import Fate, RecordfirstError
from recordfirst.errors.conflicts import (
    Conflict,
    DifferentArguments,
    DifferentEntry,
    DifferentFunction,
    DifferentKey,
    DifferentRequest,
    DifferentRow,
    DifferentTransfer,
    DuplicateDependency,
    SharedKey,
)
from recordfirst.errors.mistakes import (
    AfterMissing,
    AttemptRefused,
    BadArguments,
    BadId,
    BadKey,
    MissingDependency,
    Misuse,
    NoRow,
    Undone,
    Unencodable,
    UnknownWorkflow,
)
from recordfirst.errors.outcomes import REFUSED_CREDENTIAL, Declined, EffectStopped, NotDone, Undeclared, Unknown
from recordfirst.errors.workflows import (
    Collected,
    Escaped,
    OutcomeLost,
    ProcessDied,
    ResultNotStored,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowStopped,
)
from recordfirst.errors.world import (
    CommitUnknown,
    EffectsHeld,
    EngineInUse,
    EngineUnavailable,
    EngineUnreadable,
    LedgerUnavailable,
    LedgerVersion,
    MigrationBlocked,
    RecordUnavailable,
    SchemaMismatch,
    StartContended,
    WrongEncryptor,
)

__all__ = [
    "REFUSED_CREDENTIAL",
    "AfterMissing",
    "AttemptRefused",
    "BadArguments",
    "BadId",
    "BadKey",
    "Collected",
    "CommitUnknown",
    "Conflict",
    "Declined",
    "DifferentArguments",
    "DifferentEntry",
    "DifferentFunction",
    "DifferentKey",
    "DifferentRequest",
    "DifferentRow",
    "DifferentTransfer",
    "DuplicateDependency",
    "EffectStopped",
    "EffectsHeld",
    "EngineInUse",
    "EngineUnavailable",
    "EngineUnreadable",
    "Escaped",
    "Fate",
    "LedgerUnavailable",
    "LedgerVersion",
    "MigrationBlocked",
    "MissingDependency",
    "Misuse",
    "NoRow",
    "NotDone",
    "OutcomeLost",
    "ProcessDied",
    "RecordUnavailable",
    "RecordfirstError",
    "ResultNotStored",
    "SchemaMismatch",
    "SharedKey",
    "StartContended",
    "Undeclared",
    "Undone",
    "Unencodable",
    "Unknown",
    "UnknownWorkflow",
    "WorkflowCancelled",
    "WorkflowFailed",
    "WorkflowStopped",
    "WrongEncryptor",
]

for _name in __all__:
    # An error is known by its full name, in what an engine and the record store: where it is written down may change.
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
