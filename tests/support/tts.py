"""A TTS worker on loopback, and a client of it that keeps everything it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from base import rpc
from pb.antiphon.v1 import synthesis_pb2 as pb
from pb.antiphon.v1 import synthesis_pb2_grpc
from tts_workers.app import serving
from tts_workers.settings import ModelSettings, TtsWorkerSettings

LIMIT_S = 20.0
PLENTY = 48_000 * 3600


@asynccontextmanager
async def worker(**settings: Any) -> AsyncIterator[synthesis_pb2_grpc.TextToSpeechStub]:
    """A worker with the sine engine, unless told otherwise; `options` are that engine's."""
    options = settings.pop("options", None)
    if options is not None:
        settings["models"] = (ModelSettings("sine", "sine", options),)
    settings.setdefault("engine", "sine")
    async with serving(TtsWorkerSettings(**settings)) as running, rpc.channel(running.address) as channel:
        yield synthesis_pb2_grpc.TextToSpeechStub(channel)


class Talk:
    """One Synthesize stream. `frames` is all that came, in order; `status` how it ended."""

    def __init__(self, stub: Any, session: str) -> None:
        self.session = session
        self.frames: list[pb.AudioFrame] = []
        self.call = stub.Synthesize()
        self.status: grpc.StatusCode | None = None
        self._came = asyncio.Condition()

    async def read(self) -> None:
        try:
            while (frame := await self.call.read()) is not grpc.aio.EOF:
                self.frames.append(frame)
                async with self._came:
                    self._came.notify_all()
        except grpc.aio.AioRpcError:
            pass
        finally:
            self.status = await self.call.code()
            async with self._came:
                self._came.notify_all()

    async def send(self, turn: int, **body: Any) -> None:
        await self.call.write(pb.TextChunk(session_id=self.session, turn=turn, **body))

    async def text(self, turn: int, text: str, chunk: int = 0, **more: Any) -> None:
        await self.send(turn, text=pb.Text(text=text, chunk=chunk, **more))

    async def end(self, turn: int) -> None:
        await self.send(turn, end_of_turn=pb.EndOfTurn())

    async def credit(self, turn: int, until: int = PLENTY) -> None:
        await self.send(turn, credit=pb.Credit(until_sample=until))

    async def reserve(self, turn: int) -> None:
        await self.send(turn, reserve=pb.Reserve())

    async def control(self, turn: int, action: str) -> None:
        await self.send(turn, control=pb.ControlAction.Value(f"CONTROL_ACTION_{action}"))

    async def say(self, turn: int, *texts: str) -> None:
        """A whole turn, with all the credit it can want."""
        await self.credit(turn)
        for chunk, text in enumerate(texts):
            await self.text(turn, text, chunk)
        await self.end(turn)

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Waits until `condition` is true (after a frame, or the end)."""
        async with asyncio.timeout(LIMIT_S), self._came:
            while not (result := condition()):
                await self._came.wait()
            return result

    async def finished(self, turn: int) -> pb.TurnFinished:
        found: pb.TurnFinished = await self.until(lambda: self.finish_of(turn))
        return found

    def of(self, turn: int, body: str) -> list[Any]:
        return [getattr(f, body) for f in self.frames if f.turn == turn and f.WhichOneof("body") == body]

    def finish_of(self, turn: int) -> pb.TurnFinished | None:
        return next(iter(self.of(turn, "turn_finished")), None)

    def audio(self, turn: int) -> bytes:
        """All of the turn's audio; fails unless it is without a gap."""
        out = b""
        for piece in self.of(turn, "audio"):
            assert piece.sample * 2 == len(out)
            out += piece.data
        return out

    def samples(self, turn: int) -> int:
        return len(self.audio(turn)) // 2

    def marks(self, turn: int) -> list[pb.Mark]:
        return [mark for marks in self.of(turn, "marks") for mark in marks.marks]

    def errors(self, turn: int) -> list[pb.TurnError]:
        return self.of(turn, "error")


@asynccontextmanager
async def talking(stub: Any, **start: Any) -> AsyncIterator[Talk]:
    """A session with its stream, which is cancelled at the end."""
    started = await stub.StartSession(pb.StartSessionRequest(**start))
    talk = Talk(stub, started.session_id)
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(talk.read())
        try:
            # The server knows the stream by its first message, and says so at once.
            await talk.send(0, flush=pb.Flush())
            await talk.call.initial_metadata()
            yield talk
        finally:
            talk.call.cancel()
            reader.cancel()
