"""`voices`: who can speak; `voices get`: more who could."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click

from antiphon import exits, options
from antiphon.output import Downloading, print_json, table


@click.group(help="List the voices of the running system's workers, or get more.", invoke_without_command=True)
@click.option("--language", default="", help="Only voices of this language (BCP 47, or its first part).")
@options.REGISTRY
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.pass_context
def command(ctx: click.Context, language: str, registry: str, as_json: bool) -> int:
    if ctx.invoked_subcommand is not None:
        return exits.OK
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


@command.command(help="Fetch the Piper voice NAME, such as en_US-lessac-medium, and say how to serve it.")
@click.argument("name")
@click.option("--from", "mirror", default="", help="A mirror's address, or a folder; default: the voices' own store.")
@click.option("--into", default="", help="Where to; default: var/voices.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def get(name: str, mirror: str, into: str, as_json: bool) -> int:
    from antiphon import voice_files
    from antiphon.places import var_dir

    place = Path(into) if into else var_dir() / "voices"
    with Downloading() as downloading:
        found = voice_files.fetch(name, place, mirror=mirror or voice_files.STORE, progress=downloading.progress)
    if as_json:
        print_json(found.plain("voice", name))
        return exits.OK
    click.echo(found.words(name))
    click.echo("To serve it: ./antiphon install piper, and in antiphon.toml")
    click.echo(
        f'\n[[tts_worker.models]]\nid = "{name}"\nengine = "piper"\n'
        f"options = {{ path = {json.dumps(str(found.path.resolve()))} }}"
    )
    return exits.OK


def _matches(wanted: str, known: str) -> bool:
    return known.lower() == wanted.lower() or known.lower().startswith(wanted.lower() + "-")
