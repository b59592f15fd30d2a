"""Which recogniser `up` hears with: what its user has set, or the best that is installed and needs no setting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from antiphon.places import own_command
from antiphon.up.programs import is_set
from asr.engines.moonshine.files import bundled, is_installed

ASR = "asr-worker"


@dataclass(frozen=True, slots=True)
class FoundEars:
    """`flags` are an ASR worker's; `words` tell the user, and are empty where they have set what hears."""

    flags: tuple[str, ...] = ()
    words: str = ""


def find_ears(config: Path | None) -> FoundEars:
    """Moonshine where it is installed and neither engine nor model is set: like PocketSphinx it knows English alone."""
    if is_set(ASR, "engine", config) or is_set(ASR, "model", config):
        return FoundEars()
    found = bundled()
    if found is None or not is_installed():
        return FoundEars(words=f"PocketSphinx, a demonstrator; {own_command()} install moonshine brings better ones")
    return FoundEars(("--engine", "moonshine"), f"Moonshine ({found.name}, English)")
