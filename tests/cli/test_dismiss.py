"""``recordfirst dismiss``: what an operator has seen to is not found again, until it says something else."""

from __future__ import annotations

import pytest

from tests.cli.test_deciding import table, whole

SAID = "show_order has version 2, its mirror 1, after 3 tries"


@pytest.fixture
def behind(cli):
    """A mirror that is behind, and a projection that this app does not have any more."""
    cli.here = True
    cli.done("migrate", "--apply")
    asked = "asked_at_ms" if cli.url.startswith("sqlite") else "asked_at"
    time = "1" if cli.url.startswith("sqlite") else "'2020-01-01'"
    cli.execute(
        f"""
        INSERT INTO {table(cli, "projection")}
            (app, key, function, fingerprint, request, version, projected, tries, {asked})
        VALUES ('shop', 'order:1:shown', 'show_order', 'f', '{{}}', 2, 1, 3, {time})
        """
    )
    return cli


def test_seen_to_and_not_found_again(behind):
    """P10: shown, dismissed with the reason, said again; found again when it says something else."""
    words = ("dismiss", "RF-MIRROR-BEHIND", "order:1:shown", "--why", "given up", "--who", "ann")
    assert "no finding RF-MIRROR-BEHIND about 'order:1:shown' is open" in behind.refused(*words)
    assert behind.run("reconcile", "--apply").returncode == 1
    before = whole(behind)
    would = f"RF-MIRROR-BEHIND of order:1:shown would be dismissed: {SAID}. Nothing was changed.\n"
    assert behind.done(*words, "--dry-run") == would
    assert whole(behind) == before
    assert behind.done(*words) == f"RF-MIRROR-BEHIND of order:1:shown is dismissed: {SAID}\n"
    for _ in range(2):
        assert behind.done(*words) == f"RF-MIRROR-BEHIND of order:1:shown is dismissed already: {SAID}\n"
    again = behind.json(*words)
    assert (again["changed"], again["dry_run"]) == (False, False)

    for apply in ((), ("--apply",), ("--apply",)):
        assert behind.done("reconcile", *apply).startswith("0 found, 0 left (1 more were dismissed); looked at: ")
        assert behind.done("findings") == "no findings\n"
    assert behind.json("reconcile")["dismissed"] == 1
    [closed] = behind.json("findings", "--closed")
    assert closed["closed_because"] == "dismissed: given up"
    [audit] = behind.json("audit", "order:1:shown")
    assert (audit["who"], audit["command"], audit["why"]) == ("ann", "dismiss", "given up")
    assert audit["detail"] == f"RF-MIRROR-BEHIND: {SAID}"

    behind.execute(f"UPDATE {table(behind, 'projection')} SET version = 3")
    ended = behind.run("reconcile", "--apply")
    assert (ended.returncode, "has version 3, its mirror 1" in ended.stdout) == (1, True)
    assert behind.done(*words).startswith("RF-MIRROR-BEHIND of order:1:shown is dismissed: show_order has version 3")


@pytest.mark.parametrize(
    ("code", "why", "said"),
    [
        ("RF-START-LOST", "so", "RF-START-LOST cannot be dismissed, since it can be cleared; what can be "),
        ("RF-NOTHING", "so", "there is no finding 'RF-NOTHING'; what can be dismissed: RF-"),
        ("RF-MIRROR-BEHIND", " ", "say why RF-MIRROR-BEHIND is dismissed"),
        ("RF-MIRROR-BEHIND", None, "--why is needed here: say how it was seen to"),
    ],
)
def test_what_cannot_be_dismissed(behind, code, why, said):
    """P8: what can be cleared is cleared, and nothing is dismissed without a reason."""
    given = ("--why", why) if why is not None else ()
    behind.run("reconcile", "--apply")
    before = whole(behind)
    assert said in behind.refused("dismiss", code, "order:1:shown", *given, status=1 if given else 2)
    assert whole(behind) == before
