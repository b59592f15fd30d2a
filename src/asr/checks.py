"""What `run` would refuse of an ASR worker's settings, told before it is started."""

from __future__ import annotations

from asr.engines.moonshine import files as moonshine
from asr.engines.whisper import files as whisper
from asr.settings import AsrWorkerSettings
from base import rpc


def check(settings: AsrWorkerSettings) -> None:
    """Raises Misconfigured."""
    rpc.read_token(settings.worker_token_file, host=settings.host)
    if settings.engine == "whisper":
        whisper.find_model(settings.model, settings.models_dir)
    if settings.engine == "moonshine":
        moonshine.check_device(settings.device)
        moonshine.find_model(settings.model, settings.models_dir)
