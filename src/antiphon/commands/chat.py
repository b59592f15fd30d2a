"""`chat`: talk to a running system from the terminal."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from antiphon import options
from antiphon.places import page_of
from antiphon.settings import ChatSettings
from base.errors import Misconfigured

HELP = """Talk to a running system: by microphone and loudspeaker, with WAV files, or typed.

Without --wav or --text the microphone is used, with echo cancellation, so that a laptop's own speakers will do.

\b
  antiphon chat
  antiphon chat --wav question.wav --out reply.wav
  echo "What time is it?" | antiphon chat --text
"""

OPTIONS: list[click.Parameter] = [
    click.Option(
        ["--wav", "wavs"],
        multiple=True,
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Speak this file, in real time. Several: one after another, each once the last was answered.",
    ),
    click.Option(["--out"], type=click.Path(path_type=Path), help="Keep what is heard in this WAV file."),
    click.Option(["--text"], is_flag=True, help="Type instead of speaking: at the terminal, or lines from a pipe."),
    click.Option(["--greeting/--no-greeting"], default=None, help="Whether the other side speaks first."),
    click.Option(
        ["--record"],
        type=click.Path(path_type=Path),
        help="Keep both sides' sound and all events in a folder under this one, for a bug report. Off by default.",
    ),
    click.Option(["--explain"], is_flag=True, help="A line a turn: what was heard, why it ended, what took how long."),
    click.Option(["--json", "as_json"], is_flag=True, help="Every event as a JSON object a line."),
    click.Option(["--list-devices"], is_flag=True, help="List microphones and loudspeakers, and end."),
]


def _run(
    *,
    wavs: tuple[Path, ...],
    out: Path | None,
    text: bool,
    greeting: bool | None,
    record: Path | None,
    explain: bool,
    as_json: bool,
    list_devices: bool,
    config: str | None,
    **flags: Any,
) -> int:
    settings = options.load(ChatSettings, "chat", flags, config=config)
    if wavs and text:
        raise click.UsageError("--wav and --text exclude each other")
    if out and not wavs and not text:
        raise click.UsageError("--out goes with --wav or --text; to keep a spoken conversation use --record")
    from antiphon.chat.run import Talk, Ways, devices_table
    from antiphon.output import table
    from antiphon.wavs import read_wav
    from base.audio import UPLINK_RATE

    for path in wavs:
        # Before anybody is called: it would be a pity to find out then.
        read_wav(path, UPLINK_RATE)
    if list_devices:
        click.echo(table(("number", "name", "inputs", "outputs"), devices_table()))
        return 0
    settings = dataclasses.replace(settings, key=access_key(settings, os.environ))
    ways = Ways(page_of(settings.url), wavs, out, text, greeting, record, explain, as_json)

    async def talk() -> int:
        return await Talk(settings, ways).run()

    return asyncio.run(talk())


def access_key(settings: ChatSettings, env: Mapping[str, str]) -> str:
    """What the system is shown. Raises Misconfigured for a file without a key."""
    if settings.key or not settings.key_file:
        return settings.key or env.get("ANTIPHON_KEY", "").strip()
    try:
        key = Path(settings.key_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"key_file {settings.key_file!r} cannot be read: {error}") from error
    if not key or len(key.split()) > 1:
        raise Misconfigured(f"key_file {settings.key_file!r} is to hold one key, and nothing else")
    return key


command = options.command("chat", HELP, _run, ChatSettings, "chat", *OPTIONS)
