"""How a room is told that it is to be left."""

from __future__ import annotations

import asyncio


class Stop(asyncio.Event):
    """Set when a room is to be left. `why` is told to its user, and to the log."""

    def __init__(self) -> None:
        super().__init__()
        self.why = "the server stops"
