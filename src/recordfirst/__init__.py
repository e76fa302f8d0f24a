"""Durable workflows in which the system of record is written first, asked first and never contradicted.

This module is the whole public surface. Records are in ``recordfirst.records.postgres`` and
``recordfirst.records.sqlite``, TigerBeetle in ``recordfirst.ledgers.tigerbeetle``, providers in
``recordfirst.providers``, doubles for tests in ``recordfirst.testing``.
"""

from recordfirst.process.imports import lazily

with lazily("aiohttp"):  # by whatever is the first to import the SDK
    import resonate.resonate  # noqa: F401

# isort: split
from resonate.context import Context

from recordfirst.client.app import App
from recordfirst.client.handle import Handle
from recordfirst.client.transaction import AppRecord
from recordfirst.core.event import ProviderEvent
from recordfirst.core.finding import Audit, Finding, NewFinding
from recordfirst.core.identity import account_id, derived_uuid
from recordfirst.core.receipt import Receipt
from recordfirst.core.start import Start
from recordfirst.engine.options import Embedded
from recordfirst.errors import (
    AfterMissing,
    AttemptRefused,
    BadArguments,
    BadId,
    BadKey,
    Collected,
    CommitUnknown,
    Conflict,
    Declined,
    DifferentArguments,
    DifferentEntry,
    DifferentFunction,
    DifferentKey,
    DifferentRequest,
    DifferentRow,
    DifferentTransfer,
    DuplicateDependency,
    EffectsHeld,
    EffectStopped,
    EngineInUse,
    EngineUnavailable,
    EngineUnreadable,
    Escaped,
    LedgerUnavailable,
    LedgerVersion,
    MigrationBlocked,
    MissingDependency,
    Misuse,
    NoRow,
    NotDone,
    OutcomeLost,
    ProcessDied,
    RecordfirstError,
    RecordUnavailable,
    ResultNotStored,
    SchemaMismatch,
    SharedKey,
    StartContended,
    Undeclared,
    Undone,
    Unencodable,
    Unknown,
    UnknownWorkflow,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowStopped,
    WrongEncryptor,
)
from recordfirst.events.endpoint import EventEndpoint
from recordfirst.execution.sealing import Keyring
from recordfirst.ledgers.check import LedgerFinding
from recordfirst.ledgers.contract import (
    AMOUNT_MAX,
    Account,
    AccountBalance,
    AccountFilter,
    AccountFlags,
    Capabilities,
    Created,
    Ledger,
    QueryFilter,
    Transfer,
    TransferFlags,
)
from recordfirst.ledgers.pending import post, reserve, void
from recordfirst.ledgers.sql import SqlLedger
from recordfirst.operations.api import Operations
from recordfirst.operations.cancel import Cancellation
from recordfirst.operations.gc import Collection
from recordfirst.operations.look import Look, Overview
from recordfirst.operations.schema import Schema, SchemaVersion
from recordfirst.providers.contract import Absent, CannotTell, Found, Item, Listing, Pending, Provider
from recordfirst.providers.events import EventSource
from recordfirst.providers.signed import SignedEvents, StandardWebhooks
from recordfirst.reconcile.dismissing import Dismissal
from recordfirst.reconcile.reconciler import Report, Sighting
from recordfirst.reconcile.resealing import Resealing
from recordfirst.references.contract import Entry, Reference
from recordfirst.steps.checked_sql import changed_one, insert_or_same
from recordfirst.steps.effect import Call, Effect, effect
from recordfirst.steps.function import inject
from recordfirst.steps.invariant import Invariant, invariant
from recordfirst.steps.on_event import EventHandler, on_event
from recordfirst.steps.projection import ProjectStep, project
from recordfirst.steps.read import Read, ReadStep, read
from recordfirst.steps.stage import StageStep, stage
from recordfirst.steps.transfer import OpenAccountStep, TransferStep, open_account, transfer
from recordfirst.steps.workflow import Workflow, workflow
from recordfirst.steps.write import Write, WriteStep, write
from recordfirst.worker.worker import Worker

__all__ = [
    "AMOUNT_MAX",
    "Absent",
    "Account",
    "AccountBalance",
    "AccountFilter",
    "AccountFlags",
    "AfterMissing",
    "App",
    "AppRecord",
    "AttemptRefused",
    "Audit",
    "BadArguments",
    "BadId",
    "BadKey",
    "Call",
    "Cancellation",
    "CannotTell",
    "Capabilities",
    "Collected",
    "Collection",
    "CommitUnknown",
    "Conflict",
    "Context",
    "Created",
    "Declined",
    "DifferentArguments",
    "DifferentEntry",
    "DifferentFunction",
    "DifferentKey",
    "DifferentRequest",
    "DifferentRow",
    "DifferentTransfer",
    "Dismissal",
    "DuplicateDependency",
    "Effect",
    "EffectStopped",
    "EffectsHeld",
    "Embedded",
    "EngineInUse",
    "EngineUnavailable",
    "EngineUnreadable",
    "Entry",
    "Escaped",
    "EventEndpoint",
    "EventHandler",
    "EventSource",
    "Finding",
    "Found",
    "Handle",
    "Invariant",
    "Item",
    "Keyring",
    "Ledger",
    "LedgerFinding",
    "LedgerUnavailable",
    "LedgerVersion",
    "Listing",
    "Look",
    "MigrationBlocked",
    "MissingDependency",
    "Misuse",
    "NewFinding",
    "NoRow",
    "NotDone",
    "OpenAccountStep",
    "Operations",
    "OutcomeLost",
    "Overview",
    "Pending",
    "ProcessDied",
    "ProjectStep",
    "Provider",
    "ProviderEvent",
    "QueryFilter",
    "Read",
    "ReadStep",
    "Receipt",
    "RecordUnavailable",
    "RecordfirstError",
    "Reference",
    "Report",
    "Resealing",
    "ResultNotStored",
    "Schema",
    "SchemaMismatch",
    "SchemaVersion",
    "SharedKey",
    "Sighting",
    "SignedEvents",
    "SqlLedger",
    "StageStep",
    "StandardWebhooks",
    "Start",
    "StartContended",
    "Transfer",
    "TransferFlags",
    "TransferStep",
    "Undeclared",
    "Undone",
    "Unencodable",
    "Unknown",
    "UnknownWorkflow",
    "Worker",
    "Workflow",
    "WorkflowCancelled",
    "WorkflowFailed",
    "WorkflowStopped",
    "Write",
    "WriteStep",
    "WrongEncryptor",
    "account_id",
    "changed_one",
    "derived_uuid",
    "effect",
    "inject",
    "insert_or_same",
    "invariant",
    "on_event",
    "open_account",
    "post",
    "project",
    "read",
    "reserve",
    "stage",
    "transfer",
    "void",
    "workflow",
    "write",
]
