"""What each pass finds, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import msgspec

from recordfirst import Call, Context, effect, inject, workflow
from recordfirst.conformance.record import run
from recordfirst.core import decide as d
from recordfirst.core.finding import NewFinding
from recordfirst.core.start import Finish
from recordfirst.engine.connect import connect
from recordfirst.engine.shared import Membership
from recordfirst.observe import RepairFailed
from recordfirst.providers.contract import Probed
from tests.engine.double import Server
from tests.reconcile.harness import BANK, Bank, charge, order, quick, sleeper, visit
from tests.starts.harness import Shop


async def find_charge_for(call: Call, who: str, *, bank: Bank = inject()) -> Probed:
    return bank.asked(call.marker)


@effect(key="{who}:pay", provider=BANK, after=visit, probe=find_charge_for)
async def charge_for(call: Call, who: str, *, bank: Bank = inject()) -> str:
    return bank.charge(call.marker)


@effect(key="{who}:thank", provider=BANK, after=visit)
async def thank(call: Call, who: str, *, bank: Bank = inject()) -> str:
    return bank.charge(call.marker)


async def receipt_of(app, key):
    async with app.runtime.record.session() as session:
        return (await session.find_receipt(key)).receipt


async def open_findings(app):
    async with app.runtime.record.session() as session:
        return [(finding.code, finding.subject) for finding in await session.findings(100)]


async def until(true):
    """Wait for a condition."""
    while not await true():
        await asyncio.sleep(0.01)


def codes(report):
    return [(found.finding.code, found.finding.subject) for found in report.found]


@contextlib.asynccontextmanager
async def served(shop: Shop, *workflows, **options):
    """A server and a worker of it."""
    server = Server()
    async with server.running() as url, shop.working(*workflows, engine=url, **options) as app:
        yield server, app


async def suspended(app, server, id):
    async def suspended():
        task = server.state.tasks.get(f"shop~{id}")
        return task is not None and task.state == "suspended"

    await until(suspended)

    async def marked():
        return (await (await app.handle(id)).status()).engine is not None

    await until(marked)


def test_nothing_wrong_nothing_found(shop):
    """P6: with what is open as it should be, a reconcile finds nothing, and changes nothing."""

    async def go():
        async with served(shop, order, sleeper, provide={Bank: Bank()}) as (server, app):
            assert await (await app.start(order, "ann", id="ann")).result() == "charged"
            await app.start(sleeper, "ben", id="ben")
            await suspended(app, server, "ben")
            for apply in (False, True):
                report = await app.reconcile(apply=apply)
                assert (codes(report), report.looked) == ([], {"epochs": 1})
            assert (await (await app.handle("ben")).status()).epoch == 1

    run(go())


def test_life_that_the_engine_lost(shop):
    """P6: found, and by --apply put back in a new epoch; without it nothing is changed."""

    async def go():
        async with served(shop, sleeper) as (server, app):
            await app.start(sleeper, "ann", id="ann")
            await suspended(app, server, "ann")
            forget_all(server)
            report = await app.reconcile()
            assert codes(report) == [("RF-START-LOST", "ann")]
            assert report.found[0].repaired is None
            assert await open_findings(app) == []
            report = await app.reconcile(apply=True, who="ann", why="the server was wiped")
            assert [found.repaired for found in report.found] == ["epoch 2 opened"]
            await until_alive(server, "shop~ann~2")
            assert codes(await app.reconcile()) == []
            assert await open_findings(app) == []
            async with app.runtime.record.session() as session:
                [audit] = await session.audits("ann", 10)
            assert (audit.who, audit.why, audit.detail) == (
                "ann", "the server was wiped", "RF-START-LOST: epoch 2 opened",
            )  # fmt: skip
            assert await shop.rows(app, "SELECT who FROM visits") == [("ann",)]

    run(go())


def forget_all(server):
    """The server has collected too early: all epochs are gone, and its notes are not."""
    state = server.state
    for id in [id for id in state.promises if not id.startswith("recordfirst~mark~")]:
        del state.promises[id]
    for kept in (state.tasks, state.p_timeouts, state.t_timeouts):
        kept.clear()


async def until_alive(server, id):
    async def alive():
        return id in server.state.promises

    await until(alive)


def test_life_that_has_ended_in_the_engine_alone(shop):
    """P6: the record says that it is open, so it is; its next epoch ends it from the receipts."""

    async def go():
        bank = Bank()
        async with served(shop, order, provide={Bank: bank}) as (_, app):
            handle = await app.start(order, "ann", id="ann")
            await handle.result()
            await open_again(app)
            report = await app.reconcile(apply=True)
            assert codes(report) == [("RF-START-ENDED", "ann")]
            assert await (await app.handle("ann")).result() == "charged"
            assert (await handle.status()).epoch == 2
            assert bank.charged == {"shop/ann:charge": 1}

    run(go())


async def open_again(app):
    """The end was stored by the engine, and not by the record."""
    postgres = app.runtime.record.where.startswith("postgresql")
    table, ms = ("recordfirst.start", "") if postgres else ("recordfirst_start", "_ms")
    sql = f"UPDATE {table} SET state = 'open', result = NULL, finished_at{ms} = NULL, engine = '{app.engines.given}'"
    async with app.runtime.record.transaction() as tx:
        await tx.connection.execute(sql)


def test_starts_that_this_version_cannot_run(shop):
    """P7: what nobody can run is visibly open, and says why without quoting its arguments."""

    async def go():
        async with shop.app(order, sleeper, provide={Bank: Bank()}) as old:
            await old.start(sleeper, "secret", id="ann")
        async with shop.app(order, provide={Bank: Bank()}) as app:
            report = await app.reconcile()
            assert codes(report) == [("RF-START-UNFIT", "ann")]
            assert report.found[0].finding.detail == "the app has no workflow 'sleeper'"

    run(go())


def test_starts_that_nobody_takes(shop):
    """P7: one finding for each workflow's name, and only when it has waited for minutes."""

    async def go():
        async with shop.app(sleeper) as app:
            for number in range(3):
                await app.start(sleeper, "ann", id=f"{number}")
            assert codes(await app.reconcile()) == []
            await make_older(app, "start")
            report = await app.reconcile(apply=True)
            assert codes(report) == [("RF-START-UNTAKEN", "sleeper")]
            assert await open_findings(app) == [("RF-START-UNTAKEN", "sleeper")]
            async with app.runtime.record.session() as session:
                await session.finish([Finish(id=f"{n}", epoch=1, state="failed") for n in range(3)])
            await app.reconcile(apply=True)
            assert await open_findings(app) == []

    run(go())


async def taken(app, id):
    """A worker has given it to its engine, and is gone."""
    table = "recordfirst.start" if app.runtime.record.where.startswith("postgresql") else "recordfirst_start"
    async with app.runtime.record.transaction() as tx:
        await tx.connection.execute(f"UPDATE {table} SET engine = 'gone' WHERE id = '{id}'")


async def make_older(app, table):
    """An hour has passed since everything."""
    postgres = app.runtime.record.where.startswith("postgresql")
    name, times = (f"recordfirst.{table}", ["created_at"]) if postgres else (f"recordfirst_{table}", ["created_at_ms"])
    if table == "receipt":
        times += [time.replace("created_at", other) for time in times for other in ("claim_until", "last_call_at")]
    hour = "interval '1 hour'" if postgres else "3600000"
    changes = ", ".join(f"{time} = {time} - {hour}" for time in times)
    async with app.runtime.record.transaction() as tx:
        await tx.connection.execute(f"UPDATE {name} SET {changes}")


def in_doubt(shop, bank):
    """An app whose order has failed with its charge in doubt: called, and nobody knows what became of it."""

    @contextlib.asynccontextmanager
    async def opened():
        async with shop.app(order, provide={Bank: bank}) as app:
            await app.start(order, "ann", id="ann")
            new = await charge.new_receipt(app.runtime, "ann", {"who": "ann"}, now_ms=0)
            async with app.runtime.record.session() as session:
                await session.intend(new, after=None, claim="gone", claim_ms=1)
            bank.charged["shop/ann:charge"] += 1
            yield app

    return opened()


def test_effect_that_a_failed_workflow_left_in_doubt(shop):
    """P5: the provider is asked, and its answer stored with on_success; nothing is called."""

    async def go():
        bank = Bank()
        async with in_doubt(shop, bank) as app:
            async with app.runtime.record.session() as session:
                await session.finish([Finish(id="ann", epoch=1, state="failed", error="{}")])
            assert codes(await app.reconcile()) == []
            await make_older(app, "receipt")
            assert codes(await app.reconcile()) == [("RF-EFFECT-ABANDONED", "ann:charge")]
            report = await app.reconcile(apply=True)
            assert [found.repaired for found in report.found] == ["the provider says: succeeded"]
            assert (await receipt_of(app, "ann:charge")).state == "succeeded"
            assert await shop.rows(app, "SELECT who FROM visits") == [("ann has paid",)]
            assert bank.charged == {"shop/ann:charge": 1}
            assert await open_findings(app) == []

    run(go())


def test_effect_in_doubt_that_nobody_can_tell_of(shop):
    """P5: it becomes unknown, and stays a finding until an operator, or the provider, says what happened."""

    async def go():
        bank = Bank()
        bank.can_be_asked = False
        async with in_doubt(shop, bank) as app:
            async with app.runtime.record.session() as session:
                await session.finish([Finish(id="ann", epoch=1, state="failed", error="{}")])
            await make_older(app, "receipt")
            report = await app.reconcile(apply=True)
            assert codes(report) == [("RF-EFFECT-ABANDONED", "ann:charge"), ("RF-EFFECT-UNKNOWN", "ann:charge")]
            assert [found.finding.code for found in report.found if not found.repaired] == ["RF-EFFECT-UNKNOWN"]
            assert await open_findings(app) == [("RF-EFFECT-UNKNOWN", "ann:charge")]
            bank.can_be_asked = True
            report = await app.reconcile(apply=True)
            assert [found.repaired for found in report.found] == ["the provider says: succeeded"]
            assert await open_findings(app) == []

    run(go())


def test_effect_whose_workflow_does_not_drive_it(shop):
    """P7: overdue for minutes while its workflow is open: a new epoch, which nobody else's claim keeps from it."""

    async def go():
        bank = Bank()
        async with in_doubt(shop, bank) as app:
            await make_older(app, "receipt")
            assert codes(await app.reconcile(only=["intents"])) == []  # it waits for a worker: nothing is lost
            await taken(app, "ann")
            report = await app.reconcile(apply=True, only=["intents"])
            assert codes(report) == [("RF-EFFECT-OVERDUE", "ann:charge")]
            assert (await (await app.handle("ann")).status()).epoch == 2
            assert codes(await app.reconcile(apply=True, only=["intents"])) == []  # one epoch is enough
        async with shop.working(order, provide={Bank: bank}) as app:
            assert await (await app.handle("ann")).result() == "found"
            assert bank.charged == {"shop/ann:charge": 1}

    run(go())


def test_effect_that_its_workflow_leaves_behind(shop):
    """P7: the workflow caught the effect's error and sleeps: it is not put back to its beginning each minute."""

    async def go():
        async with in_doubt(shop, Bank()) as app:
            epochs: list[int] = []
            for minutes in (0, 1, 11, 11, 31, 31, 31):
                await make_older(app, "receipt")
                await taken(app, "ann")
                await make_audits_older(app, minutes)
                report = await app.reconcile(apply=True, only=["intents"])
                assert codes(report) == [("RF-EFFECT-OVERDUE", "ann:charge")]
                epoch = (await (await app.handle("ann")).status()).epoch
                assert (report.left == []) == (epochs[-1:] != [epoch])
                epochs.append(epoch)
            assert epochs == [2, 2, 3, 3, 4, 4, 5]

    run(go())


async def make_audits_older(app, minutes):
    postgres = app.runtime.record.where.startswith("postgresql")
    async with app.runtime.record.transaction() as tx:
        await tx.connection.execute(
            f"UPDATE recordfirst.audit SET at = at - interval '{minutes} minutes'"
            if postgres
            else f"UPDATE recordfirst_audit SET at_ms = at_ms - {minutes * 60_000}"
        )


def test_unknown_is_probed_again(shop):
    """P5: a parked workflow goes on by itself when a probe can tell at last, as absent too."""

    async def go():
        bank = Bank()
        bank.loses_replies, bank.can_be_asked = True, False
        async with shop.working(order, provide={Bank: bank}) as app:
            handle = await app.start(order, "ann", id="ann")

            async def parked():
                receipt = await receipt_of(app, "ann:charge")
                return receipt is not None and receipt.parked_on is not None

            await until(parked)
            assert codes(await app.reconcile()) == [("RF-EFFECT-UNKNOWN", "ann:charge")]
            report = await app.reconcile(apply=True)
            assert report.left == [report.found[0].finding]
            bank.can_be_asked, bank.loses_replies = True, False
            bank.charged.clear()  # it never arrived
            await make_older(app, "receipt")
            report = await app.reconcile(apply=True)
            assert [found.repaired for found in report.found] == ["the provider says: not done"]
            assert await handle.result() == "charged"
            assert bank.charged == {"shop/ann:charge": 1}

    run(go())


@charge_for.on_success
async def mark_paid(w, who: str) -> None:
    if who == "ann":
        raise LookupError("no such order")
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who} has paid')")
    w.intend(thank, who)


@workflow
async def orders(ctx: Context, who: str) -> str:
    await visit(ctx, who)
    await charge_for(ctx, who)
    return await thank(ctx, who)


def test_repair_that_fails_stops_no_other(shop):
    """P5, P7: one effect's on_success fails whenever its answer is to be stored: what stands behind it is repaired."""

    async def go():
        bank = Bank()
        bank.loses_replies, bank.can_be_asked = True, False
        async with shop.app(orders, provide={Bank: bank}) as app:
            async with app.worker():
                handles = [await app.start(orders, who, id=who) for who in ("ann", "ben")]

                async def parked():
                    found = [await receipt_of(app, f"{who}:pay") for who in ("ann", "ben")]
                    return all(receipt is not None and receipt.parked_on is not None for receipt in found)

                await until(parked)
            bank.can_be_asked = True
            for _ in range(2):
                report = await app.reconcile(apply=True)
                assert report.looked["unknown"] >= 1
                assert [(found.finding.subject, found.failed) for found in report.found if not found.repaired] == [
                    ("ann:pay", "LookupError: no such order")
                ]
            assert [(event.subject, event.cause) for event in shop.seen(RepairFailed)] == [
                ("ann:pay", "LookupError: no such order")
            ] * 2
            assert (await receipt_of(app, "ann:pay")).state == "unknown"
            assert await shop.rows(app, "SELECT who FROM visits WHERE who LIKE '%paid'") == [("ben has paid",)]
            thanks = await receipt_of(app, "ben:thank")
            assert (thanks.workflow, thanks.state, thanks.calls) == ("ben", "intended", 0)
            bank.loses_replies = False
            async with app.worker():
                assert await handles[1].result() == "charged"
            assert bank.charged["shop/ben:pay"] == 1

    run(go())


def test_kept_answer_of_a_failed_workflow_is_left_to_a_person(shop):
    """P5: what on_success could not store is shown, and stored by a retry, not behind a failed workflow's back."""

    async def go():
        async with in_doubt(shop, Bank()) as app:
            receipt = await receipt_of(app, "ann:charge")
            async with app.runtime.record.session() as session:
                change = d.replied(receipt, '{"state":"succeeded","text":"\\"x\\""}', '{"reason":"bug"}')
                await session.change_receipt(receipt, change)
                await session.finish([Finish(id="ann", epoch=1, state="failed", error="{}")])
            await make_older(app, "receipt")
            report = await app.reconcile(apply=True)
            assert codes(report) == [("RF-EFFECT-ABANDONED", "ann:charge")]
            assert report.left == [report.found[0].finding]

    run(go())


class Killed(BaseException):
    """The process is gone."""


def dying(record, monkeypatch, at):
    """Let a record's user die before its session or transaction number ``at``; that is, also after the one before."""
    steps = itertools.count(1)

    def wrapped(open_):
        @contextlib.asynccontextmanager
        async def opened():
            if next(steps) == at:
                raise Killed
            async with open_() as session:
                yield session

        return opened

    monkeypatch.setattr(record, "session", wrapped(record.session))
    monkeypatch.setattr(record, "transaction", wrapped(record.transaction))


async def much_amiss(app):
    """What each pass has to repair, on more than a page, with the first charge of two really made."""
    for number in range(3):
        await app.start(order, f"{number}", id=f"{number}")
        new = await charge.new_receipt(app.runtime, f"{number}", {"who": f"{number}"}, now_ms=0)
        async with app.runtime.record.session() as session:
            receipt = (await session.intend(new, after=None, claim="x", claim_ms=1)).receipt
            if number == 0:
                await session.change_receipt(receipt, d.unknown(receipt, '{"reason":"lost"}'))
            if number == 1:
                await session.finish([Finish(id="1", epoch=1, state="failed", error="{}")])
    await taken(app, "2")
    await make_older(app, "start")
    await make_older(app, "receipt")


def test_killed_at_every_step_of_every_pass(make_shop, tmp_path, monkeypatch):
    """P6: wherever it dies, the next one ends with the same receipts, epochs moved on once, nothing called."""

    async def once(at):
        bank = Bank()
        bank.charged.update(["shop/0:charge", "shop/1:charge"])
        shop = make_shop(f"sqlite:///{tmp_path}/{at}.db")
        async with shop.app(order, provide={Bank: bank}, sleeper=quick) as app:
            await much_amiss(app)
            died = False
            with monkeypatch.context() as patched:
                dying(app.runtime.record, patched, at)
                try:
                    await app.reconcile(apply=True)
                except Killed:
                    died = True
            await app.reconcile(apply=True)
            receipts = [await receipt_of(app, f"{number}:charge") for number in range(3)]
            epochs = [(await (await app.handle(f"{number}")).status()).epoch for number in range(3)]
            rows = await shop.rows(app, "SELECT who FROM visits ORDER BY who")
            assert [receipt.state for receipt in receipts] == ["succeeded", "succeeded", "intended"], at
            assert epochs == [1, 1, 2], at
            assert rows == [("0 has paid",), ("1 has paid",)], at
            assert sum(bank.charged.values()) == 2
            # What the dead one has kept, and repaired, is closed by the first round that does not see it.
            await app.reconcile(apply=True)
            assert await open_findings(app) == [("RF-START-UNTAKEN", "order")], at
            return died

    async def go():
        monkeypatch.setattr("recordfirst.reconcile.passes.effects.PAGE", 1)
        monkeypatch.setattr("recordfirst.reconcile.passes.starts.PAGE", 1)
        at = 1
        while await once(at):
            at += 1
        assert at > 20

    run(go())


"""Found again by the second round: nobody worked in between."""


def test_pass_goes_on_behind_the_last_page(make_shop, sqlite_path, monkeypatch):
    """P6: what was looked at before the reconciler died is not looked at again."""

    async def go():
        monkeypatch.setattr("recordfirst.reconcile.passes.starts.PAGE", 2)
        async with make_shop(f"sqlite:///{sqlite_path}").app(order, provide={Bank: Bank()}) as app:
            for number in range(5):
                await app.start(order, f"{number}", id=f"{number}")

            def dies_on_the_third_page(_name, looked):
                if looked > 4:
                    raise Killed

            with contextlib.suppress(Killed):
                await app.reconcile(apply=True, tell=dies_on_the_third_page)
            assert (await app.reconcile(apply=True)).looked == {"epochs": 1}
            assert (await app.reconcile(apply=True)).looked == {"epochs": 5}

    run(go())


def test_two_reconcilers_take_turns(shop):
    """P6: the second waits for the first, and finds nothing left to repair."""

    async def go():
        async with served(shop, sleeper) as (server, app):
            await app.start(sleeper, "ann", id="ann")
            await suspended(app, server, "ann")
            forget_all(server)
            async with shop.app(sleeper, engine=app.engines.given) as other:
                reports = await asyncio.gather(app.reconcile(apply=True), other.reconcile(apply=True))
                assert sorted(len(report.found) for report in reports) in ([0, 1], [1, 1])
            assert (await (await app.handle("ann")).status()).epoch <= 3
            assert await shop.rows(app, "SELECT who FROM visits") == [("ann",)]

    run(go())


def test_engine_is_asked_without_working_for_it(shop):
    """P6: whoever only looks at a server takes none of its tasks."""

    async def go():
        server = Server()
        async with server.running() as url, shop.app(sleeper, engine=url) as client:
            await client.start(sleeper, "ann", id="ann")
            assert codes(await client.reconcile()) == []
            assert server.workers == 0
            engine = connect(url, Membership("shop", "shop", 1, None), client.runtime.record)
            assert await engine.look("shop~ann") is None
            await engine.stop()

    run(go())


def test_worker_reconciles_by_itself(shop, monkeypatch):
    """P6: nobody has to ask for it."""
    monkeypatch.setattr("recordfirst.reconcile.loop._FIRST_S", 0.0)

    async def go():
        bank = Bank()
        async with in_doubt(shop, bank) as app:
            async with app.runtime.record.session() as session:
                await session.finish([Finish(id="ann", epoch=1, state="failed", error="{}")])
            await make_older(app, "receipt")
        async with shop.working(order, provide={Bank: bank}) as app:

            async def settled():
                return (await receipt_of(app, "ann:charge")).state == "succeeded"

            await until(settled)

            async def told():
                return any(getattr(event, "code", None) == "RF-EFFECT-ABANDONED" for event in shop.events)

            await until(told)

    run(go())


def test_dismissed_however_many_are_open(shop):
    """P10: after an outage there may be more open findings than anybody lists: the oldest can be dismissed, too."""

    async def go():
        async with shop.app(order, provide={Bank: Bank()}) as app:
            many = [NewFinding(code="RF-EFFECT-ABANDONED", subject=f"{n}", detail="x") for n in range(10_001)]
            async with app.runtime.record.session() as session:
                await session.saw_findings(many[:1], "first")
                await session.saw_findings(many[1:], "then")
            done = await app.dismiss("RF-EFFECT-ABANDONED", "0", why="seen to")
            assert (done.detail, done.changed) == ("x", True)

    run(go())


def test_findings_are_structs_that_travel():
    """P10: as JSON, for whoever watches."""
    from recordfirst.core.finding import NewFinding  # noqa: PLC0415

    finding = NewFinding(code="RF-START-LOST", subject="a", detail="gone")
    assert msgspec.json.decode(msgspec.json.encode(finding), type=NewFinding) == finding
