"""What a record must do with the connection that user code gets, as tests. Inherit from it beside the other classes::

    from recordfirst.conformance.guards import GuardConformance

    class TestMyRecord(GuardConformance, ReceiptConformance, ...): ...

The tests run SQL by ``await connection.execute(sql)``. Where your driver has another way, override
:meth:`~GuardConformance.execute` and :meth:`~GuardConformance.count`; :attr:`~GuardConformance.ends`, and the methods
about a setting, where they do not fit.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from recordfirst.conformance.process import MakeRecord
from recordfirst.conformance.record import opened, run, wrote
from recordfirst.errors import Misuse
from recordfirst.records.contract import Record

_ENDED_EARLY = "the rows of a block that ended its transaction are there without their receipt"


class GuardConformance:
    """A transaction's connection is of use inside its block alone, and nothing on it ends the transaction (P2)."""

    ends: tuple[str, ...] = (
        "COMMIT",
        "commit;",
        "/* later */ COMMIT",
        "END",
        "ROLLBACK",
        "rollback transaction",
        "BEGIN",
    )
    """Statements that begin or end a transaction."""

    async def execute(self, connection: Any, sql: str) -> None:
        """Run a statement on the driver's connection."""
        await connection.execute(sql)

    async def count(self, connection: Any) -> int:
        """How many rows the table of these tests has."""
        cursor = await connection.execute("SELECT count(*) FROM kept")
        return int((await cursor.fetchone())[0])

    def change(self, connection: Any) -> None:
        """Change something about the connection that its next user would notice."""
        connection.row_factory = self.change

    def is_changed(self, connection: Any) -> bool:
        """Whether :meth:`change` is noticed."""
        return bool(connection.row_factory == self.change)

    async def _make_table(self, record: Record[Any]) -> None:
        async with record.transaction() as tx:
            await self.execute(tx.connection, "CREATE TABLE kept (n INTEGER)")

    async def _kept(self, record: Record[Any]) -> int:
        async with record.reading() as connection:
            return await self.count(connection)

    def test_p2_nothing_of_a_rolled_back_block_is_kept(self, make_record: MakeRecord) -> None:
        """Also not what tasks of it still execute when it has raised: not by themselves, and not for the next block."""

        async def go() -> None:
            async with opened(make_record) as record:
                await self._make_table(record)
                gate = asyncio.Event()
                siblings: list[asyncio.Task[None]] = []

                async def late(connection: Any) -> None:
                    await gate.wait()
                    await self.execute(connection, "INSERT INTO kept VALUES (1)")

                async def fail() -> None:
                    async with record.transaction() as tx:
                        await self.execute(tx.connection, "INSERT INTO kept VALUES (2)")
                        siblings.extend(asyncio.create_task(late(tx.connection)) for _ in range(3))
                        raise LookupError

                with pytest.raises(LookupError):
                    await fail()
                gate.set()
                async with record.transaction() as tx:
                    told = await asyncio.gather(*siblings, return_exceptions=True)
                    await tx.add_receipts([wrote()])
                assert [type(error) for error in told] == [Misuse] * 3
                assert await self._kept(record) == 0

        run(go())

    def test_p2_a_statement_after_its_block_is_refused(self, make_record: MakeRecord) -> None:
        """On a connection that was kept, alone and while another block is open."""

        async def go() -> None:
            async with opened(make_record) as record:
                await self._make_table(record)
                async with record.transaction() as tx:
                    kept = tx.connection
                    await self.execute(kept, "INSERT INTO kept VALUES (1)")
                async with record.reading() as connection:
                    kept_too = connection
                with pytest.raises(Misuse):
                    await self.execute(kept, "INSERT INTO kept VALUES (2)")
                async with record.transaction(), record.reading():
                    for each in (kept, kept_too):
                        with pytest.raises(Misuse):
                            await self.execute(each, "INSERT INTO kept VALUES (3)")
                assert await self._kept(record) == 1

        run(go())

    def test_p2_what_ends_the_transaction_is_refused(self, make_record: MakeRecord) -> None:
        """And what is executed after such a try is kept together with the receipt, or not at all."""

        async def go() -> None:
            async with opened(make_record) as record:
                await self._make_table(record)
                for number, end in enumerate(self.ends * 2):

                    async def write(key: str, end: str) -> None:
                        async with record.transaction() as tx:
                            await self.execute(tx.connection, "INSERT INTO kept VALUES (1)")
                            with pytest.raises(Misuse):
                                await self.execute(tx.connection, end)
                            await self.execute(tx.connection, "INSERT INTO kept VALUES (2)")
                            await tx.add_receipts([wrote(key)])

                    before = await self._kept(record)
                    with contextlib.suppress(Exception):  # a product may be unable to go on after a refusal
                        await write(f"{number}", end)
                    async with record.session() as session:
                        stored = (await session.find_receipt(f"{number}")).receipt is not None
                    assert await self._kept(record) - before == (2 if stored else 0), _ENDED_EARLY

        run(go())

    def test_p2_a_setting_does_not_reach_the_next_block(self, make_record: MakeRecord) -> None:
        """Neither after a block that ended well, nor after one that raised, nor recordfirst's own statements."""

        async def go() -> None:
            async with opened(make_record) as record:

                async def write(key: str, error: type[Exception] | None) -> None:
                    async with record.transaction() as tx:
                        self.change(tx.connection)
                        assert self.is_changed(tx.connection)
                        assert await tx.add_receipts([wrote(key)]) == [(key, 1)]
                        if error is not None:
                            raise error

                await write("a", None)
                with pytest.raises(LookupError):
                    await write("b", LookupError)
                async with record.reading() as connection:
                    self.change(connection)
                for _ in range(12):  # more than a pool has
                    async with record.transaction() as tx, record.reading() as connection:
                        assert not self.is_changed(tx.connection)
                        assert not self.is_changed(connection)
                        assert (await tx.find_receipt("a")).receipt is not None

        run(go())

    def test_p2_a_statement_that_has_not_come_back_is_not_committed(self, make_record: MakeRecord) -> None:
        """A task that still waits for its statement when the block ends: an error, and nothing is kept."""

        async def go() -> None:
            async with opened(make_record) as record:
                await self._make_table(record)
                left: list[asyncio.Task[None]] = []

                async def write() -> None:
                    async with record.transaction() as tx:
                        await tx.add_receipts([wrote()])
                        left.append(asyncio.create_task(self.execute(tx.connection, "INSERT INTO kept VALUES (1)")))
                        await asyncio.sleep(0)

                with pytest.raises(Misuse):
                    await write()
                await asyncio.gather(*left, return_exceptions=True)
                assert await self._kept(record) == 0
                async with record.session() as session:
                    assert (await session.find_receipt(wrote().key)).receipt is None

        run(go())
