"""Resonate in one SQLite file, in the worker's own process: see *The embedded engine* in the docs."""

from recordfirst.engine.embedded.connection import EmbeddedConnection

__all__ = ["EmbeddedConnection"]
