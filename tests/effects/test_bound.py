"""P12: a step gets what it was given when it was called, as it will be after a crash, however often it runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from recordfirst import Call, Context, Read, Write, effect, inject, read, workflow, write
from recordfirst.errors import BadArguments, Misuse
from recordfirst.steps.function import Function
from tests.effects.harness import contended
from tests.effects.program import KEYED


class Seen(list[Any]):
    """What steps were called with."""


@effect(key="ship:{line.sku}", provider=KEYED, after=None)
async def ship(call: Call, line: dict[str, Any], *, seen: Seen = inject()) -> str:
    seen.append(dict(line))
    line["sku"] = "changed by the call"
    return "shipped"


@ship.on_success
async def note(w: Write, line: dict[str, Any], *, seen: Seen = inject()) -> None:
    seen.append(f"on_success {line['sku']}")


@workflow
async def ship_all(ctx: Context, skus: list[str]) -> list[str]:
    line: dict[str, Any] = {}
    steps = []
    for sku in skus:
        line["sku"] = sku
        steps.append(ship(ctx, line))
    return await asyncio.gather(*steps)


async def test_each_call_has_what_it_was_given(shop):
    """P3, P4: one dict that is filled anew for each call; and what a call does to it, its on_success does not see."""
    seen = Seen()
    async with shop.working(ship_all, provide={Seen: seen}) as app:
        assert await (await app.start(ship_all, ["a", "b"], id="o")).result() == ["shipped", "shipped"]
    assert sorted(map(str, seen)) == ["on_success a", "on_success b", "{'sku': 'a'}", "{'sku': 'b'}"]


@write
async def take(w: Write, lines: list[str], *, shop_url: str = inject(), seen: Seen = inject()) -> None:
    seen.append(list(lines))
    lines.append("again")
    if len(seen) < 3:
        raise contended(shop_url)


@workflow
async def taking(ctx: Context) -> None:
    await take(ctx, ["a"])


async def test_each_try_of_a_write_has_what_it_was_given(shop):
    """P2: a write that runs again after a deadlock does not see what its first try did to its arguments."""
    seen = Seen()
    async with shop.working(taking, provide={Seen: seen, str: shop.url}) as app:
        await (await app.start(taking, id="o")).result()
    assert seen == [["a"]] * 3


@read
async def told(r: Read, at: datetime, amount: float, tags: tuple[str, ...] = ("new",), *, seen: Seen = inject()) -> str:
    seen.append((at, amount, tags))
    return "read"


@workflow
async def part(ctx: Context, lines: dict[str, Any], at: datetime, currency: str = "usd") -> list[str]:
    return [*lines, type(at).__name__, currency]


@workflow
async def whole(ctx: Context, at: datetime) -> list[str]:
    await told(ctx, at, 1)
    lines: dict[str, Any] = {"a": 1}
    asked = ctx.rpc(part, lines, at=at)
    lines["b"] = 2
    return await asked


async def test_parts_and_reads(shop):
    """P12: a part is given what the call had, with its defaults; an int where a float is declared is one at once."""
    seen = Seen()
    async with shop.working(whole, part, provide={Seen: seen}) as app:
        handle = await app.start(whole, datetime(2026, 1, 1, tzinfo=UTC), id="o")
        assert await handle.result() == ["a", "datetime", "usd"]
    assert seen == [(datetime(2026, 1, 1, tzinfo=UTC), 1.0, ("new",))]
    assert isinstance(seen[0][1], float)


class Card(BaseModel):
    id: str
    token: SecretStr


CARD = Card(id="1", token=SecretStr("tok_visa"))


@workflow
async def paying(ctx: Context, card: Card) -> None: ...


async def test_a_start_that_would_not_come_back_is_refused(shop):
    """P4, P8: a secret that is masked when it is stored is never stored; the field is named, and no value."""
    async with shop.app(paying) as app:
        named = r"'card' of workflow 'paying' would not come back .* at 'token'"
        with pytest.raises(BadArguments, match=named) as refused:
            await app.start(paying, CARD, id="o")
        assert "tok_" not in str(refused.value)
        async with app.record.write() as w:
            with pytest.raises(BadArguments):
                w.start(paying, CARD, id="o")


def test_a_default_that_cannot_be_stored_is_refused():
    """P4: it is part of the request, so it is found out when the step is declared."""

    def clocked(w, id: str, *, now=datetime.now): ...
    def masked(w, card: Card = CARD): ...

    for fn in (clocked, masked):
        with pytest.raises(Misuse, match="has a default that cannot be stored"):
            write(fn)


def test_none_as_a_default_is_one_of_its_values():
    """P12: as type checkers used to read it."""

    def fn(w, id: str, note: str = None): ...  # type: ignore[assignment]  # noqa: RUF013 - what users write

    function = Function(fn, kind="write")
    assert function.freeze(("1",), {}) == {"id": "1", "note": None}
    assert function.thaw('{"id":"1"}') == {"id": "1", "note": None}
