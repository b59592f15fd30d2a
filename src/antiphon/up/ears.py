"""Which recogniser `up` hears with: what its user has set, or the best that is installed and needs no setting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from antiphon.places import own_command
from antiphon.up.programs import is_set
from asr.engines.moonshine.files import bundled, is_installed

ASR, FRONT = "asr-worker", "orchestrator"
FINAL_MS = 2000
"""How long a turn waits for its final: the partials of ears that hear whole clips lack what was said last, so that it
is worth more time than that of ears that hear as one speaks. On a quiet machine it is there in 0.2 s.
"""


@dataclass(frozen=True, slots=True)
class FoundEars:
    """`flags` are an ASR worker's, `front` the orchestrator's for such ears; `words` tell the user, and are empty where
    they have set what hears.
    """

    flags: tuple[str, ...] = ()
    front: tuple[str, ...] = ()
    words: str = ""


def find_ears(config: Path | None) -> FoundEars:
    """Moonshine where it is installed and neither engine nor model is set: like PocketSphinx it knows English alone."""
    if is_set(ASR, "engine", config) or is_set(ASR, "model", config):
        return FoundEars()
    found = bundled()
    if found is None or not is_installed():
        return FoundEars(words=f"PocketSphinx, a demonstrator; {own_command()} install moonshine brings better ones")
    patience = () if is_set(FRONT, "final_ms", config) else ("--final-ms", str(FINAL_MS))
    return FoundEars(("--engine", "moonshine"), patience, f"Moonshine ({found.name}, English)")
