"""What a ledger is: TigerBeetle's accounts, transfers and results, by TigerBeetle's names. Pure data and a protocol.

Any ledger that passes ``recordfirst.conformance.ledger`` will do. Source of every rule:
https://docs.tigerbeetle.com/reference/, and for the order in which they are checked, the state machine of
TigerBeetle 0.17. Not part of the contract: imported events and change streams.

Ids and amounts are whole numbers of up to 128 bits; an amount is in the ledger's minor units (19.99 is 1999).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

U128_MAX = (1 << 128) - 1
U64_MAX = (1 << 64) - 1
U63_MAX = (1 << 63) - 1
U32_MAX = (1 << 32) - 1
U16_MAX = (1 << 16) - 1

AMOUNT_MAX = U128_MAX
"""As the amount of a posting: all that is pending. Of a balancing transfer: as much as there is."""

NS_PER_S = 1_000_000_000


class AccountFlags(enum.IntFlag):
    """What an account does, as TigerBeetle numbers it."""

    LINKED = 1 << 0
    DEBITS_MUST_NOT_EXCEED_CREDITS = 1 << 1
    CREDITS_MUST_NOT_EXCEED_DEBITS = 1 << 2
    HISTORY = 1 << 3
    CLOSED = 1 << 5


class TransferFlags(enum.IntFlag):
    """What a transfer does, as TigerBeetle numbers it."""

    LINKED = 1 << 0
    PENDING = 1 << 1
    POST_PENDING_TRANSFER = 1 << 2
    VOID_PENDING_TRANSFER = 1 << 3
    BALANCING_DEBIT = 1 << 4
    BALANCING_CREDIT = 1 << 5
    CLOSING_DEBIT = 1 << 6
    CLOSING_CREDIT = 1 << 7


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account. Balances and ``timestamp`` (nanoseconds since 1970, the ledger's clock) are the ledger's to say."""

    id: int
    ledger: int
    """Accounts of one ledger only can transfer to each other: a currency, say."""
    code: int
    """What kind of account it is; not 0."""
    flags: AccountFlags = AccountFlags(0)
    user_data_128: int = 0
    user_data_64: int = 0
    user_data_32: int = 0
    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0
    timestamp: int = 0


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer: ``amount`` from the debit account to the credit account.

    What posts or voids a pending transfer names it in ``pending_id`` and takes from it what is 0 here.
    """

    id: int = 0
    debit_account_id: int = 0
    credit_account_id: int = 0
    amount: int = 0
    """In minor units. Of one that the ledger holds: what was really moved, or is pending."""
    pending_id: int = 0
    user_data_128: int = 0
    user_data_64: int = 0
    user_data_32: int = 0
    timeout: int = 0
    """Seconds after which the ledger voids it, if it is still pending then; 0: never."""
    ledger: int = 0
    code: int = 0
    """Why it is made; not 0."""
    flags: TransferFlags = TransferFlags(0)
    timestamp: int = 0

    @property
    def expires_at(self) -> int | None:
        """When it expires if it is pending until then: nanoseconds since 1970 by the ledger's clock."""
        return self.timestamp + self.timeout * NS_PER_S if self.timeout and self.timestamp else None


class AccountBalance(msgspec.Struct, frozen=True, kw_only=True):
    """What an account's balances were right after a transfer; ``timestamp`` is that transfer's."""

    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0
    timestamp: int = 0


type AccountStatus = Literal[
    "created", "exists", "linked_event_failed", "linked_event_chain_open", "timestamp_must_be_zero",
    "id_must_not_be_zero", "id_must_not_be_int_max", "exists_with_different_flags",
    "exists_with_different_user_data_128", "exists_with_different_user_data_64", "exists_with_different_user_data_32",
    "exists_with_different_ledger", "exists_with_different_code", "flags_are_mutually_exclusive",
    "debits_pending_must_be_zero", "debits_posted_must_be_zero", "credits_pending_must_be_zero",
    "credits_posted_must_be_zero", "ledger_must_not_be_zero", "code_must_not_be_zero",
]  # fmt: skip
"""What became of an account that was to be created."""

type TransferStatus = Literal[
    "created", "exists", "linked_event_failed", "linked_event_chain_open", "timestamp_must_be_zero",
    "id_must_not_be_zero", "id_must_not_be_int_max", "exists_with_different_flags", "exists_with_different_pending_id",
    "exists_with_different_timeout", "exists_with_different_debit_account_id",
    "exists_with_different_credit_account_id", "exists_with_different_amount", "exists_with_different_user_data_128",
    "exists_with_different_user_data_64", "exists_with_different_user_data_32", "exists_with_different_ledger",
    "exists_with_different_code",
    "id_already_failed", "flags_are_mutually_exclusive", "debit_account_id_must_not_be_zero",
    "debit_account_id_must_not_be_int_max", "credit_account_id_must_not_be_zero",
    "credit_account_id_must_not_be_int_max", "accounts_must_be_different", "pending_id_must_be_zero",
    "pending_id_must_not_be_zero", "pending_id_must_not_be_int_max", "pending_id_must_be_different",
    "timeout_reserved_for_pending_transfer", "closing_transfer_must_be_pending", "ledger_must_not_be_zero",
    "code_must_not_be_zero", "debit_account_not_found", "credit_account_not_found",
    "accounts_must_have_the_same_ledger", "transfer_must_have_the_same_ledger_as_accounts",
    "pending_transfer_not_found", "pending_transfer_not_pending", "pending_transfer_has_different_debit_account_id",
    "pending_transfer_has_different_credit_account_id", "pending_transfer_has_different_ledger",
    "pending_transfer_has_different_code", "exceeds_pending_transfer_amount", "pending_transfer_has_different_amount",
    "pending_transfer_already_posted", "pending_transfer_already_voided", "pending_transfer_expired",
    "debit_account_already_closed", "credit_account_already_closed", "overflows_debits_pending",
    "overflows_credits_pending", "overflows_debits_posted", "overflows_credits_posted", "overflows_debits",
    "overflows_credits", "overflows_timeout", "exceeds_credits", "exceeds_debits",
]  # fmt: skip
"""What became of a transfer that was to be created."""

TRANSIENT: frozenset[TransferStatus] = frozenset({
    "debit_account_not_found", "credit_account_not_found", "pending_transfer_not_found", "exceeds_credits",
    "exceeds_debits", "debit_account_already_closed", "credit_account_already_closed",
})  # fmt: skip
"""Refusals that another moment could turn into a success. The ledger keeps the id of such a transfer and answers
``id_already_failed`` from then on, so that a retry cannot come to another end than the first try."""


class Created[S](msgspec.Struct, frozen=True):
    """One item's result. ``timestamp``: when it was created, also if that was earlier (``exists``)."""

    status: S
    timestamp: int


class QueryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which accounts or transfers to list, oldest first; 0 stands for any."""

    user_data_128: int = 0
    user_data_64: int = 0
    user_data_32: int = 0
    ledger: int = 0
    code: int = 0
    timestamp_min: int = 0
    timestamp_max: int = 0
    limit: int = 1000
    reversed: bool = False


class AccountFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which transfers of one account, or its balances after them, to list, oldest first; 0 stands for any."""

    account_id: int
    debits: bool = True
    credits: bool = True
    timestamp_min: int = 0
    timestamp_max: int = 0
    limit: int = 1000
    reversed: bool = False


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a ledger can do beyond, or less than, the contract. Declared, so that nobody has to guess by its name."""

    amount_max: int = U128_MAX
    """The largest amount and balance; what goes beyond it overflows."""
    batch_max: int
    """The most items of one request, and so of one linked chain."""
    remembers_refusals: bool = False
    """Whether :meth:`Ledger.refusals` can tell why an id has failed."""


class Ledger(Protocol):
    """A store of accounts and transfers. Each method is one request, all of whose linked chains are all or nothing.

    Every method raises ``LedgerUnavailable`` when the ledger does not answer in time: what was asked for may have
    happened, and is safe to ask for again under the same ids. ``Misuse``: if a value does not fit its field.
    """

    where: str
    """How an operator names it."""
    capabilities: Capabilities

    async def create_accounts(self, accounts: Sequence[Account]) -> list[Created[AccountStatus]]:
        """Create accounts; a result for each, in order."""

    async def create_transfers(self, transfers: Sequence[Transfer]) -> list[Created[TransferStatus]]:
        """Create transfers; a result for each, in order."""

    async def lookup_accounts(self, ids: Sequence[int]) -> list[Account]:
        """The accounts that there are, with their balances, in the order asked for."""

    async def lookup_transfers(self, ids: Sequence[int]) -> list[Transfer]:
        """The transfers that there are, in the order asked for."""

    async def query_accounts(self, filter: QueryFilter) -> list[Account]:
        """List accounts."""

    async def query_transfers(self, filter: QueryFilter) -> list[Transfer]:
        """List transfers."""

    async def get_account_transfers(self, filter: AccountFilter) -> list[Transfer]:
        """List the transfers of one account."""

    async def get_account_balances(self, filter: AccountFilter) -> list[AccountBalance]:
        """List what the balances of one account were after each of its transfers, if it was opened with ``HISTORY``;
        else nothing. What expires is no transfer: it shows in the balances after the next one.
        """

    async def close(self) -> None:
        """Let go of what it holds open. A later request opens it again."""

    async def refusals(self, ids: Sequence[int]) -> dict[int, TransferStatus]:
        """Why these ids have failed, as far as it remembers; see :class:`Capabilities`."""
