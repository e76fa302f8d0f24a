"""What a record must do with reversals: each fact is stored once, and handled once, in the order of its receipt."""

from __future__ import annotations

from typing import Any

from recordfirst.conformance.process import MakeRecord
from recordfirst.conformance.record import added, changed, effect, opened, run
from recordfirst.core.reversal import StoredReversal
from recordfirst.execution import reversals
from recordfirst.records.contract import Record, Session

KEY = "order:1:charge"
_HOUR_MS = 3_600_000


class _Facts:
    """The statements, on one record."""

    def __init__(self, record: Record[Any]) -> None:
        self.sql = record.statements_of(reversals.__name__)

    async def add(self, session: Session[Any], id: str, number: int = 1, **what: Any) -> bool:
        fact = {
            "hash": f"hash of {id}", "key": KEY, "attempt": 1, "number": number, "kind": "refunded", "id": id,
            "amount_minor": (1 << 53) - 1, "currency": "usd", "at_ms": 5, "found_by": "evt_1", "handled_by": None,
            "tries": 0, "error": None, "wait_ms": None,
        }  # fmt: skip
        return bool(await session.run(self.sql["add"], **(fact | what)))

    async def told(self, session: Session[Any], name: str, **given: Any) -> list[StoredReversal]:
        rows = await session.run(self.sql[name], **given)
        return [StoredReversal(**dict(zip(StoredReversal.__struct_fields__, row, strict=True))) for row in rows]

    async def of(self, session: Session[Any], attempt: int = 1) -> list[StoredReversal]:
        return await self.told(session, "of", key=KEY, attempt=attempt)

    async def due(self, session: Session[Any]) -> list[str]:
        return [each.id for each in await self.told(session, "due", limit=10)]

    async def waiting(self, session: Session[Any]) -> dict[str, int | None]:
        """The number of the one that each waits for, by id; it is the same whatever the fact is asked for with."""
        listed = {each.id: each.behind for each in await self.told(session, "unhandled", after="", limit=10)}
        assert {each.id: each.behind for each in await self.of(session)}.items() <= listed.items()
        return listed

    async def does(self, session: Session[Any], name: str, **given: Any) -> bool:
        return bool(await session.run(self.sql[name], **given))

    async def counts(self, session: Session[Any]) -> dict[str, int]:
        return dict(await session.run(self.sql["left"]))


class ReversalConformance:
    """Inherit from this beside :class:`ReceiptConformance`."""

    def test_p11_a_fact_is_stored_once(self, make_record: MakeRecord) -> None:
        """As it was said first, to the last unit; each app has its own, and each attempt of a receipt."""

        async def go() -> None:
            async with opened(make_record) as record, opened(make_record, "bank") as bank:
                facts = _Facts(record)
                async with record.session() as session, bank.session() as others:
                    assert await facts.add(session, "re_1")
                    assert not await facts.add(session, "re_1", number=2, amount_minor=1)
                    assert await facts.add(session, "re_2", attempt=2)
                    assert await _Facts(bank).add(others, "re_1", currency="eur")
                    [stored] = await facts.of(session)
                    assert (stored.id, stored.number, stored.amount_minor) == ("re_1", 1, (1 << 53) - 1)
                    assert (stored.at_ms, stored.handled_by, stored.error, stored.next_at_ms) == (5, None, None, None)
                    assert [each.id for each in await facts.of(session, attempt=2)] == ["re_2"]
                    assert [each.currency for each in await _Facts(bank).of(others)] == ["eur"]

        run(go())

    def test_p2_a_fact_is_handled_once(self, make_record: MakeRecord) -> None:
        """Who comes second changes nothing, and nothing is tried again."""

        async def go() -> None:
            async with opened(make_record) as record:
                facts, hash = _Facts(record), "hash of re_1"
                async with record.session() as session:
                    await facts.add(session, "re_1", wait_ms=0)
                    assert await facts.due(session) == ["re_1"]
                    assert await facts.does(session, "handled", hash=hash, by="note")
                    assert not await facts.does(session, "handled", hash=hash, by="other")
                    assert not await facts.does(session, "failed", hash=hash, tries=0, error="{}", wait_ms=0)
                    assert not await facts.does(session, "again", hash=hash)
                    assert not await facts.does(session, "dismissed", by="ann", subject=f"{KEY}/refunded/re_1")
                    [stored] = await facts.of(session)
                    assert (stored.handled_by, stored.error, stored.next_at_ms) == ("note", None, None)
                    assert await facts.due(session) == []
                    assert await facts.counts(session) == {"reversal.open": 0, "reversal.stopped": 0}

        run(go())

    def test_p11_a_fact_waits_for_those_before_it(self, make_record: MakeRecord) -> None:
        """Of its receipt, as long as they are tried: not for one that is stopped, nor for another receipt's."""

        async def go() -> None:
            async with opened(make_record) as record:
                facts, first = _Facts(record), "hash of re_1"
                async with record.session() as session:
                    await facts.add(session, "re_1", wait_ms=_HOUR_MS)
                    await facts.add(session, "re_2", number=2, wait_ms=0)
                    await facts.add(session, "re_3", key="order:2:charge", wait_ms=0)
                    assert await facts.due(session) == ["re_3"]
                    assert await facts.waiting(session) == {"re_1": None, "re_2": 1, "re_3": None}
                    assert not await facts.does(session, "failed", hash=first, tries=1, error="{}", wait_ms=0)
                    assert await facts.does(session, "failed", hash=first, tries=0, error='{"a": 1}', wait_ms=0)
                    assert sorted(await facts.due(session)) == ["re_1", "re_3"]
                    assert await facts.does(session, "failed", hash=first, tries=1, error='{"a": 2}', wait_ms=None)
                    assert sorted(await facts.due(session)) == ["re_2", "re_3"]
                    assert await facts.waiting(session) == {"re_1": None, "re_2": None, "re_3": None}
                    assert await facts.counts(session) == {"reversal.open": 2, "reversal.stopped": 1}
                    [stopped, _] = await facts.of(session)
                    assert (stopped.tries, stopped.error, stopped.next_at_ms) == (2, '{"a": 2}', None)
                    assert await facts.does(session, "again", hash=first)  # an operator has it tried
                    assert sorted(await facts.due(session)) == ["re_1", "re_3"]
                    assert (await facts.of(session))[0].tries == 0

        run(go())

    def test_p11_what_nobody_has_dealt_with_is_found(self, make_record: MakeRecord) -> None:
        """Page by page. An operator deals with it by the name that the finding has."""

        async def go() -> None:
            async with opened(make_record) as record:
                facts = _Facts(record)
                async with record.session() as session:
                    await facts.add(session, "re_1", handled_by="note")
                    await facts.add(session, "re_2", number=2)
                    await facts.add(session, "re_3", number=1, attempt=2)
                    first = await facts.told(session, "unhandled", after="", limit=1)
                    rest = await facts.told(session, "unhandled", after=first[0].hash, limit=10)
                    assert [each.id for each in first + rest] == ["re_2", "re_3"]
                    for each in first + rest:
                        assert await facts.does(session, "dismissed", by="ann", subject=each.subject)
                    assert await facts.told(session, "unhandled", after="", limit=10) == []
                    assert {each.handled_by for each in first + rest} == {None}
                    assert [each.handled_by for each in await facts.of(session)] == ["note", "ann"]

        run(go())

    def test_p11_what_calls_have_made_is_known(self, make_record: MakeRecord) -> None:
        """By its id at the provider; the fact that something was taken back is no call's."""

        async def go() -> None:
            async with opened(make_record) as record:
                facts = _Facts(record)
                async with record.transaction() as tx:
                    await added(tx, effect(KEY), effect("order:1:refund", function="refund"))
                    await tx.refer(KEY, 1, {"refunded": "re_1", "payment_intent": "pi_1"})
                    await tx.refer("order:1:refund", 1, {"refund": "re_2"})
                    assert await facts.does(tx, "lock", key=KEY, attempt=1)
                    assert not await facts.does(tx, "lock", key=KEY, attempt=2)  # it was collected, and has no facts
                async with record.session() as session:
                    made = {id: await session.run(facts.sql["made"], id=id) for id in ("re_1", "re_2", "re_3")}
                    assert {id: [tuple(row) for row in rows] for id, rows in made.items()} == {
                        "re_1": [],
                        "re_2": [("refund",)],
                        "re_3": [],
                    }

        run(go())

    def test_p11_a_call_in_doubt_may_have_made_it(self, make_record: MakeRecord) -> None:
        """One of these effects, that was under way at that time, and whose answer is not stored."""

        async def go() -> None:
            async with opened(make_record) as record:
                facts = _Facts(record)

                async def in_doubt(function: str = "refund", begun_ms: int = 1 << 52, called_ms: int = 0) -> bool:
                    async with record.session() as session:
                        found = await session.run_many(
                            facts.sql["in_doubt"], [{"function": function}], begun_ms=begun_ms, called_ms=called_ms
                        )
                        return bool(found)

                async with record.session() as session:
                    [calls] = await added(session, effect("order:1:refund", function="refund"))
                    assert not await in_doubt()
                    doubted = changed(calls, state="unknown", doubts=1, begins_call=True)
                    assert await session.change_receipt(calls, doubted) is not None
                assert await in_doubt()
                assert not await in_doubt("charge")
                assert not await in_doubt(begun_ms=1)
                assert not await in_doubt(called_ms=1 << 52)

        run(go())
