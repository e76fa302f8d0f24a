"""What every connection to a Postgres server has in common, whether the record or the engine is there.

Pure: the driver is an extra.
"""

from __future__ import annotations

from collections.abc import Container

CONNECT_S = 10
"""For one address to answer."""
_KEEPALIVE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 11_000}
"""A server that vanished without a word is noticed after about 11 s, and not after two hours: by the first three while
we wait for an answer, by the last where it did not even take the request, which the system would send again for a
quarter of an hour."""


def keepalives(given: Container[str]) -> dict[str, int]:
    """What a connection needs so that a vanished server is noticed, besides what the operator has ``given``."""
    return {name: value for name, value in _KEEPALIVE.items() if name not in given}
