"""Speaks a WAV file to Antiphon over gRPC, prints what is said, and keeps the reply's sound.

    pip install grpcio protobuf
    python talk.py 127.0.0.1:50060 question.wav reply.wav

Of this repository it needs the generated messages alone, src/pb.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import grpc

sys.path.append(str(Path(__file__).resolve().parents[3] / "src"))
from pb.antiphon.v1 import conversation_pb2 as pb
from pb.antiphon.v1.conversation_pb2_grpc import ConversationStub

OUTPUT_RATE = 24_000
FRAMES_A_SECOND = 50
INTERRUPT_AFTER_S = 0.5


class Talk:
    """One question and its answer."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.started = asyncio.Event()
        self.requests: asyncio.Queue = asyncio.Queue(maxsize=1_000)
        self.reply = 0
        """The turn that answers us."""
        self.audio = bytearray()
        self.code = 1

    async def sent(self) -> AsyncIterator:
        """What goes out, in order; None ends our side."""
        while (request := await self.requests.get()) is not None:
            yield request

    def send(self, **message: object) -> None:
        self.requests.put_nowait(pb.ConverseRequest(**message))

    async def run(self) -> int:
        key = os.environ.get("ANTIPHON_KEY", "")
        metadata = (("authorization", f"Bearer {key}"),) if key else ()
        with wave.open(self.options.question) as question:
            if question.getnchannels() != 1 or question.getsampwidth() != 2:
                raise SystemExit(f"{self.options.question} is not mono with 16 bits")
            rate = question.getframerate()
            pcm = question.readframes(question.getnframes())
        self.send(
            session_start=pb.SessionStart(
                input_rate=rate,
                output_rate=OUTPUT_RATE,
                greeting=pb.Greeting(on=False),
                phrases=self.options.phrase,
            )
        )
        async with grpc.aio.insecure_channel(self.options.address) as channel:
            call = ConversationStub(channel).Converse(self.sent(), metadata=metadata)
            speaking = asyncio.create_task(self.speak(pcm, rate))
            try:
                async for response in call:
                    self.take(response)
            finally:
                speaking.cancel()
        if self.audio:
            with wave.open(self.options.reply, "wb") as reply:
                reply.setparams((1, 2, OUTPUT_RATE, 0, "NONE", ""))
                reply.writeframes(self.audio)
        return self.code

    async def speak(self, pcm: bytes, rate: int) -> None:
        """As a microphone would: 20 ms every 20 ms."""
        await self.started.wait()
        size = 2 * (rate // FRAMES_A_SECOND)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for number, at in enumerate(range(0, len(pcm), size)):
            await asyncio.sleep(max(0.0, begin + number / FRAMES_A_SECOND - loop.time()))
            self.send(audio=pb.AudioInput(data=pcm[at : at + size].ljust(size, b"\0")))
        self.send(input=pb.InputState(state=pb.MICROPHONE_STATE_RELEASED))

    def take(self, response: object) -> None:
        kind = response.WhichOneof("message")
        message = getattr(response, kind) if kind else None
        if kind == "session_started":
            self.started.set()
        elif kind == "transcript":
            print(f"you{'>' if message.final else '…'} {message.text}")
        elif kind == "turn_ended":
            self.reply = message.turn
        elif kind == "reply":
            print(f"antiphon> {message.text}")
        elif kind == "audio" and message.turn == self.reply:
            self.hear(message)
        elif kind == "turn_finished" and message.turn == self.reply:
            print(f"heard: {message.heard!r}, unheard: {message.unheard!r} ({message.reason})")
            self.code = 0
            self.send(session_end=pb.SessionEnd())
        elif kind == "notice":
            print(message.message, file=sys.stderr)
            if message.code == "no_words":
                self.send(session_end=pb.SessionEnd())
        elif kind == "error":
            print(f"{message.code}: {message.message}", file=sys.stderr)

    def hear(self, audio: object) -> None:
        """A file has no loudspeaker: it has heard what it has got."""
        self.audio += audio.data
        heard = audio.sample + len(audio.data) // 2
        self.send(played=pb.Played(turn=audio.turn, samples=heard))
        if self.options.interrupt and heard >= INTERRUPT_AFTER_S * OUTPUT_RATE:
            self.options.interrupt = False
            self.send(interrupt=pb.Interrupt())


def main() -> int:
    parser = argparse.ArgumentParser(description="Speak a WAV file to Antiphon and keep its reply.")
    parser.add_argument("address", help="host:port of the gRPC door, e.g. 127.0.0.1:50060")
    parser.add_argument("question", help="WAV file, mono, 16 bits")
    parser.add_argument("reply", help="WAV file to write")
    parser.add_argument("--interrupt", action="store_true", help="interrupt the reply once, after half a second of it")
    parser.add_argument("--phrase", action="append", default=[], help="what is likely to be said; may be repeated")
    try:
        return asyncio.run(Talk(parser.parse_args()).run())
    except grpc.aio.AioRpcError as failed:
        print(f"{failed.code().name}: {failed.details()}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
