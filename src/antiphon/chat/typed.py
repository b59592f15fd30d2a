"""`chat --text`: typing instead of speaking, at a terminal or from a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncIterator

from antiphon.chat.exchange import Outcome
from antiphon.chat.watch import Watched
from antiphon.client import Session
from antiphon.up.keyboard import is_somebody_there, open_keyboard

HELP = "type and press Enter; /stop interrupts, /say TEXT speaks TEXT, /voice NAME changes the voice, /quit ends"


async def lines() -> AsyncIterator[str]:
    """Of standard input, until its end."""
    if is_somebody_there():
        async with open_keyboard() as keyboard:
            while (typed := await keyboard.line()) is not None:
                yield typed
    else:
        async for piped in _piped():
            yield piped


async def _piped() -> AsyncIterator[str]:
    """From a thread that nobody waits for: a pipe that stays open and says nothing must not keep us."""
    loop = asyncio.get_running_loop()
    read: asyncio.Queue[str] = asyncio.Queue()
    asked = threading.Semaphore(0)

    def reader() -> None:
        line = "-"
        while line:
            asked.acquire()
            # Bytes that are no text are no reason to stop.
            line = sys.stdin.buffer.readline().decode(errors="replace")
            with contextlib.suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(read.put_nowait, line)

    threading.Thread(target=reader, name="stdin", daemon=True).start()
    while True:
        asked.release()
        line = await read.get()
        if not line:
            return
        yield line


async def talk(session: Session, exchange: Watched, *, wait: bool) -> Outcome:
    """Every line as it comes; with `wait`, each once the reply to the last was heard, as befits a pipe."""
    outcome = Outcome.ANSWERED
    async for line in lines():
        text = line.strip()
        if not text:
            continue
        if text in ("/quit", "/exit"):
            break
        exchange.begin()
        command(session, text)
        exchange.said()
        if wait:
            outcome = await exchange.wait_over()
    return outcome


def command(session: Session, text: str) -> None:
    name, _, rest = text.partition(" ")
    if name == "/stop":
        session.interrupt()
    elif name == "/say" and rest:
        session.say(rest)
    elif name == "/voice" and rest:
        session.update(voice=rest.strip())
    else:
        session.ask(text)
