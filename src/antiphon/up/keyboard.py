"""Lines typed at the terminal that `up` runs in, without ever blocking it or reading as a background job."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

from antiphon.output import is_terminal

AGAIN_S = 1.0


def is_somebody_there() -> bool:
    """Whether there is a terminal to ask at: both its keyboard and its screen, and we are in its foreground."""
    return is_terminal(sys.stdin) and is_terminal(sys.stdout) and _in_foreground(sys.stdin.fileno())


def _in_foreground(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False


class Keyboard:
    """`line` waits for the next line; None when the terminal is gone."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(64)
        self._rest = b""
        self._again: asyncio.TimerHandle | None = None

    async def line(self) -> str | None:
        return await self._lines.get()

    def read_nowait(self) -> None:
        """There is something to read. In the background it is the shell's, and reading it would stop us."""
        if not _in_foreground(self._fd):
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._fd)
            self._again = loop.call_later(AGAIN_S, lambda: loop.add_reader(self._fd, self.read_nowait))
            return
        try:
            piece = os.read(self._fd, 4096)
        except OSError:
            piece = b""
        if not piece:
            self.close()
            self._put(None)
            return
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._put(line.decode(errors="replace"))

    def close(self) -> None:
        if self._again is not None:
            self._again.cancel()
        asyncio.get_running_loop().remove_reader(self._fd)

    def _put(self, line: str | None) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._lines.put_nowait(line)


@contextlib.asynccontextmanager
async def open_keyboard() -> AsyncIterator[Keyboard]:
    keyboard = Keyboard(sys.stdin.fileno())
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), keyboard.read_nowait)
    try:
        yield keyboard
    finally:
        keyboard.close()
