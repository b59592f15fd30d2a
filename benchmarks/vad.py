"""Voice activity: how soon speech is noticed, how exactly its end is found, and what passes for speech that is none.

No service runs: frames go straight through the VAD of the default system, and times are media time, so that the figures
are the same on every machine (but for the cost of a frame). Rows that begin with "Silero" have Silero VAD beside it,
where its model is installed. A user's words are espeak's, trimmed to what is louder than
2 % of full scale at -20 dBFS; they begin anywhere within a frame. News is told when its frame is complete.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from asr.detectors.silero import SileroDetector, SileroModel, find_model
from asr.detectors.webrtc import WebRtcDetector
from asr.vad import FRAME_SAMPLES, FrameVad, SpeechDismissed, SpeechStarted
from base.audio import UPLINK_RATE, to_float
from benchmarks import noises, speech
from benchmarks.noises import Floats
from benchmarks.rows import Budget, Row, single, spread
from benchmarks.suite import Options

VOICES = ("en-us", "en-us+f3", "en-gb+m7", "de", "en-us+croak")
PHRASES = (
    "stop",
    "wait a moment",
    "no",
    "hey, hold on",
    "what time is it",
    "actually I meant the other one",
    "please tell me a story",
    "she sells sea shells",
    "okay",
    "but why is that",
    "thank you very much",
    "five",
)
REMARK = "and then I told her that we should go there later"
MOST_TRIES = 10
ROOM_DBFS = -68.0
LEAD_S, REST_S = 2.0, 1.0
RELEARN_S = 8.0
"""The conversation core has the noise learnt anew after so long without a word."""

BEGUN_MS, ENDED_MS, LEARNT_MS, FRAME_US = 45.0, 60.0, 1000.0, 40.0


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance, in samples: its span by the VAD, and when its beginning and its end were told."""

    first: int
    told: int
    end: int | None
    over: int | None
    dismissed: bool = False


@dataclass(frozen=True, slots=True)
class Ear:
    """`name` begins its rows; `make` gives a stream's VAD; `quick`: it is to notice speech at once."""

    name: str
    make: Callable[[], FrameVad]
    quick: bool = True

    def row(self, what: str) -> str:
        return f"{self.name}: {what}" if self.name else what


WEBRTC = Ear("", lambda: FrameVad(WebRtcDetector()))


def silero() -> tuple[Ear, ...]:
    """While nothing plays, and over a reply; none where it is not installed."""
    if find_model() is None:
        return ()
    model = SileroModel()

    def make() -> FrameVad:
        return FrameVad(WebRtcDetector(), judge=SileroDetector(model))

    def over() -> FrameVad:
        vad = make()
        vad.set_over_reply(True)
        return vad

    return Ear("Silero", make, quick=False), Ear("Silero, over a reply", over)


def hear(pcm: bytes, ear: Ear = WEBRTC, *, trigger: int | None = None, relearn: bool = False) -> list[Heard]:
    """What the VAD makes of a stream. `relearn`: as the core has it done to an utterance without words."""
    vad = ear.make()
    if trigger is not None:
        vad.set_trigger(trigger)
    found: list[Heard] = []
    due: float | None = None
    for sample in range(0, len(pcm) // 2 - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        now = sample + FRAME_SAMPLES
        if relearn and due is not None and now >= due:
            vad.relearn_noise()
            due = now + RELEARN_S * UPLINK_RATE
        for news in vad.push(sample, pcm[2 * sample : 2 * now]):
            if isinstance(news, SpeechStarted):
                found.append(Heard(news.sample, now, None, None))
                due = now + RELEARN_S * UPLINK_RATE
            else:
                found[-1] = Heard(found[-1].first, found[-1].told, news.sample, now, isinstance(news, SpeechDismissed))
                due = None
    return found


def run(options: Options) -> list[Row]:
    said = [
        to_float(speech.say(phrase, voice)).astype(np.float64)
        for voice in VOICES[: options.pick(len(VOICES), 2)]
        for phrase in PHRASES[: options.pick(len(PHRASES), 6)]
    ]
    times = options.pick(4, 2)
    rows: list[Row] = []
    for ear in (WEBRTC, *silero()):
        for name, scene, budgets in SCENES:
            options.note(f"vad: {ear.row(name)}")
            rows += _speech(ear, name, said, times, scene, budgets)
        options.note(f"vad: {ear.row('noises')}")
        rows += [*_typing(ear), *_bursts(ear), *_steady(ear), *_music(ear, said)]
        if not (ear.name and ear.quick):  # nothing is learnt of a user over a reply
            rows += [*_talkers(ear), *_cost(ear, options)]
        if ear.name and not ear.quick:
            rows += [*_remarks(ear), *_soft(ear)]
    return rows


# --- speech ----------------------------------------------------------------------------------------------------------

Scene = Callable[[Floats, int], Floats]


def _in(noise: Callable[[float, float, int], Floats], dbfs: float, level_db: float = 0.0) -> Scene:
    return lambda x, seed: x * noises.gain(level_db) + noise(len(x) / UPLINK_RATE, dbfs, seed)[: len(x)]


SCENES: tuple[tuple[str, Scene, bool], ...] = (
    ("a quiet room", _in(noises.pink, ROOM_DBFS), True),
    ("digital silence", lambda x, _: x, True),
    ("a room that echoes for 0.4 s", lambda x, seed: _in(noises.pink, ROOM_DBFS)(noises.echoing(x), seed), False),
    ("speech at -5 dBFS", _in(noises.pink, ROOM_DBFS, 15.0), True),
    ("speech at -45 dBFS", _in(noises.pink, ROOM_DBFS, -25.0), False),
    ("white noise, 20 dB down", _in(noises.white, -40.0), False),
    ("pink noise, 10 dB down", _in(noises.pink, -30.0), False),
    ("mains hum, 10 dB down", lambda x, _: x + noises.hum(len(x) / UPLINK_RATE, -30.0)[: len(x)], False),
)


def _speech(ear: Ear, name: str, said: Sequence[Floats], times: int, scene: Scene, promised: bool) -> list[Row]:
    begun: list[float] = []
    ended: list[float] = []
    told: list[float] = []
    missed = split = dismissed = 0
    for number, (words, shift) in enumerate(_aligned(said, times)):
        first = round(LEAD_S * UPLINK_RATE) + shift
        stream = np.concatenate([np.zeros(first), words, np.zeros(round(REST_S * UPLINK_RATE))])
        last = first + len(words)
        mine = [x for x in hear(noises.pcm(scene(stream, number)), ear) if x.end is None or x.end > first]
        if not mine:
            missed += 1
            continue
        dismissed += sum(x.dismissed for x in mine)
        split += len(mine) - 1 - sum(x.dismissed for x in mine)
        begun.append(_ms(mine[0].told - first))
        if mine[-1].end is not None and mine[-1].over is not None:
            ended.append(abs(_ms(mine[-1].end - last)))
            told.append(_ms(mine[-1].over - last))
    note = f"{missed} missed, {split} pauses taken for ends" + (f", {dismissed} dismissed" if dismissed else "")
    begin = Budget(BEGUN_MS) if promised and ear.quick else None
    end = Budget(ENDED_MS) if promised else None
    return [
        spread(ear.row(f"first voiced sample to speech started ({name})"), "ms", begun, begin, note),
        spread(ear.row(f"last voiced sample, found this far off ({name})"), "ms", ended, end),
        spread(ear.row(f"last voiced sample to speech ended ({name})"), "ms", told),
    ]


def _aligned(said: Sequence[Floats], times: int) -> Iterator[tuple[Floats, int]]:
    rng = np.random.default_rng(5)
    for words in said:
        for _ in range(times):
            yield words, int(rng.integers(FRAME_SAMPLES))


# --- what is no speech -----------------------------------------------------------------------------------------------


def _room(x: Floats) -> Floats:
    return x + noises.pink(len(x) / UPLINK_RATE, ROOM_DBFS)[: len(x)]


def _often(make: Callable[[int], Floats], every_s: float, seconds: float = 10.0) -> Floats:
    rng = np.random.default_rng(9)
    count = round(seconds / every_s)
    at = 0.5 + np.cumsum(every_s * (0.9 + 0.2 * rng.random(count)))
    return _room(noises.placed(seconds * 1.1 + 1.5, *((float(s), make(n)) for n, s in enumerate(at))))


def _held_s(found: Sequence[Heard], length: int) -> float:
    return sum((x.over or length) - x.told for x in found) / UPLINK_RATE


def _typing(ear: Ear) -> list[Row]:
    kinds = {
        "5 ms": lambda n: noises.click(n, ms=5),
        "10 ms": lambda n: noises.click(n, ms=10),
        "10 ms, echoing": lambda n: noises.echoing(np.pad(noises.click(n, ms=10), (0, 8000))),
        "soft": lambda n: noises.click(n, peak_dbfs=-20),
    }
    rows = []
    for trigger, limit in ((2, 4), (4, 0)):
        found = {name: hear(noises.pcm(_often(make, 0.25)), ear, trigger=trigger) for name, make in kinds.items()}
        worst = max(len(x) for x in found.values())
        note = ", ".join(f"{name}: {len(x)}" for name, x in found.items())
        rows.append(
            single(
                ear.row(f"4 key clicks a second for 10 s: starts (trigger {trigger})"),
                "starts",
                worst,
                limit,
                note=note,
            )
        )
    return rows


def _bursts(ear: Ear) -> list[Row]:
    kinds: dict[str, Callable[[int], Floats]] = {
        "knocks of 30 ms": lambda n: noises.knock(n, ms=30),
        "knocks of 80 ms": lambda n: noises.knock(n, ms=80),
        "100 ms of noise": lambda n: noises.white(0.1, -20.0, n),
        "coughs of 200 ms": noises.cough,
        "a slammed door": noises.slam,
    }
    rows = []
    for name, make in kinds.items():
        pcm = noises.pcm(_often(make, 1.5, 15.0))
        found, raised = hear(pcm, ear), hear(pcm, ear, trigger=4)
        note = f"held {_held_s(found, len(pcm) // 2):.1f} s in all; {len(raised)} with trigger 4"
        rows.append(single(ear.row(f"{name}, 10 times: starts"), "starts", len(found), note=note))
    return rows


def _steady(ear: Ear) -> list[Row]:
    """Two seconds of a quiet room, then something comes on for a minute."""
    kinds: dict[str, Callable[[float], Floats]] = {
        "white": lambda s: noises.white(s, -30.0),
        "loud white": lambda s: noises.white(s, -20.0),
        "soft white": lambda s: noises.white(s, -50.0),
        "pink": lambda s: noises.pink(s, -35.0),
        "brown": lambda s: noises.brown(s, -25.0),
        "hum of 50 Hz": lambda s: noises.hum(s, -20.0),
        "hum of 100 Hz": lambda s: noises.hum(s, -25.0, 100.0),
        "hum of 150 Hz": lambda s: noises.hum(s, -30.0, 150.0),
        "a fan": lambda s: noises.pink(s, -35.0) * noises.gain(2.0) ** np.sin(2 * np.pi * noises.clock(s)),
        "a DC offset": lambda s: np.full(round(s * UPLINK_RATE), 0.2),
    }
    taken, later = [], 0
    for make in kinds.values():
        stream = _room(noises.placed(62.0, (2.0, make(60.0))))
        found = hear(noises.pcm(stream), ear, relearn=True)
        taken.append(sum(_ms((x.end or len(stream)) - x.first) for x in found))
        later += sum(x.first > 4 * UPLINK_RATE for x in found)
    note = ", ".join(f"{name} {ms:.0f}" for name, ms in zip(kinds, taken, strict=True))
    return [
        spread(ear.row("a steady noise comes on: taken for speech"), "ms", taken, Budget(LEARNT_MS), note),
        single(ear.row("… starts in the minute after"), "starts", later, 0, n=len(kinds)),
    ]


def _music(ear: Ear, said: Sequence[Floats]) -> list[Row]:
    rows = []
    for name, make in (("chords", noises.chords), ("a melody", noises.melody)):
        tune = make(60.0, -30.0)
        found = hear(noises.pcm(_room(noises.placed(62.0, (2.0, tune)))), ear, relearn=True)
        later = sum(x.first > 20 * UPLINK_RATE for x in found)
        words = [noises.gain(5.0) * x for x in said[:12]]
        begins = [25.0 + 2.5 * n for n in range(len(words))]
        stream = _room(noises.placed(62.0, (2.0, tune), *zip(begins, words, strict=True)))
        heard = hear(noises.pcm(stream), ear, relearn=True)
        over = sum(
            any(begin - 0.1 < x.first / UPLINK_RATE < begin + len(w) / UPLINK_RATE for x in heard)
            for begin, w in zip(begins, words, strict=True)
        )
        rows += [
            single(ear.row(f"{name}: passes for speech, learnt after 8 s"), "s", _held_s(found, len(tune)), 10.0),
            single(ear.row(f"{name}, once learnt: starts in 40 s"), "starts", later, 2),
            single(
                ear.row(f"{name}, once learnt: words 15 dB louder that are noticed"),
                "%",
                100 * over / len(words),
                90,
                least=True,
            ),
        ]
    return rows


def _talkers(ear: Ear) -> list[Row]:
    """Four utterances of the user's, eight of somebody who is quieter, four of the user's."""
    rows = []
    for down in (9.0, 15.0, 20.0, 25.0):
        mine = [to_float(speech.say(text, VOICES[0])).astype(np.float64) for text in PHRASES[2:6]]
        theirs = [noises.gain(-down) * to_float(speech.say(text, VOICES[1])).astype(np.float64) for text in PHRASES[:8]]
        pieces = [(1.0 + 2.5 * n, words) for n, words in enumerate((*mine, *theirs, *mine))]
        found = [x for x in hear(noises.pcm(_room(noises.placed(42.0, *pieces))), ear) if not x.dismissed]
        heard = [
            any(at - 0.1 < x.first / UPLINK_RATE < at + len(words) / UPLINK_RATE for x in found) for at, words in pieces
        ]
        note = f"of the user's own: {sum(heard[:4]) + sum(heard[12:])} of 8"
        rows.append(
            single(ear.row(f"utterances heard of a talker {down:g} dB quieter"), "of 8", sum(heard[4:12]), note=note)
        )
    return rows


def _remarks(ear: Ear) -> list[Row]:
    """After four utterances of the user's, 20 remarks of somebody who is quieter, one every three seconds."""
    rows = []
    mine = [to_float(speech.say(text, VOICES[0])).astype(np.float64) for text in PHRASES[2:6]]
    theirs = to_float(speech.say(REMARK, VOICES[1])).astype(np.float64)
    for down in (15.0, 18.0, 20.0):
        begins = [13.0 + 3.0 * n for n in range(20)]
        pieces = [(1.0 + 3.0 * n, words) for n, words in enumerate(mine)]
        stream = noises.placed(75.0, *pieces, *((at, noises.gain(-down) * theirs) for at in begins))
        found = hear(noises.pcm(_room(stream)), ear)
        taken = sum(x.first / UPLINK_RATE > begins[0] - 0.1 and not x.dismissed for x in found)
        rows.append(single(ear.row(f"remarks without a pause, {down:g} dB quieter: starts"), "of 20", taken))
    return rows


def _soft(ear: Ear) -> list[Row]:
    """After four utterances and a reply of three seconds to each, "yes please" until it is heard: by a softer user."""
    rows = []
    for down in (9.0, 12.0, 16.0, 20.0):
        tries = [_tries(ear, voice, down) for voice in VOICES[:3]]
        rows.append(spread(ear.row(f"who turned {down:g} dB softer, after a reply: tries unheard"), "tries", tries))
    return rows


def _tries(ear: Ear, voice: str, down: float) -> float:
    vad, at = ear.make(), 0

    def heard(words: Floats, seconds: float) -> bool:
        nonlocal at
        pcm = noises.pcm(_room(noises.placed(seconds, (0.8, words))))
        begun = False
        for piece in range(0, len(pcm) // 2 - FRAME_SAMPLES + 1, FRAME_SAMPLES):
            news = vad.push(at, pcm[2 * piece : 2 * (piece + FRAME_SAMPLES)])
            begun = begun or any(isinstance(x, SpeechStarted) for x in news)
            at += FRAME_SAMPLES
        return begun

    for text in PHRASES[2:6]:
        heard(to_float(speech.say(text, voice)).astype(np.float64), 3.0)
        vad.set_over_reply(True)
        heard(np.zeros(1), 3.0)
        vad.set_over_reply(False)
    words = noises.gain(-down) * to_float(speech.say("yes please", voice)).astype(np.float64)
    return float(next((n for n in range(MOST_TRIES) if heard(words, 3.0)), MOST_TRIES))


def _cost(ear: Ear, options: Options) -> list[Row]:
    """Noise that comes and goes; and, for a judge that sleeps, a quiet room and speech without a pause."""
    noise = noises.white(20.0, -20.0) * np.repeat(np.tile([1.0, 0.1], 50), UPLINK_RATE // 5)
    words = to_float(speech.say("please tell me a story", VOICES[0])).astype(np.float64)
    streams = {"": noise}
    if ear is not WEBRTC:
        streams[", in a quiet room"] = _room(np.zeros(20 * UPLINK_RATE))
        streams[", while somebody speaks"] = _room(np.tile(words, 20)[: 20 * UPLINK_RATE])
    rows = []
    for name, stream in streams.items():
        pcm = noises.pcm(stream[: len(stream) // FRAME_SAMPLES * FRAME_SAMPLES])
        frames = [pcm[at : at + 2 * FRAME_SAMPLES] for at in range(0, len(pcm), 2 * FRAME_SAMPLES)]
        costs, each = [], []
        for _ in range(options.pick(20, 5)):
            vad = ear.make()
            begun = time.process_time()
            for number, frame in enumerate(frames):
                before = time.perf_counter()
                vad.push(number * FRAME_SAMPLES, frame)
                each.append((time.perf_counter() - before) * 1e6)
            costs.append((time.process_time() - begun) / len(frames) * 1e6)
        budget = Budget(FRAME_US, "median") if ear is WEBRTC else None
        note = "" if ear is WEBRTC else f"99 % of frames took at most {np.percentile(each, 99):.0f} µs"
        rows.append(spread(ear.row(f"CPU of a 20 ms frame{name}"), "µs", costs, budget, note))
    return rows


def _ms(samples: int) -> float:
    return samples * 1000 / UPLINK_RATE
