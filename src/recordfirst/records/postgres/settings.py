"""What recordfirst's own sessions set, whatever the role, the database or the URL says, and what a database must have.

The driver reads times and intervals in one form alone, and the texts that are stored can hold any character. Who waits
for a lease, or listens, is idle by nature.
"""

from __future__ import annotations

from collections.abc import Callable

from recordfirst.errors import Misuse

CLIENT = {"client_encoding": "UTF8"}
"""For the connection itself: it goes before what a role or a database has set."""
_WANTED = ((b"DateStyle", b"ISO"), (b"IntervalStyle", b"postgres"))

type Told = Callable[[bytes], bytes | None]
"""What a server says of itself when a session begins, by name."""


def to_set(told: Told) -> bytes:
    """The statements that a session needs, each with a semicolon in front; mostly none.

    ``DateStyle`` is two things: the form of output is set, and the order of day and month in input stays.
    """
    return b"".join(
        b";SET %s TO %s" % (name, value) for name, value in _WANTED if not (told(name) or value).startswith(value)
    )


def check_encoding(told: Told, where: str) -> None:
    """Raise ``Misuse`` if the database cannot hold every text, or does not look at what it holds."""
    encoding = (told(b"server_encoding") or b"UTF8").decode()
    if encoding != "UTF8":
        raise Misuse(
            f"the database at {where} has the encoding {encoding}, in which not every text can be stored; a record "
            "needs UTF8: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )
