"""`bench`: the figures that Antiphon promises, measured on this machine. Needs a checkout."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from antiphon import exits
from base.errors import Misconfigured

ROOT = Path(__file__).resolve().parents[3]


@click.group(
    invoke_without_command=True,
    help="Measure what is promised: latencies, what a session costs, exactness, intelligibility. Exit code 1 when a "
    "budget was missed. Close other programs first: they are measured with it. `bench ears` measures ears on clips.",
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
@click.pass_context
def command(
    context: click.Context, only: tuple[str, ...], quick: bool, as_json: bool, list_: bool, write: Path | None
) -> int:
    if context.invoked_subcommand is not None:
        return exits.OK
    _find_benchmarks()
    if list_:
        for benchmark in importlib.import_module("benchmarks.suite").BENCHMARKS:
            click.echo(f"{benchmark.name:14} {benchmark.title}")
        return exits.OK
    try:
        code: int = importlib.import_module("benchmarks.main").main(only, quick=quick, as_json=as_json, write=write)
    except KeyError as error:
        raise click.UsageError(str(error.args[0])) from None
    return code


@command.command(
    "ears",
    help="Play the clips in DIR (NAME.wav with what is said in NAME.txt, and its truth in NAME.json if you have it) to "
    "every recogniser and detector that is installed, in real time: word error rate, how late words and ends of turns "
    "come, turns ended while the speaker only paused, and noises taken for speech. `--make DIR` writes such clips.",
)
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--make", "make", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Fill DIR with made speech."
)
@click.option("--recogniser", "recognisers", multiple=True, metavar="NAME", help="Just this one; may be given again.")
@click.option("--detector", "detectors", multiple=True, metavar="NAME", help="Just this one; may be given again.")
@click.option("--endpointing", type=click.Choice(("adaptive", "fixed")), help="Just this one.")
@click.option(
    "--model",
    "models",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="A Whisper model; without any, those in var/ears.",
)
@click.option("--language", default="en", show_default=True, metavar="TAG", help="What is spoken (BCP 47).")
@click.option(
    "--at-once", default=0, type=click.IntRange(0), metavar="N", help="Sessions side by side; 0: a core each."
)
@click.option("--quick", is_flag=True, help="Three clips of each speaker.")
@click.option("--each", is_flag=True, help="Besides, a line for each clip, to stderr.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.option(
    "--write",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Put the results into this page, such as docs/performance.md; what is around them stays.",
)
def ears(
    folder: Path | None, make: Path | None, endpointing: str | None, as_json: bool, write: Path | None, **wanted: Any
) -> int:
    if (folder is None) == (make is None):
        raise click.UsageError("name a folder of clips to listen to, or one to fill with --make")
    _find_benchmarks()
    main = importlib.import_module("benchmarks.ears.main")
    if folder is None:
        made: int = main.make(make)
        return made
    modes = (endpointing,) if endpointing else ()
    code: int = main.main(folder, main.Wanted(modes=modes, **wanted), as_json=as_json, write=write)
    return code


def _find_benchmarks() -> None:
    """Makes them importable. Raises Misconfigured where there are none."""
    if not (ROOT / "benchmarks" / "suite.py").is_file():
        raise Misconfigured(
            f"the benchmarks are not part of an installation; run this in a checkout (looked in {ROOT})"
        )
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
