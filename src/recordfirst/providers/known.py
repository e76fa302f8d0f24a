"""The providers that recordfirst describes itself, by name: what a handler of events may name instead of a class."""

from __future__ import annotations

import importlib

from recordfirst.providers.contract import Provider

_CLASSES = {"stripe": ("recordfirst.providers.stripe", "Stripe")}
"""Module and class, imported when they are asked for: each needs an SDK, which is an extra."""


def known_provider(name: str) -> Provider | None:
    """Return the provider of this name; ``None`` if there is none, or its SDK is not installed."""
    if name not in _CLASSES:
        return None
    module, kind = _CLASSES[name]
    try:
        found: Provider = getattr(importlib.import_module(module), kind)()
    except ModuleNotFoundError:
        return None
    return found
