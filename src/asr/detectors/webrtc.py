"""The WebRTC project's voice activity detector (Gaussian mixtures over six sub-bands), from webrtcvad-wheels."""

from __future__ import annotations

import webrtcvad

from base.audio import UPLINK_RATE


class WebRtcDetector:
    """`mode` 0 (takes most for speech) to 3 (least). Answers 0 or 1 for a frame of 20 ms."""

    frame_samples = UPLINK_RATE // 50

    def __init__(self, mode: int = 2) -> None:
        self._vad = webrtcvad.Vad(mode)

    def probability(self, pcm: bytes) -> float:
        return 1.0 if self._vad.is_speech(pcm, UPLINK_RATE) else 0.0
