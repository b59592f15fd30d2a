"""What can be said of an orchestrator's settings without starting it, beyond their types."""

from __future__ import annotations

from pathlib import Path

from base.errors import Misconfigured
from orchestrator.catalogue import Catalogue
from orchestrator.detection import detection
from orchestrator.livekit_keys import livekit_keys
from orchestrator.settings import OrchestratorSettings


def check(settings: OrchestratorSettings) -> None:
    """Raises Misconfigured for what an orchestrator would refuse. Loads the operator's own responder."""
    Catalogue(settings)
    detection(settings)
    access_keys(settings.access_key_file)
    livekit_keys(settings)


def access_keys(path: str) -> tuple[str, ...]:
    """One a line. Raises Misconfigured for a file without any."""
    if not path:
        return ()
    try:
        keys = tuple(line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"access_key_file {path!r} cannot be read: {error}") from error
    if not keys:
        raise Misconfigured(f"access_key_file {path!r} has no key in it; write one a line, or leave the setting empty")
    return keys
