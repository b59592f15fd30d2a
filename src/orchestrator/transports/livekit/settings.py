"""What a room is served with."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.connection import Limits

PROTOCOL_ATTRIBUTE = "antiphon.protocol"
"""A participant who has it speaks docs/protocol.md, and begins with session_start."""
TOPIC = "antiphon"
"""Data packets and text streams with docs/protocol.md's messages, both ways."""
CLOSED_TOPIC = "antiphon.closed"
"""The last packet: `{"code": …, "reason": …}`, as a WebSocket's close frame has them."""
RATE = 48_000
"""Of the agent's track, and so of every session's output here."""


@dataclass(frozen=True, slots=True)
class RoomSettings:
    participant: str = ""
    """Identity of the only one who is served (an agent a participant); empty: the first human."""
    lead_s: float = 0.2
    """How far ahead of the listener audio is taken."""
    grace_s: float = 30.0
    """How long the agent waits for a user who left, or for a LiveKit that is away."""
    empty_s: float = 120.0
    """… for the first user to come."""
    moved_s: float = 10.0
    """… in a room whose conversation goes on elsewhere."""
    start_s: float = 3.0
    """… for session_start, of a client that sends one."""
    last_words_s: float = 1.0
    """How long what was written last may take to go out before the agent leaves."""
    parting_s: float = 0.3
    """How long the agent stays after its last packet: nothing tells when one has arrived, and leaving drops it."""
    limits: Limits = field(default_factory=Limits)
    packet_bytes: int = 14_000
    """A longer message goes as a text stream."""
    readers: int = 4
    """Text streams that are read at once."""
