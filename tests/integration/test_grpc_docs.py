"""What docs/grpc.md says about synthesis, done to a worker: its examples run, its rules hold."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

from base import rpc
from base.errors import NotFound, WrongState
from pb.antiphon.v1 import synthesis_pb2 as tts
from pb.antiphon.v1 import synthesis_pb2_grpc
from tts_workers.app import serving
from tts_workers.settings import TtsWorkerSettings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "grpc.md").read_text(encoding="utf-8")
LIMIT_S = 60.0


@asynccontextmanager
async def worker() -> AsyncIterator[tuple[str, synthesis_pb2_grpc.TextToSpeechStub]]:
    async with (
        asyncio.timeout(LIMIT_S),
        serving(TtsWorkerSettings(engine="sine", registry="")) as served,
        rpc.channel(served.address) as channel,
    ):
        yield served.address, synthesis_pb2_grpc.TextToSpeechStub(channel)


async def turns_of(frames: AsyncIterator[tts.AudioFrame]) -> dict[int, list[tts.AudioFrame]]:
    found: dict[int, list[tts.AudioFrame]] = {}
    async for frame in frames:
        found.setdefault(frame.turn, []).append(frame)
    return found


async def test_the_python_example_saves_what_it_was_told(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    out = tmp_path / "out.wav"
    async with worker() as (address, _):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", example, address, "Good morning.", str(out),
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        assert await process.wait() == 0
    with wave.open(str(out)) as saved:
        assert saved.getframerate() == 24_000
        assert saved.getnframes() > 2_400
        assert any(saved.readframes(saved.getnframes()))


async def test_the_session_by_hand_speaks_two_turns_on_one_stream() -> None:
    """As grpcurl does it: all messages at once, then the sending side is closed."""
    (text,) = re.findall(r"grpcurl -plaintext -d '([^']*)' [\d.:]+ antiphon\.v1\.TextToSpeech/Synthesize", PAGE)
    async with worker() as (_, stub):
        session = (await stub.StartSession(tts.StartSessionRequest())).session_id
        decoder, rest, chunks = json.JSONDecoder(), text.replace("ID", session).strip(), []
        while rest:
            message, end = decoder.raw_decode(rest)
            chunks.append(json_format.ParseDict(message, tts.TextChunk()))
            rest = rest[end:].strip()

        async def sent() -> AsyncIterator[tts.TextChunk]:
            for chunk in chunks:
                yield chunk

        turns = await turns_of(aiter(stub.Synthesize(sent())))
    assert sorted(turns) == [1, 2]
    for frames in turns.values():
        position = 0
        for audio in (f.audio for f in frames if f.HasField("audio")):
            assert audio.sample == position
            position += len(audio.data) // 2
        last = frames[-1].turn_finished
        assert last.reason == tts.FINISH_REASON_COMPLETED
        assert last.samples == position > 0
        assert last.spoken == 4
        first = next(f.audio for f in frames if f.HasField("audio"))
        assert len(first.data) == 960 * 2


async def test_a_session_is_good_for_one_stream_and_gone_with_it() -> None:
    async with worker() as (_, stub):
        session = (await stub.StartSession(tts.StartSessionRequest())).session_id
        hello = tts.TextChunk(session_id=session, turn=0, flush=tts.Flush())

        async def failure(call: grpc.aio.StreamStreamCall) -> Exception:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
            return rpc.error_from_rpc(caught.value)

        first = stub.Synthesize()
        await first.write(hello)
        await first.write(tts.TextChunk(session_id=session, turn=1, end_of_turn=tts.EndOfTurn()))
        finished = await first.read()
        assert (finished.turn, finished.turn_finished.samples) == (1, 0)
        second = stub.Synthesize()
        await second.write(hello)
        assert isinstance(await failure(second), WrongState)
        await first.done_writing()
        assert await first.read() is grpc.aio.EOF
        third = stub.Synthesize()
        await third.write(hello)
        assert isinstance(await failure(third), NotFound)


async def test_the_named_reasons_are_the_ones_that_are_given() -> None:
    """Every REASON in the page exists in the source."""
    source = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r"\(`([A-Z]+_?[A-Z_]+)`\)", PAGE))
    assert {"LEASE_LOST", "SUPERSEDED", "DRAINING", "NOT_READING", "LANGUAGE_UNKNOWN"} <= named
    for reason in named:
        assert f'"{reason}"' in source, reason
