"""`voices`: who can speak."""

from __future__ import annotations

import asyncio

import click

from antiphon import exits, options
from antiphon.output import print_json, table


@click.command(help="List the voices of the running system's workers.")
@click.option("--language", default="", help="Only voices of this language (BCP 47, or its first part).")
@options.REGISTRY
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def command(language: str, registry: str, as_json: bool) -> int:
    from antiphon.places import registry_of
    from antiphon.speech.client import workers
    from registry.records import Voice, WorkerKind

    records = asyncio.run(workers(registry_of(registry)))
    found: dict[tuple[str, str], tuple[Voice, str]] = {}
    for record in records:
        for model in record.models if record.kind is WorkerKind.TTS else ():
            for voice in model.voices:
                if not language or any(_matches(language, known) for known in voice.languages):
                    found.setdefault((model.id, voice.id), (voice, model.id))
    rows = sorted(found.values(), key=lambda pair: (pair[1], pair[0].id))
    if as_json:
        print_json(
            [
                {"id": v.id, "name": v.name, "languages": list(v.languages), "gender": v.gender, "model": model}
                for v, model in rows
            ]
        )
    elif rows:
        click.echo(
            table(
                ("voice", "name", "languages", "gender", "model"),
                [(v.id, v.name, " ".join(v.languages), v.gender, model) for v, model in rows],
            )
        )
    else:
        click.echo("no voices" + (f" for {language}" if language else "") + " are registered", err=True)
    return exits.OK if rows else exits.UNAVAILABLE


def _matches(wanted: str, known: str) -> bool:
    return known.lower() == wanted.lower() or known.lower().startswith(wanted.lower() + "-")
