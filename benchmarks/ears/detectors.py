"""Which voice activity detectors are installed. A new one is a line here."""

from __future__ import annotations

from collections.abc import Callable

from asr.detectors.silero import find_model
from asr.vad import FrameVad
from orchestrator.detection import detection
from orchestrator.settings import OrchestratorSettings


def installed() -> dict[str, Callable[[], FrameVad]]:
    """By name: what makes one for a session, as an orchestrator does."""
    found = {"webrtc": detection(OrchestratorSettings(detector="webrtc")).make}
    if find_model() is not None:
        found["silero"] = detection(OrchestratorSettings(detector="silero")).make
    return found
