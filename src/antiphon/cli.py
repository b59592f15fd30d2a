"""The command line.

Commands live one a module in `antiphon.commands` and are imported when they are called for, so that `antiphon --help`
is quick and a command loads only what it needs.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import NoReturn

import click

from antiphon import exits
from base.errors import AntiphonError
from base.version import VERSION

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("antiphon.commands.up", "Start everything on this machine and keep it running."),
    "chat": ("antiphon.commands.chat", "Talk to a running system: microphone, WAV files or typing."),
    "say": ("antiphon.commands.say", "Turn text into a WAV file."),
    "voices": ("antiphon.commands.voices", "List the voices that can be spoken with."),
    "workers": ("antiphon.commands.workers", "List the workers that the registry knows."),
    "doctor": ("antiphon.commands.doctor", "What is installed, what is missing, how to get it; --mic listens."),
    "check-config": ("antiphon.commands.check_config", "Check the configuration and show what it comes to."),
    "bench": ("antiphon.commands.bench", "Measure what is promised (in a clone)."),
    "registry": ("antiphon.commands.services", "Run the registry alone."),
    "orchestrator": ("antiphon.commands.services", "Run an orchestrator alone."),
    "tts-worker": ("antiphon.commands.services", "Run a TTS worker alone."),
    "asr-worker": ("antiphon.commands.services", "Run an ASR worker alone."),
}

EPILOG = f"""\b
From a clone, `./antiphon test` runs the tests.

\b
Settings come from flags, then environment variables (ANTIPHON_<SECTION>_<NAME>), then the file antiphon.toml in the
current folder (or --config, or ANTIPHON_CONFIG), then defaults. Each command's --help lists them.

\b
Exit codes:
{exits.as_text()}
"""


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = module.command(cmd_name) if cmd_name in SERVICES else module.command
        return command

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
        "auto_envvar_prefix": "ANTIPHON",
        "max_content_width": 118,
    },
)
@click.version_option(package_name=None, version=VERSION, prog_name="antiphon")
def antiphon() -> None:
    """Self-hosted realtime voice chat.

    `antiphon up` starts everything; then open the address that it prints, or `antiphon chat`.
    """


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
        ours = group.subgroup(AntiphonError)
        if ours is None:
            raise
        _fail(_leaf(ours))
    except KeyboardInterrupt:
        sys.exit(exits.STOPPED)
    except BrokenPipeError:
        # Whoever read our output has gone (`antiphon voices | head`): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(exits.OK)
    sys.exit(code if isinstance(code, int) else exits.OK)


def _fail(error: BaseException) -> NoReturn:
    if not isinstance(error, AntiphonError):
        raise error
    click.echo(f"antiphon: {error.message}", err=True)
    sys.exit(exits.code_of(error))


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
