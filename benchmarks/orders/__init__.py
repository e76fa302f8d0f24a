"""The same order workflow on recordfirst and on what else one could use, side by side in one run on one Postgres.

An order: insert a row, charge over HTTP with an idempotency key, mark the row paid. Every contender makes the same
statements on the same tables and the same HTTP call with the same client. Run ``python -m benchmarks.orders --help``.
"""
