"""A reply that was begun before the user's turn ended, as its session keeps it until it is accepted or dropped."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator import messages as m
from orchestrator.ports import VoiceChoice


@dataclass(slots=True)
class Draft:
    turn: int
    since_s: float
    written: int = 0
    """Code points."""
    choice: VoiceChoice | None = None
    """How it changed the voice, if it did."""
    withheld: list[m.ServerMessage] = field(default_factory=list)
    """What the client is told when it is accepted."""
