"""`healthcheck`: whether one service is well; for containers and scripts."""

from __future__ import annotations

import asyncio

import click

from antiphon import exits

HELP = """Ask one service whether it is well; exit code 0: it is.

TARGET is an address of the web, which must answer 200, or host:port of a gRPC service, which must say SERVING.

\b
  antiphon healthcheck http://127.0.0.1:8765/readyz
  antiphon healthcheck 127.0.0.1:50050
"""


@click.command(help=HELP)
@click.argument("target")
@click.option("--timeout", type=click.FloatRange(0.1, 60), default=5.0, show_default=True, help="Seconds to wait.")
def command(target: str, timeout: float) -> int:
    from antiphon.health import ask

    said = asyncio.run(ask(target, timeout_s=timeout))
    if said:
        click.echo(f"antiphon: {target}: {said}", err=True)
    return exits.UNAVAILABLE if said else exits.OK
