"""What fits a ledger's fields: checked before anything is sent, since a number cut to size would be other money."""

from __future__ import annotations

from collections.abc import Sequence

from recordfirst.errors import Misuse
from recordfirst.ledgers.contract import (
    U16_MAX,
    U32_MAX,
    U64_MAX,
    U128_MAX,
    Account,
    AccountFlags,
    Transfer,
    TransferFlags,
)

_LIMITS = {
    "id": U128_MAX,
    "debit_account_id": U128_MAX,
    "credit_account_id": U128_MAX,
    "amount": U128_MAX,
    "pending_id": U128_MAX,
    "user_data_128": U128_MAX,
    "user_data_64": U64_MAX,
    "user_data_32": U32_MAX,
    "timeout": U32_MAX,
    "ledger": U32_MAX,
    "code": U16_MAX,
    "debits_pending": U128_MAX,
    "debits_posted": U128_MAX,
    "credits_pending": U128_MAX,
    "credits_posted": U128_MAX,
    "timestamp": U64_MAX,
}
_ALL = {Account: sum(AccountFlags), Transfer: sum(TransferFlags)}


def check(items: Sequence[Account | Transfer], kind: type[Account | Transfer], batch_max: int) -> None:
    """Raise ``Misuse`` for the first field that its number does not fit, or for a request that is too long."""
    if len(items) > batch_max:
        raise Misuse(f"{len(items)} {kind.__name__.lower()}s in one request; this ledger takes {batch_max}")
    for item in items:
        if type(item) is not kind:
            raise Misuse(f"{item!r} is no recordfirst.{kind.__name__}")
        for name in item.__struct_fields__:
            value = getattr(item, name)
            if name == "flags":
                if not isinstance(value, int) or value < 0 or value & ~_ALL[kind]:
                    raise Misuse(
                        f"flags of {_named(item)} is {value!r}, which holds what is none of {kind.__name__}Flags"
                    )
            elif type(value) is not int or not 0 <= value <= _LIMITS[name]:
                raise Misuse(
                    f"{name} of {_named(item)} is {value!r}; it must be a whole number from 0 to {_LIMITS[name]}"
                    + (" (money is in minor units: 19.99 is 1999)" if isinstance(value, float) else "")
                )


def check_ids(ids: Sequence[int], batch_max: int) -> None:
    """Raise ``Misuse`` for what is no id, or for a request that is too long."""
    if len(ids) > batch_max:
        raise Misuse(f"{len(ids)} ids in one request; this ledger takes {batch_max}")
    for id in ids:
        if type(id) is not int or not 0 <= id <= U128_MAX:
            raise Misuse(f"{id!r} is no id: a whole number of at most 128 bits")


def differing(stored: Transfer | Account, given: Transfer | Account) -> str:
    """Name the fields, with both values, in which what a ledger holds differs from what was to be created."""
    skipped = {*_BALANCES, "timestamp"}
    pairs = {
        name: (getattr(stored, name), getattr(given, name)) for name in stored.__struct_fields__ if name not in skipped
    }
    return ", ".join(f"{name} {one!r}, not {other!r}" for name, (one, other) in pairs.items() if one != other)


_BALANCES = ("debits_pending", "debits_posted", "credits_pending", "credits_posted")


def _named(item: Account | Transfer) -> str:
    return f"{type(item).__name__.lower()} {item.id}"
