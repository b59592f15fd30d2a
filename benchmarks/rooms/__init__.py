"""Users in LiveKit rooms, and what they are compared with: an echo, a bare room, livekit-agents' own session."""
