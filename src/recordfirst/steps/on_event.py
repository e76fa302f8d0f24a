"""Handlers of provider events: a write for each event, with a receipt of its own.

Kept: a handler's rows and its receipt commit together, once per event, however often that comes. Lost: nothing; what
fails is tried again, and then stopped, visibly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from recordfirst.core.event import ProviderEvent
from recordfirst.core.text import shown
from recordfirst.errors import Misuse
from recordfirst.providers.contract import Provider
from recordfirst.providers.known import known_provider
from recordfirst.steps.function import Function

type OfProvider = Provider | type[Provider] | str


class EventHandler:
    """An ``@on_event``; see :func:`on_event`."""

    def __init__(self, function: Function, fetch: Function | None, provider: str, types: tuple[str, ...]) -> None:
        self.function, self.fetch, self.provider, self.types = function, fetch, provider, types
        self.name = function.name
        self.event, *rest = function.parameters
        self.found = rest[0] if rest else None
        """The parameters that take the event, and what was fetched."""

    def __repr__(self) -> str:
        return f"<event handler {self.name!r}>"

    def takes(self, provider: str, type: str) -> bool:
        """Whether an event is for it."""
        return provider == self.provider and type in self.types

    def functions(self) -> list[Function]:
        """The user's functions, for the check of what they need injected."""
        return [self.function, *([self.fetch] if self.fetch is not None else [])]

    def key_of(self, event_id: str) -> str:
        """The key of its receipt for an event."""
        return f"{workflow_of(self.provider, event_id)}/{self.name}"


def workflow_of(provider: str, event_id: str) -> str:
    """What stands for the workflow in a handler's receipt: it belongs to none."""
    return f"event:{provider}:{event_id}"


def on_event(
    provider: OfProvider, *types: str, fetch: Callable[..., Any] | None = None, name: str | None = None
) -> Callable[[Callable[..., Any]], EventHandler]:
    """Make a function the handler of a provider's events: its rows and its receipt commit together, once per event.

    ::

        async def fetch_dispute(event: ProviderEvent, *, stripe: StripeClient = inject()) -> str:
            return (await stripe.v1.disputes.retrieve_async(event.data["data"]["object"]["id"])).status

        @on_event(Stripe, "charge.dispute.created", "charge.dispute.closed", fetch=fetch_dispute)
        async def note_dispute(w: Write, event: ProviderEvent, status: str) -> None: ...

    Its first parameter is a :class:`Write`, which may start workflows; the second takes the :class:`ProviderEvent`, and
    a third what ``fetch`` returned. It may run again after a deadlock or a lost connection, each time in a fresh
    transaction, so it does nothing but write. An event may be old, and newer ones may have come before it: go
    by what was fetched. One that raises is tried again, later and later, and then stopped with a finding. Give the
    ``App`` its ``event_handlers=``.

    Args:
        provider: whose events: a provider, its class, or the name of an event source. ``"stripe"`` is the same as
            ``Stripe``.
        types: types of events, each by its whole name. One of Stripe's is the same with and without ``v1.``.
        fetch: asks the provider what is there now, before the transaction begins. It gets the event, and what it wants
            injected.
        name: the name in receipts. Default: the function's. Keep the old one here when you rename a function.

    Raises:
        Misuse: if no type is named, one is none that the provider could send, or the functions do not take what is said
            here.
    """
    if isinstance(provider, type):
        provider = provider()  # type: ignore[call-arg] # whose fields all have defaults, as Stripe's have
    named = provider if isinstance(provider, str) else provider.name
    if not types or not all(types):
        raise Misuse(f"@on_event({named!r}): name the types of events, such as 'charge.dispute.created', not {types}")

    known = known_provider(provider) if isinstance(provider, str) else provider
    taken = types if known is None else tuple(_stored_as(known, each) for each in types)

    def decorate(fn: Callable[..., Any]) -> EventHandler:
        function = Function(fn, kind="on_event", name=name)
        function.refuse_unstorable_result()
        asks = Function(fetch, kind="fetch") if fetch is not None else None
        if asks is not None and asks.parameters:
            raise Misuse(f"fetch= {asks.place} takes {', '.join(asks.parameters)}; it gets the event alone")
        wanted = 2 if asks is not None else 1
        if len(function.parameters) != wanted or next(iter(function.parameters.values())) not in (ProviderEvent, Any):
            gets = "the event" + (", and what was fetched" if asks is not None else "")
            raise Misuse(
                f"@on_event {function.place}: besides the write it takes {gets}; it has "
                f"({', '.join(f'{name}: {shown(type_)}' for name, type_ in function.parameters.items())})"
            )
        return EventHandler(function, asks, named, taken)

    return decorate


def _stored_as(provider: Provider, type: str) -> str:
    """The type as events of this provider have it in the record."""
    try:
        return provider.event_type(type)
    except ValueError as error:
        raise Misuse(f"@on_event({provider.name!r}): no event will ever come for it: {error}") from None
