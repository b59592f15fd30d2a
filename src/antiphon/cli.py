"""The command line.

Commands live one a module in `antiphon.commands` and are imported when they are called for, so that `antiphon --help`
is quick and a command loads only what it needs.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from typing import Any, NoReturn

import click

from antiphon import exits
from base.errors import AntiphonError
from base.version import VERSION

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("antiphon.commands.up", "Start everything on this machine and keep it running."),
    "chat": ("antiphon.commands.chat", "Talk to a running system: microphone, WAV files or typing."),
    "say": ("antiphon.commands.say", "Turn text into a WAV file."),
    "voices": ("antiphon.commands.voices", "List the voices that can be spoken with."),
    "ears": ("antiphon.commands.ears", "List the models that can hear, get one, load one."),
    "workers": ("antiphon.commands.workers", "List the workers that the registry knows."),
    "models": ("antiphon.commands.models", "What workers have in memory: list, load, unload, watch."),
    "keys": ("antiphon.commands.keys", "Access keys of the server here: add, list, revoke, pair a device."),
    "livekit": ("antiphon.commands.livekit", "LiveKit's server, for WebRTC: get it."),
    "doctor": ("antiphon.commands.doctor", "What is installed, what is missing, how to get it; --mic listens."),
    "check-config": ("antiphon.commands.check_config", "Check the configuration and show what it comes to."),
    "healthcheck": ("antiphon.commands.healthcheck", "Ask one service whether it is well; for containers and scripts."),
    "bench": ("antiphon.commands.bench", "Measure what is promised (in a clone)."),
    "registry": ("antiphon.commands.services", "Run the registry alone."),
    "orchestrator": ("antiphon.commands.services", "Run an orchestrator alone."),
    "tts-worker": ("antiphon.commands.services", "Run a TTS worker alone."),
    "asr-worker": ("antiphon.commands.services", "Run an ASR worker alone."),
}

EPILOG = f"""\b
From a clone, `./antiphon test` runs the tests; `./antiphon install piper` adds what Piper's neural voices need, and
`./antiphon install moonshine` (English) or `whisper` better ears.

\b
Settings come from flags, then environment variables (ANTIPHON_<SECTION>_<NAME>), then the file antiphon.toml in the
current folder (or --config, or ANTIPHON_CONFIG), then defaults. Flags that are no settings have a variable, too
(ANTIPHON_<COMMAND>_<FLAG>). Each command's --help lists them.

\b
Exit codes:
{exits.as_text()}
"""


class OutputEnded(Exception):
    """Nobody reads what we write, or there is no room for it. Not an OSError: click would make an exit of that."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class LazyGroup(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except OSError as error:
            if _is_of_output(error):
                raise OutputEnded(error) from error
            raise
        return result

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = module.command(cmd_name) if cmd_name in SERVICES else module.command
        from antiphon import options

        return options.name_variables(command, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


SERVICES = ("registry", "orchestrator", "tts-worker", "asr-worker")


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 118,
    },
)
@click.version_option(package_name=None, version=VERSION, prog_name="antiphon")
def antiphon() -> None:
    """Self-hosted realtime voice chat.

    `antiphon up` starts everything; then open the address that it prints, or `antiphon chat`.
    """


def variables() -> set[str]:
    """Of every flag of every command that is no setting. Imports all commands."""
    from antiphon import options

    context = click.Context(antiphon)
    commands = (antiphon.get_command(context, name) for name in COMMANDS)
    return set().union(*(options.variables(c) for c in commands if c is not None))


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and ends the process with its exit code."""
    try:
        code = antiphon.main(args=arguments, prog_name="antiphon", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(exits.STOPPED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except AntiphonError as error:
        _fail(error)
    except ExceptionGroup as group:
        # Several tasks of a command failed; the first of ours says what of.
        ours = group.subgroup(AntiphonError) or group.subgroup(_is_of_output)
        if ours is None:
            raise
        leaf = _leaf(ours)
        _end_output(leaf) if isinstance(leaf, OSError) else _fail(leaf)
    except KeyboardInterrupt:
        sys.exit(exits.STOPPED)
    except OutputEnded as ended:
        _end_output(ended.error)
    sys.exit(code if isinstance(code, int) else exits.OK)


def _is_of_output(error: BaseException) -> bool:
    """Whoever reads what we write has gone (`antiphon voices | head`), or has no room for it (/dev/full)."""
    return isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.ENOSPC, errno.EIO) and not error.filename


def _end_output(error: OSError) -> NoReturn:
    """Of a reader that has gone, there is nothing to say."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        sys.exit(exits.OK)
    with contextlib.suppress(OSError):
        click.echo(f"antiphon: cannot write the output: {error.strerror}", err=True)
    sys.exit(exits.FAILURE)


def _fail(error: BaseException) -> NoReturn:
    if not isinstance(error, AntiphonError):
        raise error
    click.echo(f"antiphon: {error.message}", err=True)
    sys.exit(exits.code_of(error))


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
