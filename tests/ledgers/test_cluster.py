"""P9: a real cluster that is killed and started again in the middle; a client that it does not speak with.

Needs a ``tigerbeetle`` executable of the client's version, named by RECORDFIRST_TEST_TIGERBEETLE_BINARY.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import time
import uuid
from pathlib import Path

import pytest
import tigerbeetle as tb

from recordfirst import Account, AccountFlags, LedgerUnavailable, LedgerVersion, QueryFilter, Transfer
from recordfirst.ledgers.tigerbeetle import TigerBeetle
from tests.effects.harness import until
from tests.ledgers import program
from tests.ledgers.program import Purchase, Till


class Replica:
    """One replica of a cluster of one, that can be killed and started again."""

    def __init__(self, binary: str, folder: Path, port: int) -> None:
        self._binary, self._file, self._port = binary, folder / "0_0.tigerbeetle", port
        self.addresses = f"127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None
        given = ["format", "--cluster=0", "--replica=0", "--replica-count=1", "--development"]
        subprocess.run([binary, *given, str(self._file)], check=True, capture_output=True, timeout=60)

    def start(self) -> None:
        """Return when it takes connections: on a busy machine that is a while."""
        given = ["start", f"--addresses={self.addresses}", "--development", "--cache-grid=256MiB"]
        nowhere = subprocess.DEVNULL
        self._process = subprocess.Popen([self._binary, *given, str(self._file)], stdout=nowhere, stderr=nowhere)
        while self._process.poll() is None:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self._port)):
                return
            time.sleep(0.05)
        raise AssertionError(f"it ended with status {self._process.returncode}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None


@pytest.fixture
def replica(tmp_path, unused_port):
    binary = os.environ.get("RECORDFIRST_TEST_TIGERBEETLE_BINARY")
    if not binary:
        pytest.skip("NOT TESTED: a TigerBeetle that dies; RECORDFIRST_TEST_TIGERBEETLE_BINARY names no executable")
    made = Replica(binary, tmp_path, unused_port)
    made.start()
    try:
        yield made
    finally:
        made.kill()
        (tmp_path / "0_0.tigerbeetle").unlink()


async def test_a_cluster_that_is_killed_in_the_middle(replica, sqlite_path):
    """P3, P7, P9: nothing fails, nothing is paid twice, and when the cluster is back everything ends."""
    url = f"sqlite:///{sqlite_path}"
    buyers = [Purchase(uuid.uuid4().hex, 100 + number) for number in range(12)]
    for buyer in buyers:
        till = Till(url, replica.addresses, buyer)
        await till.prepare()
    till = Till(url, replica.addresses, buyers[0], deadline_s=0.5)
    async with till.working() as app:
        first = [await app.start(program.two_phase, buyer, id=buyer.id) for buyer in buyers[:6]]

        async def begun() -> bool:
            return len(till.ledger.sent) > 2

        await until(begun)
        replica.kill()
        second = [await app.start(program.two_phase, buyer, id=buyer.id) for buyer in buyers[6:]]

        async def doubted() -> bool:
            async with app.runtime.record.session() as session:
                found = [(await session.find_receipt(f"purchase:{buyer.id}:hold")).receipt for buyer in buyers[6:]]
            return all(receipt is not None and receipt.error is not None for receipt in found)

        await until(doubted)
        await asyncio.to_thread(replica.start)
        assert await asyncio.gather(*(handle.result() for handle in (*first, *second))) == [
            buyer.amount_minor for buyer in buyers
        ]
        for buyer in buyers:
            till.purchase = buyer
            assert await till.balances() == {
                "customer": (0, 5000 - buyer.amount_minor),
                "shop": (0, buyer.amount_minor),
                "tax": (0, 0),
            }


async def test_more_clients_than_a_cluster_takes(replica):
    """An evicted session is named, and the next request has a new one."""
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(TigerBeetle(replica.addresses, deadline_s=20))
        assert await first.lookup_accounts([1]) == []

        async def comes() -> None:
            async with TigerBeetle(replica.addresses, deadline_s=20) as other:
                assert await other.query_accounts(QueryFilter(limit=1)) == []

        # Some at a time: each takes a while to be let in.
        for _ in range(8):
            await asyncio.gather(*(comes() for _ in range(8)))
        with pytest.raises(LedgerUnavailable, match="evicted this session"):
            await first.lookup_accounts([1])
        assert await first.lookup_accounts([1]) == []


async def test_trap_29_no_more_wait_than_can(unused_port, monkeypatch):
    """A cluster that is gone is not sent ever more: beyond a limit, callers hear so at once."""
    monkeypatch.setattr("recordfirst.ledgers.tigerbeetle.client._WAITING_MOST", 3)
    async with TigerBeetle(f"127.0.0.1:{unused_port}", deadline_s=0.2) as ledger:
        asked = await asyncio.gather(*(ledger.lookup_accounts([n]) for n in range(5)), return_exceptions=True)
        assert sum("3 requests are waiting" in str(error) for error in asked) == 2
        assert sum("nothing came within" in str(error) for error in asked) == 3


async def test_more_than_a_development_cluster_takes_at_once(replica):
    """Requests that went together go in smaller parts; one that is too large says what to do."""
    async with TigerBeetle(replica.addresses, deadline_s=20) as ledger:
        accounts = [Account(id=n, ledger=1, code=1, flags=AccountFlags(0)) for n in (1, 2)]
        assert [made.status for made in await ledger.create_accounts(accounts)] == ["created"] * 2
        moves = [
            Transfer(id=n, debit_account_id=1, credit_account_id=2, amount=1, ledger=1, code=1) for n in range(1, 601)
        ]
        results = await asyncio.gather(*(ledger.create_transfers([move]) for move in moves))
        assert {result.status for [result] in results} == {"created"}
        with pytest.raises(Exception, match="batch_max"):
            await ledger.create_transfers(moves)


@pytest.mark.parametrize(
    ("error", "problem"),
    [(tb.ClientReleaseTooLowError, "too old"), (tb.ClientReleaseTooHighError, "too new")],
)
async def test_a_client_of_another_version(monkeypatch, unused_port, error, problem):
    """It is said which of the two to upgrade; a step takes it for not done, and waits."""

    async def refuse(self: tb.ClientAsync, *_: object) -> None:
        raise error

    monkeypatch.setattr(tb.ClientAsync, "lookup_accounts", refuse)
    async with TigerBeetle(f"127.0.0.1:{unused_port}") as ledger:
        with pytest.raises(LedgerVersion, match=f"is {problem} for the ledger at") as raised:
            await ledger.lookup_accounts([1])
        assert raised.value.fate == "not done"
        assert "upgrade" in str(raised.value)
