"""Resonate in one SQLite file, in the worker's own process: see ``docs/explanation/embedded-engine.md``."""

from recordfirst.engine.embedded.connection import EmbeddedConnection

__all__ = ["EmbeddedConnection"]
