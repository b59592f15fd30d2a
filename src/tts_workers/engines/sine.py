"""A tone in place of a voice: the engine for tests, benchmarks and machines that should stay silent but for a hum.

48 kHz, 60 ms a code point (less at a higher rate), exact word marks, nothing random: the same request gives the same
bytes. Voices "sine" (440 Hz), "low" (220 Hz) and "high" (880 Hz); pitch shifts them.

Options of its model spec, for tests and benchmarks:

    char_s          seconds of tone for a code point (0.06)
    step_s          seconds of tone that one step yields (0.1)
    load_s          how long loading takes (0)
    load_error      loading fails with this message
    first_audio_s   how long a request computes before its first audio (0)
    rtf             seconds of computing for a second of audio (0: as fast as it can)
    ignores_cancel  it looks at `cancelled` never, as some engines do (false)
    max_concurrent  as in EngineInfo (0)
    directives      whether the directives below do anything (true); where not they are spoken
    crash           whether [[crash]] does (false)
    batch           it makes so many requests at once, step by step, as engines that batch do (0: it does not)

Directives in the text, spoken in no time:

    [[stall 2]]     nothing for 2 s from here on
    [[error]]       the request fails here; [[error SOME_REASON]] with this reason
    [[fault]]       the engine breaks here with an exception that is none of ours
    [[crash]]       the process ends here, at once
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from base.audio import from_float
from base.errors import AntiphonError, NotFound, Unavailable
from base.language import ANY
from tts_workers.engine import Audio, Done, EngineInfo, Mark, ModelSpec, Request, VoiceInfo
from tts_workers.options import read_options

SAMPLE_RATE = 48_000
FREQUENCIES = {"sine": 440.0, "low": 220.0, "high": 880.0}
AMPLITUDE = 0.3
CRASH_CODE = 70

_DIRECTIVE = re.compile(r"\[\[(?:(stall) ([0-9]{1,3}(?:\.[0-9]{1,3})?)|(error)(?: ([A-Z_]{1,40}))?|(fault|crash))\]\]")
_WORD = re.compile(r"\S+")
_FADE = 240
_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class _Options:
    char_s: Annotated[float, Meta(gt=0, le=10)] = 0.06
    step_s: Annotated[float, Meta(gt=0, le=60)] = 0.1
    load_s: Annotated[float, Meta(ge=0)] = 0.0
    load_error: str = ""
    first_audio_s: Annotated[float, Meta(ge=0)] = 0.0
    rtf: Annotated[float, Meta(ge=0)] = 0.0
    ignores_cancel: bool = False
    max_concurrent: Annotated[int, Meta(ge=0)] = 0
    directives: bool = True
    crash: bool = False
    batch: Annotated[int, Meta(ge=0, le=1024)] = 0
    languages: tuple[str, ...] = (ANY,)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text between directives, or a directive."""

    start: int
    text: str
    directive: str = ""
    argument: str = ""


class SineEngine:
    name = "sine"

    def load(self, spec: ModelSpec) -> SineModel | SineBatch:
        options = read_options(_Options, spec)
        time.sleep(options.load_s)
        if options.load_error:
            raise Unavailable(f"model {spec.id!r} cannot be loaded: {options.load_error}", reason="LOAD_FAILED")
        return SineBatch(options) if options.batch else SineModel(options)

    def inspect(self, spec: ModelSpec) -> EngineInfo:
        return _info(read_options(_Options, spec))


def _info(options: _Options) -> EngineInfo:
    return EngineInfo(
        name="sine",
        sample_rate=SAMPLE_RATE,
        languages=options.languages,
        voices=tuple(VoiceInfo(id, f"{hertz:.0f} Hz tone", options.languages) for id, hertz in FREQUENCIES.items()),
        default_voice="sine",
        licence="Apache-2.0",
        streaming=True,
        prosody=True,
        marks=True,
        cancellable=not options.ignores_cancel,
        batch=options.batch,
        max_concurrent=options.max_concurrent,
    )


class SineModel:
    """See the module. Any number of requests at once."""

    def __init__(self, options: _Options) -> None:
        self._options = options
        self.info = _info(options)

    def synthesize(self, request: Request) -> Iterator[Audio | Mark]:
        self._wait(request, self._options.first_audio_s)
        step = max(1, round(self._options.step_s * SAMPLE_RATE))
        for item in self._tone(request, step):
            if self._over(request):
                return
            if isinstance(item, Audio):
                self._wait(request, self._options.rtf * len(item.data) / 2 / SAMPLE_RATE)
            yield item

    def close(self) -> None:
        pass

    def _tone(self, request: Request, step: int) -> Iterator[Audio | Mark]:
        per_char = self._options.char_s / request.style.rate * SAMPLE_RATE
        hertz = self._hertz(request.voice) * 2.0 ** (request.style.pitch / 12.0)
        pieces = list(_pieces(request.text)) if self._options.directives else [_Piece(0, request.text)]
        total = round(sum(len(p.text) for p in pieces) * per_char)
        chars = 0
        done = 0
        for piece in pieces:
            if piece.directive:
                self._obey(request, piece)
                continue
            for word in _WORD.finditer(piece.text):
                at = round((chars + word.start()) * per_char)
                while done < at:
                    upto = min(at, done + step)
                    yield _wave(hertz, done, upto, total)
                    done = upto
                yield Mark(piece.start + word.start(), piece.start + word.end(), at)
            chars += len(piece.text)
            end = round(chars * per_char)
            while done < end:
                upto = min(end, done + step)
                yield _wave(hertz, done, upto, total)
                done = upto

    def _hertz(self, voice: str) -> float:
        if (hertz := FREQUENCIES.get(voice or self.info.default_voice)) is None:
            raise NotFound(f"sine has no voice {voice[:80]!r}; it has {', '.join(FREQUENCIES)}", reason="UNKNOWN_VOICE")
        return hertz

    def _obey(self, request: Request, piece: _Piece) -> None:
        match piece.directive:
            case "stall":
                self._wait(request, float(piece.argument))
            case "error":
                reason = piece.argument or "SCRIPTED"
                raise Unavailable(f"the text asked for an error ({reason})", reason=reason)
            case "fault":
                raise RuntimeError("the text asked for a fault")
            case "crash" if self._options.crash:
                os._exit(CRASH_CODE)

    def _wait(self, request: Request, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._over(request):
            time.sleep(min(left, _POLL_S))

    def _over(self, request: Request) -> bool:
        return not self._options.ignores_cancel and request.cancelled()


class SineBatch:
    """The same for several at once: the fake of engines that batch. A step gives each of its requests one piece."""

    def __init__(self, options: _Options) -> None:
        self._model = SineModel(options)
        self.info = self._model.info
        self._ids = itertools.count(1)
        self._live: dict[int, Iterator[Audio | Mark]] = {}

    def add(self, request: Request) -> int:
        if len(self._live) >= self.info.batch:
            raise RuntimeError(f"{len(self._live)} requests are in, the most there may be")
        id = next(self._ids)
        self._live[id] = self._model.synthesize(request)
        return id

    def step(self) -> list[tuple[int, Audio | Mark | Done]]:
        return [(id, self._piece(id, items)) for id, items in list(self._live.items())]

    def drop(self, id: int) -> None:
        self._live.pop(id, None)

    def close(self) -> None:
        self._live.clear()

    def _piece(self, id: int, items: Iterator[Audio | Mark]) -> Audio | Mark | Done:
        try:
            item = next(items, None)
        except AntiphonError as error:
            self.drop(id)
            return Done(error)
        if item is None:
            self.drop(id)
            return Done()
        return item


def _wave(hertz: float, start: int, end: int, total: int) -> Audio:
    """Samples [start, end) of a tone of `total`, faded at both of its ends."""
    if start < _FADE or end > total - _FADE:
        n = np.arange(start, end)
        faded = np.clip(np.minimum(n + 1, total - n) / _FADE, 0.0, 1.0, dtype=np.float32)
        return Audio(from_float(_tone(hertz, AMPLITUDE, n) * faded))
    if hertz.is_integer():
        period = SAMPLE_RATE // math.gcd(int(hertz), SAMPLE_RATE)
        first = start % period
        pcm = _steady(int(hertz), AMPLITUDE)[2 * first : 2 * (first + end - start)]
        if len(pcm) == 2 * (end - start):
            return Audio(pcm)
    return Audio(from_float(_tone(hertz, AMPLITUDE, np.arange(start, end))))


def _tone(hertz: float, amplitude: float, n: NDArray[np.int64]) -> NDArray[np.float32]:
    # In turns first, so that single precision is enough for the sine: it costs a fifth.
    turns = n * (hertz / SAMPLE_RATE)
    wave: NDArray[np.float32] = np.sin(((turns - np.floor(turns)) * (2.0 * np.pi)).astype(np.float32))
    wave *= np.float32(amplitude)
    return wave


@functools.lru_cache(maxsize=8)
def _steady(hertz: int, amplitude: float) -> bytes:
    """Two seconds of it, whose first sample is that of any of its periods: most of a tone is only cut from there."""
    return from_float(_tone(float(hertz), amplitude, np.arange(2 * SAMPLE_RATE)))


def _pieces(text: str) -> Iterator[_Piece]:
    at = 0
    for found in _DIRECTIVE.finditer(text):
        yield _Piece(at, text[at : found.start()])
        yield _Piece(found.start(), "", found[1] or found[3] or found[5], found[2] or found[4] or "")
        at = found.end()
    yield _Piece(at, text[at:])
