"""Whisper and Moonshine: what streaming costs in words and in time, against decoding the same clips whole.

A tiny model (tests/support/whisper_models.py) runs through the real faster-whisper and CTranslate2, with a speech of
its own. Real models are measured where there are any, with espeak's voice: the directories named in
ANTIPHON_BENCH_WHISPER (a colon between two), or those in var/ears; and Moonshine, where it is installed.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from antiphon.places import var_dir
from asr.engines.moonshine import files as moonshine
from asr.settings import AsrWorkerSettings
from base import rpc
from benchmarks import solo, speech, together
from benchmarks.machine import this_machine
from benchmarks.rows import Budget, Row, percentile, single, spread
from benchmarks.sentences import SENTENCES
from benchmarks.stack import processes
from benchmarks.suite import Options
from benchmarks.words import error_rate
from pb.antiphon.v1 import recognition_pb2_grpc
from tests.support import whisper_models
from tests.support.recognition import Stream

TINY = (
    "what time is it tell me a story",
    "yes no one two three. what time is it",
    "tell me what time it is is it one two three. no yes tell me a story two one no",
)
PACE_S = 0.1
EVERY_S = 0.7
BEHIND_S = AsrWorkerSettings().behind_s

Clips = Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class Found:
    """Of every clip: what was said and heard, streamed and whole; seconds from the end of speech to the final, and from
    a whole clip's last sample to its final, which is one decode.
    """

    streamed: list[tuple[str, str]] = field(default_factory=list)
    whole: list[tuple[str, str]] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    decodes: list[float] = field(default_factory=list)
    changed: int = 0
    """Times that stable text was taken back."""


def run(options: Options) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="antiphon-whisper-") as folder:
        options.note("whisper: a tiny model")
        model = whisper_models.build(Path(folder) / "tiny.en")
        clips = [(text, whisper_models.sound(text)) for text in TINY]
        rows = _rows("tiny test model", solo.run(_measure(_whisper(model), clips * options.pick(4, 1))))
    real = {model.name: _whisper(model) for model in real_models()}
    if moonshine.is_installed():
        real["Moonshine"] = ("--engine", "moonshine")
    sentences = SENTENCES[: options.pick(24, 6)] if real else ()
    spoken = [(text, speech.utterance(text)) for text in sentences]
    for name, flags in real.items():
        options.note(f"whisper: {name}")
        rows += _rows(name, solo.run(_measure(flags, spoken)))
    if moonshine.is_installed():
        for count in (8, 28):
            options.note(f"whisper: {count} at Moonshine who stop together")
            crowd = solo.run(together.measure(real["Moonshine"], count, options.pick(3, 1)))
            rows += _crowd(f"Moonshine, {count} who stop together", crowd)
        options.note("whisper: 16 at Moonshine who converse")
        crowd = solo.run(together.measure(real["Moonshine"], -16, options.pick(4, 2)))
        rows += _crowd("Moonshine, 16 who converse", crowd)
    return rows


def _whisper(model: Path) -> tuple[str, ...]:
    return ("--engine", "whisper", "--model", str(model))


def real_models() -> list[Path]:
    """Directories of models that somebody has put here."""
    named = os.environ.get("ANTIPHON_BENCH_WHISPER", "")
    if named:
        return [Path(path) for path in named.split(":") if path]
    return sorted(p.parent for p in (var_dir() / "ears").glob("*/model.bin"))


async def _measure(engine: Sequence[str], clips: Clips) -> Found:
    found = Found()
    with processes() as made:
        worker = made.service("asr-worker", *engine, "--registry", "", "--load-s", "300")
        async with rpc.channel(worker.address) as channel:
            stream = Stream(recognition_pb2_grpc.SpeechToTextStub(channel))
            await stream.open(language="en")
            for number, (text, pcm) in enumerate(clips):
                await _streamed(stream, 2 * number, text, pcm, found)
                await _whole(stream, 2 * number + 1, text, pcm, found)
    return found


async def _streamed(stream: Stream, utterance: int, text: str, pcm: bytes, found: Found) -> None:
    await stream.say(utterance, pcm, pace=PACE_S)
    ended = time.monotonic()
    await stream.end(utterance)
    final = await stream.final(utterance)
    found.lags.append(time.monotonic() - ended)
    found.streamed.append((text, final.text))
    published = ""
    for partial in stream.partials.get(utterance, []):
        found.changed += not partial.text.startswith(published)
        published = partial.text[: partial.stable]
    found.changed += not final.text.startswith(published)


async def _whole(stream: Stream, utterance: int, text: str, pcm: bytes, found: Found) -> None:
    """In one go, and so faster than partials are due: what is decoded besides is the first 0.7 s, and waited for."""
    await stream.say(utterance, pcm)
    began = time.monotonic()
    await stream.end(utterance)
    final = await stream.final(utterance)
    found.decodes.append(time.monotonic() - began)
    found.whole.append((text, final.text))


def _rows(name: str, found: Found) -> list[Row]:
    streamed, whole = error_rate(found.streamed), error_rate(found.whole)
    decode = percentile(found.decodes, 50)
    over = [max(0.0, lag - decode) * 1000 for lag in found.lags]
    cores = this_machine().cores
    count = len(found.lags)
    return [
        single(f"{name}: stable text taken back", "times", found.changed, 0, n=count),
        single(f"{name}: word error rate, streamed", "", streamed, n=count),
        single("… above that of the whole clip", "", streamed - whole, 0.02, n=count, note=f"{whole:.3f} whole"),
        spread(f"{name}: end of speech → final, over a decode", "ms", over, Budget(300)),
        spread(f"{name}: a decode", "ms", [x * 1000 for x in found.decodes]),
        single(f"{name}: real-time factor of one session", "", decode / EVERY_S, n=count),
        single(
            f"{name}: utterances a core, which are all answered in time though they stop together",
            "",
            BEHIND_S / decode / cores,
            n=count,
            note=f"{cores} cores share a decode",
        ),
    ]


def _crowd(name: str, crowd: together.Crowd) -> list[Row]:
    n = len(crowd.lags) + len(crowd.told)
    lags = [lag * 1000 for lag in crowd.lags]
    return [
        single(f"{name}: told that there are too many", "%", 100 * len(crowd.told) / n, n=n),
        spread("… the others, end of speech → final", "ms", lags, Budget((BEHIND_S + together.HANGOVER_S) * 1000)),
    ]
