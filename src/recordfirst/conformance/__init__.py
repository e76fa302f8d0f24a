"""Suites that an adapter of one's own must pass to carry recordfirst. They need pytest, and no plugin of it."""
