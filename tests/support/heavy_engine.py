"""An engine whose models take memory, in the worker's own process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from base.language import ANY
from tts_workers.engine import Audio, EngineInfo, Mark, ModelSpec, Request, VoiceInfo
from tts_workers.options import read_options


@dataclass(frozen=True, slots=True)
class _Options:
    size_mb: int = 1


class HeavyEngine:
    name = "heavy"

    def load(self, spec: ModelSpec) -> HeavyModel:
        return HeavyModel(read_options(_Options, spec).size_mb)


class BrokenInspection(HeavyEngine):
    def inspect(self, spec: ModelSpec) -> EngineInfo:
        raise ZeroDivisionError


class HeavyModel:
    def __init__(self, size_mb: int) -> None:
        self._held = bytearray(b"\x01") * (size_mb * 1_000_000)
        self.info = EngineInfo(
            name="heavy",
            sample_rate=24_000,
            languages=(ANY,),
            voices=(VoiceInfo("heavy", "Heavy", (ANY,)),),
            default_voice="heavy",
            licence="Apache-2.0",
        )

    def synthesize(self, request: Request) -> Iterator[Audio | Mark]:
        yield Audio(b"\x00\x10\x00\xf0" * 12_000)

    def close(self) -> None:
        self._held = bytearray()
