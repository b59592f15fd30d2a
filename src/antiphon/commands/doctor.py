"""`doctor`: what is here, what is missing, how to get it; with --mic, what is wrong with the microphone."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from antiphon import exits, options
from antiphon.checks import Check
from antiphon.output import StatusLine, is_terminal, print_json, printable

if TYPE_CHECKING:
    from antiphon.outside import Site

HELP = """What is installed, what is missing, and how to get it.

--mic listens for a few seconds while you say something in English, and tells apart: no device, digital silence (and the
permission to grant), too quiet, clipping, sound without speech, speech without words. Nothing is kept unless --keep.

--url goes the way of a user to a deployment, path by path, and says what to do about one that fails: run it from
somewhere else than the deployment itself. Without a key it gets as far as strangers do.

\b
  antiphon doctor --url https://talk.example --key KEY
"""


@click.command(help=HELP)
@click.option("--mic", is_flag=True, help="Listen to the microphone.")
@click.option("--wav", type=click.Path(path_type=Path), help="Judge this recording instead of the microphone.")
@click.option("--device", default="", help="Which microphone: a part of its name, or its number.")
@click.option("--seconds", type=click.FloatRange(1, 60), default=5.0, show_default=True, help="How long to listen.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep what was heard in this WAV file.")
@click.option("--url", default="", help="A deployment to test from outside, such as https://talk.example.")
@click.option("--key", default="", help="With --url: a key of its.")
@click.option("--ca", type=click.Path(path_type=Path), help="With --url: the certificate (PEM) of the CA to trust.")
@click.option("--grpc", type=options.Address(), default="", help="With --url: the gRPC door, where it is elsewhere.")
@click.option("--media-tcp", type=click.IntRange(1, 65535), default=7881, help="With --url: LiveKit's TCP port.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def command(
    mic: bool,
    wav: Path | None,
    device: str,
    seconds: float,
    keep: Path | None,
    url: str,
    key: str,
    ca: Path | None,
    grpc: str,
    media_tcp: int,
    as_json: bool,
) -> int:
    if url:
        if mic or wav:
            raise click.UsageError("--url tests a deployment, --mic and --wav a microphone; name one of them")
        from antiphon.outside import Site

        return asyncio.run(_outside(Site(url, key=key, ca=ca, grpc=grpc, media_tcp=media_tcp), as_json))
    if mic or wav:
        return _microphone(wav, device, seconds, keep, as_json)
    from antiphon.doctor import examine

    checks = asyncio.run(examine())
    if as_json:
        print_json([dataclasses.asdict(c) for c in checks])
    else:
        for check in checks:
            _tell(check, "MISSING")
    return exits.OK if all(c.ok for c in checks if c.needed) else exits.FAILURE


async def _outside(site: Site, as_json: bool) -> int:
    from antiphon.outside import examine

    checks = []
    async for check in examine(site):
        checks.append(check)
        if not as_json:
            _tell(check, "FAILS")
    if as_json:
        print_json([dataclasses.asdict(c) for c in checks])
    return exits.OK if all(c.ok for c in checks if c.needed) else exits.UNAVAILABLE


def _tell(check: Check, failed: str) -> None:
    word = "ok" if check.ok else failed if check.needed else "-"
    click.echo(f"{word:8}{check.name:20}{printable(check.detail)}")
    if not check.ok and check.help:
        click.echo(f"{'':28}-> {check.help}")


def _microphone(wav: Path | None, device: str, seconds: float, keep: Path | None, as_json: bool) -> int:
    from antiphon import doctor
    from antiphon.chat.devices import NoSound
    from antiphon.microphone_check import Verdict, advice
    from antiphon.wavs import read_wav, write_wav
    from base.audio import UPLINK_RATE

    why = ""
    try:
        if wav:
            pcm = read_wav(wav, UPLINK_RATE)
        else:
            if not as_json:
                click.echo(f"Say something in English for {seconds:g} seconds …")
            pcm = asyncio.run(doctor.record(seconds, device, _meter(as_json)))
        if keep:
            write_wav(keep, pcm, UPLINK_RATE)
        finding = doctor.examine_sound(pcm, doctor.recognise_here)
    except NoSound as error:
        finding, why = doctor.NOTHING, error.message
    said = advice(finding, sys.platform, wsl=doctor.is_wsl())
    if as_json:
        plain = dataclasses.asdict(finding) | {"verdict": finding.verdict.value, "advice": said, "error": why}
        print_json(plain)
    else:
        if finding.words:
            click.echo(f"heard: {printable(finding.words)}")
        click.echo(said + (f" ({why})" if why else ""))
    good = finding.verdict is Verdict.GOOD
    return exits.OK if good else exits.UNAVAILABLE if finding.verdict is Verdict.NO_DEVICE else exits.FAILURE


def _meter(quiet: bool) -> Meter:
    return Meter(StatusLine() if not quiet and is_terminal(sys.stdout) else None)


class Meter:
    """A bar of the level, on a terminal."""

    def __init__(self, line: StatusLine | None) -> None:
        self._line = line

    def __call__(self, dbfs: float) -> None:
        if self._line is not None:
            self._line.show("#" * max(0, round((dbfs + 60) / 1.5)))
