"""Makes a corpus: speakers with their pauses, and what else their microphones hear.

All clips of a speaker are cut from one stretch of background, so that played one after another they are a session
without a seam. Whatever is made twice is the same twice.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from base.audio import UPLINK_RATE
from benchmarks import noises
from benchmarks.ears import voices
from benchmarks.ears.clips import Clip, write_clip
from benchmarks.ears.speakers import SPEAKERS, Speaker
from benchmarks.ears.voices import Piece
from benchmarks.noises import Floats
from benchmarks.sentences import SENTENCES

LEAD_S, REST_S, MORE_S = 1.5, 2.4, 0.5
"""Before the first word and after the last one; up to so much more."""
ROOM_DBFS = -68.0
BELOW_DB = {"hum": 15.0, "music": 18.0, "talker": 18.0}
"""How far what goes on is below the speech."""
KEY_DBFS = -16.0
"""The peak of a key click; that of speech is near -6."""

Speak = Callable[[str, str], Piece]
PROGRAMS: dict[str, Speak] = {"espeak": voices.espeak, "flite": voices.flite}


def make(
    folder: Path, speakers: Sequence[Speaker] = SPEAKERS, *, note: Callable[[str], None] = lambda _: None
) -> list[Clip]:
    """Fills `folder`, which may have to be made. Speakers whose program is not here are left out, and named."""
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Clip] = []
    for speaker in speakers:
        if speaker.program == "flite" and not voices.has_flite():
            note(f"{speaker.name} is left out: the program flite is not here (a system package has that name)")
            continue
        made += clips_of(speaker)
    for clip in made:
        write_clip(folder, clip)
    return made


def clips_of(speaker: Speaker) -> list[Clip]:
    rng = np.random.default_rng(zlib.crc32(speaker.name.encode()))
    turns = [_turn(speaker, turn, rng) for turn in speaker.turns]
    total_s = sum(len(sound) for sound, *_ in turns) / UPLINK_RATE
    background = CONDITIONS[speaker.condition](total_s, rng)
    background = background + noises.pink(total_s, ROOM_DBFS, int(rng.integers(1 << 30)))[: len(background)]
    clips, at = [], 0
    for number, (sound, text, spans, ends) in enumerate(turns, 1):
        mixed = sound + background[at : at + len(sound)]
        at += len(sound)
        name = f"{speaker.name}-{number}-{speaker.condition}"
        clips.append(Clip(name, noises.pcm(mixed), text, spans, ends, speaker.condition, speaker.name))
    return clips


def parts(turn: str) -> list[tuple[str, float]]:
    """(what is said, the pause after it) of a turn as `speakers` writes them; the last pause is 0."""
    found = re.split(r"\s*\[([0-9.]+)\]\s*", turn)
    return list(zip(found[::2], [*map(float, found[1::2]), 0.0], strict=True))


def _turn(
    speaker: Speaker, turn: str, rng: np.random.Generator
) -> tuple[Floats, str, tuple[tuple[float, float], ...], tuple[tuple[str, float], ...]]:
    """Its sound alone, its text, spans and word ends. A pause lies between voiced samples."""
    said = [(PROGRAMS[speaker.program](text, speaker.voice), text, pause) for text, pause in parts(turn)]
    at = round((LEAD_S + MORE_S * rng.random()) * UPLINK_RATE)
    placed, spans, ends = [], [], []
    for piece, _, pause in said:
        begin = at - piece.first
        placed.append((begin, piece.sound))
        spans.append((at / UPLINK_RATE, (begin + piece.last) / UPLINK_RATE))
        ends += [(word, (begin + end) / UPLINK_RATE) for word, end in piece.ends]
        at = begin + piece.last + round(pause * UPLINK_RATE)
    sound = np.zeros(at + round((REST_S + MORE_S * rng.random()) * UPLINK_RATE))
    for begin, piece_sound in placed:
        sound[begin : begin + len(piece_sound)] += piece_sound[: len(sound) - begin]
    return sound, " ".join(text for _, text, _ in said), tuple(spans), tuple(ends)


# --- what else is heard ----------------------------------------------------------------------------------------------


def _clean(seconds: float, rng: np.random.Generator) -> Floats:
    return np.zeros(round(seconds * UPLINK_RATE))


def _hum(seconds: float, rng: np.random.Generator) -> Floats:
    return noises.hum(seconds, voices.LEVEL_DBFS - BELOW_DB["hum"], float(rng.choice([50.0, 60.0, 100.0])))


def _music(seconds: float, rng: np.random.Generator) -> Floats:
    tune = noises.chords if rng.random() < 0.5 else noises.melody
    return tune(seconds, voices.LEVEL_DBFS - BELOW_DB["music"])


def _typing(seconds: float, rng: np.random.Generator) -> Floats:
    """Bursts of four to six keys a second, with rests."""
    keys, at = [], 0.3
    while at < seconds:
        for _ in range(int(rng.integers(4, 14))):
            keys.append(
                (at, noises.click(int(rng.integers(1 << 30)), ms=float(rng.uniform(5, 10)), peak_dbfs=KEY_DBFS))
            )
            at += float(rng.uniform(0.15, 0.28))
        at += float(rng.uniform(0.3, 1.5))
    return noises.placed(seconds, *keys)


def _talker(seconds: float, rng: np.random.Generator) -> Floats:
    """Somebody else in the room, who does not care who speaks."""
    said, at = [], 0.4
    while at < seconds:
        piece = voices.espeak(str(rng.choice(SENTENCES)), "en-gb+m4")
        said.append((at, piece.sound * noises.gain(-BELOW_DB["talker"])))
        at += len(piece.sound) / UPLINK_RATE + float(rng.uniform(0.5, 3.0))
    return noises.placed(seconds, *said)


CONDITIONS: dict[str, Callable[[float, np.random.Generator], Floats]] = {
    "clean": _clean,
    "hum": _hum,
    "music": _music,
    "typing": _typing,
    "talker": _talker,
}
