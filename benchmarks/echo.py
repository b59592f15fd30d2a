"""Whether a loudspeaker's echo is told from the user, by its sound alone.

A reply sounds in a made room and comes back to the microphone: late by 20 to 300 ms, 0 to 30 dB softer, through a
loudspeaker that lacks lows and highs and sometimes clips, with reflections and reverberation, with a noise 20 dB below
it or the quiet of a room. The real uplink hears that with WebRTC's detector and takes it for speech or not; the
loudspeaker obeys it as a client does, 40 to 120 ms later. The clock is the microphone's own, so that nothing here
depends on how fast the machine is. No recogniser listens: what is not told by its sound is left to the words.

The thresholds in `orchestrator/self_echo.py` were chosen on `CHOSEN_ON`, in other rooms (another seed); these figures
are of `HELD_OUT`, voices that speak and interrupt here alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from asr.detectors.webrtc import WebRtcDetector
from asr.vad import FrameVad
from base.audio import UPLINK_RATE, from_float, to_float
from benchmarks import speech
from benchmarks.noises import Floats, gain
from benchmarks.rows import Row, single, spread
from benchmarks.suite import Options
from orchestrator.conversation.events import Event, FinalHeard, SpeechEnded, SpeechStarted
from orchestrator.decimator import Sound
from orchestrator.downlink import EARLY_S, LATE_S
from orchestrator.likeness import RATE, likeness
from orchestrator.uplink import FRAME_SAMPLES, Uplink

CHOSEN_ON = ("en-us", "en-us+m3", "en-us+f3", "en-gb+m7", "en-gb+f2")
HELD_OUT = ("en-us+f5", "en-gb+m1", "de", "en-us+m5", "fr-fr")
REPLIES = (
    "The old lighthouse stands at the end of the harbour, and every evening somebody climbs the stairs to light it.",
    "Tomorrow will be mostly cloudy with some rain in the afternoon, so you had better take an umbrella with you.",
    "High in the mountains lived an echo who was tired of repeating things, so one day it said good morning instead.",
)
INTERRUPTIONS = (
    "stop please",
    "wait a moment",
    "what is the weather like tomorrow",
    "no I meant the other one",
    "could you say that again",
)
SPEAKS_S = 2.5
"""When the user begins, at the earliest."""
SUCH_S = 0.2
"""So much of an utterance is the user's, if it is said to be theirs."""
FRAME_S = 0.02
ROOM_DBFS = -64.0


@dataclass(frozen=True, slots=True)
class Place:
    """A loudspeaker and a microphone in a room. `echo` 0: the microphone does not hear it."""

    echo: float
    delay: int
    answer: Floats
    late: int
    """Frames until the loudspeaker obeys."""
    lowest_hz: float = 0.0
    highest_hz: float = 8_000.0
    clips: float = 1.0
    noise_db: float | None = None


def cable(rng: np.random.Generator) -> Place:
    return Place(gain(rng.uniform(-30, 0)), round(rng.uniform(0.02, 0.3) * UPLINK_RATE), np.ones(1), _late(rng))


def room(rng: np.random.Generator) -> Place:
    """Sixty decibels of decay in 0.1 to 0.5 s, 0 to 10 dB below the direct sound."""
    decay_s = float(rng.choice([0.1, 0.2, 0.3, 0.5]))
    t = np.arange(round(decay_s * UPLINK_RATE)) / UPLINK_RATE
    tail = rng.standard_normal(len(t)) * 10 ** (-3 * t / decay_s)
    first = round(0.003 * UPLINK_RATE)
    tail[:first] = 0.0
    for _ in range(4):
        tail[rng.integers(first, round(0.03 * UPLINK_RATE))] += rng.choice([-3.0, 3.0])
    tail *= gain(-float(rng.choice([10, 6, 3, 0]))) / np.sqrt(np.sum(tail * tail))
    tail[0] += 1.0
    return Place(
        gain(rng.uniform(-30, 0)),
        round(rng.uniform(0.02, 0.3) * UPLINK_RATE),
        tail,
        _late(rng),
        lowest_hz=float(rng.choice([80, 200, 400])),
        highest_hz=float(rng.choice([2_500, 3_400, 7_000])),
        clips=float(rng.choice([1.0, 1.0, 0.4])),
        noise_db=float(rng.choice([-20.0, -60.0])),
    )


def _late(rng: np.random.Generator) -> int:
    return int(rng.integers(2, 7))


@dataclass(slots=True)
class Outcome:
    """`echoes`: told by their sound; `to_words`: sounds of the loudspeaker alone that were not. `held`: seconds of
    silence for nothing. `hold_s`: from the user's first sample to the hold that was for them; None: swallowed.
    """

    echoes: int = 0
    to_words: int = 0
    held_s: float = 0.0
    seconds: float = 0.0
    spoke: bool = False
    hold_s: float | None = None
    taken_for_echo: int = 0
    compared: int = 0


@dataclass(slots=True)
class _Room:
    """The loudspeaker's side, for one trial; what the uplink asks, and what the microphone hears."""

    place: Place
    clean: Floats
    loud: Floats
    now: float = 0.0
    at: int = 0
    log: list[Floats] = field(default_factory=list)
    _heard: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        reach = self.place.delay + len(self.place.answer) + FRAME_SAMPLES
        self._heard = np.zeros(reach)

    def frame(self, sounds: bool) -> Floats:
        """20 ms later: what came back meanwhile."""
        piece, loud = np.zeros(FRAME_SAMPLES), np.zeros(FRAME_SAMPLES)
        if sounds:
            found = self.clean[self.at : self.at + FRAME_SAMPLES]
            piece[: len(found)] = found
            loud[: len(found)] = self.loud[self.at : self.at + FRAME_SAMPLES]
            self.at += FRAME_SAMPLES
        self.log.append(piece)
        self.now += FRAME_S
        answer = np.convolve(loud, self.place.answer) if len(self.place.answer) == 1 else _convolved(loud, self.place)
        self._heard[self.place.delay : self.place.delay + len(answer)] += answer * self.place.echo
        out = self._heard[:FRAME_SAMPLES].copy()
        self._heard[:-FRAME_SAMPLES] = self._heard[FRAME_SAMPLES:]
        self._heard[-FRAME_SAMPLES:] = 0.0
        return out

    def remember_nowait(self) -> None:
        """It does."""

    def sounds(self) -> bool:
        return True

    def sounding(self, heard_s: float, end_s: float) -> Sound:
        """As `Downlink` does; here it is known what was played when."""
        whole = np.concatenate([np.zeros(2 * UPLINK_RATE), *self.log[-100:]])
        end = len(whole) - round((self.now - end_s) * UPLINK_RATE)
        span = round((heard_s + LATE_S) * UPLINK_RATE)
        piece = np.append(whole[max(0, end - span) : end], np.zeros(round(EARLY_S * UPLINK_RATE)))
        return _halved(piece)


def _convolved(loud: Floats, place: Place) -> Floats:
    size = 1 << (len(loud) + len(place.answer) - 1).bit_length()
    out: Floats = np.fft.irfft(np.fft.rfft(loud, size) * np.fft.rfft(place.answer, size), size)
    return out[: len(loud) + len(place.answer) - 1]


def _halved(x: Floats) -> Sound:
    spectrum = np.fft.rfft(x)
    half = len(x) // 2
    out: Sound = np.fft.irfft(spectrum[: half // 2 + 1], half).astype(np.float32) / 2
    return out


class _Nobody:
    """No recogniser."""

    def audio_nowait(self, utterance: int, sample: int, pcm: bytes) -> None: ...

    def end_nowait(self, utterance: int, sample: int) -> None: ...

    def cancel_nowait(self, utterance: int) -> None: ...


def trial(
    place: Place, reply: Floats, rng: np.random.Generator, user: Floats | None = None, louder_db: float | None = None
) -> Outcome:
    """One reply; `user` speaks over it, `louder_db` louder than the echo is."""
    here = _Room(place, reply, _by_loudspeaker(reply, place))
    level = _level(here.loud) * place.echo * float(np.sqrt(np.sum(place.answer**2)))
    begins, voice = 0, np.zeros(0)
    if user is not None:
        begins = round(rng.uniform(SPEAKS_S, SPEAKS_S + 1.5) * UPLINK_RATE)
        voice = user if louder_db is None else user * (level * gain(louder_db) / _level(user))
    ends = begins + len(voice)
    news: list[Event] = []
    up = Uplink(
        vad=FrameVad(WebRtcDetector(2)), ears=_Nobody(), post=news.append, clock=lambda: here.now, loudspeaker=here
    )
    up._running = True
    out = Outcome(spoke=user is not None)
    obeys: list[tuple[int, bool]] = []
    held, begun = False, 0
    noise = max(gain(ROOM_DBFS), level * gain(place.noise_db) if place.noise_db is not None else 0.0)
    last = len(reply) + 3 * UPLINK_RATE
    for number in range(last // FRAME_SAMPLES):
        while obeys and obeys[0][0] <= number:
            held = obeys.pop(0)[1]
        sound = here.frame(not held) + rng.standard_normal(FRAME_SAMPLES) * noise
        at = number * FRAME_SAMPLES
        if user is not None and at < ends and at + FRAME_SAMPLES > begins:
            piece = np.zeros(FRAME_SAMPLES)
            from_, to = max(begins, at), min(ends, at + FRAME_SAMPLES)
            piece[from_ - at : to - at] = voice[from_ - begins : to - begins]
            sound = sound + piece
        out.held_s += FRAME_S * held
        news.clear()
        up.audio_nowait(at, from_float(np.clip(sound, -1, 1).astype(np.float32)), here.now)
        for event in news:
            if isinstance(event, SpeechStarted):
                begun = event.sample
                obeys.append((number + place.late, True))
            elif isinstance(event, SpeechEnded):
                told = any(isinstance(e, FinalHeard) and e.loudspeaker for e in news)
                theirs = min(event.sample, ends) - max(begun, begins) >= min(SUCH_S * UPLINK_RATE, 0.6 * len(voice))
                theirs = theirs and user is not None
                out.echoes += told
                out.taken_for_echo += told and theirs
                out.to_words += not told and not theirs
                if theirs and not told:
                    out.hold_s = max(0.0, (begun - begins) / UPLINK_RATE)
                    out.seconds, out.compared = here.now, up.compared
                    return out
                obeys.append((number + place.late, False))
        if here.at >= len(reply) + UPLINK_RATE:
            break
    out.echoes += up.counts.echoes - out.echoes
    out.seconds, out.compared = here.now, up.compared
    return out


def _by_loudspeaker(x: Floats, place: Place) -> Floats:
    spectrum, hz = np.fft.rfft(x), np.fft.rfftfreq(len(x), 1 / UPLINK_RATE)
    low = (hz / place.lowest_hz) ** 2 / np.sqrt(1 + (hz / place.lowest_hz) ** 4) if place.lowest_hz else 1.0
    out: Floats = np.fft.irfft(spectrum * low / np.sqrt(1 + (hz / place.highest_hz) ** 6), len(x))
    if place.clips < 1.0:
        most = float(np.percentile(np.abs(out), 99)) * place.clips
        out = np.clip(out, -most, most)
    return out


def _level(x: Floats) -> float:
    loud = x[np.abs(x) > 0.01 * np.abs(x).max()]
    return float(np.sqrt(np.mean(loud * loud)))


class Voices:
    """Speech, made once."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._said: dict[tuple[str, str], Floats] = {}

    def say(self, text: str, voice: str) -> Floats:
        if (text, voice) not in self._said:
            self._said[text, voice] = to_float(speech.utterance(text, voice)).astype(np.float64)
        return self._said[text, voice]

    def two(self, rng: np.random.Generator) -> tuple[str, str]:
        first, second = rng.choice(len(self.names), 2, replace=False)
        return self.names[first], self.names[second]


def run(options: Options) -> list[Row]:
    return measured(Voices(HELD_OUT), options.pick(60, 12), options, seed=2)


def measured(voices: Voices, count: int, options: Options, seed: int) -> list[Row]:
    rows = []
    for name, make in (("a cable", cable), ("rooms", room)):
        options.note(f"echo: {name}")
        rows += _echo_rows(name, [_alone(voices, make, seed * 1000 + n) for n in range(count)])
    for louder_db in (-10.0, -6.0, 0.0, 6.0, 12.0):
        options.note(f"echo: a user {louder_db:+g} dB over it")
        found = [_over(voices, room, seed * 2000 + n, louder_db) for n in range(count)]
        rows += _user_rows(
            f"a user {louder_db:+g} dB louder than the echo, in rooms", found, 0.9 if louder_db >= 0 else None
        )
    options.note("echo: without an echo")
    found = [_over(voices, _silent, seed * 3000 + n, None) for n in range(2 * count)]
    rows += _user_rows("a user, no echo", found, 1.0)
    found = [_over(voices, _silent, seed * 4000 + n, None, same=True) for n in range(2 * count)]
    rows += _user_rows("another voice with the reply's own words at the same time, no echo", found, 1.0)
    rows.append(_cost())
    return rows


def _silent(rng: np.random.Generator) -> Place:
    return Place(0.0, 0, np.ones(1), _late(rng))


def _alone(voices: Voices, make: object, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    voice, _ = voices.two(rng)
    assert callable(make)
    return trial(make(rng), voices.say(REPLIES[rng.integers(len(REPLIES))], voice), rng)


def _over(voices: Voices, make: object, seed: int, louder_db: float | None, *, same: bool = False) -> Outcome:
    rng = np.random.default_rng(seed)
    voice, other = voices.two(rng)
    text = REPLIES[rng.integers(len(REPLIES))]
    reply = voices.say(text, voice)
    said = voices.say(INTERRUPTIONS[rng.integers(len(INTERRUPTIONS))], other)
    if same:
        whole = voices.say(text, other)
        at = round(len(whole) * SPEAKS_S / (len(reply) / UPLINK_RATE))
        said = whole[at : at + UPLINK_RATE]
    assert callable(make)
    place = make(rng)
    if louder_db is None:
        said = said * gain(rng.uniform(-20, 0))
    return trial(place, reply, rng, said, louder_db)


def _echo_rows(name: str, found: Sequence[Outcome]) -> list[Row]:
    seconds = sum(o.seconds for o in found)
    told, left = sum(o.echoes for o in found), sum(o.to_words for o in found)
    clean = sum(not o.to_words for o in found)
    return [
        single(f"{name}: echoes left to the words", "share", left / max(1, told + left), n=told + left),
        single(f"{name}: replies without any", "share", clean / len(found), n=len(found)),
        single(
            f"{name}: silence for nothing, a second of reply",
            "ms",
            1000 * sum(o.held_s for o in found) / seconds,
            n=told,
        ),
        single(f"{name}: comparisons a second", "", sum(o.compared for o in found) / seconds),
    ]


def _user_rows(name: str, found: Sequence[Outcome], least: float | None) -> list[Row]:
    obeyed = [o.hold_s * 1000 for o in found if o.hold_s is not None]
    swallowed = sum(o.taken_for_echo for o in found)
    return [
        single(
            f"{name}: obeyed", "share", len(obeyed) / len(found), least, least=True, n=len(found),
            note=f"{swallowed} of their utterances were taken for the echo",
        ),
        spread(f"{name}: first sample → the hold is theirs", "ms", obeyed),
    ]  # fmt: skip


def _cost() -> Row:
    rng = np.random.default_rng(1)
    heard, played = rng.standard_normal(4_800).astype(np.float32), rng.standard_normal(12_000).astype(np.float32)
    took = []
    for _ in range(50):
        begun = time.process_time()
        likeness(heard, played)
        took.append(1000 * (time.process_time() - begun))
    return spread(f"one comparison of {len(heard) / RATE:g} s: CPU", "ms", took)
