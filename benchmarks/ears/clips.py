"""Clips to listen to: NAME.wav, what is said in it (NAME.txt), and where, if that is known (NAME.json).

The JSON file holds any of `speech` ([[start, end], …] in seconds, a span a stretch without a pause), `words` ([[word,
end], …]), `condition` ("hum") and `speaker`: clips of one speaker are played as turns of one session, in the order of
their names. Where the spans are not given they are found by level, which is right in quiet rooms only.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from asr.levels import FRAME_SAMPLES, block_levels
from base.audio import UPLINK_RATE, StreamResampler
from base.errors import BadRequest, NotFound
from orchestrator.conversation.words import words

Spans = tuple[tuple[float, float], ...]

UNKNOWN = "not stated"
LEAST_RATE = 8_000
_RANGE_DB = 30.0
_ABOVE_NOISE_DB = 12.0
_JOIN_S = 0.25
_LEAST_S = 0.06


@dataclass(frozen=True, slots=True)
class Clip:
    """One turn of a user: mono s16le at 16 kHz. Times are seconds from its first sample."""

    name: str
    pcm: bytes
    text: str
    speech: Spans
    words: tuple[tuple[str, float], ...] = ()
    """Each word with its end; empty where that is not known."""
    condition: str = UNKNOWN
    speaker: str = ""
    derived: bool = False
    """The spans were found by level."""

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / UPLINK_RATE


def read_folder(folder: Path) -> list[Clip]:
    """Its clips, by name. Raises NotFound where there are none, BadRequest that names the file that is wrong."""
    if not folder.is_dir():
        raise NotFound(f"{folder} is no folder; `--make {folder}` would fill one with made speech", reason="NO_FOLDER")
    found = sorted(folder.glob("*.wav"))
    if not found:
        raise NotFound(f"{folder} holds no .wav file; `--make {folder}` would fill it with made speech", reason="EMPTY")
    return [read_clip(path) for path in found]


def read_clip(path: Path) -> Clip:
    """Raises BadRequest that says what is wrong with which file."""
    text = _read_text(path.with_suffix(".txt"), path)
    pcm = read_wav(path)
    facts = _read_facts(path.with_suffix(".json"))
    seconds = len(pcm) / 2 / UPLINK_RATE
    where = path.with_suffix(".json").name
    given = "speech" in facts
    spans = _pairs(facts["speech"], where, seconds) if given else spans_by_level(pcm)
    if not spans:
        raise BadRequest(
            f"{path.name}: no speech is to be found in it"
            + ("; `speech` is empty" if given else f" by its level; say where it is in {where}"),
            reason="NO_SPEECH",
        )
    return Clip(
        path.stem,
        pcm,
        text,
        spans,
        _word_ends(facts.get("words", []), where, seconds),
        str(facts.get("condition", UNKNOWN)),
        str(facts.get("speaker", "")),
        derived=not given,
    )


def read_wav(path: Path) -> bytes:
    """As mono s16le at 16 kHz: of several channels the mean. Raises BadRequest."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        why = str(error) or "it ends too soon"
        raise BadRequest(f"{path.name} is no WAV file that can be read here: {why}", reason="BAD_WAV") from None
    if width != 2:
        raise BadRequest(f"{path.name} has {8 * width} bits a sample; 16 are needed", reason="BAD_WAV")
    if rate < LEAST_RATE:
        raise BadRequest(f"{path.name} has {rate} samples a second; 8000 at least are needed", reason="BAD_WAV")
    samples = np.frombuffer(data[: len(data) // (2 * channels) * 2 * channels], "<i2")
    if not len(samples):
        raise BadRequest(f"{path.name} holds no audio", reason="BAD_WAV")
    mono = np.rint(samples.reshape(-1, channels).mean(1)).astype("<i2").tobytes()
    resampler = StreamResampler(rate, UPLINK_RATE)
    return resampler.process(mono) + resampler.flush()


def write_clip(folder: Path, clip: Clip) -> None:
    """Its three files."""
    with wave.open(str(folder / f"{clip.name}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(UPLINK_RATE)
        file.writeframes(clip.pcm)
    (folder / f"{clip.name}.txt").write_text(clip.text + "\n", encoding="utf-8")
    facts: dict[str, object] = {"speaker": clip.speaker, "condition": clip.condition}
    facts["speech"] = [[round(t, 4) for t in span] for span in clip.speech]
    if clip.words:
        facts["words"] = [[word, round(end, 4)] for word, end in clip.words]
    (folder / f"{clip.name}.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


def spans_by_level(pcm: bytes) -> Spans:
    """Where somebody speaks, in seconds: what is far louder than the quiet parts and not far below the loudest."""
    size = 2 * FRAME_SAMPLES
    levels = [level for at in range(0, len(pcm) - size + 1, size) for level in block_levels(pcm[at : at + size])]
    if not levels:
        return ()
    block_s = 0.005
    limit = max(float(np.percentile(levels, 10)) + _ABOVE_NOISE_DB, max(levels) - _RANGE_DB)
    loud = [block_s * number for number, level in enumerate(levels) if level >= limit]
    spans: list[tuple[float, float]] = []
    for at in loud:
        if spans and at - spans[-1][1] <= _JOIN_S:
            spans[-1] = (spans[-1][0], at + block_s)
        else:
            spans.append((at, at + block_s))
    return tuple(span for span in spans if span[1] - span[0] >= _LEAST_S)


def spread_words(text: str, spans: Spans) -> tuple[tuple[str, float], ...]:
    """Each word with its end, as if all letters took equally long and pauses fell between words: an estimate."""
    found = words(text)
    total = sum(end - start for start, end in spans)
    letters = sum(len(word) + 1 for word in found)
    out, spoken = [], 0
    for word in found:
        spoken += len(word) + 1
        out.append((word, _at(spans, total * spoken / letters)))
    return tuple(out)


def _at(spans: Spans, spoken_s: float) -> float:
    """When so much had been spoken. Just before a pause rather than after it."""
    for start, end in spans:
        if spoken_s <= end - start + 1e-6:
            return start + min(spoken_s, end - start)
        spoken_s -= end - start
    return spans[-1][1]


# --- the files -------------------------------------------------------------------------------------------------------


def _read_text(path: Path, wav: Path) -> str:
    try:
        text = " ".join(path.read_text(encoding="utf-8").split())
    except FileNotFoundError:
        message = f"{wav.name} has no transcript: what is said in it belongs into {path.name} beside it"
        raise BadRequest(message, reason="NO_TRANSCRIPT") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path.name} cannot be read as UTF-8 text: {error}", reason="BAD_TRANSCRIPT") from None
    if not words(text):
        raise BadRequest(f"{path.name} has no words in it; {wav.name} needs a transcript", reason="NO_TRANSCRIPT")
    return text


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path.name} is no JSON: {error}", reason="BAD_TRUTH") from None
    if not isinstance(facts, dict):
        raise BadRequest(f'{path.name} must hold an object, such as {{"speech": [[0.5, 2.1]]}}', reason="BAD_TRUTH")
    return facts


def _pairs(value: Any, where: str, seconds: float) -> Spans:
    try:
        spans = tuple((float(start), float(end)) for start, end in value)
    except (TypeError, ValueError):
        raise BadRequest(f"{where}: `speech` must be a list of [start, end] in seconds", reason="BAD_TRUTH") from None
    _check_order([t for span in spans for t in span], f"{where}: `speech`", seconds)
    return spans


def _word_ends(value: Any, where: str, seconds: float) -> tuple[tuple[str, float], ...]:
    try:
        ends = tuple((str(word), float(end)) for word, end in value)
    except (TypeError, ValueError):
        raise BadRequest(f"{where}: `words` must be a list of [word, end in seconds]", reason="BAD_TRUTH") from None
    _check_order([end for _, end in ends], f"{where}: `words`", seconds)
    return ends


def _check_order(times: Sequence[float], what: str, seconds: float) -> None:
    if any(later < earlier for earlier, later in pairwise(times)) or (
        times and not (times[0] >= 0 and times[-1] <= seconds + 0.01)
    ):
        raise BadRequest(f"{what} must rise from 0 to the clip's {seconds:.2f} s", reason="BAD_TRUTH")
