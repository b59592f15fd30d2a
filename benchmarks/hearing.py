"""A recogniser without anything around it, in child processes: what the system's hearing is compared with."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from asr.engines.moonshine.files import find_model
from asr.engines.moonshine.model import MoonshineTranscriber
from asr.engines.pocketsphinx import PocketSphinxRecognizer
from asr.recognizer import RecognizerConfig
from asr.transcriber import Clip
from base.audio import UPLINK_RATE
from benchmarks.speech import room

PIECE = UPLINK_RATE // 10 * 2
LEAD, TAIL = room(0.3), room(0.2, seed=2)
"""What is around an utterance in a session: the pre-roll and the hang-over."""


def transcripts(
    lists: Sequence[Sequence[bytes]], phrases: Sequence[str] = (), *, ear: str = "pocketsphinx"
) -> list[list[str]]:
    """What `ear` (pocketsphinx, moonshine) hears in each list of utterances (16 kHz), a list as one session would."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        if ear == "moonshine":
            return list(pool.map(decode_whole, lists))
        return list(pool.map(decode, lists, [tuple(phrases)] * len(lists)))


def decode_whole(utterances: Sequence[bytes]) -> list[str]:
    """By Moonshine, each clip at once and on its own."""
    transcriber = MoonshineTranscriber(str(find_model("", "").folder), threads=1)
    said = (transcriber.transcribe(Clip(LEAD + pcm + TAIL, "en", last=True)) for pcm in utterances)
    return ["".join(word.text for word in each.words).strip() for each in said]


def decode(utterances: Sequence[bytes], phrases: tuple[str, ...]) -> list[str]:
    """One session's utterances, in order: the recogniser learns the voice from each for the next."""
    recognizer = PocketSphinxRecognizer()
    decoder = recognizer.open(RecognizerConfig("en", phrases))
    found = []
    try:
        for number, pcm in enumerate(utterances, 1):
            decoder.start(number, 0)
            whole = LEAD + pcm + TAIL
            for at in range(0, len(whole), PIECE):
                decoder.push(whole[at : at + PIECE])
            found.append(decoder.finish().text)
    finally:
        decoder.close()
        recognizer.close()
    return found
