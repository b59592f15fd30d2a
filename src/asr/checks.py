"""What `run` would refuse of an ASR worker's settings, told before it is started."""

from __future__ import annotations

from asr.engines.whisper.files import find_model
from asr.settings import AsrWorkerSettings


def check(settings: AsrWorkerSettings) -> None:
    """Raises Misconfigured."""
    if settings.engine == "whisper":
        find_model(settings.model, settings.models_dir)
