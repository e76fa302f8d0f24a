"""Design 6: requests and results can hold personal data: with an encryptor none of it is readable in the record."""

from __future__ import annotations

from typing import Any

import pytest

from recordfirst import Call, Context, Unknown, WorkflowStopped, Write, effect, inject, workflow, write
from tests.effects.harness import Plug, Script, orders, receipt, rows, until_state
from tests.effects.program import PLAIN

SECRET = "4242424242424242"


class Mirror:
    """An encryptor that is easily seen to have worked."""

    def encrypt(self, data: bytes) -> bytes:
        return b"!" + bytes(255 - byte for byte in data)

    def decrypt(self, data: bytes) -> bytes:
        assert data[:1] == b"!"
        return bytes(255 - byte for byte in data[1:])


@write
async def keep(w: Write, id: str, card: str) -> str:
    await w.tx.execute(f"INSERT INTO orders (id, amount, state) VALUES ('{id}', 1, 'new')")
    return card


def form(id: str, card: str) -> dict[str, Any]:
    return {"card": card}


@effect(key="order:{id}:charge", provider=PLAIN, after=keep, freeze=form)
async def charge(call: Call, id: str, card: str, *, script: Script = inject()) -> str:
    assert (call.request, card) == ({"card": SECRET}, SECRET)
    return f"{script.next(call)} {card}"


@charge.on_success
async def mark_paid(w: Write, id: str, result: str, *, plug: Plug = inject()) -> None:
    assert result.endswith(SECRET)
    plug("in on_success")
    await w.tx.execute(f"UPDATE orders SET state = 'paid', marks = marks + 1 WHERE id = '{id}'")


@workflow
async def paying(ctx: Context, id: str, card: str) -> str:
    await keep(ctx, id, card)
    return await charge(ctx, id, card)


async def everything(app: Any) -> str:
    prefix = "recordfirst." if str(app.runtime.record.where).startswith("postgresql") else "recordfirst_"
    found = [await rows(app, f"SELECT * FROM {prefix}{table}") for table in ("start", "receipt")]
    return repr(found)


async def test_nothing_is_readable(shop):
    """P10: arguments, request, frozen bytes, kept reply and result are covered; keys and states are read as ever."""
    plug = Plug({"in on_success": LookupError("a mistake")})
    given, script = {"encryptor": Mirror(), "plug": plug}, Script()
    async with shop.working(paying, provide={Script: script}, **given) as app:
        with pytest.raises(WorkflowStopped, match="a mistake"):
            await (await app.start(paying, "1", SECRET, id="o")).result(if_stopped="raise")
        assert (await receipt(app, "order:1:charge")).reply is not None
        assert SECRET not in await everything(app)
        assert await (await app.retry("o")).result() == f"done {SECRET}"
        text = await everything(app)
        assert SECRET not in text
        assert "order:1:charge" in text
        assert await orders(app) == [("paid", 1)]
        again = await app.start(paying, "1", SECRET, id="o")
        assert await again.result() == f"done {SECRET}"
    assert len(script.calls) == 1


async def test_resolved(shop):
    """P5: what an operator says is covered as well, and the workflow reads it."""
    options = {"encryptor": Mirror(), "random": lambda: 0.0, "provide": {Script: Script(Unknown("timeout"))}}
    async with shop.working(paying, **options) as app:
        handle = await app.start(paying, "1", SECRET, id="o")
        await until_state(app, "order:1:charge", "unknown")
        await app.resolve("order:1:charge", outcome="succeeded", result=f"seen {SECRET}")
        assert await handle.result() == f"seen {SECRET}"
        assert SECRET not in await everything(app)
