"""The command that explains a finding's code with the texts of ``core/finding.py``; it needs no app and no record."""

from __future__ import annotations

import difflib
import re

import click

from recordfirst.cli.common import json_option, print_json
from recordfirst.cli.screen import say
from recordfirst.core.finding import KINDS, FindingKind
from recordfirst.core.text import shown
from recordfirst.errors.pages import page

_FAMILY = "RF-"
_NEAR = 5
"""How many codes an error names beside one that there is not."""
_ALIKE = 0.5
"""From here on, of 1, two codes are near."""


@click.command()
@click.argument("code")
@json_option
def explain(code: str, as_json: bool) -> None:
    """Say what a finding's CODE means, how it comes about, and what to do. Needs no app and no record.

    \b
    Examples:
      recordfirst explain RF-EFFECT-UNKNOWN
      recordfirst explain RF-EFFECT-UNKNOWN --json
    """
    kind = _kind(code)
    steps = page("how-to/clear-findings", kind.code.lower())
    if as_json:
        texts = {"means": kind.means, "cause": kind.cause, "apply": kind.apply, "operator": kind.person}
        print_json(
            {"code": kind.code}
            | {name: plain(text) for name, text in texts.items()}
            | {"dismissible": kind.dismissible, "steps": steps}
        )
        return
    say(f"{kind.code}: {plain(kind.means)}")
    say(f"How it comes about: {plain(kind.cause)}")
    say(f"What recordfirst reconcile --apply does: {plain(kind.apply)}")
    say(f"What an operator does: {plain(kind.person)}")
    if kind.dismissible:
        say(f"When that is done and it stays: recordfirst dismiss {kind.code} SUBJECT --why REASON")
    say(f"Step by step: {steps}")


def plain(text: str) -> str:
    """Return a text of a finding's page as a screen shows it: a link is the address that it leads to."""
    return re.sub(r"\[\]\(\.\./([\w/-]+)\.md\)", lambda link: page(link[1]), text)


def _kind(code: str) -> FindingKind:
    """The kind of this code, however it is capitalised, and with or without what all codes begin with."""
    name = code.strip().upper().removeprefix(_FAMILY)
    kind = KINDS.get(_FAMILY + name)
    if kind is None:
        names = [each.removeprefix(_FAMILY) for each in KINDS]
        near = [_FAMILY + each for each in difflib.get_close_matches(name, names, _NEAR, _ALIKE)]
        else_ = f"near are {', '.join(near)}" if near else f"all are at {page('reference/findings')}"
        raise click.UsageError(f"there is no finding {shown(code)}; {else_}")
    return kind
