"""Bad input: one clear line that names what and where, a status that is not zero, and nothing half done."""

from __future__ import annotations

import re
import shlex

import pytest
from psycopg.conninfo import conninfo_to_dict

from recordfirst.cli.common import _user, print_json
from tests.cli.conftest import CommandLine

ORDER = '{"order": {"id": "1", "amount": 5}}'


@pytest.fixture
def shop(cli_here):
    """With its tables, and no order."""
    cli_here.done("migrate", "--apply")
    cli_here.here = False
    return cli_here


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["nothing"], 1, "app 'shop' has no workflow 'nothing'; it has: create_order, unencodable, keyless, slow"),
        (["create_order", '{"order": {"id": "1"}}'], 1, "argument 'order' of workflow 'create_order' is not "),
        (["create_order", '{"order": {"id": "1", "amount": "5"}}'], 1, "Expected `int`, got `str` - at `$.amount`"),
        (["create_order", '{"ordre": {"id": "1", "amount": 5}}'], 1, "it is create_order(order: "),
        (["create_order", "[]"], 1, "missing a required argument: 'order'"),
        (["create_order", '{"order": '], 2, "ARGUMENTS is not JSON: "),
        (["create_order", "5"], 2, "ARGUMENTS must be a JSON object or array"),
    ],
)
def test_start_refuses(shop, words, status, said):
    """P8: an unknown workflow, arguments that do not fit, bad JSON; no workflow was started."""
    shop.here = said.startswith(("missing", "ARGUMENTS must", "Expected", "it is"))
    assert said in shop.refused("start", *words, "--id", "order:1", status=status)
    assert shop.execute("SELECT count(*) FROM recordfirst_start") == [(0,)]


def test_what_a_terminal_cannot_show(shop):
    """P10: what was done is told, with escapes, and ends well; a word that is no text is refused, by any command."""
    started = shop.done("start", "create_order", ORDER, "--id", "€:1", PYTHONIOENCODING="latin-1")
    assert started == "\\u20ac:1 is open\n"
    for words in (["show"], ["retry"], ["cancel"], ["audit"], ["start", "create_order", ORDER, "--id"]):
        said = shop.refused(*words, "a\udcff", status=2)
        assert said == "'a\\udcff' is no text in this terminal's encoding"
        shop.here = True


def test_who_has_no_name(monkeypatch):
    """P10: a container's user is often a number; what Python raises for it depends on its version."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert _user().startswith("somebody@")


def test_a_result_of_a_models(capsys):
    """P10: what a workflow may return, --json can print."""

    class Model:
        def model_dump(self, **_: object) -> dict[str, int]:
            return {"n": 1}

    print_json({"result": Model()})
    assert capsys.readouterr().out == '{"result": {"n": 1}}\n'


@pytest.mark.parametrize("command", ["status", "effects", "findings", "audit"])
def test_more_than_a_number_can_be(cli_on_sqlite, command):
    """P10: how many to list is told its bounds, instead of a traceback of the record's driver."""
    assert "1<=x<=100000" in cli_on_sqlite.refused(command, "--limit", "9" * 20, status=2)


def test_conflicts(shop):
    """P8: the same id with other arguments, an empty id, an id that nobody started."""
    shop.here = True
    shop.done("start", "create_order", ORDER, "--id", "order:1")
    other = shop.refused("start", "create_order", ORDER.replace("5", "6"), "--id", "order:1")
    assert "workflow 'order:1' was already started as create_order" in other
    assert "must be text and not empty" in shop.refused("start", "create_order", ORDER, "--id", "")
    assert shop.refused("show", "order:2") == "app 'shop' has no workflow and no key 'order:2'"
    assert shop.refused("retry", "order:2") == "no workflow 'order:2' was ever started in app 'shop'"
    assert shop.done("retry", "order:1") == "order:1 is open, in epoch 1\n"
    assert "no workflow 'order:2' was ever started" in shop.refused("cancel", "order:2")
    nobody = shop.refused("resolve", "order:1", "--not-done")
    assert nobody.startswith("no effect has the key 'order:1'; those whose outcome is unknown are listed by: ")
    quoted = shop.refused("resolve", "order:1:charge", "--succeeded", "ch_1", status=2)
    assert "got 'ch_1'; a text is JSON in quotes: '\"ch_123\"'" in quoted


def test_failures_inside_a_workflow(shop):
    """P8, P2: a result that cannot be stored, a key whose field is missing: named, and the rows were taken back."""
    with shop.worker():
        thing = shop.refused("start", "unencodable", "--id", "thing", "--wait")
        assert "write 'take_thing' cannot be stored as JSON: its field 'lock' is _thread.lock" in thing
        key = shop.refused("start", "keyless", '{"order": {"nr": 1}}', "--id", "keyless", "--wait")
        assert "BadKey: key 'order:{order.id}:log' of write 'log': {order.id}: dict has no 'id'" in key
    assert shop.execute("SELECT name FROM sqlite_master WHERE name = 'things'") == []
    assert shop.execute("SELECT count(*) FROM recordfirst_receipt") == [(0,)]


@pytest.mark.parametrize(
    ("app", "status", "said"),
    [
        ("tests.cli.shop:nowhere", 2, "tests.cli.shop has no 'nowhere'"),
        ("tests.cli.shop:number", 2, "tests.cli.shop has a int, not an App, as 'number'"),
        ("tests.cli.nowhere:app", 2, "there is no module 'tests.cli.nowhere' here"),
        ("tests.cli.shop", 2, "write MODULE:APP, such as shop.app:app"),
        ("tests.cli.bad_key:app", 1, "tests.cli.bad_key could not be imported: key 'order:{order.nmae}' of write "),
    ],
)
def test_app_that_is_none(cli_on_sqlite, app, status, said):
    """P8: which module, and what is wrong with it; a key template that names a missing field fails the import."""
    cli_on_sqlite.here = "bad_key" not in app and "nowhere" not in app
    assert said in cli_on_sqlite.refused("status", "--app", app, status=status)


@pytest.mark.parametrize(
    ("text", "said"),
    [("\nraise ValueError('a bug')", "ValueError: a bug ({}:2)"), ("def (", "({}:1)"), ("import json.x", "'json.x'")],
)
def test_app_whose_module_fails(cli_here, tmp_path, monkeypatch, text, said):
    """P8: whatever it raises is one line, with the place to look at."""
    (tmp_path / "faulty.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    line = cli_here.refused("status", "--app", "faulty:app")
    assert line.startswith("faulty could not be imported: ")
    assert said.format(tmp_path / "faulty.py") in line


def test_needs_that_nobody_provides(cli_here):
    """P8: all of them at once, with the function that needs each, before anything is opened."""
    for words in (["worker"], ["reconcile"], ["start", "entering", "--id", "1"]):
        line = cli_here.refused(*words, RECORDFIRST_APP="tests.cli.needy:app")
        assert re.search(r"tests.cli.needy.enter \(.*needy.py:\d+\) needs ledger: Ledger", line)
        assert re.search(r"tests.cli.needy.print_out \(.*needy.py:\d+\) needs printer: Printer", line)


def test_looking_needs_nothing(empty_cli):
    """P10: what only reads the record needs nothing that steps need, nor the engine; it needs the tables."""
    empty_cli.here = True
    needy = {"RECORDFIRST_APP": "tests.cli.needy:app", "SHOP_ENGINE": "postgresql://127.0.0.1:1/none"}
    words = (["status"], ["findings"], ["audit"], ["effects"], ["show", "nothing"])
    for each in words:
        assert "recordfirst migrate --record" in empty_cli.refused(*each, **needy)
    empty_cli.done("migrate", "--apply")
    for each in words[:-1]:
        empty_cli.done(*each, **needy)
    assert empty_cli.refused(*words[-1], **needy) == "app 'shop' has no workflow and no key 'nothing'"
    assert empty_cli.refused("ledger", "accounts", **needy).startswith("nothing provides Ledger; call app.provide(")


def test_engine_that_is_none(cli_here):
    """P8: what App(engine=...) was given is named."""
    line = cli_here.refused("worker", SHOP_ENGINE="localhost:8001")
    assert "engine='localhost:8001': give None, Embedded(path), the http(s) URL of a Resonate Server" in line


@pytest.mark.parametrize("words", [["status"], ["worker"], ["start", "slow", "--id", "1"]], ids=lambda words: words[0])
def test_dead_database(cli_on_sqlite, words):
    """P9: the address and the cause; no secret."""
    cli_on_sqlite.here = words != ["status"]
    line = cli_on_sqlite.refused(*words, SHOP_RECORD="postgresql://me:secret@127.0.0.1:1/shop")
    assert line.startswith("cannot reach the record at postgresql://me@127.0.0.1:1/shop: ")
    assert "onnection refused" in line


def guarded(dsn, password):
    """The server lets this role in with a password only, and to look."""
    host = conninfo_to_dict(dsn)
    return f"postgresql://guarded:{password}@/{host['dbname']}?host={host['host']}&port={host.get('port', 5432)}"


def test_wrong_password(cli_on_postgres):
    """P9: the server's own words, and not the password."""
    line = cli_on_postgres.refused("status", SHOP_RECORD=guarded(cli_on_postgres.url, "wrong"))
    assert 'password authentication failed for user "guarded"' in line
    assert "wrong" not in line


def test_no_right_to_create_tables(empty_cli_on_postgres):
    """P9: what the server refuses is one line, and nothing was made."""
    empty_cli_on_postgres.here = True
    line = empty_cli_on_postgres.refused("migrate", "--record", guarded(empty_cli_on_postgres.url, "right"), "--apply")
    assert line.startswith("the record refuses: InsufficientPrivilege: permission denied for database ")


def test_missing_schema(empty_cli):
    """P8: which record, and the command that fixes it."""
    for words in (["status"], ["worker"], ["start", "slow", "--id", "1"]):
        empty_cli.here = words != ["status"]
        line = empty_cli.refused(*words)
        assert "recordfirst's tables in " in line
        assert "are missing; run: recordfirst migrate --record " in line


def test_the_command_that_fixes_it_can_be_pasted(tmp_path):
    """P8: the record's path is quoted, and a file of any name is one of SQLite's."""
    cli = CommandLine(f"sqlite:///{tmp_path / 'a shop & more'}", tmp_path)
    cli.here = True
    line = cli.refused("status")
    words = shlex.split(line.partition("run: ")[2])
    assert words == ["recordfirst", "migrate", "--record", f"{cli.url}", "--apply"]
    cli.done(*words[1:])
    assert "starts open" in cli.done("status")


def test_looking_makes_no_file(cli_here, sqlite_path):
    """P10: only ``migrate --apply`` makes a SQLite file; every other command says that the tables are missing."""
    assert "would run  1" in cli_here.done("migrate")
    assert "CREATE TABLE" in cli_here.done("migrate", "--sql")
    for words in (["status"], ["show", "1"], ["retry", "1"], ["resolve", "1", "--not-done"], ["worker"]):
        assert "are missing; run: recordfirst migrate --record " in cli_here.refused(*words)
    assert not sqlite_path.exists()
    cli_here.done("migrate", "--apply")
    assert sqlite_path.exists()


def test_schema_of_a_newer_version(cli):
    """P8: an old program leaves new tables alone, whatever it is asked, and says so."""
    cli.here = True
    cli.done("migrate", "--apply")
    sqlite = "INSERT INTO recordfirst_migration (version, name, applied_at_ms) VALUES (999, 'later', 0)"
    postgres = "INSERT INTO recordfirst.migration (version, name) VALUES (999, 'later')"
    cli.execute(sqlite if cli.url.startswith("sqlite") else postgres)
    for words in (["status"], ["worker"], ["migrate"], ["migrate", "--json"], ["migrate", "--apply", "--json"]):
        cli.here = words != ["status"]
        line = cli.refused(*words)
        assert "are at version 999, newer than this recordfirst knows" in line
        assert "upgrade it" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["start"], "Missing argument 'WORKFLOW'. (see "),
        (["nonsense"], "No such command 'nonsense'. (see "),
        (["status", "--sate", "open"], "No such option"),
        (["resolve", "k"], "say exactly one of --succeeded JSON, --declined REASON, --not-done"),
        (["resolve", "k", "--not-done", "--declined", "no"], "say exactly one of"),
        (["resolve", "k", "--succeeded", "{"], "--succeeded is not JSON"),
        (["migrate", "--record", "mysql://x"], "mysql://... names no record; write postgresql://"),
    ],
)
def test_usage(cli_here, words, said):
    """P8: a command that was not understood is one line, too."""
    status = 1 if "mysql://x" in words else 2
    assert said in cli_here.refused(*words, status=status)
