"""Settings as command line options: made from `base.settings.describe`, so that a flag cannot be forgotten."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from base import settings
from base.address import check_address_or_none
from base.errors import Misconfigured

T = TypeVar("T")

FILE = "antiphon.toml"


def find_config(named: str | None, env: Mapping[str, str] | None = None) -> Path | None:
    """The configuration file: --config, else ANTIPHON_CONFIG, else antiphon.toml here if there is one."""
    env = os.environ if env is None else env
    for source, name in (("--config", named), ("ANTIPHON_CONFIG", env.get("ANTIPHON_CONFIG"))):
        if name:
            if not Path(name).is_file():
                raise Misconfigured(f"{source} names {name!r}, which is not a file", reason="NO_CONFIG")
            return Path(name)
    here = Path(FILE)
    return here if here.is_file() else None


CONFIG = click.Option(
    ["--config"],
    metavar="FILE",
    help="The configuration file.  [env: ANTIPHON_CONFIG; default: antiphon.toml here, if there is one]",
    allow_from_autoenv=False,
)


class Address(click.ParamType[str]):
    """A flag that takes host:port; empty is left to whoever reads it."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            check_address_or_none(value)
        except Misconfigured as error:
            self.fail(error.message, param, ctx)
        return str(value)


REGISTRY = click.option(
    "--registry", type=Address(), default="", help="host:port of the registry; default: what `up` runs here."
)


def options_for(type_: type[Any], section: str, *, leave_out: tuple[str, ...] = ()) -> list[click.Option]:
    """An option a setting. None, the default, means that it was not given, and the next source counts."""
    made = []
    for row in settings.describe(type_, section):
        if row.name in leave_out:
            continue
        flag = f"{row.flag}/--no-{row.flag[2:]}" if row.is_bool else row.flag
        default = "" if row.default in ('""', "(none)", "[]", "null") else f"; default: {row.default}"
        kind = "" if row.type in ("text", "true or false") else f" ({row.type})"
        made.append(
            click.Option(
                [row.name, flag],
                default=None,
                metavar=None if row.is_bool else "VALUE",
                help=f"{row.description.rstrip('.')}{kind}.  [env: {row.env}{default}]",
                allow_from_autoenv=False,
            )
        )
    return made


def name_variables(command: click.Command, name: str) -> click.Command:
    """Gives each flag that is no setting a variable, ANTIPHON_<COMMAND>_<FLAG>, which --help shows.

    Those of settings are looked after in `load`; and what only a program says to the process that it starts, none says
    in a variable, which that process's own children would hear, too (both: allow_from_autoenv=False).
    """
    for option in command.params:
        if isinstance(option, click.Option) and option.allow_from_autoenv and not option.envvar:
            flag = max(option.opts, key=len).lstrip("-")
            option.envvar = settings.variable(name.replace("-", "_"), flag.replace("-", "_"))
            option.show_envvar = True
    if isinstance(command, click.Group):
        for inner, found in command.commands.items():
            name_variables(found, f"{name}-{inner}")
    return command


def variables(command: click.Command) -> set[str]:
    """Of its flags, as `name_variables` gave them."""
    own = {o.envvar for o in command.params if isinstance(o, click.Option) and isinstance(o.envvar, str)}
    return own.union(*map(variables, command.commands.values())) if isinstance(command, click.Group) else own


def load(type_: type[T], section: str, flags: Mapping[str, Any], *, config: str | None) -> T:
    """The settings of a section from all sources. `flags` may hold more than settings; the rest is left alone."""
    return settings.load(
        type_, section=section, file=find_config(config), env=os.environ, flags=only_settings(type_, section, flags)
    )


def only_settings(type_: type[Any], section: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    names = {row.name for row in settings.describe(type_, section)}
    return {name: value for name, value in flags.items() if name in names}


def command(
    name: str, help: str, callback: Callable[..., Any], type_: type[Any], section: str, *more: click.Parameter
) -> click.Command:
    """A command whose options are `more` and the settings of a section."""
    return click.Command(name, help=help, callback=callback, params=[*more, CONFIG, *options_for(type_, section)])
