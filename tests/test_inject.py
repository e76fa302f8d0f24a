"""Injection: found by type, once each, and what is missing or doubled is said before anything runs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import NewType, Protocol

import pytest

from recordfirst import inject
from recordfirst.errors import DuplicateDependency, MissingDependency
from recordfirst.steps.function import Function
from recordfirst.steps.injection import Injector, type_name


class Pool:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<pool {self.name}>"


class PostgresPool(Pool): ...


class Mailer(Protocol):
    def send(self, text: str) -> None: ...


class Smtp:
    def send(self, text: str) -> None: ...


Reports = NewType("Reports", Pool)


async def charge(call, order: str, *, pool: Pool = inject()) -> None: ...
async def report(call, order: str, *, reports: Reports = inject(), mailer: Mailer = inject()) -> None: ...
def plain(w, order: str) -> None: ...


CHARGE, REPORT, PLAIN = (Function(fn, kind="effect") for fn in (charge, report, plain))


@pytest.fixture
def injector() -> Injector:
    return Injector()


def resolved(injector, function):
    return asyncio.run(injector.resolve(function))


# ── keys ────────────────────────────────────────────────────────────────────


def test_value_is_found_by_its_class(injector):
    """P8: the class of the value is its key."""
    pool = Pool("a")
    injector.provide(pool)
    assert resolved(injector, CHARGE) == {"pool": pool}


def test_value_is_found_by_base_class_protocol_or_newtype(injector):
    """P8: whatever the parameter is annotated with can be the key."""
    main, reports, mailer = PostgresPool("main"), Pool("reports"), Smtp()
    injector.provide(main, as_=Pool)
    injector.provide(reports, as_=Reports)
    injector.provide(mailer, as_=Mailer)
    assert resolved(injector, CHARGE) == {"pool": main}
    assert resolved(injector, REPORT) == {"reports": reports, "mailer": mailer}


def test_subclass_is_not_found_by_its_base(injector):
    """P8: what is found is what was said, never a guess among candidates."""
    injector.provide(PostgresPool("a"))
    with pytest.raises(MissingDependency):
        injector.check([CHARGE])


# ── two values for one key ──────────────────────────────────────────────────


def test_two_values_of_one_class_name_both(injector):
    """P8: the second pool of a class needs a key of its own, and the error says how."""
    injector.provide(Pool("first"))
    with pytest.raises(DuplicateDependency, match=r"two values for Pool: .*inject.py:\d+ and .*inject.py:\d+; .*as_="):
        injector.provide(Pool("second"))
    assert resolved(injector, CHARGE)["pool"].name == "first"


def test_value_and_factory_for_one_key_name_both(injector):
    """P8: in either order."""
    injector.provide(PostgresPool("first"), as_=Pool)
    with pytest.raises(DuplicateDependency, match=r"the PostgresPool object .* and factory 'Pool'"):
        injector.provide_factory(Pool, Pool)


def test_equal_values_are_two_values(injector):
    """P8: the same value twice is a mistake as well."""
    pool = Pool("a")
    injector.provide(pool)
    with pytest.raises(DuplicateDependency):
        injector.provide(pool)


# ── what is missing ─────────────────────────────────────────────────────────


def test_everything_missing_is_named_at_once(injector):
    """P8: with the function that needs it and where it is; each once."""
    injector.provide(Smtp(), as_=Mailer)
    with pytest.raises(MissingDependency) as missing:
        injector.check([CHARGE, REPORT, PLAIN, CHARGE])
    first, *lines = str(missing.value).splitlines()
    assert "app.provide(...)" in first
    assert [line.strip() for line in lines] == [
        f"{CHARGE.place} needs pool: Pool",
        f"{REPORT.place} needs reports: Reports",
    ]
    assert "test_inject.py" in lines[0]


def test_function_without_dependencies_needs_nothing(injector):
    """P8: nothing is asked of an app that provides nothing."""
    injector.check([PLAIN])
    assert resolved(injector, PLAIN) == {}


def test_missing_is_said_also_when_a_step_runs(injector):
    """P8: a step that nobody checked is refused before its function runs."""
    with pytest.raises(MissingDependency, match="needs pool: Pool"):
        resolved(injector, CHARGE)


# ── factories ───────────────────────────────────────────────────────────────


def test_factory_is_called_once_and_cleaned_up(injector):
    """P9: what an app opens for its steps is opened once, and closed when it closes."""
    events = []

    @contextlib.asynccontextmanager
    async def pool():
        events.append("open")
        yield Pool("made")
        events.append("close")

    async def run():
        injector.provide_factory(Pool, pool)
        first = await injector.resolve(CHARGE)
        assert (await injector.resolve(CHARGE))["pool"] is first["pool"]
        assert events == ["open"]
        await injector.close()

    asyncio.run(run())
    assert events == ["open", "close"]


def test_given_value_is_not_closed(injector):
    """P9: what the caller made is the caller's to close."""

    class Closing:
        closed = False

        async def __aenter__(self):
            raise AssertionError("entered")

        async def __aexit__(self, *exc):
            self.closed = True

    value = Closing()

    async def run():
        injector.provide(value)
        await injector.close()

    asyncio.run(run())
    assert not value.closed


def test_type_name():
    """P10: a type as an operator writes it."""
    assert [type_name(key) for key in (Pool, Reports, Mailer)] == ["Pool", "Reports", "Mailer"]


def test_p8_two_that_ask_at_once_get_one_value():
    """P8: an async factory is called once, however many steps start with it."""
    made = []

    async def make() -> Pool:
        await asyncio.sleep(0)
        made.append(1)
        return Pool("one")

    async def one(call, *, pool: Pool = inject()) -> None: ...
    async def other(call, *, pool: Pool = inject()) -> None: ...

    async def go():
        injector = Injector()
        injector.provide_factory(Pool, make)
        functions = [Function(fn, kind="effect") for fn in (one, other)]
        first, second = await asyncio.gather(*(injector.resolve(function) for function in functions))
        await injector.close()
        return first["pool"] is second["pool"]

    assert asyncio.run(go())
    assert made == [1]
