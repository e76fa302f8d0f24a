"""Runs one program under one schedule again, for tests that are kept."""

from __future__ import annotations

import msgspec

from recordfirst.explore.programs.ground import parse
from recordfirst.explore.programs.runner import quiet, try_one
from recordfirst.explore.programs.tree import Program
from recordfirst.explore.programs.world import ProgramWorld


def check(program: str, schedule: str) -> list[str]:
    """Return what a program, given as JSON, breaks under a schedule."""
    world = ProgramWorld()
    try:
        with quiet():
            broken = try_one(world, msgspec.json.decode(program, type=Program), parse(schedule))
    finally:
        world.close()
    return [str(each) for each in broken]
