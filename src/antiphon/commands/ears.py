"""`ears`: which models could hear, or do; more of them; and loading one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from antiphon import exits, options
from antiphon.commands.models import JSON, WORKER, show
from antiphon.output import Downloading, print_json, table

if TYPE_CHECKING:
    from antiphon.ear_files import Here


@click.group(help="Recognisers: list those that are here, get a Whisper model, have a worker load one.")
def command() -> None:
    pass


@command.command("list", help="The models in var/ears, and what the running system hears with.")
@click.option("--into", "folder", default="", help="Where models lie; default: var/ears.")
@options.REGISTRY
@JSON
def list_(folder: str, registry: str, as_json: bool) -> int:
    from antiphon import ear_files
    from antiphon.places import registry_of, var_dir

    found = [*ear_files.here(Path(folder) if folder else var_dir() / "ears"), *ear_files.packaged()]
    running = asyncio.run(_running(registry_of(registry)))
    if as_json:
        print_json({"here": [_plain(h) for h in found], "running": [{"worker": w, "model": m} for w, m, *_ in running]})
    else:
        rows = [(h.name, h.engine, f"{h.size / 2**20:.0f} MiB", h.licence or "not stated", _state(h)) for h in found]
        if rows:
            click.echo(table(("model", "engine", "size", "licence", ""), rows))
        else:
            click.echo("no models are here: ./antiphon install moonshine brings one for English")
        if not any(h.engine == "whisper" for h in found):
            click.echo(f"of Whisper there are {', '.join(ear_files.MODELS)}: ./antiphon ears get base")
        if running:
            click.echo("")
            click.echo(table(("worker", "hears with", "engine", "state", "languages"), running))
    return exits.OK


def _state(here: Here) -> str:
    return f"{', '.join(here.missing)} missing: get it again" if here.missing else ""


def _plain(here: Here) -> dict[str, object]:
    return {
        "model": here.name,
        "engine": here.engine,
        "path": str(here.path),
        "bytes": here.size,
        "licence": here.licence,
        "missing": list(here.missing),
    }


async def _running(registry: str) -> list[tuple[str, str, str, str, str]]:
    """Empty where no system runs."""
    from antiphon.speech.client import workers
    from base.errors import Unavailable
    from registry.records import WorkerKind

    try:
        records = await workers(registry)
    except Unavailable:
        return []
    return [
        (r.id, m.id, m.engine, m.state.value, " ".join(m.languages[:8]) + (" …" if len(m.languages) > 8 else ""))
        for r in records
        if r.kind is WorkerKind.ASR
        for m in r.models
    ]


@command.command(help="Fetch the Whisper model NAME, such as base or large-v3-turbo, and say how to hear with it.")
@click.argument("name")
@click.option("--from", "mirror", default="", help="A mirror's address, or a folder; default: the models' own store.")
@click.option("--into", default="", help="Where to; default: var/ears.")
@JSON
def get(name: str, mirror: str, into: str, as_json: bool) -> int:
    from antiphon import ear_files
    from antiphon.places import var_dir

    place = Path(into) if into else var_dir() / "ears"
    with Downloading() as downloading:
        found = ear_files.fetch(name, place, mirror=mirror or ear_files.STORE, progress=downloading.progress)
    if as_json:
        print_json(found.plain("model", name))
        return exits.OK
    click.echo(found.words(name))
    click.echo("To hear with it: ./antiphon install whisper, and in antiphon.toml")
    click.echo(f'\n[asr_worker]\nengine = "whisper"\nmodel = {json.dumps(str(found.path.resolve()))}')
    return exits.OK


@command.command(help="Have the workers that have MODEL load it now; returns when it can hear.")
@click.argument("model")
@options.REGISTRY
@WORKER
@JSON
def load(model: str, registry: str, worker: str, as_json: bool) -> int:
    from antiphon.models import load
    from antiphon.places import registry_of

    return show(asyncio.run(load(registry_of(registry), model, worker)), as_json)
