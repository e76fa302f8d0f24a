"""What a record must do for mirrors; see :mod:`recordfirst.conformance.record`."""

from __future__ import annotations

import asyncio
from typing import Any

from recordfirst.conformance.process import MakeRecord
from recordfirst.conformance.record import added, effect, opened, run, wrote
from recordfirst.core import decide
from recordfirst.core.projection import NewProjection


def asked(key: str = "order:1:shown", **what: Any) -> NewProjection:
    """Return a projection that is asked for."""
    given = {"function": "show", "workflow": "order:1", "fingerprint": "print", "request": '{"a": 1}'}
    return NewProjection(**(given | {"key": key} | what))


class ProjectionConformance:
    """Versions that go up with the record, and how far each mirror is."""

    def test_p6_versions_go_up(self, make_record: MakeRecord) -> None:
        """By one, or above what a mirror has; what a projection was first is kept, and who asks last is named."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                first = await session.next_version(asked())
                assert (first.version, first.projected, first.request) == (1, 0, '{"a": 1}')
                other = asked(function="other", request="{}", fingerprint="other", workflow="order:2")
                again = await session.next_version(other)
                assert (again.version, again.function, again.request) == (2, "show", '{"a": 1}')
                assert (again.fingerprint, again.workflow) == ("print", "order:2")
                assert (await session.next_version(asked(workflow=None), above=40)).version == 41  # noqa: PLR2004
                assert (await session.next_version(asked(), above=7)).version == 42  # noqa: PLR2004
                assert (await session.next_version(asked("another"), above=7)).version == 8  # noqa: PLR2004
                assert (await session.find_projection("order:1:shown")).version == 42  # type: ignore[union-attr]  # noqa: PLR2004
                assert await session.find_projection("nobody") is None

        run(go())

    def test_p6_who_counts_next_sees_what_the_one_before_has_seen(self, make_record: MakeRecord) -> None:
        """Two at once: the second waits until the first has committed, and reads behind it."""

        async def go() -> None:
            async with opened(make_record) as one, opened(make_record) as other:
                counted, go_on = asyncio.Event(), asyncio.Event()

                async def first() -> int:
                    async with one.transaction() as tx:
                        version = (await tx.next_version(asked())).version
                        counted.set()
                        await go_on.wait()
                        await tx.add_receipts([wrote("seen")])
                    return int(version)

                async def second() -> tuple[int, bool]:
                    await counted.wait()
                    async with other.transaction() as tx:
                        version = (await tx.next_version(asked())).version
                        return int(version), (await tx.find_receipt("seen")).receipt is not None

                waiting = [asyncio.create_task(first()), asyncio.create_task(second())]
                await counted.wait()
                done, _ = await asyncio.wait({waiting[1]}, timeout=0.2)
                assert not done
                go_on.set()
                assert await asyncio.gather(*waiting) == [1, (2, True)]

        run(go())

    def test_p10_how_far_a_mirror_is(self, make_record: MakeRecord) -> None:
        """It goes up, never back, and never to what was not given; the tries are counted until it is confirmed."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                for _ in range(3):
                    await session.next_version(asked())
                await session.projected("order:1:shown", 4)
                assert [await session.not_projected("order:1:shown", '{"reason": "away"}') for _ in range(2)] == [1, 2]
                seen = await session.find_projection("order:1:shown")
                assert seen is not None
                assert (seen.projected, seen.tries, seen.error) == (0, 2, '{"reason": "away"}')
                assert seen.projected_at_ms is None
                for version, projected in ((2, 2), (1, 2), (3, 3)):
                    await session.projected("order:1:shown", version)
                    seen = await session.find_projection("order:1:shown")
                    assert seen is not None
                    assert (seen.projected, seen.tries, seen.error) == (projected, 0, None)
                assert seen.projected_at_ms is not None
                assert await session.not_projected("order:1:shown", "{}") == 0

        run(go())

    def test_p7_what_is_behind_is_listed(self, make_record: MakeRecord) -> None:
        """In the order of keys, in pages; and everything likewise."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                for name in "dbac":
                    await session.next_version(asked(name))
                await session.projected("b", 1)
                assert [row.key for row in await session.open_projections("", 2)] == ["a", "c"]
                assert [row.key for row in await session.open_projections("c", 2)] == ["d"]
                assert [row.key for row in await session.projections("", 3)] == ["a", "b", "c"]
                assert [row.key for row in await session.projections("c", 3)] == ["d"]
                behind = await session.find_projection("a")
                again = await session.next_version(asked("a"))
                assert behind is not None
                assert again.asked_at_ms == behind.asked_at_ms

        run(go())

    def test_p10_what_a_step_has_done_is_listed(self, make_record: MakeRecord) -> None:
        """Its receipts that have succeeded, of every attempt, in pages."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                new = [effect("b"), effect("a", attempt=2), effect("a"), effect("c", function="g"), effect("d")]
                for receipt in await added(session, *new):
                    if receipt.key != "d":
                        await session.change_receipt(receipt, decide.succeeded(receipt, "1"))
                await session.add_receipts([wrote("e", function="f")])
                first = await session.done_by("f", ("", 0), 2)
                assert [(receipt.key, receipt.attempt) for receipt in first] == [("a", 1), ("a", 2)]
                assert [receipt.key for receipt in await session.done_by("f", ("a", 2), 2)] == ["b"]

        run(go())
