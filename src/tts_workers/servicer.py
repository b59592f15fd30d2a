"""The TextToSpeech service: what each call does. Raises `AntiphonError`s, which `base.rpc` turns into rich status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from base.errors import BadRequest, TimedOut
from pb.antiphon.v1 import synthesis_pb2_grpc
from tts_workers import values as v
from tts_workers import wire
from tts_workers.engine import MarkKind
from tts_workers.house import ModelHouse
from tts_workers.session import Session, Terms
from tts_workers.sessions import Sessions
from tts_workers.text import pieces

_SPEAK_AHEAD = 1000
"""Code points of a Speak call that wait in its session."""
_FREE = 2**62
"""Credit of those whose back-pressure is the stream's own."""


class TextToSpeechServicer(synthesis_pb2_grpc.TextToSpeechServicer):
    """`house` has the models."""

    def __init__(self, sessions: Sessions, house: ModelHouse, *, max_speak: int, first_s: float) -> None:
        self._sessions = sessions
        self._house = house
        self._max_speak = max_speak
        self._first_s = first_s

    async def StartSession(self, request: wire.StartSessionRequest, context: Any) -> wire.StartSessionResponse:
        terms = await self._terms(wire.wish_from(request))
        session = self._sessions.start(terms)
        speaker = terms.speaker
        session.claim = self._house.claim_nowait(terms.model, speaker.voice)
        return wire.started_to(session.id, terms.model, speaker.voice, speaker.language, terms.rate)

    async def Synthesize(self, request_iterator: AsyncIterator[wire.TextChunk], context: Any) -> None:
        first = await self._first(request_iterator)
        session = self._sessions.attach(first.session_id)

        async def write(frame: v.Frame) -> None:
            await context.write(wire.frame_to(session.id, frame))

        async def talk() -> None:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(_read(session, request_iterator))
                await session.write_all(write)
                reader.cancel()

        try:
            # Now: were it left to the first write, a call that ends during that write could not be given a status.
            await context.send_initial_metadata(())
            _take(session, first)
            await session.run(talk())
        finally:
            self._sessions.remove(session)

    async def _first(self, requests: AsyncIterator[wire.TextChunk]) -> wire.TextChunk:
        try:
            async with asyncio.timeout(self._first_s):
                first = await anext(aiter(requests), None)
        except TimeoutError:
            message = f"no message came for {self._first_s:g} s; the first names the session"
            raise TimedOut(message, reason="NO_SESSION") from None
        if first is None:
            raise BadRequest("the stream ended before its first message, which names the session", reason="NO_SESSION")
        return first

    async def Control(self, request: wire.ControlRequest, context: Any) -> wire.ControlResponse:
        session = self._sessions.get(request.session_id)
        action = wire.action_from(request.action)
        sent = session.samples_sent(request.turn)
        session.handle(v.Control(request.turn, action))
        return wire.ControlResponse(samples_sent=sent)

    async def EndSession(self, request: wire.EndSessionRequest, context: Any) -> wire.EndSessionResponse:
        self._sessions.end(request.session_id)
        return wire.EndSessionResponse()

    async def Speak(self, request: wire.SpeakRequest, context: Any) -> None:
        if len(request.text) > self._max_speak:
            message = f"a text of {len(request.text)} characters; Speak takes {self._max_speak}, Synthesize any number"
            raise BadRequest(message, reason="TEXT_TOO_LONG")
        session = self._sessions.open(await self._terms(wire.wish_from(request)))
        session.attached = True
        spoken = _Spoken(session, request.text)

        async def speak() -> None:
            session.handle(v.Credit(0, _FREE))
            spoken.feed()
            while (frame := await session.next_frame()) is not None:
                if isinstance(frame, v.Failed):
                    raise frame.error
                if isinstance(frame, v.Marks):
                    frame = spoken.marks(frame)
                    if not frame.marks:
                        continue
                await context.write(wire.frame_to(session.id, frame))
                if isinstance(frame, v.Finished):
                    break
                spoken.feed()

        try:
            await context.send_initial_metadata(())
            await session.run(speak())
        finally:
            self._sessions.remove(session)

    async def _terms(self, wish: wire.Wish) -> Terms:
        id, voices = await self._house.voices(wish.model, wish.voice, wish.language)
        speaker = voices.speaker(wish.voice, wish.language)
        return Terms(id, voices, speaker, wish.style, wish.format.sample_rate)


class _Spoken:
    """The text of a Speak call on its way through a session, in pieces that the client never hears of."""

    def __init__(self, session: Session, text: str) -> None:
        self._session = session
        self._rest = pieces(text)[::-1]
        self._size = len(text)
        self._starts: list[int] = []
        self._fed = 0
        self._ended = False

    def feed(self) -> None:
        """Gives the session what it has room for."""
        while self._rest and self._session.backlog + len(self._rest[-1]) <= _SPEAK_AHEAD:
            piece = self._rest.pop()
            self._starts.append(self._fed)
            self._fed += len(piece)
            self._session.handle(v.Text(0, piece, len(self._starts) - 1))
        if not self._rest and not self._ended:
            self._ended = True
            self._session.handle(v.EndOfTurn(0))

    def marks(self, frame: v.Marks) -> v.Marks:
        """Marks of pieces as marks of the one text, which is chunk 0."""
        return v.Marks(frame.turn, tuple(moved for mark in frame.marks if (moved := self._moved(mark)) is not None))

    def _moved(self, mark: v.Mark) -> v.Mark | None:
        start = self._starts[mark.chunk]
        end = start + mark.end
        if mark.kind is MarkKind.CHUNK_START:
            return replace(mark, end=self._size) if mark.chunk == 0 else None
        if mark.kind is MarkKind.CHUNK_END and end < self._size:
            return None
        return replace(mark, chunk=0, start=start + mark.start, end=end)


async def _read(session: Session, requests: AsyncIterator[wire.TextChunk]) -> None:
    async for chunk in requests:
        _take(session, chunk)
    session.handle(v.HalfClosed())


def _take(session: Session, chunk: wire.TextChunk) -> None:
    if chunk.session_id != session.id:
        raise BadRequest("a message of another session; a stream carries one session", reason="OTHER_SESSION")
    message = wire.message_from(chunk)
    if message is not None:
        session.handle(message)
