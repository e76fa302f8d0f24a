"""Stores that stage or mirror, and decide nothing: a contract."""
