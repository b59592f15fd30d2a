"""`bench`: the figures that Antiphon promises, measured on this machine. Needs a checkout."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from antiphon import exits
from base.errors import Misconfigured

ROOT = Path(__file__).resolve().parents[3]


@click.command(
    help="Measure what is promised: latencies, what a session costs, exactness, intelligibility. Exit code 1 when a "
    "budget was missed. Close other programs first: they are measured with it."
)
@click.option("--only", "only", multiple=True, metavar="NAME", help="Just this one; may be given again.")
@click.option("--quick", is_flag=True, help="Fewer repetitions: under two minutes, and rougher.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.option("--list", "list_", is_flag=True, help="Which benchmarks there are.")
@click.option(
    "--write",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Put the results into this page, such as docs/performance.md; what is around them stays.",
)
def command(only: tuple[str, ...], quick: bool, as_json: bool, list_: bool, write: Path | None) -> int:
    if not (ROOT / "benchmarks" / "suite.py").is_file():
        raise Misconfigured(
            f"the benchmarks are not part of an installation; run this in a checkout (looked in {ROOT})"
        )
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    if list_:
        for benchmark in importlib.import_module("benchmarks.suite").BENCHMARKS:
            click.echo(f"{benchmark.name:14} {benchmark.title}")
        return exits.OK
    try:
        code: int = importlib.import_module("benchmarks.main").main(only, quick=quick, as_json=as_json, write=write)
    except KeyError as error:
        raise click.UsageError(str(error.args[0])) from None
    return code
