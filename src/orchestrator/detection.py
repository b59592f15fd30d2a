"""Which detector tells users' speech from noise: Silero VAD where it is asked for, or found; else WebRTC's alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from asr.detectors.silero import SileroDetector, SileroModel, find_model
from asr.detectors.webrtc import WebRtcDetector
from asr.vad import FrameVad
from base.errors import Misconfigured
from base.log import get_logger
from orchestrator.settings import OrchestratorSettings

log = get_logger("detection")


@dataclass(frozen=True, slots=True)
class Detection:
    """`make` gives each session its own."""

    name: str
    make: Callable[[], FrameVad]


def detection(settings: OrchestratorSettings) -> Detection:
    """Loads the model, which takes a tenth of a second. Raises Misconfigured, unless nobody asked for one."""
    asked = settings.detector == "silero" or bool(settings.detector_model)
    if settings.detector == "webrtc" or not (asked or find_model()):
        return _webrtc(settings)
    try:
        model = SileroModel(settings.detector_model)
    except Misconfigured as error:
        if asked:
            raise
        log.warning("detector_fallback", reason=error.reason, message=error.message)
        return _webrtc(settings)
    mode = settings.detector_mode
    return Detection("silero", lambda: FrameVad(WebRtcDetector(mode), judge=SileroDetector(model)))


def _webrtc(settings: OrchestratorSettings) -> Detection:
    return Detection("webrtc", lambda: FrameVad(WebRtcDetector(settings.detector_mode)))
