"""Real speech on any machine: espeak-ng, from the `espeakng-loader` package, in child processes (GPL-3.0-or-later).

Over a hundred languages, formant synthesis, a thousand times faster than real time. Voices are the library's own
("en-us", "fr-fr", "cmn"), each of which takes a variant ("en-us+f3", "de+whisper"). Word marks are exact (near, above
2.5 times the rate). Rate is a
multiple of 175 words a minute; pitch follows semitones from -7 to +8.7, beyond which the library goes no further; range
0 is monotone.

Why processes, and what that costs: docs/decisions/0005-espeak-processes.md. A text is synthesised clause by clause (as
the library does it itself), each in one request to a child, so that a child is never held while a listener takes his
time, and little is made that nobody hears. The library's own pauses between clauses are kept, but before what follows
instead of after: a turn never ends in dead air.

Options of its model spec:

    processes   children at most (2); they start as they are needed
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from base.errors import Misconfigured, NotFound
from base.language import matches
from tts_workers.engine import Audio, EngineInfo, Mark, ModelSpec, Request, Style, VoiceInfo
from tts_workers.engines.espeak.pool import Pool
from tts_workers.options import read_options
from tts_workers.text import pieces
from worker.memory import resident_bytes

DEFAULT_VOICE = "en-us"
WORDS_A_MINUTE = 175
QUICK = 450
"""From here on the library speaks at 175 words a minute and shortens that, but not the places of its words."""
PIECE = 120
DENSE_PIECE = 60
"""Code points of digits or Han in a piece: each is a word or more."""
SHORT = 20
"""A clause below this is spoken with the one that follows."""

_PAUSES_S = ((".!?…。！？", 0.30), (";:；：–—", 0.225), (",，、", 0.15))
"""As long as the library's own (measured)."""
_TAIL_S = 0.025
"""Silence after each request: what the worker keeps back for a whole frame is never speech."""
_FADE_S = 0.003
_PITCH = ((-7.1, -6.4, -4.5, -2.45, 0.0, 2.5, 4.2, 7.05, 8.75), (0, 5, 20, 35, 50, 65, 75, 90, 100))
"""Semitones (of the mean of the logarithm, measured over English and German) and the library's parameter for them."""
_GENDERS = {1: "male", 2: "female"}
_CLOSERS = " \t\n\"'”’»)]}"
_TOKEN = re.compile(r"\S+")
_CLAUSE = re.compile(r"[.,;:!?…]+[\"'”’)\]]*\s+|[。！？，、；：]+")
_WORD_BEFORE = re.compile(r"[^\W\d_]+$")
_NO_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Scripts written without spaces: Thai, Lao, Burmese, Khmer, Kana, Han."""


@dataclass(frozen=True, slots=True)
class _Options:
    processes: Annotated[int, Meta(ge=1, le=64)] = 2


class EspeakEngine:
    name = "espeak"

    def load(self, spec: ModelSpec) -> EspeakModel:
        options = read_options(_Options, spec)
        try:
            import espeakng_loader
        except ImportError as error:
            raise Misconfigured(
                f"model {spec.id!r} needs the package espeakng-loader, which is not installed; "
                "install it, or use engine 'sine'"
            ) from error
        pool = Pool(espeakng_loader.get_library_path(), espeakng_loader.get_data_path(), options.processes)
        try:
            return EspeakModel(pool)
        except BaseException:
            pool.close()
            raise

    def inspect(self, spec: ModelSpec) -> EngineInfo:
        """Loads it, which is quick, and closes it again."""
        model = self.load(spec)
        model.close()
        return model.info


class EspeakModel:
    """See the module. Any number of requests at once; they take turns, a few milliseconds each."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        hello = pool.hello()
        self._rate: int = hello["rate"]
        self._names, voices = _voices(hello["voices"])
        self._languages = {voice.id: voice.languages for voice in voices}
        self._variants = {_slug(v[0]): v[0].rpartition("/")[2] for v in hello["variants"]}
        self.info = EngineInfo(
            name="espeak",
            sample_rate=self._rate,
            languages=tuple(sorted({tag for voice in voices for tag in voice.languages})),
            voices=voices,
            default_voice=DEFAULT_VOICE,
            licence="GPL-3.0-or-later",
            streaming=True,
            prosody=True,
            marks=True,
            cancellable=True,
            memory_bytes=20_000_000,
            variants=tuple(sorted(self._variants)),
        )

    def synthesize(self, request: Request) -> Iterator[Audio | Mark]:
        message = self._message(request)
        self._check_language(request)
        done = 0
        at = 0
        before = "" if request.first else request.previous_text
        for piece in clauses(request.text):
            if request.cancelled():
                return
            pause = self._silence(pause_after(before) - _TAIL_S if before.strip() else 0.0, request.style)
            answer, audio = self._pool.ask({**message, "text": piece}, request.cancelled)
            quick = message["rate"] >= QUICK
            for word in word_spans(piece, _slowed(answer["words"], message["rate"]), len(audio) // 2):
                yield Mark(
                    at + word.start, at + word.end, done + len(pause) // 2 + word.sample, word.exact and not quick
                )
            data = pause + self._faded(audio) + self._silence(_TAIL_S, Style())
            yield Audio(data)
            done += len(data) // 2
            at += len(piece)
            before = piece if piece.strip() else before

    def resident_bytes(self) -> int:
        return sum(map(resident_bytes, self._pool.pids()))

    def close(self) -> None:
        self._pool.close()

    def _message(self, request: Request) -> dict[str, Any]:
        style = request.style
        return {
            "voice": self._file(request.voice or DEFAULT_VOICE),
            "rate": min(max(round(WORDS_A_MINUTE * style.rate), 80), 600),
            "pitch": round(float(np.interp(style.pitch, *_PITCH))),
            "range": min(max(round(50 * style.range), 0), 100),
        }

    def _check_language(self, request: Request) -> None:
        base = (request.voice or DEFAULT_VOICE).partition("+")[0]
        spoken = self._languages[base]
        if request.language and not any(matches(request.language, tag) for tag in spoken):
            raise NotFound(
                f"espeak's voice {base!r} speaks {', '.join(spoken)}, not {request.language[:40]!r}",
                reason="UNKNOWN_LANGUAGE",
            )

    def _file(self, voice: str) -> str:
        """The library's name of a voice. Only names that it listed itself get there: it takes them for file names."""
        base, plus, variant = voice.partition("+")
        name = self._names.get(base)
        if name is None or (plus and variant not in self._variants):
            raise NotFound(f"espeak has no voice {voice!r}; see `antiphon voices`", reason="UNKNOWN_VOICE")
        return f"{name}+{self._variants[variant]}" if plus else name

    def _faded(self, audio: bytes) -> bytes:
        """The library may begin a vowel with a click."""
        wave = np.frombuffer(audio, dtype="<i2").copy()
        size = min(len(wave), round(_FADE_S * self._rate))
        wave[:size] = wave[:size] * np.linspace(0.0, 1.0, size, endpoint=False)
        return wave.tobytes()

    def _silence(self, seconds: float, style: Style) -> bytes:
        return bytes(2 * max(0, round(seconds / style.rate * self._rate)))


def clauses(text: str) -> list[str]:
    """`text` in pieces that the library would not join anyway; they add up to it.

    Not at every full stop: whether "Dr." ends a sentence is for the library to know.
    """

    def ends(mark: re.Match[str]) -> bool:
        if mark[0][0] != ".":
            return True
        word = _WORD_BEFORE.search(text, max(0, mark.start() - 40), mark.start())
        return word is not None and len(word[0]) >= 3 and word[0].islower() and not text[mark.end() :][:1].islower()

    out: list[str] = []
    start = 0
    for mark in _CLAUSE.finditer(text):
        if mark.end() - start >= SHORT and ends(mark):
            out.append(text[start : mark.end()])
            start = mark.end()
    out.append(text[start:])
    return [piece for clause in out if clause for piece in pieces(clause, _limit(clause))]


def pause_after(text: str) -> float:
    """Seconds between `text` and what follows it, by its last mark."""
    last = text.rstrip(_CLOSERS)[-1:]
    return next((seconds for marks, seconds in _PAUSES_S if last and last in marks), 0.0)


@dataclass(frozen=True, slots=True)
class WordSpan:
    """Code points [start, end) of a text, and the sample where they begin."""

    start: int
    end: int
    sample: int
    exact: bool = True


def _slowed(events: list[list[int]], rate: int) -> list[list[int]]:
    """Where they are in the audio that came, within about 15 ms (measured)."""
    if rate < QUICK:
        return events
    return [[position, round(sample * WORDS_A_MINUTE / rate)] for position, sample in events]


def word_spans(text: str, events: list[list[int]], samples: int) -> list[WordSpan]:
    """Words of `text`, spoken in `samples`, from the library's (code point, sample) events, in order.

    The library tells of several events within "1,234.5" or "don't", some of them off by a little: a word between spaces
    counts once, by its first. Where a script has no spaces, each event that moves on is a word. "of the" and the like
    may be one word to the library: the second is estimated.
    """
    found: list[WordSpan] = []
    tokens = [m.span() for m in _TOKEN.finditer(text)]
    i = 0
    last = -1
    for position, sample in events:
        while i < len(tokens) and tokens[i][1] <= position:
            i += 1
        if i == len(tokens) or position < tokens[i][0]:
            continue
        start, end = tokens[i]
        if _NO_SPACES.search(text, start, end):
            if position <= last:
                continue
            if found and found[-1].end > position:
                found[-1] = replace(found[-1], end=position)
            start = position
        elif start <= last:
            continue
        last = max(position, start)
        found.append(WordSpan(start, end, sample))
    estimated = _estimated(text, tokens, found, samples)
    words = [_bare(text, word) for word in sorted(found + estimated, key=lambda w: w.start)]
    return [word for word in words if word is not None]


def _estimated(text: str, tokens: list[tuple[int, int]], found: list[WordSpan], samples: int) -> list[WordSpan]:
    """Words that no event told of, between those around them by their place in the text."""
    seen = {bisect_right(tokens, (word.start, len(text))) - 1 for word in found}
    places = [(0, 0), *[(w.start, w.sample) for w in found], (len(text), samples)]
    out: list[WordSpan] = []
    for i, (start, end) in enumerate(tokens):
        if i not in seen and any(_is_spoken(c) for c in text[start:end]):
            k = bisect_right(places, (start, samples)) - 1
            (a, from_), (b, to) = places[k], places[min(k + 1, len(places) - 1)]
            share = (start - a) / (b - a) if b > a else 0.0
            out.append(WordSpan(start, end, round(from_ + share * (to - from_)), exact=False))
    return out


def _bare(text: str, word: WordSpan) -> WordSpan | None:
    """Without punctuation around it; None where there is nothing else."""
    inner = [i for i in range(word.start, word.end) if _is_spoken(text[i]) or text[i] in "%&@#$€£¥+"]
    return replace(word, start=inner[0], end=inner[-1] + 1) if inner else None


def _is_spoken(c: str) -> bool:
    """A letter or digit, or a mark on one: an accent of its own, a vowel sign, a virama."""
    return c.isalnum() or unicodedata.category(c)[0] == "M"


def _limit(text: str) -> int:
    dense = sum(1 for c in text if c.isdigit() or c >= "\u2e80")
    return DENSE_PIECE if dense * 3 > len(text) else PIECE


def _slug(identifier: str) -> str:
    return identifier.rpartition("/")[2].lower().replace(" ", "-")


def _voices(listed: list[list[Any]]) -> tuple[dict[str, str], tuple[VoiceInfo, ...]]:
    """File names by id, and the voices, of each language the library's favourite first."""
    names: dict[str, str] = {}
    found: list[tuple[tuple[str, int, str], VoiceInfo]] = []
    for name, identifier, languages, gender in listed:
        tags = [tag.lower() for _, tag in languages]
        id = tags[0] if tags[0] not in names else _slug(identifier)
        names[id] = identifier
        language = tags[0].partition("-")[0]
        rank = min((priority for priority, tag in languages if tag.lower() == language), default=99)
        voice = VoiceInfo(id, name.strip(), tuple(_canonical(tag) for tag in tags), _GENDERS.get(gender, ""))
        found.append(((language, rank, id), voice))
    return names, tuple(voice for _, voice in sorted(found, key=lambda f: f[0]))


def _canonical(tag: str) -> str:
    """BCP 47's usual case: "en-us" is "en-US", "fa-latn" is "fa-Latn"."""
    first, *rest = tag.split("-")
    out = [first]
    for part in rest:
        private = "x" in out
        out.append(part if private or len(part) not in (2, 4) else part.upper() if len(part) == 2 else part.title())
    return "-".join(out)
