"""``recordfirst events``: lists, shows, replays and forgets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from recordfirst.cli import main
from recordfirst.events.endpoint import EventEndpoint
from tests.events.dying import SOURCE, app_of
from tests.events.test_signed import body, hmac_of
from tests.starts.harness import migrated


@pytest.fixture
def command(sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("EVENTS_RECORD", f"sqlite:///{sqlite_path}")

    def called(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(main, ["events", "--app", "tests.events.listed:app", *words])
        assert done.exit_code == status, done.output
        return done.output

    return called


def test_events_are_listed_shown_replayed_and_forgotten(command, sqlite_path):
    """P10: by the provider's id; the body only when it is asked for."""
    url = f"sqlite:///{sqlite_path}"

    async def take() -> None:
        await migrated(url)
        async with app_of(url) as app:
            given = body("p1", "parcel.delivered", to="Ann")
            await EventEndpoint(app.runtime, SOURCE).take(SOURCE.read(given, {"x-signature": hmac_of(given)}))

    asyncio.run(take())
    assert "parcel.delivered" in command()
    assert command("--state", "stopped") == "no events\n"
    assert "Ann" not in command("p1")
    [shown] = json.loads(command("p1", "--reveal", "--json"))
    assert (shown["state"], shown["provider"], shown["body"]["to"]) == ("open", "warehouse", "Ann")
    assert "would be taken up again" in command("p1", "--replay", "--dry-run")
    assert "is taken up again" in command("p1", "--replay", "--why", "fixed")
    assert "no event" in command("p2", status=1)
    said = command("--catch-up", "--since", "1d", status=1)
    assert "warehouse: its events cannot be listed\nrecordfirst: nothing was asked: no provider" in said
    assert "had never arrived" not in said
    assert "None" not in command()
    assert command("--forget", "0s").startswith("0 bodies")
    assert "one at a time" in command("p1", "--catch-up", status=2)
