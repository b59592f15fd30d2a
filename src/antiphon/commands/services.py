"""`registry`, `orchestrator`, `tts-worker`, `asr-worker`: one service as a process of its own."""

from __future__ import annotations

import functools
import json
import sys
from typing import Any

import click

from antiphon import options
from antiphon.services import ServiceModule, service

ANNOUNCE = click.Option(
    ["--announce-ready"],
    is_flag=True,
    allow_from_autoenv=False,
    help='Print one JSON line on stdout when it serves: {"ready": "host:port", "kind": …}.',
)
WATCH = click.Option(
    ["--parent-watch"],
    is_flag=True,
    allow_from_autoenv=False,
    help="End when the process that started this one ends (also: when the pipe at standard input closes).",
)


def command(name: str) -> click.Command:
    module = service(name)
    return options.command(
        name,
        f"Run one {name.replace('-', ' ')} in this process. {module.words}",
        functools.partial(_run, module),
        module.settings(),
        module.section,
        ANNOUNCE,
        WATCH,
    )


def _run(module: ServiceModule, *, announce_ready: bool, parent_watch: bool, config: str | None, **flags: Any) -> int:
    settings = options.load(module.settings(), module.section, flags, config=config)
    # Only now: --help and a wrong setting need none of it.
    from base import lifecycle, log

    if parent_watch:
        lifecycle.exit_with_parent()
    log.configure(level=getattr(settings, "log_level", "info"), pii=getattr(settings, "log_pii", False))

    def ready(address: str) -> None:
        lifecycle.settle()
        if announce_ready:
            announce(module.kind, address)

    async def checked() -> int:
        module.check(settings)
        return await module.run()(settings, ready=ready)

    return lifecycle.main(checked())


def announce(kind: str, address: str) -> None:
    """The line by which whoever started this process learns where it serves."""
    sys.stdout.write(json.dumps({"ready": address, "kind": kind}) + "\n")
    sys.stdout.flush()
