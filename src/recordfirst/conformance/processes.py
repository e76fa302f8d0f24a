"""What a record must do between processes, and if one is killed; see :mod:`recordfirst.conformance.record`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from recordfirst.conformance.process import MakeRecord, process
from recordfirst.conformance.record import opened, run
from recordfirst.records.contract import Lease, Record


class RecordProcessConformance:
    """What holds between processes, and when one of them is killed."""

    def test_p9_a_new_record_has_no_tables_until_it_is_migrated(self, make_record: MakeRecord) -> None:
        """Version 0, then the last; a second time there is nothing to do."""

        async def go() -> None:
            record = make_record()
            await record.open("shop")
            assert await record.schema_version() == 0
            assert list(await record.migrate()) == list(record.migrations)
            assert await record.schema_version() == record.migrations[-1].version
            assert await record.migrate() == []
            await record.close()

        run(go())

    def test_p9_two_may_migrate_at_once(self, make_record: MakeRecord) -> None:
        """Each step is run by one of them, and neither fails."""
        with process(make_record, "migrate") as one, process(make_record, "migrate") as other:
            assert [one.hear(), other.hear()] == ["ready", "ready"]
            one.say("go")
            other.say("go")
            assert int(one.hear()) + int(other.hear()) == len(make_record().migrations)

    def test_p2_two_processes_may_write_at_once(self, make_record: MakeRecord) -> None:
        """Of each key one stores the receipt, and contention is all that either meets."""

        async def prepare() -> None:
            async with opened(make_record):
                pass

        run(prepare())
        with process(make_record, "write") as one, process(make_record, "write") as other:
            assert [one.hear(), other.hear()] == ["ready", "ready"]
            one.say("go")
            other.say("go")
            assert int(one.hear()) + int(other.hear()) == 50  # noqa: PLR2004 - as many as there are keys

    def test_p9_a_lease_is_free_when_its_process_is_killed(self, make_record: MakeRecord) -> None:
        """It waits while the other lives, and has it soon after the other was killed."""

        async def wait_for_it(record: Record[Any]) -> float:
            async with record.lease("worker"):
                return time.monotonic()

        async def go() -> None:
            async with opened(make_record) as record:
                with process(make_record, "lease") as holder:
                    assert await asyncio.to_thread(holder.hear) == "held"
                    waiting = asyncio.create_task(wait_for_it(record))
                    await asyncio.wait([waiting], timeout=0.3)
                    assert not waiting.done()
                    killed_at = time.monotonic()
                    holder.kill()
                    assert await waiting - killed_at < 5  # noqa: PLR2004 - seconds; mostly it is milliseconds

        run(go())

    def test_p9_leases_of_other_names_and_apps_are_others(self, make_record: MakeRecord) -> None:
        """One name of one app at a time; waiting can be given up, and then nothing is held."""

        async def go() -> None:
            async with opened(make_record) as one, opened(make_record) as same, opened(make_record, "bank") as other:
                async with one.lease("a") as held, one.lease("b"), other.lease("a"):
                    waiting = asyncio.create_task(self._hold(same))
                    lost = asyncio.create_task(held.lost())
                    await asyncio.wait([waiting, lost], timeout=0.2)
                    assert not waiting.done()
                    assert not lost.done()
                    for task in (waiting, lost):
                        task.cancel()
                    await asyncio.wait([waiting, lost])
                async with asyncio.timeout(5), same.lease("a"):
                    pass

        run(go())

    async def _hold(self, record: Record[Any]) -> Lease:
        async with record.lease("a") as lease:
            return lease

    def test_p7_news_of_another_process_ends_the_wait(self, make_record: MakeRecord) -> None:
        """What another process stored and told of is looked for before the time is up."""

        async def go() -> None:
            async with opened(make_record) as record:
                with process(make_record, "notify") as other:
                    assert await asyncio.to_thread(other.hear) == "ready"
                    await record.changed(0.3)  # the first wait may end early: nobody listened before it
                    await record.changed(0.3)
                    began = time.monotonic()
                    waiting = asyncio.create_task(record.changed(30))
                    other.say("go")
                    await waiting
                    assert time.monotonic() - began < 10  # noqa: PLR2004 - seconds, of the 30
                    async with record.session() as session:
                        assert await session.find_start("far") is not None

        run(go())

    def test_p7_a_wait_for_news_is_bounded(self, make_record: MakeRecord) -> None:
        """Nothing happens, and the wait ends in time; news before it ends the next one at once."""

        async def go() -> None:
            async with opened(make_record) as record:
                await record.changed(0.3)
                began = time.monotonic()
                await record.changed(0.2)
                assert 0.15 < time.monotonic() - began < 5  # noqa: PLR2004 - seconds
                async with record.transaction() as tx:
                    await record.notify(tx)
                began = time.monotonic()
                await record.changed(30)
                assert time.monotonic() - began < 10  # noqa: PLR2004 - seconds

        run(go())
