"""P6, P9: a mirror shows the record's current state and never goes back, whoever dies, sleeps or comes late."""

from __future__ import annotations

import asyncio

import pytest

from recordfirst import (
    App,
    DifferentFunction,
    DifferentRequest,
    Entry,
    Misuse,
    Read,
    WorkflowStopped,
    project,
    workflow,
)
from recordfirst.execution.calls import current
from recordfirst.execution.projection_runner import bring
from recordfirst.observe import LateProjection, ProjectionFailed, RecordOutrun
from tests.effects.harness import ORDER, Plug, until
from tests.references import program
from tests.references.program import Mirror, dies_at


async def done(desk, name, *args, id, **options):
    async with desk.working(**options) as app:
        return await (await app.start(getattr(program, name), *args, id=id)).result()


async def row(app, key="order:1:shown"):
    async with app.runtime.record.session() as session:
        return await session.find_projection(key)


async def test_p6_the_mirror_follows_the_record(desk):
    """Each projection reads anew; what is deleted is gone from the mirror, and what is late does not bring it back."""
    await done(desk, "place", ORDER, id="1")
    await done(desk, "move", ORDER, "paid", id="2")
    await done(desk, "delete", ORDER, id="3")
    assert desk.mirror.changes("1") == [
        ({"state": "new", "marks": 0}, 1),
        ({"state": "paid", "marks": 1}, 2),
        (None, 3),
    ]
    async with desk.app() as app:
        stored = await row(app)
        assert (stored.function, stored.workflow, stored.version, stored.projected) == ("show_order", "3", 3, 3)


POINTS = ["before next_version", "commit next_version", "after next_version", "mirror calling", "mirror stored",
          "before projected", "after projected"]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
async def test_p6_killed_at_any_point(desk, point):
    """The next run brings the mirror there; versions go up, and what is shown is the record's state."""
    await done(desk, "place", ORDER, id="1")
    await dies_at(desk, "move", (ORDER, "paid"), "2", point)
    await done(desk, "move", ORDER, "paid", id="2")
    changes = desk.mirror.changes("1")
    assert changes[-1][0] == {"state": "paid", "marks": 1}
    assert [version for _, version in changes] == sorted({version for _, version in changes})
    async with desk.app() as app:
        stored = await row(app)
        assert stored.projected == stored.version == desk.mirror.now("1").version


async def test_p6_a_zombie_changes_nothing_and_says_so(desk):
    """One that has read the record and stalled meanwhile comes with an old version."""
    await done(desk, "place", ORDER, id="1")
    go_on, stands = asyncio.Event(), asyncio.Event()

    def stand():
        stands.set()
        return go_on.wait()

    async with desk.working(plug=Plug({"mirror calling": stand})) as app:
        zombie = await app.start(program.move, ORDER, "paid", id="2")
        await stands.wait()
        await (await app.start(program.move, ORDER, "shipped", id="3")).result()
        go_on.set()
        await zombie.result()
        assert desk.shop.seen(LateProjection) == [LateProjection("order:1:shown", 2, 3)]
        stored = await row(app)
        assert (stored.version, stored.projected) == (3, 3)
    assert desk.mirror.now("1").document == {"state": "shipped", "marks": 2}


async def test_p6_two_at_once_agree_on_the_newer(desk):
    """Many workflows move and project one order side by side: the mirror ends with the record's state."""
    await done(desk, "place", ORDER, id="0")
    async with desk.working() as app:
        handles = [await app.start(program.move, ORDER, f"s{n}", id=f"{n}") for n in range(1, 13)]
        await asyncio.gather(*(handle.result() for handle in handles))
        async with app.record.read() as connection:
            state, marks = await (await connection.execute("SELECT state, marks FROM orders")).fetchone()
    changes = desk.mirror.changes("1")
    assert changes[-1][0] == {"state": state, "marks": marks}
    shown = [document["marks"] for document, _ in changes]
    assert shown == sorted(shown)


async def test_p6_what_counts_and_what_reads_is_one_transaction(desk):
    """Else one who has counted could read late, and be followed by one who has read before."""
    apps: list[App] = []

    @project(key="self:{id}", into=Mirror)
    async def own_version(r: Read, id: str) -> list[int]:
        table = "recordfirst_projection" if "aiosqlite" in type(r.tx).__module__ else "recordfirst.projection"
        query = f"SELECT version FROM {table} WHERE key = 'self:1'"
        async with apps[0].record.read() as outside:
            found = [await (await connection.execute(query)).fetchall() for connection in (r.tx, outside)]
        return [row[0] for rows in found for row in rows]

    async with desk.app() as app:
        apps.append(app)
        await bring(own_version, app.runtime, {"id": "1"}, None)
        await bring(own_version, app.runtime, {"id": "1"}, None)
    assert desk.mirror.changes("self:1") == [([1], 1), ([2, 1], 2)]


async def test_p9_a_lost_answer(desk):
    """It is projected again; a mirror that has it already is no failure."""
    await done(desk, "place", ORDER, id="1", plug=Plug({"mirror stored": TimeoutError("no answer")}))
    assert [event.key for event in desk.shop.seen(ProjectionFailed)] == ["order:1:shown"]
    assert desk.mirror.now("1").document == {"state": "new", "marks": 0}
    async with desk.app() as app:
        stored = await row(app)
        assert (stored.tries, stored.error, stored.projected) == (0, None, stored.version)


async def test_p9_a_mirror_that_is_away_is_waited_for_and_holds_nobody(desk):
    """Short waits in place, longer ones as durable sleeps; it does not fail, and ends when the mirror is back."""
    down = True

    async def away():
        if down:
            raise ConnectionRefusedError("away")

    class Down(Plug):
        def __call__(self, point):
            super().__call__(point)
            return away() if point == "mirror calling" else None

    slept = []

    async def quick(seconds):
        if current() is None:  # a look at the record that no step waits for
            await asyncio.sleep(seconds)
        else:
            slept.append(seconds)

    async with desk.working(plug=Down(), sleeper=quick) as app:
        handle = await app.start(program.place, ORDER, id="1")

        async def tried():
            stored = await row(app)
            return stored is not None and stored.tries >= 7

        await until(tried)
        # The seventh wait is longer than what is waited in place: the engine has the timer, and nobody runs.
        assert (await handle.status()).state == "open"
        down = False
        await handle.result()
        assert desk.mirror.now("1").document == {"state": "new", "marks": 0}
        assert slept
        assert max(slept) <= 5


async def test_p6_a_record_that_was_set_back_wins(desk):
    """The mirror has versions that the record never gave: the record's next one is higher, and that is said."""
    desk.mirror.set("1", {"state": "from a time that was lost"}, version=40)
    await done(desk, "place", ORDER, id="1")
    assert desk.mirror.now("1") == Entry(id="1", document={"state": "new", "marks": 0}, version=41)
    assert desk.shop.seen(RecordOutrun) == [RecordOutrun("order:1:shown", 1, 40)]


async def test_p8_a_key_is_of_one_projection(desk):
    """Another function, or other arguments, under a key that is taken: both sides are named."""
    await done(desk, "place", ORDER, id="1")

    @project(key="order:{id}:shown", into=Mirror)
    async def another(r: Read, id: str) -> str:
        return id

    @project(key="order:{id}:shown", into=Mirror, name="show_order")
    async def wider(r: Read, id: str, also: int) -> str:
        return id

    async with desk.app() as app:
        with pytest.raises(DifferentFunction, match=r"project show_order.*project another"):
            await bring(another, app.runtime, {"id": "1"}, None)
        with pytest.raises(DifferentRequest, match="another also"):
            await bring(wider, app.runtime, {"id": "1", "also": 2}, None)
        assert (await row(app)).version == 1


async def test_p9_what_the_function_raises_stops_the_workflow(desk):
    """A mistake in reading is no mirror's fault, and is not tried for ever."""

    @project(key="wrong:{id}", into=Mirror)
    async def wrong(r: Read, id: str) -> None:
        raise LookupError("no such thing")

    async def go(ctx, id: str) -> None:
        await wrong(ctx, id)

    wrong_one = workflow(go, steps=(wrong,))
    async with desk.shop.working(wrong_one, provide={Mirror: desk.mirror}) as app:
        with pytest.raises(WorkflowStopped, match="no such thing"):
            await (await app.start(wrong_one, "1", id="1")).result(if_stopped="raise")


def test_what_a_projection_must_say():
    """Mistakes are named where they are made."""

    @project(key="a:{a}:{b}", into=Mirror)
    async def two(r, a: int, b: int) -> int:
        return a + b

    with pytest.raises(Misuse, match="every\\(\\) lists values of one"):

        @two.every
        async def pairs(r, after: int | None) -> list[int]:
            return []

    @project(key="c:{c}", into=Mirror)
    async def one(r, c: int) -> int:
        return c

    with pytest.raises(Misuse, match="behind which value it goes on"):

        @one.every
        async def endless(r) -> list[int]:
            return []
