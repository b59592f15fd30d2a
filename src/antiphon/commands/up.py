"""`up`: everything on this machine, kept running."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from antiphon import options
from antiphon.settings import UpSettings
from antiphon.up.run import load_page, up

HOST = click.Option(
    ["--host"],
    metavar="VALUE",
    allow_from_autoenv=False,
    help="Address of the page.  [env: ANTIPHON_ORCHESTRATOR_HOST; default: 127.0.0.1]",
)
PORT = click.Option(
    ["--port"],
    metavar="VALUE",
    allow_from_autoenv=False,
    help="Port of the page; the next free one is taken.  [env: ANTIPHON_ORCHESTRATOR_PORT; default: 8765]",
)
GRPC_PORT = click.Option(
    ["--grpc-port"],
    metavar="VALUE",
    allow_from_autoenv=False,
    help="Port of gRPC; the next free one is taken; -1: none.  [env: ANTIPHON_ORCHESTRATOR_GRPC_PORT; default: 50060]",
)
JSON = click.Option(["--json", "as_json"], is_flag=True, help="For scripts: one JSON object a line on stdout.")


def _run(
    *, host: str | None, port: str | None, grpc_port: str | None, as_json: bool, config: str | None, **flags: Any
) -> int:
    settings = options.load(UpSettings, "up", flags, config=config)
    page = load_page({"host": host, "port": port, "grpc_port": grpc_port}, config)
    file = options.find_config(config)
    return asyncio.run(up(settings, page, config=file.resolve() if file else None, as_json=as_json))


command = options.command(
    "up",
    "Start registry, orchestrator, TTS and ASR workers on this machine, print the address, and keep them running.",
    _run,
    UpSettings,
    "up",
    HOST,
    PORT,
    GRPC_PORT,
    JSON,
)
