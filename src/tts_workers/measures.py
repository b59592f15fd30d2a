"""What a worker counts and measures: for Prometheus, and for its record in the registry."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from base.metrics import LATENCY_S, RATIO
from tts_workers import values as v
from tts_workers.runner import JobReport

_WEIGHT = 0.2
"""Of the newest measurement in a running average."""
_SHORT_S = 0.5
"""Audio below this says nothing of the real-time factor."""


class Measures:
    """`first_audio_s` and `rtf` are running averages, 0 while there is none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.first_audio_s = 0.0
        self.rtf = 0.0
        self._turns = Counter("antiphon_tts_turns", "Turns that are over.", ["reason"], registry=registry)
        self._audio = Counter("antiphon_tts_audio_seconds", "Audio synthesised.", registry=registry)
        self._wasted = Counter("antiphon_tts_wasted_seconds", "Audio synthesised and thrown away.", registry=registry)
        self._failed = Counter("antiphon_tts_failed_chunks", "Chunks that an engine failed at.", registry=registry)
        self._first = Histogram(
            "antiphon_tts_first_audio_seconds",
            "From a chunk's start to its first audio.",
            registry=registry,
            buckets=LATENCY_S,
        )
        self._rtf = Histogram(
            "antiphon_tts_rtf_ratio", "Synthesis time for a second of audio.", registry=registry, buckets=RATIO
        )
        self.slots = Gauge("antiphon_tts_slots_used", "Slots that are taken.", registry=registry)
        self.sessions = Gauge("antiphon_tts_sessions", "Sessions that are open.", registry=registry)
        self.models = Gauge("antiphon_tts_models_ready", "Models that can speak at once.", registry=registry)
        self.model_bytes = Gauge("antiphon_tts_model_bytes", "Memory that models take, as known.", registry=registry)
        self.threads = Gauge("antiphon_tts_engine_threads", "Threads in engines.", registry=registry)

    def job(self, report: JobReport) -> None:
        self._audio.inc(report.audio_s)
        self._wasted.inc(report.wasted_s)
        if report.failed:
            self._failed.inc()
        if report.first_audio_s is not None:
            self._first.observe(report.first_audio_s)
            self.first_audio_s = _average(self.first_audio_s, report.first_audio_s)
        if report.audio_s >= _SHORT_S:
            rtf = report.busy_s / report.audio_s
            self._rtf.observe(rtf)
            self.rtf = _average(self.rtf, rtf)

    def turn(self, finished: v.Finished, rate: int) -> None:
        self._turns.labels(finished.reason.value).inc()
        self._wasted.inc(finished.wasted / rate)


def _average(old: float, new: float) -> float:
    return new if old == 0.0 else old + _WEIGHT * (new - old)
