"""livekit-agents' own session in the same rooms: `python -m benchmarks.rooms.agents '{"url": …}'`.

What an orchestrator of the usual kind costs, with the same voice and VAD. It talks all the time, as ours does in the
same scene; recognition is a stub that hears nothing, which is to its advantage. Our voice reaches it through our TTS
worker.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from typing import Any

import msgspec
import uvloop
from livekit import rtc
from livekit.agents import NOT_GIVEN, Agent, AgentSession, stt, tts, utils, vad
from livekit.agents.voice import room_io
from msgspec import Struct

from antiphon.speech.client import speak
from asr.vad import SpeechStarted
from base.audio import UPLINK_RATE
from benchmarks.rooms.bare import serve_rooms
from benchmarks.rooms.guest import token
from benchmarks.scenes import LONG
from orchestrator.detection import detection
from orchestrator.settings import OrchestratorSettings

RATE = 48_000
FRAME = UPLINK_RATE // 50


class Plan(Struct, frozen=True, kw_only=True):
    url: str
    key: str
    secret: str
    voice: str
    """host:port of the TTS worker."""
    rooms: int = 1
    prefix: str = "bench"


class Voice(tts.TTS):
    def __init__(self, address: str) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1)
        self.address = address

    def synthesize(self, text: str, *, conn_options: Any = NOT_GIVEN) -> tts.ChunkedStream:
        return _Speaking(tts=self, input_text=text, conn_options=conn_options)


class _Speaking(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(), sample_rate=RATE, num_channels=1, mime_type="audio/pcm", frame_size_ms=100
        )
        voice = self._tts
        assert isinstance(voice, Voice)
        async for pcm in speak(voice.address, self.input_text, sample_rate=RATE):
            output_emitter.push(pcm)


class Deaf(stt.STT):
    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))

    async def _recognize_impl(self, buffer: Any, **_: Any) -> stt.SpeechEvent:
        data = stt.SpeechData(language="en", text="")  # type: ignore[arg-type]
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[data])


class Noticing(vad.VAD):
    def __init__(self) -> None:
        super().__init__(capabilities=vad.VADCapabilities(update_interval=0.02))

    def stream(self) -> vad.VADStream:
        return _Noticing(self)


class _Noticing(vad.VADStream):
    async def _main_task(self) -> None:
        ears = detection(OrchestratorSettings(detector="webrtc")).make()
        resampler: rtc.AudioResampler | None = None
        rest, sample = b"", 0
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            if frame.sample_rate != UPLINK_RATE:
                resampler = resampler or rtc.AudioResampler(frame.sample_rate, UPLINK_RATE)
                rest += b"".join(bytes(piece.data) for piece in resampler.push(frame))
            else:
                rest += bytes(frame.data)
            while len(rest) >= FRAME * 2:
                for news in ears.push(sample, rest[: FRAME * 2]):
                    started = isinstance(news, SpeechStarted)
                    kind = vad.VADEventType.START_OF_SPEECH if started else vad.VADEventType.END_OF_SPEECH
                    self._event_ch.send_nowait(
                        vad.VADEvent(kind, sample, time.time(), 0.1, 0.0, [frame], speaking=started)
                    )
                rest, sample = rest[FRAME * 2 :], sample + FRAME


async def serve(plan: Plan, number: int, stop: asyncio.Event) -> None:
    room = rtc.Room()
    await room.connect(plan.url, token(plan.key, plan.secret, f"{plan.prefix}-{number}", f"agent-{number}"))
    session: AgentSession[None] = AgentSession(vad=Noticing(), stt=Deaf(), tts=Voice(plan.voice))
    options = room_io.RoomOptions(close_on_disconnect=False)
    await session.start(Agent(instructions="talk"), room=room, room_options=options, record=False)

    async def talk() -> None:
        while True:
            await session.say(LONG * 8, allow_interruptions=False)

    async with asyncio.TaskGroup() as tasks:
        talking = tasks.create_task(talk())
        await stop.wait()
        talking.cancel()
    await session.aclose()
    await room.disconnect()


def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_rooms("agents", plan.rooms, functools.partial(serve, plan)))


if __name__ == "__main__":
    main()
