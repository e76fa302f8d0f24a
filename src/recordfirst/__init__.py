"""Durable workflows in which the system of record is written first, asked first and never contradicted.

This module is the whole public surface. Records are in ``recordfirst.records.postgres`` and
``recordfirst.records.sqlite``, providers in ``recordfirst.providers``, doubles for tests in ``recordfirst.testing``.
"""

from resonate.context import Context

from recordfirst.app import App
from recordfirst.core.identity import derived_uuid
from recordfirst.effect import Call, Effect, effect
from recordfirst.errors import (
    AfterMissing,
    AttemptRefused,
    BadArguments,
    BadId,
    BadKey,
    CommitUnknown,
    Conflict,
    Declined,
    DifferentArguments,
    DifferentFunction,
    DifferentRequest,
    DifferentRow,
    DuplicateDependency,
    MissingDependency,
    Misuse,
    NoRow,
    NotDone,
    RecordfirstError,
    RecordUnavailable,
    ResultNotStored,
    SchemaMismatch,
    SharedKey,
    Undone,
    Unencodable,
    Unknown,
    UnknownWorkflow,
    WorkflowFailed,
)
from recordfirst.function import inject
from recordfirst.handle import Handle
from recordfirst.providers.contract import Absent, CannotTell, Found, Provider
from recordfirst.read import Read, ReadStep, read
from recordfirst.rows import changed_one, insert_or_same
from recordfirst.transaction import AppRecord
from recordfirst.worker import Worker
from recordfirst.workflow import Workflow, workflow
from recordfirst.write import Write, WriteStep, write

__all__ = [
    "Absent",
    "AfterMissing",
    "App",
    "AppRecord",
    "AttemptRefused",
    "BadArguments",
    "BadId",
    "BadKey",
    "Call",
    "CannotTell",
    "CommitUnknown",
    "Conflict",
    "Context",
    "Declined",
    "DifferentArguments",
    "DifferentFunction",
    "DifferentRequest",
    "DifferentRow",
    "DuplicateDependency",
    "Effect",
    "Found",
    "Handle",
    "MissingDependency",
    "Misuse",
    "NoRow",
    "NotDone",
    "Provider",
    "Read",
    "ReadStep",
    "RecordUnavailable",
    "RecordfirstError",
    "ResultNotStored",
    "SchemaMismatch",
    "SharedKey",
    "Undone",
    "Unencodable",
    "Unknown",
    "UnknownWorkflow",
    "Worker",
    "Workflow",
    "WorkflowFailed",
    "Write",
    "WriteStep",
    "changed_one",
    "derived_uuid",
    "effect",
    "inject",
    "insert_or_same",
    "read",
    "workflow",
    "write",
]
