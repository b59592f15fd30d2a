"""`check-config`: what the file, the environment and the defaults come to, or what is wrong with them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from antiphon import exits, options
from antiphon.output import print_json, table
from antiphon.sections import sections
from antiphon.services import SERVICES
from base import settings
from base.errors import Misconfigured


@click.command(help="Check the configuration and show what it comes to, and from where. FILE: antiphon.toml here.")
@click.argument("file", required=False)
@click.option(
    "--config",
    metavar="FILE",
    allow_from_autoenv=False,
    help="The same, as other commands have it.  [env: ANTIPHON_CONFIG]",
)
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.option("--changed", is_flag=True, help="Only what differs from the defaults.")
def command(file: str | None, config: str | None, as_json: bool, changed: bool) -> int:
    if file and config and file != config:
        raise click.UsageError(f"FILE ({file}) and --config ({config}) are two; name one")
    path = options.find_config(file or config)
    report = [check(path, section, type_) for section, type_ in sections().items()]
    failed = any(part["errors"] for part in report)
    if as_json:
        print_json({"file": str(path) if path else None, "ok": not failed, "sections": report})
    else:
        _print(path, report, changed)
    return exits.MISCONFIGURED if failed else exits.OK


def check(file: Path | None, section: str, type_: type[Any]) -> dict[str, Any]:
    """The section's effective values and their sources, or its errors. Secrets are not shown."""
    errors: list[str] = []
    values: list[dict[str, Any]] = []
    try:
        found = settings.explain(type_, section=section, file=file, env=os.environ)
        loaded = settings.load(type_, section=section, file=file, env=os.environ)
        values = [{"name": v.row.name, "value": _shown(v), "source": v.source, "default": v.row.default} for v in found]
    except Misconfigured as error:
        errors.append(error.message)
    else:
        errors += _refused(section, loaded)
    from antiphon import cli

    unknown = settings.unknown_variables(type_, section, os.environ, known=cli.variables())
    warnings = [f"{name} is set, but is not a setting" for name in unknown]
    return {"section": section, "errors": errors, "warnings": warnings, "values": values}


def _refused(section: str, loaded: object) -> list[str]:
    """What the section's service itself would say at its start."""
    for service in SERVICES.values():
        if service.section == section:
            try:
                service.check(loaded)
            except Misconfigured as error:
                return [f"[{section}] {error.message}"]
            except Exception as error:
                # The operator's own responder, whatever happens in it.
                return [f"[{section}] {type(error).__name__}: {error}"]
    return []


def _shown(value: settings.Value) -> Any:
    if value.row.secret and value.value:
        return "(hidden)"
    plain = isinstance(value.value, str | int | float | bool | None)
    return value.value if plain else list(value.value) if isinstance(value.value, tuple) else str(value.value)


def _print(path: Path | None, report: list[dict[str, Any]], changed: bool) -> None:
    click.echo(f"file: {path or 'none (all from the environment and the defaults)'}")
    # A file that cannot be read is wrong for every section, and told once.
    told: set[str] = set()
    for part in report:
        for message in part["errors"]:
            if message not in told:
                click.echo(f"error: {message}", err=True)
                told.add(message)
        for message in part["warnings"]:
            click.echo(f"warning: {message}", err=True)
    for part in report:
        rows = [(v["name"], v["value"], v["source"]) for v in part["values"]]
        if changed:
            rows = [r for r in rows if r[2] != "default"]
        if rows:
            click.echo(f"\n[{part['section']}]\n" + table(("setting", "value", "from"), rows))
