"""What a record must do with undos that were begun, and with what a workflow has asked before, as tests."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from recordfirst.conformance.process import MakeRecord
from recordfirst.conformance.record import ODD, added, effect, insisted, opened, run, wrote
from recordfirst.core.receipt import Undoing
from recordfirst.records.contract import Session


async def _begin(
    session: Session[Any], key: str, undoes: str, *, attempt: int = 1, of: int = 1, workflow: str = "order:1"
) -> str:
    undone, undone_attempt = await session.begin_undo(Undoing(key, attempt, undoes, of), workflow)
    return undone if undone_attempt == 1 else f"{undone}#{undone_attempt}"


async def _asked(session: Session[Any], **what: str) -> list[tuple[str, str]]:
    """What order:1 has asked of the effect ``f`` besides the key ``new``, or as ``what`` says."""
    of = {"workflow": "order:1", "kind": "effect", "function": "f", "besides": "new", "fingerprint": "print"}
    return await session.requests_of(**(of | what))


class UndoingConformance:
    """One key undoes one effect, and nothing is asked again under another key."""

    def test_p3_what_was_said_first_of_an_undo_stands(self, make_record: MakeRecord) -> None:
        """Also said again, by another workflow; each attempt and each app has its own."""

        async def go() -> None:
            async with opened(make_record) as record, opened(make_record, "bank") as bank:
                async with record.transaction() as tx:
                    assert await _begin(tx, "1:refund", "1:charge") == "1:charge"
                    assert await _begin(tx, "1:refund", "1:fee") == "1:charge"
                async with record.transaction() as tx:
                    assert await _begin(tx, "1:refund", "1:charge") == "1:charge"
                    assert await _begin(tx, "1:refund", "1:fee", workflow="order:2") == "1:charge"
                    assert await _begin(tx, "1:refund", "1:fee", attempt=2) == "1:fee"
                    assert await _begin(tx, "1:refund", "1:charge", attempt=3, of=2) == "1:charge#2"
                    assert await _begin(tx, "1:refund", "1:charge", attempt=3, of=3) == "1:charge#2"
                    assert await _begin(tx, "1:unhold", "1:charge") == "1:charge"
                async with bank.transaction() as tx:
                    assert await _begin(tx, "1:refund", "1:fee") == "1:fee"

        run(go())

    def test_p3_the_undos_of_a_workflow_are_found(self, make_record: MakeRecord) -> None:
        """All that were begun for it, with what each takes back; not another's, nor another app's."""

        async def go() -> None:
            async with opened(make_record) as record, opened(make_record, "bank") as bank:
                async with record.session() as session:
                    assert await session.undoings_of("order:1") == []
                async with record.transaction() as tx:
                    for key, undoes, attempt in (("b", "1:fee", 1), ("a", "1:charge", 2), ("a", "1:charge", 1)):
                        await _begin(tx, key, undoes, attempt=attempt, of=attempt + 1)
                    await _begin(tx, "b", "1:charge")  # refused, so it is no undo of the charge
                    await _begin(tx, "c", "2:charge", workflow="order:2")
                async with bank.transaction() as tx:
                    await _begin(tx, "d", "1:charge")
                async with record.session() as session:
                    found = await session.undoings_of("order:1")
                    assert sorted(found) == [("a", 1, "1:charge", 2), ("a", 2, "1:charge", 3), ("b", 1, "1:fee", 2)]
                    assert all(isinstance(each, Undoing) for each in found)
                    assert await session.undoings_of("order:2") == [Undoing("c", 1, "2:charge", 1)]
                    assert await session.undoings_of("order:3") == []

        run(go())

    def test_p3_an_undo_that_was_rolled_back_was_not_begun(self, make_record: MakeRecord) -> None:
        """Its key is free."""

        async def go() -> None:
            async with opened(make_record) as record:
                with contextlib.suppress(ZeroDivisionError):
                    async with record.transaction() as tx:
                        await _begin(tx, "1:refund", "1:charge")
                        _ = 1 // 0
                async with record.transaction() as tx:
                    assert await tx.undoings_of("order:1") == []
                    assert await _begin(tx, "1:refund", "1:fee") == "1:fee"

        run(go())

    def test_p3_of_two_who_begin_under_one_key_one_is_refused(self, make_record: MakeRecord) -> None:
        """The second waits until it is known what the first one says."""

        async def go() -> None:
            async with opened(make_record) as one, opened(make_record) as other:
                async with one.transaction() as tx:
                    assert await _begin(tx, "1:refund", "1:charge") == "1:charge"
                    late = asyncio.create_task(insisted(other, lambda tx: _begin(tx, "1:refund", "1:fee")))
                    await asyncio.wait([late], timeout=0.2)
                    assert not late.done()
                assert await late == "1:charge"

        run(go())

    def test_p3_what_a_workflow_has_asked_before_is_found(self, make_record: MakeRecord) -> None:
        """Of this function and kind, under other keys, byte for byte; of the same fingerprint first."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                assert await _asked(session) == []
                await added(
                    session,
                    *(effect(f"a{number:02}", fingerprint="another") for number in range(30)),
                    effect("new"),
                    effect("z", request=ODD),
                    effect("other function", function="g"),
                    effect("other workflow", workflow="order:2"),
                    wrote("other kind"),
                )
                async with opened(make_record, "bank") as bank, bank.session() as others:
                    await added(others, effect("other app"))
                [first, *more] = await _asked(session)
                assert first == ("z", ODD)
                assert more
                assert {key for key, _ in more} <= {f"a{number:02}" for number in range(30)}
                assert (await _asked(session, fingerprint="another"))[0][0].startswith("a")
                assert next(key for key, _ in await _asked(session, besides="z")) == "new"
                assert await _asked(session, kind="write") == [("other kind", "{}")]
                assert await _asked(session, workflow="order:2") == [("other workflow", "{}")]
                assert await _asked(session, function="g", besides="other function") == []

        run(go())
