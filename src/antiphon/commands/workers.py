"""`workers`: who is registered, and how busy."""

from __future__ import annotations

import asyncio
import dataclasses
from enum import Enum
from typing import Any

import click

from antiphon import exits, options
from antiphon.output import print_json, table


@click.command(help="List the workers that the registry knows, and how busy they are.")
@options.REGISTRY
@click.option("--json", "as_json", is_flag=True, help="For scripts: all that a worker says of itself.")
def command(registry: str, as_json: bool) -> int:
    from antiphon.places import registry_of
    from antiphon.speech.client import workers

    records = sorted(asyncio.run(workers(registry_of(registry))), key=lambda r: (r.kind.value, r.id))
    if as_json:
        print_json([_plain(dataclasses.asdict(r)) for r in records])
    elif records:
        click.echo(
            table(
                ("worker", "kind", "address", "models", "busy", "first audio", "RTF", ""),
                [
                    (
                        r.id,
                        r.kind.value,
                        r.address,
                        " ".join(f"{m.id}:{m.state.value}" for m in r.models),
                        f"{r.slots_used}/{r.slots}",
                        f"{r.first_audio_s * 1000:.0f} ms" if r.first_audio_s else "",
                        f"{r.rtf:.2f}" if r.rtf else "",
                        "draining" if r.draining else "",
                    )
                    for r in records
                ],
            )
        )
    else:
        click.echo("no workers are registered", err=True)
    return exits.OK if records else exits.UNAVAILABLE


def _plain(value: Any) -> Any:
    """Dataclasses' dictionaries as JSON has them."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return value.value if isinstance(value, Enum) else value
