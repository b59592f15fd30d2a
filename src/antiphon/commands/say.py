"""`say`: text into a WAV file, or to the loudspeaker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import click

from antiphon import exits, options
from antiphon.output import print_json
from base.audio import SAMPLE_RATES
from base.errors import Unavailable

HELP = """Turn TEXT into a WAV file; - reads standard input.

A running system does it if there is one (see --registry), else a TTS worker of its own that ends afterwards. Without -o
the loudspeaker plays it.

\b
  antiphon say "Good evening." -o evening.wav
  antiphon say --voice en-gb+f3 --rate 1.3 - -o book.wav < book.txt
"""


@click.command(help=HELP)
@click.argument("text")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The WAV file; - is standard output.")
@click.option("--voice", default="", help="See `antiphon voices`.")
@click.option("--rate", type=click.FloatRange(0.5, 3.0), default=1.0, show_default=True, help="Pace.")
@click.option("--pitch", type=click.FloatRange(-12, 12), default=0.0, show_default=True, help="Semitones up or down.")
@click.option("--language", default="", help="Language of the text (BCP 47); default: the voice's own.")
@click.option("--model", default="", help="Which of a worker's models speaks.")
@click.option(
    "--sample-rate",
    type=click.Choice([str(r) for r in SAMPLE_RATES]),
    default="48000",
    show_default=True,
    help="Of the file, in Hz.",
)
@options.REGISTRY
@click.option(
    "--address", type=options.Address(), default="", help="host:port of a TTS worker, passing the registry over."
)
@click.option(
    "--config",
    metavar="FILE",
    allow_from_autoenv=False,
    help="The configuration file, for a worker of its own.  [env: ANTIPHON_CONFIG]",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made, and by whom, as JSON; to stderr with -o -.")
def command(
    text: str,
    out: Path | None,
    voice: str,
    rate: float,
    pitch: float,
    language: str,
    model: str,
    sample_rate: str,
    registry: str,
    address: str,
    config: str | None,
    as_json: bool,
) -> int:
    from antiphon.speech import client

    text = _text(sys.stdin.buffer.read() if text == "-" else os.fsencode(text))
    file = options.find_config(config)

    async def make() -> tuple[bytes, str]:
        async with contextlib.AsyncExitStack() as stack:
            where, which = address, model
            if not where:
                where, which = await _registered(registry, model=model, voice=voice, language=language)
            if not where:
                where = await stack.enter_async_context(client.worker_of_our_own(str(file) if file else None))
            pieces = [
                pcm
                async for pcm in client.speak(
                    where,
                    text,
                    model=which,
                    voice=voice,
                    language=language,
                    rate=rate,
                    pitch=pitch,
                    sample_rate=int(sample_rate),
                )
            ]
            return b"".join(pieces), where

    pcm, worker = asyncio.run(make())
    _put(pcm, int(sample_rate), out)
    if as_json:
        seconds = round(len(pcm) / 2 / int(sample_rate), 3)
        made = {"file": str(out) if out else None, "seconds": seconds, "rate": int(sample_rate), "worker": worker}
        print_json(made, err=str(out) == "-")
    return exits.OK


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        what = f"byte 0x{data[error.start]:02X} at {error.start}"
        raise click.UsageError(f"the text is not UTF-8 ({what}); convert it, for example with iconv") from None


async def _registered(registry: str, *, model: str, voice: str, language: str) -> tuple[str, str]:
    """The address of a worker of the running system, and its model; the former is empty where none runs.

    A registry that was named must be there.
    """
    from antiphon.places import registry_of
    from antiphon.speech import client

    try:
        records = await client.workers(registry_of(registry))
        worker, which = client.able(records, model=model, voice=voice, language=language)
        return worker.address, which
    except Unavailable:
        if registry:
            raise
        return "", model


def _put(pcm: bytes, rate: int, out: Path | None) -> None:
    from antiphon.wavs import wav_bytes, write_wav

    if out is None:
        from antiphon.chat.devices import play

        play(pcm, rate)
    elif str(out) == "-":
        sys.stdout.buffer.write(wav_bytes(pcm, rate))
    else:
        write_wav(out, pcm, rate)
