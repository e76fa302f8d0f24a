"""A transfer is made once, whoever dies, whatever answer is lost; a refusal is final, and money held is settled."""

from __future__ import annotations

import msgspec
import pytest

from recordfirst import (
    Account,
    AccountFlags,
    LedgerUnavailable,
    Misuse,
    Transfer,
    TransferFlags,
    WorkflowFailed,
    WorkflowStopped,
    post,
    transfer,
    void,
)
from recordfirst.core import identity
from recordfirst.errors import DifferentTransfer
from recordfirst.ledgers.outcome import opened
from tests.effects.harness import Plug, orders, receipt, until
from tests.ledgers import program
from tests.ledgers.program import Purchase, Till, dies_at, lost


async def done(till: Till, name: str, *more: object) -> object:
    """Finish here what others have left, or do all of it."""
    async with till.working() as app:
        return await (
            await app.start(getattr(program, name), till.purchase, *more, id=f"purchase:{till.purchase.id}")
        ).result()


async def balances(till: Till) -> object:
    async with till.app():
        return await till.balances()


PAID = {"customer": (0, 3001), "shop": (0, 1999), "tax": (0, 0)}
UNPAID = {"customer": (0, 5000), "shop": (0, 0), "tax": (0, 0)}


# ── once ────────────────────────────────────────────────────────────────────


async def test_pays_once(till):
    """P2, P3: the order, the transfer and the mark on the order."""
    await till.prepare()
    assert await done(till, "paying") == 1999
    assert await done(till, "paying") == 1999
    async with till.app() as app:
        assert await orders(app) == [("paid", 1)]
        assert await till.balances() == PAID
        stored = await receipt(app, f"purchase:{till.purchase.id}:pay")
        [frozen] = msgspec.json.decode(stored.frozen or "")
        assert frozen["id"] >> 80 <= stored.created_at_ms <= (frozen["id"] >> 80) + 60_000
        assert frozen["user_data_128"] == identity.ledger_mark("shop", stored.key, 1)
        assert [made.id for made in await till.ledger.lookup_transfers([frozen["id"]])] == [frozen["id"]]


@pytest.mark.parametrize("point", ["after intend", "sending", "sent", "before succeeded", "after succeeded"])
async def test_trap_26_killed_at_any_point(till, point):
    """P3, trap 29: the id was stored before it was sent, and what exists already is success."""
    await till.prepare()
    await dies_at(till, "paying", point)
    assert await done(till, "paying") == 1999
    async with till.app() as app:
        assert await orders(app) == [("paid", 1)]
        assert await till.balances() == PAID


@pytest.mark.parametrize(
    ("name", "result", "left"),
    [
        ("announced", 1999, PAID),
        ("in_parts", [1899, 100], {"customer": (0, 3001), "shop": (0, 1899), "tax": (0, 100)}),
        ("balancing", 1999, PAID),
        ("two_phase", 1999, PAID),
    ],
)
async def test_killed_when_it_was_sent(till, name, result, left):
    """P3: a chain is there as a whole; an announced one, a balancing one and a posting likewise, each once."""
    await till.prepare()
    await dies_at(till, name, "sent")
    assert await done(till, name) == result
    assert await balances(till) == left


async def test_a_lost_answer(till):
    """P3, P9: an answer that never came is no failure; the same ids are sent again, and found."""
    await till.prepare()
    async with till.working(plug=Plug({"sent": lost})) as app:
        assert await (await app.start(program.paying, till.purchase, id="purchase")).result() == 1999
        sent = till.ledger.sent
        assert len(sent) == 2
        assert sent[0] == sent[1]
        assert await till.balances() == PAID


async def test_trap_28_what_really_moved(till):
    """A balancing transfer moves what there is, and says so, also when it is asked again."""
    await till.prepare(funds=500)
    async with till.working(plug=Plug({"sent": lost})) as app:
        assert await (await app.start(program.balancing, till.purchase, id="purchase")).result() == 500


# ── refused ─────────────────────────────────────────────────────────────────


async def test_trap_27_a_refusal_is_stored_with_its_reason(till):
    """P5: the order is marked in the transaction that stores the refusal, and nothing is sent again."""
    await till.prepare(funds=100)
    for _ in range(2):
        with pytest.raises(WorkflowFailed, match="exceeds credits"):
            await done(till, "paying")
    async with till.app() as app:
        assert await orders(app) == [("declined: exceeds_credits", 1)]
        assert (await receipt(app, f"purchase:{till.purchase.id}:pay")).calls == 1


@pytest.mark.parametrize("point", ["sent", "before declined"])
async def test_trap_27_a_refusal_whose_answer_was_lost_stays_one(till, point):
    """P5: money that came meanwhile does not turn it into a payment; the reason is the first one, where it is known."""
    await till.prepare(funds=100)
    await dies_at(till, "paying", point)
    async with till.app():
        await till.fund(2, 10_000)
        remembers = till.ledger.capabilities.remembers_refusals
    with pytest.raises(WorkflowFailed, match="exceeds credits" if remembers else "that answer was lost"):
        await done(till, "paying")
    async with till.app() as app:
        code = "exceeds_credits" if remembers else "id_already_failed"
        assert await orders(app) == [(f"declined: {code}", 1)]
        assert await till.balances() == {"customer": (0, 10_100), "shop": (0, 0), "tax": (0, 0)}


async def test_trap_27_a_new_attempt_has_a_new_id(till):
    """A second try is asked for, and is another transfer."""
    await till.prepare(funds=100)
    with pytest.raises(WorkflowFailed, match="exceeds credits"):
        await done(till, "again")
    async with till.working() as app:
        await till.fund(2, 10_000)
        with pytest.raises(WorkflowFailed):
            await (await app.retry(f"purchase:{till.purchase.id}")).result()
        first, second = [
            msgspec.json.decode((await receipt(app, f"purchase:{till.purchase.id}:pay", attempt)).frozen or "")[0]["id"]
            for attempt in (1, 2)
        ]
        # Also when both are of one millisecond.
        tail = (1 << 80) - 1
        assert first & tail != second & tail


async def test_p8_an_id_with_other_fields_is_a_conflict(till):
    """Somebody else's transfer under our id is named, with both sides, and never taken for ours."""
    await till.prepare()
    async with till.working(plug=Plug({"sending": LedgerUnavailable("here", "not sent")})) as app:
        ledger = till.ledger

        async def tried() -> bool:
            return bool(ledger.sent)

        handle = await app.start(program.paying, till.purchase, id="purchase")
        await until(tried)
        await ledger._ledger.create_transfers([msgspec.structs.replace(ledger.sent[0][0], amount=1)])
        with pytest.raises(WorkflowStopped, match=r"exists_with_different_amount\): amount 1, not 1999"):
            await handle.result(if_stopped="raise")
        assert (await receipt(app, f"purchase:{till.purchase.id}:pay")).state == "intended"
        assert await till.balances() == {"customer": (0, 4999), "shop": (0, 1), "tax": (0, 0)}


# ── reserved ────────────────────────────────────────────────────────────────


async def test_a_part_is_posted_and_the_rest_released(till):
    """What the post says is the actual amount."""
    await till.prepare()
    assert await done(till, "two_phase", 500) == 500
    assert await balances(till) == {"customer": (0, 4500), "shop": (0, 500), "tax": (0, 0)}


@pytest.mark.parametrize("point", [None, "sent", "before undone", "after undone"])
async def test_a_failed_workflow_holds_nothing(till, point):
    """P5: the void is the undo of what was reserved; it happens once, whoever dies meanwhile."""
    await till.prepare()
    if point is not None:
        await dies_at(till, "in_vain", point)
    with pytest.raises(WorkflowFailed, match=r"OutOfStockError: out of stock; at .*; when the cause is fixed"):
        await done(till, "in_vain")
    assert await balances(till) == UNPAID
    async with till.app() as app:
        assert (await receipt(app, f"purchase:{till.purchase.id}:hold")).undone_by is not None


# ── accounts ────────────────────────────────────────────────────────────────


async def test_an_account_is_opened_once(till):
    """P3: killed after the ledger has opened it, the step finds it, by its mark as its own."""
    await till.prepare()
    await dies_at(till, "opening", "opened")
    assert await done(till, "opening") == 3
    async with till.app() as app:
        assert (await receipt(app, f"purchase:{till.purchase.id}:account")).calls == 2
        [account] = await till.ledger.lookup_accounts([till.purchase.account("voucher")])
        assert account.user_data_128 == identity.ledger_mark("shop", f"purchase:{till.purchase.id}:account", 1)


async def test_p8_an_account_that_was_opened_by_another_way(till):
    """The same in every field, but nobody has staged its row: the order was violated, and that is said."""
    await till.prepare()
    async with till.working() as app:
        [made] = await till.ledger.create_accounts([Account(id=till.purchase.account("voucher"), ledger=1, code=3)])
        assert made.status == "created"
        handle = await app.start(program.opening, till.purchase, id="purchase")
        with pytest.raises(WorkflowStopped, match=r"DifferentTransfer: .* user_data_128 0, not "):
            await handle.result(if_stopped="raise")
        assert (await receipt(app, f"purchase:{till.purchase.id}:account")).state == "intended"


async def test_somebody_elses_account_is_a_conflict(till):
    """P8: both sides are named."""
    await till.prepare()
    async with till.working() as app:
        await till.ledger.create_accounts([Account(id=till.purchase.account("voucher"), ledger=1, code=9)])
        handle = await app.start(program.opening, till.purchase, id="purchase")
        with pytest.raises(WorkflowStopped, match="code 9, not 3"):
            await handle.result(if_stopped="raise")


async def test_p8_an_account_without_its_limit_is_a_conflict(till):
    """One that could be overdrawn is not what was asked for. That it was closed since, or opened in a chain, is nothing
    of its own.
    """
    await till.prepare()
    limited = AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS
    ids = [till.purchase.account(name) for name in ("open", "limited", "other")]
    without, asked, other = (
        Account(id=id, ledger=1, code=3, user_data_128=7, flags=flags)
        for id, flags in zip(ids, (AccountFlags(0), limited | AccountFlags.LINKED, AccountFlags(0)), strict=True)
    )
    async with till.app():
        await till.ledger.create_accounts([without])
        with pytest.raises(DifferentTransfer, match=r"flags <AccountFlags: 0>, not <AccountFlags[.]DEBITS_MUST_NOT"):
            await opened(till.ledger, [msgspec.structs.replace(without, flags=limited)])
        await opened(till.ledger, [asked, other])
        closes = Transfer(
            id=till.purchase.account("closing"), debit_account_id=asked.id, credit_account_id=other.id, ledger=1,
            code=1, flags=TransferFlags.PENDING | TransferFlags.CLOSING_DEBIT,
        )  # fmt: skip
        assert [made.status for made in await till.ledger.create_transfers([closes])] == ["created"]
        [found] = await opened(till.ledger, [msgspec.structs.replace(asked, flags=limited)])
        assert found.flags == limited | AccountFlags.LINKED | AccountFlags.CLOSED


# ── out of reach ────────────────────────────────────────────────────────────


async def test_trap_29_a_dead_cluster_holds_nothing(sqlite_path, unused_port):
    """P9: no answer in time leaves the step in doubt, not failed, and nobody holds it; who gets an answer ends it."""
    living = Till(f"sqlite:///{sqlite_path}", "", Purchase("1"))
    await living.prepare()
    dead = Till(living.url, f"127.0.0.1:{unused_port}", living.purchase, deadline_s=0.3)
    await dies_at(dead, "paying", "after in doubt")
    async with living.app() as app:
        stored = await receipt(app, "purchase:1:pay")
        assert (stored.state, stored.claim, stored.doubts) == ("intended", "", 1)
        assert "nothing came within 0.3 s" in (stored.error or "")
    assert await done(living, "paying") == 1999
    assert await balances(living) == PAID


# ── what cannot be ──────────────────────────────────────────────────────────


def test_what_a_transfer_must_say():
    """Mistakes are named where they are made."""
    with pytest.raises(Misuse, match="must say that it returns Transfer"):

        @transfer(key="a:{a}", after=None)  # type: ignore[type-var]
        def untold(a: int) -> int:
            return a

    for held in (Transfer(), Transfer(id=1)):
        for settle in (post, void):
            with pytest.raises(Misuse, match="holds nothing"):
                settle(held)


async def test_ids_are_not_the_functions_to_say(sqlite_path):
    """P3: an id of one's own would not be the same on a retry."""

    @transfer(key="a:{a}", after=None)
    def own(a: int) -> Transfer:
        return Transfer(id=a)

    till = Till(f"sqlite:///{sqlite_path}", "", Purchase("1"))
    await till.prepare()
    async with till.app() as app:
        with pytest.raises(Misuse, match="leave them out"):
            await own.new_receipt(app.runtime, "w", {"a": 1}, 1)
