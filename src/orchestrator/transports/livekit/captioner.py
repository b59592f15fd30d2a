"""Says the captions: text streams on `lk.transcription`, as livekit-agents' own room output does.

The user's are on their behalf (`sender_identity`), a stream for each text; the agent's are one stream a turn, which
grows. A segment that is said anew replaces what LiveKit's components showed of it. What cannot be said is not said:
captions are no reason to end anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from base.log import get_logger
from orchestrator.transports.livekit.captions import AgentSaid, AgentSays, Captions, Step, UserSaid

log = get_logger("livekit")

TOPIC = "lk.transcription"
FINAL, SEGMENT, TRACK = "lk.transcription_final", "lk.segment_id", "lk.transcribed_track_id"


class Writer(Protocol):
    """An open text stream."""

    async def write(self, text: str) -> None: ...

    async def aclose(self, *, attributes: dict[str, str] | None = None) -> None: ...


class Streams(Protocol):
    """The room, as far as captions go."""

    async def open(self, topic: str, attributes: dict[str, str], sender: str) -> Writer:
        """Raises ConnectionError."""
        ...


class Captioner:
    """`tracks`: the user's and the agent's track ids of now, "" where there is none. `run` is its only task."""

    def __init__(self, streams: Streams, user: str, agent: str, tracks: Callable[[], tuple[str, str]]) -> None:
        self._streams = streams
        self._user = user
        self._agent = agent
        self._tracks = tracks
        self._news = asyncio.Event()
        self._captions: Captions | None = None
        self._open: tuple[str, Writer] | None = None
        self._ending = False

    def use(self, captions: Captions) -> None:
        self._captions = captions
        captions.again()
        self.news_nowait()

    def news_nowait(self) -> None:
        self._news.set()

    def end_nowait(self) -> None:
        """`run` returns when all is said."""
        self._ending = True
        self._news.set()

    async def run(self) -> None:
        while True:
            step = self._captions.next() if self._captions is not None else None
            if step is not None:
                try:
                    await self._say(step)
                except (ConnectionError, RuntimeError) as error:
                    self._open = None
                    log.debug("livekit.caption_lost", error=str(error))
            elif self._ending:
                return
            else:
                self._news.clear()
                await self._news.wait()

    async def _say(self, step: Step) -> None:
        if isinstance(step, UserSaid):
            await self._whole(step.segment, step.text, step.final, self._user, self._tracks()[0])
        elif isinstance(step, AgentSays):
            writer = await self._writer(step.segment)
            await writer.write(step.text)
        else:
            await self._close(step)

    async def _close(self, step: AgentSaid) -> None:
        if self._open is not None and self._open[0] == step.segment:
            (_, writer), self._open = self._open, None
            await writer.aclose(attributes=_attributes(step.segment, step.text is None, self._tracks()[1]))
        if step.text is not None:
            await self._whole(step.segment, step.text, True, self._agent, self._tracks()[1])

    async def _writer(self, segment: str) -> Writer:
        if self._open is not None and self._open[0] == segment:
            return self._open[1]
        if self._open is not None:
            (_, left), self._open = self._open, None
            await left.aclose()
        attributes = _attributes(segment, False, self._tracks()[1])
        writer = await self._streams.open(TOPIC, attributes, self._agent)
        self._open = (segment, writer)
        return writer

    async def _whole(self, segment: str, text: str, final: bool, sender: str, track: str) -> None:
        writer = await self._streams.open(TOPIC, _attributes(segment, final, track), sender)
        if text:
            await writer.write(text)
        await writer.aclose()


def _attributes(segment: str, final: bool, track: str) -> dict[str, str]:
    attributes = {FINAL: "true" if final else "false", SEGMENT: segment}
    return attributes | {TRACK: track} if track else attributes
