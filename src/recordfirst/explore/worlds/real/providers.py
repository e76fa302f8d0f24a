"""Finds the effect of a request to the outside, by its key or marker among the receipts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from recordfirst.core import codec, identity
from recordfirst.explore.case import Case
from recordfirst.explore.runs.event import SeenCall
from recordfirst.explore.worlds.real.proxies.http import Request
from recordfirst.explore.worlds.real.proxies.names import Named
from recordfirst.explore.worlds.real.records import WorldsRecord
from recordfirst.steps.effect import Effect
from recordfirst.testing.stripe.ledger import METADATA_KEY


class _Apply(msgspec.Struct):
    kind: str = ""
    options: dict[str, Any] = {}


class Providers:
    """Names requests to providers, and says which call it is.

    Args:
        case: the case with the effects.
        record: the record, which is read through a separate connection.
    """

    def __init__(self, case: Case, record: WorldsRecord) -> None:
        self._case, self._record = case, record
        self._effects = _effects_of(case)

    def read(self, request: Request) -> tuple[Named, bool]:
        """Name a request, and return whether no key protects it."""
        if request.method == "GET":
            return Named(boundary="provider", name=f"look {request.path.partition('?')[0].strip('/')}"), False
        kind, identities = _identities(request)
        found = self._receipt(identities)
        if found is None:
            return Named(boundary="provider", name=f"call {kind}", detail=next(iter(identities), "")), not identities
        effect = found[0]
        blind = effect.guarantee.key_honoured_ms is None
        return Named(boundary="provider", name=f"call {effect.name}", detail=next(iter(identities))), blind

    def called(self, known_as: str) -> SeenCall | None:
        """The call with this key or marker, and whether the receipt that it depends on exists."""
        found = self._receipt([known_as] if known_as else [])
        if found is None:
            return None
        effect, workflow, request = found
        after = effect.after_key(workflow, effect.function.fit(codec.decode(request)))
        return None if after is None else SeenCall(known_as, effect.name, after, self._record.is_written(after))

    def _receipt(self, identities: list[str]) -> tuple[Effect[..., Any], str, str] | None:
        if not identities:
            return None
        for given in self._record.receipts():
            effect = self._effects.get(given.function)
            if effect is None:
                continue
            limit, app = effect.provider.key_limit, self._case.app
            names = {
                identity.provider_key(app, given.key, given.attempt, given.reissue, limit),
                identity.marker(app, given.key, given.attempt, limit),
            }
            if names & set(identities):
                return effect, given.workflow, given.request
        return None


def _identities(request: Request) -> tuple[str, list[str]]:
    """The kind of a call, and its key and marker if it has them."""
    if request.path.startswith("/outside/"):
        asked = msgspec.json.decode(request.body, type=_Apply)
        given = (asked.options.get("key"), asked.options.get("marker"))
        return asked.kind or request.path, [each for each in given if each]
    form: Mapping[str, list[str]] = parse_qs(request.body.decode(errors="replace"))
    marker = form.get(f"metadata[{METADATA_KEY}]", [""])[0]
    return request.path, [each for each in (request.headers.get("idempotency-key"), marker) if each]


def _effects_of(case: Case) -> dict[str, Effect[..., Any]]:
    found: dict[str, Effect[..., Any]] = {}
    queue = [step for each in (case.workflow, *case.versions) for step in each.steps() if isinstance(step, Effect)]
    while queue:
        effect = queue.pop()
        if effect.name not in found:
            found[effect.name] = effect
            queue += [effect.undo] if effect.undo is not None else []
    return found
