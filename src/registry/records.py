"""What a worker says of itself: frozen values. `wire.py` turns them into protobuf and back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class WorkerKind(Enum):
    TTS = "tts"
    ASR = "asr"


class ModelState(Enum):
    ABSENT = "absent"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    DRAINING = "draining"
    UNLOADING = "unloading"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Voice:
    id: str
    name: str = ""
    languages: tuple[str, ...] = ()
    gender: str = ""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    id: str
    engine: str
    state: ModelState = ModelState.READY
    languages: tuple[str, ...] = ()
    voices: tuple[Voice, ...] = ()
    """The model's own default first."""
    sample_rate: int = 0
    features: frozenset[str] = frozenset()
    is_default: bool = False
    licence: str = ""


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One life (`epoch`) of one worker. `first_audio_s` and `rtf` are measured; 0 where not yet."""

    id: str
    kind: WorkerKind
    address: str
    host: str
    epoch: str
    models: tuple[ModelRecord, ...] = ()
    slots: int = 0
    slots_used: int = 0
    free_bytes: int = 0
    first_audio_s: float = 0.0
    rtf: float = 0.0
    draining: bool = False
    version: str = ""
