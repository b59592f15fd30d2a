"""What can be said of a TTS worker's settings without loading a model, beyond their types."""

from __future__ import annotations

from base import rpc
from base.errors import Misconfigured
from tts_workers import catalogue
from tts_workers.settings import TtsWorkerSettings


def check(settings: TtsWorkerSettings) -> None:
    """Raises Misconfigured for what a worker would refuse, and for a model that it could never load."""
    rpc.read_token(settings.worker_token_file, host=settings.host)
    models = [(m.id, m.engine) for m in settings.models] or [(settings.engine, settings.engine)]
    for id, engine in models:
        catalogue.check(id, engine)
    ids = [id for id, _ in models]
    if len(set(ids)) != len(ids):
        raise Misconfigured(f"two models have the same id; ids are {', '.join(ids)}")
    for name, wanted in [("default_model", settings.default_model), *(("preload", id) for id in settings.preload)]:
        if wanted and wanted not in ids:
            raise Misconfigured(f"{name} is {wanted!r}, which is none of the models: {', '.join(ids)}")
