"""A transfer: a step that moves money in a ledger, once (P3).

It is an effect whose provider is a ledger. The function says what is to be transferred and does nothing else; it runs
once, and what it returned is stored in the record, with the ids, before anything is sent. The ids are the keys that a
ledger honours for ever: a retry sends the same transfer, ``created`` and ``exists`` are the same success, and a refusal
is final. A ledger that does not answer leaves the step in doubt, never decided; it is asked again with growing pauses,
and nothing is held meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast, get_args, get_origin

import msgspec

from recordfirst.core import codec, identity, keys
from recordfirst.core.text import safe_text
from recordfirst.errors import LedgerUnavailable, LedgerVersion, Misuse, NotDone, Unknown
from recordfirst.ledgers import fields
from recordfirst.ledgers.contract import Account, AccountFlags, Ledger, Transfer, TransferFlags
from recordfirst.ledgers.outcome import opened, transferred
from recordfirst.ledgers.restored import as_made
from recordfirst.process.limit import Limit
from recordfirst.providers.contract import Provider, Verdict
from recordfirst.steps.effect import Call, Effect, Sender
from recordfirst.steps.function import Function
from recordfirst.steps.host import Host
from recordfirst.steps.precedent import Precedent, check_after
from recordfirst.steps.step import follow_up

_replace = msgspec.structs.replace
_FOR_EVER_S = 100 * 365 * 24 * 3600
_NEVER_TOO_MANY = 1 << 30
"""Doubts after which an id is no longer trusted: there is no such number, since a ledger forgets no id."""


class _LedgerProvider(Provider, frozen=True, kw_only=True):
    """What a ledger promises about ids."""

    name: str = "ledger"
    retention_s: int | None = _FOR_EVER_S
    margin_s: int = 0
    key_limit: int = 1 << 16

    def classify(self, error: Exception) -> Verdict:
        if isinstance(error, LedgerVersion):
            return NotDone(safe_text(error))
        if isinstance(error, LedgerUnavailable):
            return Unknown(safe_text(error))
        return Provider.classify(self, error)


class _LedgerStep[**P, R](Effect[P, R]):
    """A step whose function says what a ledger is to make."""

    receipts_stay = True
    kind: type[Account | Transfer]
    many: bool
    linked: AccountFlags | TransferFlags

    @property
    def renders(self) -> bool:
        return True

    async def render(self, host: Host, arguments: dict[str, Any], now_ms: int) -> str | None:
        said = await self.function.call(None, arguments, {}, host.executor)
        items = list(said) if self.many and isinstance(said, list | tuple) else [said]
        if not items or not all(isinstance(item, self.kind) for item in items):
            raise Misuse(f"{self.function!r} returned {said!r}, not what its signature says")
        chained = [_replace(item, flags=item.flags | self.linked) for item in items[:-1]]
        ready = self._identified([*chained, items[-1]], host.app, self.key_for(arguments), now_ms)
        fields.check(ready, self.kind, len(ready))
        return codec.encode(ready, f"what {self.function!r} returned")

    def _identified(self, items: list[Any], app: str, key: str, now_ms: int) -> list[Any]:
        """Mark them as this key's, and give them ids, if those are not the function's to say."""
        raise NotImplementedError

    async def sender(self, host: Host, call: Call, _: dict[str, Any]) -> Sender:
        ledger: Ledger = (await host.injector.resolve(self.function))["ledger"]
        asked = codec.shape(call.request, list[self.kind], f"what is stored of {self.function!r}")  # type: ignore[name-defined]

        async def send(limit: Limit) -> Any:
            limit.begin()
            made = await self._send(ledger, asked, restored=host.restores > 0)
            return made if self.many else made[0]

        return send

    async def _send(self, ledger: Ledger, asked: Any, *, restored: bool) -> list[Any]:
        """``restored``: the record was restored at some time, and may not know what the ledger has."""
        raise NotImplementedError


class TransferStep[**P, R](_LedgerStep[P, R]):
    """A ``@transfer``; see :func:`transfer`."""

    linked = TransferFlags.LINKED

    def _identified(self, items: list[Any], app: str, key: str, now_ms: int) -> list[Any]:
        mark = identity.ledger_mark(app, key, self.attempt_number)
        if any(item.id or item.timestamp for item in items):
            raise Misuse(f"{self.function!r} sets id or timestamp; leave them out: the id is made of the step's key")
        return [
            _replace(
                item,
                id=identity.transfer_id(app, key, self.attempt_number, part, now_ms),
                user_data_128=item.user_data_128 or mark,
            )
            for part, item in enumerate(items)
        ]

    async def _send(self, ledger: Ledger, asked: Any, *, restored: bool) -> list[Any]:
        return await transferred(ledger, await as_made(ledger, asked) if restored else asked)


class OpenAccountStep[**P, R](_LedgerStep[P, R]):
    """An ``@open_account``; see :func:`open_account`."""

    linked = AccountFlags.LINKED

    def _identified(self, items: list[Any], app: str, key: str, now_ms: int) -> list[Any]:
        del now_ms
        # By its mark an account that exists is known as this key's own, opened before or in a time that was lost.
        mark = identity.ledger_mark(app, key, self.attempt_number)
        return [_replace(item, user_data_128=item.user_data_128 or mark) for item in items]

    async def _send(self, ledger: Ledger, asked: Any, *, restored: bool) -> list[Any]:
        del restored  # an account's id is the same at whatever time, and its mark says whose it is
        return await opened(ledger, asked)


class TransferDecorator(Protocol):
    """What ``transfer(...)`` gives: a decorator that keeps the function's parameters and result."""

    def __call__[**P, T: Transfer | list[Transfer]](self, fn: Callable[P, T], /) -> TransferStep[P, T]: ...


class OpenAccountDecorator(Protocol):
    """What ``open_account(...)`` gives: a decorator that keeps the function's parameters and result."""

    def __call__[**P, T: Account | list[Account]](self, fn: Callable[P, T], /) -> OpenAccountStep[P, T]: ...


def transfer(
    *,
    key: str,
    after: Precedent[..., Any] | None,
    undo: Effect[..., Any] | None = None,
    ledger: Any = None,
    timeout_s: float = 30.0,
    name: str | None = None,
) -> TransferDecorator:
    """Make a function a transfer: it returns what is to be transferred, and the ledger makes it once (P3).

    The function takes the step's arguments alone and returns a :class:`Transfer` without an id, or a list of them: one
    chain, all or nothing. It runs once; every call sends what it returned then (P4). The step returns the transfer as
    the ledger holds it, with its id, and with the amount that was really moved. A refusal is raised as ``Declined``
    with TigerBeetle's name for it as its code (``exceeds_credits``); a new try is a new attempt, with a new id.

    Args:
        key: template of the business key, such as ``"order:{order.id}:pay"``.
        after: the write (or stage) that must have its receipt before this is sent (P1); ``None`` says in the open that
            it depends on no write.
        undo: the step that takes this one back if the workflow ends in failure: one that voids what this reserves, or
            transfers it back. It takes this one's parameters by name, and at most one more: what this one returned.
        ledger: what it is provided as. Default: ``Ledger``, as in ``app.provide(SqlLedger(record), as_=Ledger)``;
            a ``NewType`` of your own for a second one.
        timeout_s: seconds after which a call counts as unanswered; more than the ledger's own deadline.
        name: the name in receipts. Default: the function's. Keep the old one here when you rename a function.

    Raises:
        BadKey: if the template names what the parameters do not have.
        Misuse: if the signature does not fit.
    """

    def decorate(fn: Callable[..., Any]) -> TransferStep[..., Any]:
        made: TransferStep[..., Any] = _step(TransferStep, fn, Transfer, key, after, ledger, timeout_s, name)
        if undo is not None:
            _, made.undo_extra = follow_up(made.function, undo.function, "undo")
            made.undo = undo
        return made

    return cast("TransferDecorator", decorate)


def open_account(
    *,
    key: str,
    after: Precedent[..., Any] | None,
    ledger: Any = None,
    timeout_s: float = 30.0,
    name: str | None = None,
) -> OpenAccountDecorator:
    """Make a function the opening of an account: it returns an :class:`Account` (or a list: all or none of them).

    The account's id is the function's to say; :func:`account_id` makes one of a name. Where ``user_data_128`` is 0 it
    gets a mark of the key, so that an account which is open already is told from one that was opened by another way:
    the first is success, the second a conflict, as are other fields.

    Args:
        key: template of the business key, such as ``"customer:{customer.id}:account"``.
        after: the write (or stage) that must have its receipt before this is sent (P1), or ``None``.
        ledger: what the ledger is provided as; see :func:`transfer`.
        timeout_s: seconds after which a call counts as unanswered.
        name: the name in receipts. Default: the function's.

    Raises:
        BadKey: if the template names what the parameters do not have.
        Misuse: if the signature does not fit.
    """

    def decorate(fn: Callable[..., Any]) -> OpenAccountStep[..., Any]:
        made: OpenAccountStep[..., Any] = _step(OpenAccountStep, fn, Account, key, after, ledger, timeout_s, name)
        return made

    return cast("OpenAccountDecorator", decorate)


def _step(
    cls: Any,
    fn: Callable[..., Any],
    kind: type[Account | Transfer],
    key: str,
    after: Precedent[..., Any] | None,
    ledger: Any,
    timeout_s: float,
    name: str | None,
) -> Any:
    word = "transfer" if kind is Transfer else "open_account"
    function = Function(fn, kind=word, name=name, leads=False)
    many = get_origin(function.returns) in (list, Sequence) and get_args(function.returns) == (kind,)
    if function.returns is not kind and not many:
        raise Misuse(f"@{word} {function.place} must say that it returns {kind.__name__}, or list[{kind.__name__}]")
    if function.injected:
        raise Misuse(
            f"@{word} {function.place} injects {', '.join(function.injected)}; it only says what is to be made"
        )
    function.injected["ledger"] = Ledger if ledger is None else ledger
    made = cls(function, timeout_s=timeout_s, in_doubt="park", max_doubts=_NEVER_TOO_MANY)
    made.kind, made.many = kind, many
    made.provider = _LedgerProvider()
    made.template = keys.parse(key, repr(function), function.parameters)
    made.after = check_after(function, after)
    return made
