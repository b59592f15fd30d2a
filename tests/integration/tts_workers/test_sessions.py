"""Sessions and what bad input gets: each a distinct status that says what to do, and nobody beside it notices."""

from __future__ import annotations

import asyncio
import contextlib
import io

import grpc
import numpy as np
import pytest
import structlog

from base import log, rpc
from base.errors import AntiphonError
from base.rpc import error_from_rpc
from pb.antiphon.v1 import synthesis_pb2 as pb
from pb.antiphon.v1 import synthesis_pb2_grpc
from tests.support.tts import LIMIT_S, Talk, talking, worker
from tts_workers.app import serving
from tts_workers.settings import TtsWorkerSettings

pytestmark = pytest.mark.integration


async def refusal(call) -> AntiphonError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return error_from_rpc(failed.value)


@pytest.mark.parametrize(
    ("request_", "code", "reason", "says"),
    [
        ({"voice": "sin"}, "NOT_FOUND", "UNKNOWN_VOICE", "close to it: sine"),
        ({"voice": "sine+f3"}, "NOT_FOUND", "UNKNOWN_VARIANT", "f3"),
        ({"model": "piper"}, "NOT_FOUND", "UNKNOWN_MODEL", "it has sine"),
        ({"format": {"sample_rate": 11_025}}, "INVALID_ARGUMENT", "BAD_SAMPLE_RATE", "48000"),
        ({"format": {"encoding": 9}}, "INVALID_ARGUMENT", "BAD_ENCODING", "PCM_S16LE"),
        ({"style": {"rate": 9.0}}, "INVALID_ARGUMENT", "BAD_STYLE", "0.5 to 3"),
        ({"style": {"volume": float("nan")}}, "INVALID_ARGUMENT", "BAD_STYLE", "0 to 2"),
    ],
)
async def test_start_session_refuses_what_it_cannot_do(request_, code: str, reason: str, says: str) -> None:
    async with worker() as stub:
        error = await refusal(stub.StartSession(pb.StartSessionRequest(**request_)))
        assert (error.grpc_code, error.reason) == (code, reason)
        assert says in error.message
        error = await refusal(stub.Speak(pb.SpeakRequest(text="x", **request_)).read())
        assert (error.grpc_code, error.reason) == (code, reason)


async def test_start_session_says_what_was_agreed() -> None:
    async with worker() as stub:
        started = await stub.StartSession(pb.StartSessionRequest(voice="LOW", language="de"))
        assert (started.model, started.voice, started.language) == ("sine", "low", "de")
        assert started.format == pb.AudioFormat(encoding=pb.AUDIO_ENCODING_PCM_S16LE, sample_rate=48_000)
        assert len(started.session_id) >= 20
        other = await stub.StartSession(pb.StartSessionRequest())
        assert other.session_id != started.session_id


async def ended(talk: Talk) -> AntiphonError:
    await talk.until(lambda: talk.status is not None)
    return error_from_rpc(
        grpc.aio.AioRpcError(
            talk.status,
            await talk.call.initial_metadata(),
            await talk.call.trailing_metadata(),
            await talk.call.details(),
        )
    )


async def test_a_stream_names_a_session_that_is_there() -> None:
    async with worker() as stub, asyncio.TaskGroup() as tasks:
        talk = Talk(stub, "no-such-session")
        tasks.create_task(talk.read())
        await talk.end(1)
        error = await ended(talk)
        assert (error.grpc_code, error.reason) == ("NOT_FOUND", "UNKNOWN_SESSION")


async def test_a_session_has_one_stream_and_a_stream_one_session() -> None:
    async with worker() as stub, talking(stub) as first, talking(stub) as other, asyncio.TaskGroup() as tasks:
        second = Talk(stub, first.session)
        tasks.create_task(second.read())
        await second.end(1)
        error = await ended(second)
        assert (error.grpc_code, error.reason) == ("FAILED_PRECONDITION", "HAS_STREAM")
        await first.call.write(pb.TextChunk(session_id=other.session, turn=1, text=pb.Text(text="x")))
        error = await ended(first)
        assert (error.grpc_code, error.reason) == ("INVALID_ARGUMENT", "OTHER_SESSION")
        await other.say(1, "Undisturbed.")
        assert (await other.finished(1)).reason == pb.FINISH_REASON_COMPLETED


async def test_a_call_that_ends_during_its_first_write_gets_its_status() -> None:
    """The first message and the one that ends the call come at every distance: one of them meets that write."""
    async with worker() as stub:
        for number in range(60):
            session = (await stub.StartSession(pb.StartSessionRequest())).session_id
            call = stub.Synthesize()
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await call.write(pb.TextChunk(session_id=session, turn=1, credit=pb.Credit(until_sample=48_000)))
                await call.write(pb.TextChunk(session_id=session, turn=1, text=pb.Text(text="Hello there.")))
                await asyncio.sleep(0.0002 * (number % 15))
                await call.write(pb.TextChunk(session_id="another", turn=1, text=pb.Text(text="x")))
            async with asyncio.timeout(LIMIT_S):
                with contextlib.suppress(grpc.aio.AioRpcError):
                    while await call.read() is not grpc.aio.EOF:
                        pass
                assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_session_that_nobody_takes_up_lapses() -> None:
    async with worker(claim_s=0.1, max_unclaimed=2) as stub:
        ids = [(await stub.StartSession(pb.StartSessionRequest())).session_id for _ in range(2)]
        error = await refusal(stub.StartSession(pb.StartSessionRequest()))
        assert (error.grpc_code, error.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_SESSIONS")
        assert error.retry_after_s is not None
        async with asyncio.timeout(LIMIT_S):
            while True:
                request = pb.ControlRequest(session_id=ids[0], turn=1, action=pb.CONTROL_ACTION_PAUSE)
                if await stub.Control(request).code() is grpc.StatusCode.NOT_FOUND:
                    break
                await asyncio.sleep(0.02)


async def test_a_stream_that_says_nothing_is_not_kept() -> None:
    async with worker(claim_s=0.1) as stub:
        error = await refusal(stub.Synthesize().read())
        assert (error.grpc_code, error.reason) == ("DEADLINE_EXCEEDED", "NO_SESSION")


async def test_a_message_that_is_no_protobuf_ends_its_stream_with_the_reason() -> None:
    async with serving(TtsWorkerSettings(engine="sine", registry="")) as running, rpc.channel(running.address) as raw:
        stub = synthesis_pb2_grpc.TextToSpeechStub(raw)
        started = await stub.StartSession(pb.StartSessionRequest())
        call = raw.stream_stream("/antiphon.v1.TextToSpeech/Synthesize")()
        await call.write(pb.TextChunk(session_id=started.session_id, flush=pb.Flush()).SerializeToString())
        await call.write(b"\xff\xff\xff")
        error = await refusal(call.read())
        assert (error.grpc_code, error.reason) == ("INVALID_ARGUMENT", "MALFORMED")


async def test_end_session_ends_the_stream_cleanly() -> None:
    async with worker() as stub, talking(stub) as talk:
        await stub.EndSession(pb.EndSessionRequest(session_id=talk.session))
        await talk.until(lambda: talk.status is not None)
        assert talk.status is grpc.StatusCode.OK
        error = await refusal(stub.EndSession(pb.EndSessionRequest(session_id=talk.session)))
        assert error.reason == "UNKNOWN_SESSION"


async def test_an_error_of_one_turn_leaves_the_next_alive() -> None:
    async with worker() as stub, talking(stub) as talk:
        for turn, (text, code, reason) in enumerate(
            [
                ("Well [[error]] not", "UNAVAILABLE", "SCRIPTED"),
                ("Well [[error MY_REASON]] not", "UNAVAILABLE", "MY_REASON"),
                ("Well [[fault]] not", "INTERNAL", "FAULT"),
                ("x" * 4001, "RESOURCE_EXHAUSTED", "BACKLOG"),
            ],
            start=1,
        ):
            await talk.say(turn, text)
            done = await talk.finished(turn)
            (error,) = talk.errors(turn)
            assert done.reason == pb.FINISH_REASON_FAILED
            assert error.code == getattr(grpc.StatusCode, code).value[0]
            assert error.reason == reason
        await talk.say(10, "All well.")
        assert (await talk.finished(10)).reason == pb.FINISH_REASON_COMPLETED


async def test_four_thousand_characters_may_wait_and_no_more() -> None:
    async with worker() as stub, talking(stub) as talk:
        for chunk in range(40):
            await talk.text(1, "x" * 100, chunk)
        await talk.until(lambda: talk.marks(1))
        await talk.text(2, "y")
        (error,) = await talk.until(lambda: talk.errors(2))
        assert error.reason == "BACKLOG"
        assert "4001" in error.message
        assert not talk.errors(1)
        await talk.credit(1)
        await talk.until(lambda: talk.samples(1) >= 100 * 2880)
        await talk.say(3, "There is room again.")
        await talk.end(1)
        assert (await talk.finished(1)).reason == pb.FINISH_REASON_COMPLETED
        assert (await talk.finished(3)).reason == pb.FINISH_REASON_COMPLETED


async def test_what_is_wrong_in_a_message_is_an_error_of_its_turn() -> None:
    async with worker() as stub, talking(stub) as talk:
        await talk.text(1, "x", style=pb.Style(rate=0.1))
        assert (await talk.until(lambda: talk.errors(1)))[0].reason == "BAD_STYLE"
        await talk.send(2, control=17)
        assert (await talk.until(lambda: talk.errors(2)))[0].reason == "BAD_ACTION"
        await talk.text(3, "x", voice="tenor")
        assert (await talk.until(lambda: talk.errors(3)))[0].reason == "UNKNOWN_VOICE"
        await talk.send(4)
        await talk.say(5, "Fine.")
        await talk.finished(5)
        await talk.text(5, "again")
        assert (await talk.until(lambda: talk.errors(5)))[0].reason == "TURN_OVER"
        await talk.text(4, "back in time")
        assert (await talk.until(lambda: talk.errors(4)))[0].reason == "TURN_ORDER"
        for turn in range(1, 6):
            await talk.finished(turn)
            assert len(talk.of(turn, "turn_finished")) == 1
        assert talk.status is None


async def test_a_client_that_floods_and_does_not_read_harms_nobody_else() -> None:
    async with worker() as stub, talking(stub) as bystander:
        started = await stub.StartSession(pb.StartSessionRequest())
        call = stub.Synthesize()
        for turn in range(4_000):
            try:
                await call.write(
                    pb.TextChunk(session_id=started.session_id, turn=turn % 7, text=pb.Text(text="x" * 4001))
                )
                await call.write(pb.TextChunk(session_id=started.session_id, turn=turn, end_of_turn=pb.EndOfTurn()))
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                break
        call.cancel()
        await bystander.say(1, "I hear nothing of it.")
        assert (await bystander.finished(1)).reason == pb.FINISH_REASON_COMPLETED


async def test_sessions_side_by_side_never_hear_one_another() -> None:
    async with worker() as stub, talking(stub, voice="low") as low, talking(stub, voice="high") as high:
        for turn in range(1, 6):
            await low.say(turn, "x" * 20, "x" * 20)
            await high.say(turn, "x" * 20, "x" * 20)
        for turn in range(1, 6):
            for talk, hertz in ((low, 220), (high, 880)):
                await talk.finished(turn)
                wave = np.frombuffer(talk.audio(turn), dtype="<i2").astype(float)
                power = np.abs(np.fft.rfft(wave)) ** 2
                own, other = (round(h * len(wave) / 48_000) for h in (hertz, 1100 - hertz))
                assert np.argmax(power) == pytest.approx(own, abs=3)
                assert power[other - 20 : other + 21].sum() < 1e-4 * power.sum()


async def test_speak_says_a_text_and_back_pressure_is_the_streams() -> None:
    text = "One two three, four five six. " * 100
    async with worker() as stub:
        frames = [frame async for frame in stub.Speak(pb.SpeakRequest(text=text))]
        assert all(f.WhichOneof("body") in ("audio", "marks", "turn_finished") for f in frames)
        done = frames[-1].turn_finished
        assert done.reason == pb.FINISH_REASON_COMPLETED
        assert done.spoken == len(text)
        audio = b"".join(f.audio.data for f in frames if f.WhichOneof("body") == "audio")
        assert len(audio) // 2 == done.samples == len(text) * 2880
        marks = [m for f in frames if f.WhichOneof("body") == "marks" for m in f.marks.marks]
        assert {m.chunk for m in marks} == {0}
        words = [text[m.start : m.end] for m in marks if m.kind == pb.MARK_KIND_WORD]
        assert words == text.split()
        assert [m.kind for m in marks if m.kind != pb.MARK_KIND_WORD] == [
            pb.MARK_KIND_CHUNK_START,
            pb.MARK_KIND_CHUNK_END,
        ]


async def test_speak_tells_what_went_wrong() -> None:
    async with worker(slots=1, max_speak=100) as stub, talking(stub) as talk:
        error = await refusal(stub.Speak(pb.SpeakRequest(text="x" * 101)).read())
        assert (error.grpc_code, error.reason) == ("INVALID_ARGUMENT", "TEXT_TOO_LONG")
        error = await refusal(stub.Speak(pb.SpeakRequest(text="[[error]]")).read())
        assert (error.grpc_code, error.reason) == ("UNAVAILABLE", "SCRIPTED")
        await talk.reserve(1)
        await talk.until(lambda: talk.of(1, "reserved"))
        error = await refusal(stub.Speak(pb.SpeakRequest(text="No room.")).read())
        assert (error.grpc_code, error.reason) == ("RESOURCE_EXHAUSTED", "AT_CAPACITY")
        assert error.retry_after_s is not None
        frames = [frame async for frame in stub.Speak(pb.SpeakRequest(text="…"))]
        assert frames[-1].turn_finished.samples == 0


async def test_a_client_that_goes_while_it_is_written_to_is_no_fault() -> None:
    before = structlog.get_config()
    logged = io.StringIO()
    try:
        async with worker() as stub:
            log.configure(stream=logged)
            for turn in range(100):
                async with talking(stub) as talk:
                    await talk.say(1, "All of this takes quite a while to say, " * 12)
                    await talk.until(lambda: talk.of(1, "audio"))
                    for _ in range(turn % 7):
                        await asyncio.sleep(0)
    finally:
        structlog.configure(**before)
    assert "fault" not in logged.getvalue()
