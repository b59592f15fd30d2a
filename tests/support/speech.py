"""What a simulated user says, the noises around it, and the microphone that hears both. Mono s16le at 16 kHz.

Speech is the espeak engine's own, made when it is asked for; noises are made with numpy, the same ones every time.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon import pace
from base.audio import UPLINK_RATE, StreamResampler, from_float, to_float
from benchmarks.speech import cough, key_click, knock, room, synthetic_speech, trimmed
from tests.support.loop import Loop
from tts_workers.engine import Audio, ModelSpec, Request, Style
from tts_workers.engines.espeak.engine import EspeakEngine

__all__ = [
    "Microphone",
    "Said",
    "chords",
    "cough",
    "hum",
    "key_click",
    "knock",
    "pick",
    "speaking",
    "synthetic_speech",
    "white_noise",
]

VOICE = "en-us+m3"
"""Another one than the voice that answers, of the accent that the recogniser was trained on."""
LEVEL = 0.1
"""RMS of what is said: -20 dBFS."""
FRAME = UPLINK_RATE // 50
BYTES = 2


# --- speech ----------------------------------------------------------------------------------------------------------


@contextmanager
def speaking(voice: str = VOICE, rate: float = 1.0) -> Iterator[Callable[[str], bytes]]:
    """Somebody who says what he is given; trimmed to what is voiced. Ends the synthesiser's processes."""
    model = EspeakEngine().load(ModelSpec(id="user", engine="espeak"))

    def say(text: str) -> bytes:
        parts = model.synthesize(Request(turn=1, text=text, voice=voice, style=Style(rate=rate)))
        pcm = b"".join(part.data for part in parts if isinstance(part, Audio))
        resampler = StreamResampler(model.info.sample_rate, UPLINK_RATE)
        return trimmed(_levelled(to_float(resampler.process(pcm) + resampler.flush()).astype(np.float64)))

    try:
        yield say
    finally:
        model.close()


def pick(sentences: Sequence[str], pcm: bytes) -> str:
    """Which of the sentences is said in it; "" for none. A strict grammar: nothing else can be heard.

    In a quiet room: what is digitally silent has no spectrum, and leads the recogniser astray.
    """
    from pocketsphinx import Decoder

    quiet = np.resize(np.frombuffer(room(2.0), "<i2"), len(pcm) // BYTES + UPLINK_RATE).astype(np.int32)
    quiet[UPLINK_RATE // 2 : UPLINK_RATE // 2 + len(pcm) // BYTES] += np.frombuffer(pcm, "<i2")
    decoder = Decoder(lm=None, loglevel="FATAL", beam=1e-60, pbeam=1e-60, wbeam=1e-40, bestpath=False)
    spoken = {" ".join(re.findall(r"[a-z']+", sentence.lower())): sentence for sentence in sentences}
    decoder.add_jsgf_string("sentences", f"#JSGF V1.0; grammar s; public <s> = {' | '.join(spoken)};")
    decoder.activate_search("sentences")
    decoder.start_utt()
    decoder.process_raw(np.clip(quiet, -32768, 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    return "" if heard is None else spoken.get(heard.hypstr, "")


# --- noises ----------------------------------------------------------------------------------------------------------


def white_noise(seconds: float, *, level: float = LEVEL, seed: int = 1) -> bytes:
    return _levelled(np.random.default_rng(seed).standard_normal(round(seconds * UPLINK_RATE)), level)


def hum(seconds: float, *, mains_hz: float = 50.0, level: float = 0.02) -> bytes:
    """A transformer, or a refrigerator: the mains and their overtones."""
    t = _time(seconds)
    return _levelled(sum((np.sin(2 * np.pi * mains_hz * n * t) / n for n in range(1, 9)), np.zeros(len(t))), level)


def chords(seconds: float, *, level: float = LEVEL) -> bytes:
    """Music: four plucked chords, one every half second, over and over."""
    t = _time(seconds)
    out = np.zeros(len(t))
    for number, notes in enumerate(((220.0, 277.2, 329.6), (246.9, 311.1, 370.0), (196.0, 246.9, 293.7)) * 999):
        begin = number * UPLINK_RATE // 2
        if begin >= len(t):
            break
        since = t[: len(t) - begin]
        for note in notes:
            for overtone in (1, 2, 3):
                wave = np.sin(2 * np.pi * note * overtone * since) / overtone
                out[begin:] += wave * np.exp(-since * 3 * overtone) * np.minimum(1, since / 0.005)
    return _levelled(out, level)


def _time(seconds: float) -> NDArray[np.float64]:
    return np.arange(round(seconds * UPLINK_RATE)) / UPLINK_RATE


def _levelled(x: NDArray[np.float64], level: float = LEVEL) -> bytes:
    rms = float(np.sqrt(np.mean(x * x))) or 1.0
    return from_float(np.clip(x * (level / rms), -0.99, 0.99).astype(np.float32))


# --- the microphone --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Said:
    """When its first sample was at the microphone, and the end of its last, on the event loop's clock."""

    began_s: float
    ended_s: float


class Microphone:
    """Always open: a quiet room, and in it what it is given, in frames of 20 ms at the pace of sound. With a `loop`
    what a loudspeaker plays, too.
    """

    def __init__(self, send: Callable[[bytes], None], loop: Loop | None = None) -> None:
        self._send = send
        self._loop = loop
        self._room = room(2.0)
        self._waiting: deque[tuple[bytes, asyncio.Future[Said]]] = deque()
        self._clock = asyncio.get_running_loop().time

    async def say(self, pcm: bytes) -> Said:
        """Returns when the last frame of it has left."""
        done: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        self._waiting.append((pcm, done))
        return await done

    async def run(self) -> None:
        saying, began_s = b"", 0.0
        done: asyncio.Future[Said] | None = None
        async for number in pace.frames_by_clock():
            # A frame is there when its last sample was heard.
            began_frame_s = self._clock() - pace.FRAME_S
            if done is None and self._waiting:
                saying, done = self._waiting.popleft()
                began_s = began_frame_s
            piece, saying = saying[: FRAME * BYTES], saying[FRAME * BYTES :]
            self._send(self._in_room(number, piece))
            if done is not None and not saying:
                if not done.done():
                    done.set_result(Said(began_s, began_frame_s + len(piece) / BYTES / UPLINK_RATE))
                done = None

    def _in_room(self, number: int, piece: bytes) -> bytes:
        begin = number * FRAME * BYTES % len(self._room)
        quiet = np.frombuffer(self._room[begin : begin + FRAME * BYTES], "<i2").astype(np.int32)
        quiet[: len(piece) // BYTES] += np.frombuffer(piece, "<i2")
        if self._loop is not None:
            quiet += self._loop.heard(FRAME)
        return np.clip(quiet, -32768, 32767).astype("<i2").tobytes()
