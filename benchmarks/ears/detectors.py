"""Which voice activity detectors are installed. A new one is a line here."""

from __future__ import annotations

from collections.abc import Callable

from asr.detectors.webrtc import WebRtcDetector
from asr.vad import FrameVad


def installed() -> dict[str, Callable[[], FrameVad]]:
    """By name: what makes one for a session, with the rules' own settings for it."""
    return {"webrtc": lambda: FrameVad(WebRtcDetector())}
