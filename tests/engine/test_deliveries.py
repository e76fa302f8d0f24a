"""What a worker takes from the outbox of Resonate in Postgres. Without one: tests/engine/test_live.py has the real."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from psycopg.conninfo import conninfo_to_dict
from resonate_pg import PostgresConnection

from recordfirst.engine.postgres import Deliveries, _Sessions
from recordfirst.records.postgres import PostgresRecord


class Outbox:
    """A connection to an outbox in which many tasks wait."""

    def __init__(self, many: int) -> None:
        self.waiting = [(f"t{number}", 1) for number in range(many)]
        self._rows: list = []

    @contextlib.asynccontextmanager
    async def session(self):
        yield self

    async def dedicated(self):
        raise AssertionError("nobody listens here")

    async def close(self):
        pass

    async def execute(self, query, params=()):
        self._rows = []
        address, most = params
        if "dequeue_execute" in query and "any@" in address:
            self._rows, self.waiting = self.waiting[:most], self.waiting[most:]
        return self

    async def fetchall(self):
        return self._rows


def delivered(source: PostgresConnection) -> list[str]:
    """What one look at the outbox brings."""
    texts: list[str] = []
    source.recv(texts.append)
    asyncio.run(source._drain())
    return [json.loads(text)["data"]["task"]["id"] for text in texts]


def test_p9_a_worker_takes_what_it_has_room_for():
    """What it took and does not begin would come again after 5 s, and again, until it asks for nothing else."""
    outbox, room = Outbox(300), [128]
    source = Deliveries(outbox, "p", "g", lambda: room[0])
    assert delivered(source) == [f"t{number}" for number in range(128)]
    assert len(outbox.waiting) == 172


def test_p9_a_worker_that_is_full_takes_nothing():
    """It waits in the outbox, where another worker sees it."""
    outbox = Outbox(300)
    assert delivered(Deliveries(outbox, "p", "g", lambda: 0)) == []
    assert delivered(Deliveries(outbox, "p", "g", lambda: -3)) == []
    assert len(outbox.waiting) == 300


def test_the_connector_itself_takes_all_there_is():
    """Held against the pinned version: were it bounded itself, ours could go."""
    outbox = Outbox(300)
    assert len(delivered(PostgresConnection(sessions=outbox, pid="p", group="g", drive_timers=False))) == 300
    assert outbox.waiting == []


@pytest.mark.parametrize(
    "settings_of", [lambda dsn: _Sessions(dsn, "engine", 1)._dsn, lambda dsn: PostgresRecord(dsn)._conninfo]
)
def test_server_that_vanished_is_noticed(settings_of):
    """P7, P9: record and engine end what a lost machine took, or did not, in seconds; the operator may say when."""
    settings = conninfo_to_dict(settings_of("postgresql://host/shop?keepalives_idle=60"))
    noticed = {"keepalives_idle": 60, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 11_000}
    assert {name: settings.get(name) for name in noticed} == {name: str(value) for name, value in noticed.items()}


def test_address_that_cannot_be_read_is_left_to_who_opens_it():
    """P9: to make an engine of it raises nothing."""
    assert _Sessions("postgresql://host:no port", "engine", 1)._dsn == "postgresql://host:no port"
