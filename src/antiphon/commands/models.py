"""`models`: what workers have in memory, and how to change that."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from antiphon import exits
from antiphon.output import print_json, table

if TYPE_CHECKING:
    from antiphon.models import Found

REGISTRY = click.option("--registry", default="", help="host:port of the registry; default: what `up` runs here.")
WORKER = click.option("--worker", default="", help="Only this worker: its id or host:port.")
JSON = click.option("--json", "as_json", is_flag=True, help="For scripts.")


@click.group(help="List, load, unload or watch the models of the running system's workers.")
def command() -> None:
    pass


@command.command("list", help="Which models there are, and how each stands.")
@REGISTRY
@WORKER
@JSON
def list_(registry: str, worker: str, as_json: bool) -> int:
    from antiphon.models import listed
    from antiphon.places import registry_of

    return show(asyncio.run(listed(registry_of(registry), worker)), as_json)


@command.command(help="Load MODEL now, whatever failed before; returns when it can speak.")
@click.argument("model")
@REGISTRY
@WORKER
@JSON
def load(model: str, registry: str, worker: str, as_json: bool) -> int:
    from antiphon.models import load
    from antiphon.places import registry_of

    return show(asyncio.run(load(registry_of(registry), model, worker)), as_json)


@command.command(help="Unload MODEL; refused while a turn speaks with it.")
@click.argument("model")
@click.option("--force", is_flag=True, help="Give turns a time to finish, then fail them.")
@REGISTRY
@WORKER
@JSON
def unload(model: str, force: bool, registry: str, worker: str, as_json: bool) -> int:
    from antiphon.models import unload
    from antiphon.places import registry_of

    return show(asyncio.run(unload(registry_of(registry), model, worker, force=force)), as_json)


@command.command(help="Print the models at each change, until Ctrl-C.")
@REGISTRY
@WORKER
@JSON
def watch(registry: str, worker: str, as_json: bool) -> int:
    from antiphon.models import watched
    from antiphon.places import registry_of

    async def run() -> int:
        code = exits.UNAVAILABLE
        async for found in watched(registry_of(registry), worker):
            code = show([found], as_json)
            click.echo("")
        return code

    return asyncio.run(run())


def show(found: Sequence[Found], as_json: bool) -> int:
    """The exit code: that of the first worker that refused; a worker without a manager is no failure beside others."""
    if as_json:
        print_json([_plain(f) for f in found])
    else:
        rows = [_row(f.worker, model) for f in found for model in f.models]
        if rows:
            headings = ("worker", "model", "engine", "state", "memory", "turns", "kept", "")
            click.echo(table(headings, rows))
    failed = [f for f in found if f.error is not None and f.error.reason != "NO_MANAGER"]
    for f in failed:
        assert f.error is not None
        click.echo(f"{f.worker}: {f.error.message}", err=True)
    if failed and failed[0].error is not None:
        return exits.code_of(failed[0].error)
    return exits.OK if any(f.models for f in found) else exits.UNAVAILABLE


def _row(worker: str, model: Any) -> tuple[str, ...]:
    turns = f"{model.leases}" + (f" (+{model.waiting} waiting)" if model.waiting else "")
    if model.state.value in ("absent", "failed"):
        kept = ""
    elif model.pinned:
        kept = "always"
    elif model.lingering:
        kept = "warm"
    else:
        kept = f"{model.ttl_left_s:.0f} s" if model.ttl_left_s is not None else ""
    note = model.error
    if note and model.retry_after_s:
        note += f" (again in {model.retry_after_s:.0f} s)"
    memory = f"{'' if model.measured else 'about '}{model.bytes / 2**20:.0f} MiB" if model.bytes else ""
    return worker, model.id, model.engine, model.state.value, memory, turns, kept, note


def _plain(found: Found) -> dict[str, Any]:
    models = [{**dataclasses.asdict(m), "state": m.state.value} for m in found.models]
    error = found.error
    return {
        "worker": found.worker,
        "models": models,
        "error": None if error is None else {"reason": error.reason, "message": error.message},
    }
