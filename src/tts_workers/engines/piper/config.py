"""A voice's `.onnx.json`, as far as it concerns us, checked for what it contradicts itself in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from base.errors import Misconfigured
from tts_workers.engine import ModelSpec
from tts_workers.engines.piper.files import VoiceFiles

PAD, BOS, EOS = "_", "^", "$"
PHONEME_TYPES = ("espeak", "text")
"""Others need packages, and some of them downloads, that the extra does not bring."""


@dataclass(frozen=True, slots=True)
class _Audio:
    sample_rate: Annotated[int, Meta(ge=8_000, le=96_000)]


@dataclass(frozen=True, slots=True)
class _Espeak:
    voice: Annotated[str, Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class _Language:
    code: str = ""


@dataclass(frozen=True, slots=True)
class _Inference:
    noise_scale: Annotated[float, Meta(ge=0, le=10)] = 0.667
    length_scale: Annotated[float, Meta(gt=0, le=10)] = 1.0
    noise_w: Annotated[float, Meta(ge=0, le=10)] = 0.8


@dataclass(frozen=True, slots=True)
class _File:
    audio: _Audio
    espeak: _Espeak
    num_symbols: int
    num_speakers: Annotated[int, Meta(ge=0)]
    phoneme_id_map: Mapping[str, Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1)]]
    phoneme_type: str = "espeak"
    inference: _Inference = _Inference()
    language: _Language = _Language()
    speaker_id_map: Mapping[str, int] = field(default_factory=dict)
    default_speaker_id: int = 0
    hop_length: Annotated[int, Meta(ge=1)] = 256
    license: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """`speakers` are named in the order of their ids; empty for a voice of one. `raw` is what piper-tts reads."""

    sample_rate: int
    language: str
    speakers: tuple[str, ...]
    default_speaker: int
    hop: int
    length_scale: float
    noise_scale: float
    noise_w: float
    symbols: Mapping[str, list[int]]
    licence: str
    raw: Mapping[str, Any]


def read_config(spec: ModelSpec, files: VoiceFiles) -> VoiceConfig:
    """Raises `Misconfigured` for a file that is no voice's config or contradicts itself."""
    try:
        raw = json.loads(files.config.read_text(encoding="utf-8"), parse_constant=_no_number)
        found = msgspec.convert(raw, _File)
    except (OSError, RecursionError, ValueError, msgspec.ValidationError) as error:
        raise _broken(spec, files, f"cannot be read as a Piper voice's config: {error}") from error
    if found.phoneme_type not in PHONEME_TYPES:
        raise Misconfigured(
            f"model {spec.id!r}: voice {files.name} has phoneme_type {found.phoneme_type!r}; "
            f"those that can be served are {' and '.join(PHONEME_TYPES)}; use another voice",
            reason="UNSUPPORTED",
        )
    for symbol in (PAD, BOS, EOS):
        if symbol not in found.phoneme_id_map:
            raise _broken(spec, files, f"has no {symbol!r} in its phoneme_id_map")
    return VoiceConfig(
        sample_rate=found.audio.sample_rate,
        language=_tag(found.language.code or found.espeak.voice),
        speakers=_speakers(spec, files, found),
        default_speaker=found.default_speaker_id,
        hop=found.hop_length,
        length_scale=found.inference.length_scale,
        noise_scale=found.inference.noise_scale,
        noise_w=found.inference.noise_w,
        symbols=found.phoneme_id_map,
        licence=found.license or found.licence,
        raw=raw,
    )


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _speakers(spec: ModelSpec, files: VoiceFiles, found: _File) -> tuple[str, ...]:
    count = found.num_speakers
    wrong = {name: id for name, id in found.speaker_id_map.items() if not 0 <= id < max(count, 1)}
    if wrong:
        name, id = next(iter(wrong.items()))
        raise _broken(
            spec, files, f"has num_speakers {count}, and speaker {name!r} has id {id}; ids go from 0 to {count - 1}"
        )
    if not 0 <= found.default_speaker_id < max(count, 1):
        raise _broken(spec, files, f"has num_speakers {count} and default_speaker_id {found.default_speaker_id}")
    if count <= 1:
        return ()
    names: list[str] = [str(id) for id in range(count)]
    for name, id in found.speaker_id_map.items():
        tidy = name.replace("+", "-").strip()
        if tidy and tidy.lower() not in (other.lower() for other in names):
            names[id] = tidy
    return tuple(names)


def _tag(code: str) -> str:
    """BCP 47's usual case: "en_US" and "en-us" are "en-US", "cmn-latn-pinyin" is "cmn-Latn-pinyin"."""
    first, *rest = code.replace("_", "-").split("-")
    parts = [p.upper() if len(p) == 2 else p.title() if len(p) == 4 else p.lower() for p in rest]
    return "-".join([first.lower(), *parts])


def _broken(spec: ModelSpec, files: VoiceFiles, what: str) -> Misconfigured:
    return Misconfigured(
        f"model {spec.id!r}: {files.config.name} {what}; get the voice's files afresh, or correct it",
        reason="BROKEN_CONFIG",
    )
