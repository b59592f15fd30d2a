"""`livekit`: the WebRTC server: get one, run one."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import click

from antiphon import exits
from antiphon.commands.services import announce
from antiphon.output import StatusLine, is_terminal, print_json

GET = """Build livekit-server with Go, and keep it where `up --livekit` finds it.

Takes a minute or two, and Go's own access to its modules. Without Go, `antiphon doctor` names the other ways.
"""


@click.group(help="LiveKit's server, for WebRTC: get it; `up --livekit` runs it.")
def command() -> None:
    pass


@command.command(help=GET)
@click.option("--into", default="", help="Where to; default: var.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def get(into: str, as_json: bool) -> int:
    from antiphon import livekit_files
    from antiphon.places import own_command

    line = StatusLine(sys.stderr)
    moving = is_terminal(sys.stderr)

    def progress(count: int, said: str) -> None:
        if moving:
            line.show(f"building livekit-server {livekit_files.VERSION}: {count} packages, {said}")
        elif count % 250 == 1:
            line.show(f"building livekit-server {livekit_files.VERSION}: {count} packages")

    try:
        built = livekit_files.build(Path(into) if into else None, progress=progress)
    finally:
        line.close()
    if as_json:
        print_json({"path": str(built.path), "version": built.version, "was_there": built.was_there})
        return exits.OK
    click.echo(f"livekit-server {built.version} is {'here already' if built.was_there else 'built'}: {built.path}")
    named = f" --livekit-server {built.path}" if into else ""
    click.echo(f"To talk by WebRTC: {own_command()} install livekit, then {own_command()} up --livekit{named}")
    return exits.OK


@command.command(hidden=True, help="Run it as a service of `up`.")
@click.option("--program", required=True, type=click.Path(path_type=Path), allow_from_autoenv=False)
@click.option("--folder", required=True, type=click.Path(path_type=Path), allow_from_autoenv=False)
@click.option("--host", default="127.0.0.1", allow_from_autoenv=False)
@click.option("--port", default=7880, type=click.IntRange(0, 65535), allow_from_autoenv=False)
@click.option("--announce-ready", is_flag=True, allow_from_autoenv=False)
@click.option("--parent-watch", is_flag=True, allow_from_autoenv=False)
def run(program: Path, folder: Path, host: str, port: int, announce_ready: bool, parent_watch: bool) -> int:
    from antiphon.livekit_server import Server, run
    from base import lifecycle, log

    if parent_watch:
        lifecycle.exit_with_parent()
    log.configure()
    ready = functools.partial(announce, "livekit") if announce_ready else None
    return lifecycle.main(run(Server(program, folder, host, port), ready=ready))
