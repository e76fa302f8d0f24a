"""How many programs were run, and how soon they find what is put back: over several sittings.

``python -m tests.explore.programs.figures count --seconds 600`` runs programs, from where the last sitting ended, and
adds a line to a file. ``mutants`` measures how many runs find each mutant. ``table`` prints what the file says.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click

from recordfirst.explore.programs.printing import lines_of
from recordfirst.explore.programs.runner import quiet, runs_of
from recordfirst.explore.programs.search import search, smallest, told
from recordfirst.explore.programs.shape import coverage
from recordfirst.explore.programs.world import ProgramWorld
from tests.explore.mutants.mutant import edited
from tests.explore.programs.mutants import MUTANTS, ProgramMutant

_SEED = 1_000_000


@click.group(context_settings={"show_default": True})
@click.option(
    "--file", type=click.Path(path_type=Path), default=Path("programs.jsonl"), help="What the sittings add to."
)
@click.pass_context
def main(context: click.Context, file: Path) -> None:
    """Count runs, and measure mutants."""
    context.obj = file


@main.command()
@click.option("--seconds", default=600.0)
@click.option("--seed", type=int, help="Default: the one behind those of earlier sittings.")
@click.pass_obj
def count(file: Path, seconds: float, seed: int | None) -> None:
    """Run programs of a seed of their own, and add what came of it; exit with 1 if a promise was broken."""
    used = [line["seed"] for line in _lines(file) if line["what"] == "count"]
    whole = search(seed if seed is not None else max(used, default=100) + 1, runs=None, seconds=seconds)
    _add(
        file,
        {
            "what": "count",
            "seed": whole.seed,
            "commit": _commit(),
            "runs": whole.runs,
            "programs": whole.programs,
            "seconds": round(whole.seconds),
            "failed": whole.failed,
            "shapes": sorted({f"{hash_of(each):x}" for each in whole.shapes}),
            "pairs": whole.pairs,
            "faults": whole.faults,
            "ends": whole.ends,
        },
    )
    for found in whole.found:
        click.echo(told(found))
    raise SystemExit(bool(whole.failed))


@main.command()
@click.option("--seeds", default=10)
@click.option("--runs", default=600, help="The budget for each seed.")
@click.option("--only", default="", help="Mutants whose name has this.")
@click.option("--shrink", is_flag=True, help="Make the program that the first seed finds small: this takes longest.")
@click.pass_obj
def mutants(file: Path, seeds: int, runs: int, only: str, *, shrink: bool) -> None:
    """Measure how many runs find each mutant, and how many lines its smallest program has."""
    measured = [line for line in _lines(file) if line["what"] == "mutant"]
    done = {(line["name"], line["seed"]) for line in measured if line["lines"] is not None or not shrink}
    for seed in (1,) if shrink else range(1, seeds + 1):
        for mutant in MUTANTS:
            if only in mutant.name and (mutant.name, seed) not in done:
                line = measure(mutant, seed, runs, shrinks=shrink)
                _add(file, line)
                click.echo(f"{mutant.name}, seed {seed}: {line['runs']} runs, {line['lines']} lines")


def measure(mutant: ProgramMutant, seed: int, budget: int, *, shrinks: bool) -> dict[str, Any]:
    """Run programs until one finds the mutant."""
    runs, lines, began = 0, None, time.perf_counter()
    with quiet(), edited(mutant.edits):
        world = ProgramWorld()
        try:
            number = 0
            broken = None
            while runs < budget and broken is None:
                for found in runs_of(world, seed * _SEED + number):
                    runs += 1
                    if found.broken:
                        broken = found
                        break
                number += 1
            if broken is not None and shrinks:
                lines = lines_of(smallest(broken, world)[0])
        finally:
            world.close()
    return {
        "what": "mutant",
        "name": mutant.name,
        "rule": mutant.rule,
        "seed": seed,
        "runs": runs if broken is not None else None,
        "found_by": broken.seed if broken is not None else None,
        "broken": str(broken.broken[0])[:200] if broken is not None else None,
        "lines": lines,
        "seconds": round(time.perf_counter() - began, 1),
    }


@main.command()
@click.pass_obj
def table(file: Path) -> None:
    """Print what the sittings have come to."""
    lines = _lines(file)
    counted = [line for line in lines if line["what"] == "count"]
    shapes = {shape for line in counted for shape in line["shapes"]}
    click.echo("| seed | commit | minutes | programs | runs | broke a promise |\n|---|---|---|---|---|---|")
    for line in counted:
        click.echo(
            f"| {line['seed']} | {line['commit']} | {line['seconds'] / 60:.0f} | {line['programs']:,} "
            f"| {line['runs']:,} | {line['failed']:,} |"
        )
    click.echo(f"\n{sum(line['runs'] for line in counted):,} runs, {len(shapes):,} programs of different shape.\n")
    click.echo("| rule | mutant | runs, median | found | lines |\n|---|---|---|---|---|")
    for mutant in MUTANTS:
        measured = [line for line in lines if line["what"] == "mutant" and line["name"] == mutant.name]
        runs = [*{line["seed"]: line["runs"] for line in measured if line["runs"] is not None}.values()]
        small = next((line["lines"] for line in measured if line["lines"] is not None), "")
        median = f"{statistics.median(runs):.0f}" if runs else "none"
        tried = len({line["seed"] for line in measured})
        click.echo(f"| {mutant.rule or ''} | {mutant.name} | {median} | {len(runs)} of {tried} | {small} |")
    click.echo("\n" + coverage(Counter(sum((Counter(line["pairs"]) for line in counted), Counter()))))


def hash_of(shape: str) -> int:
    """The same in every process, in 48 bits."""
    import hashlib  # noqa: PLC0415 - here alone

    return int.from_bytes(hashlib.sha256(shape.encode()).digest()[:6])


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _add(file: Path, line: dict[str, Any]) -> None:
    with file.open("a") as out:
        out.write(json.dumps(line) + "\n")


def _commit() -> str:
    shown = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
