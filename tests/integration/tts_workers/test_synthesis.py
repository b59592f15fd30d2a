"""Turns over a real gRPC stream, spoken by the sine engine."""

from __future__ import annotations

import numpy as np
import pytest

from pb.antiphon.v1 import synthesis_pb2 as pb
from tests.support.tts import talking, worker

pytestmark = pytest.mark.integration

FRAME = 1920


async def test_many_turns_on_one_stream_each_whole_and_in_whole_frames() -> None:
    async with worker() as stub, talking(stub) as talk:
        for turn in range(1, 30):
            await talk.say(turn, f"This is turn {turn},", " and its end.")
        for turn in range(1, 30):
            done = await talk.finished(turn)
            text = f"This is turn {turn}, and its end."
            assert done.reason == pb.FINISH_REASON_COMPLETED
            assert done.spoken == len(text)
            assert done.samples == talk.samples(turn) == -(-len(text) * 2880 // 960) * 960
            sizes = [len(piece.data) // FRAME for piece in talk.of(turn, "audio")]
            assert sizes[0] == 1
            assert max(sizes) <= 5
            assert all(len(piece.data) % FRAME == 0 for piece in talk.of(turn, "audio"))
        assert talk.status is None


@pytest.mark.parametrize("texts", [(), ("",), ("…",), ("😀", " 👍🏽 "), ("", " ", "\n")])
async def test_a_turn_with_nothing_to_speak_finishes(texts: tuple[str, ...]) -> None:
    async with worker() as stub, talking(stub) as talk:
        await talk.say(1, *texts)
        await talk.say(2, "Still here.")
        done = await talk.finished(1)
        assert (done.reason, done.samples) == (pb.FINISH_REASON_COMPLETED, 0)
        assert done.spoken == sum(map(len, texts))
        assert (await talk.finished(2)).samples > 0


async def test_marks_tell_where_every_chunk_and_word_is() -> None:
    texts = ["One two", "…", "three four five"]
    async with worker() as stub, talking(stub) as talk:
        await talk.say(7, *texts)
        done = await talk.finished(7)
        marks = talk.marks(7)
    assert [m.sample for m in marks] == sorted(m.sample for m in marks)
    assert marks[-1].sample <= done.samples
    for chunk, text in enumerate(texts):
        mine = [m for m in marks if m.chunk == chunk]
        assert mine[0].kind == pb.MARK_KIND_CHUNK_START
        assert (mine[0].start, mine[0].end) == (0, len(text))
        assert mine[-1].kind == pb.MARK_KIND_CHUNK_END
        words = [text[m.start : m.end] for m in mine if m.kind == pb.MARK_KIND_WORD]
        assert words == (text.split() if text != "…" else [])
        assert all(m.exact for m in mine)
    third = next(m for m in marks if m.chunk == 2 and m.kind == pb.MARK_KIND_CHUNK_START)
    assert third.sample == 7 * 2880


async def test_marks_come_no_later_than_the_audio_they_point_into() -> None:
    async with worker() as stub, talking(stub) as talk:
        await talk.say(1, *["some words to speak "] * 6)
        await talk.finished(1)
        sent = 0
        for frame in talk.frames:
            if frame.WhichOneof("body") == "audio":
                sent = frame.audio.sample + len(frame.audio.data) // 2
            elif frame.WhichOneof("body") == "marks":
                words = [m for m in frame.marks.marks if m.kind == pb.MARK_KIND_WORD]
                assert all(m.sample >= sent for m in words)


async def test_audio_needs_credit_and_nothing_else_does() -> None:
    async with worker() as stub, talking(stub) as talk:
        await talk.text(1, "x" * 20)
        await talk.end(1)
        await talk.until(lambda: talk.marks(1))
        assert talk.samples(1) == 0
        await talk.credit(1, 960 * 3 + 500)
        await talk.until(lambda: talk.samples(1) == 960 * 3)
        await talk.say(2)
        await talk.send(0, reserve=pb.Reserve())
        await talk.until(lambda: talk.errors(0))
        assert talk.samples(1) == 960 * 3
        await talk.credit(1, 10)
        await talk.credit(1)
        assert (await talk.finished(1)).samples == 57_600 == talk.samples(1)


async def test_without_credit_an_engine_runs_only_so_far_ahead() -> None:
    async with worker(ahead_s=0.5) as stub, talking(stub) as talk:
        await talk.text(1, "x" * 1000)
        await talk.until(lambda: talk.marks(1))
        await talk.credit(1, 960 * 5)
        await talk.until(lambda: talk.samples(1) == 960 * 5)
        await talk.control(1, "STOP")
        done = await talk.finished(1)
        assert 0 < done.wasted_samples <= 2 * 48_000


async def test_a_stream_half_closed_is_served_to_its_end() -> None:
    async with worker() as stub, talking(stub) as talk:
        await talk.text(1, "Nobody grants credit, nobody says that this is all.")
        await talk.call.done_writing()
        await talk.until(lambda: talk.status is not None)
        assert talk.status.name == "OK"
        assert talk.finish_of(1).reason == pb.FINISH_REASON_COMPLETED


async def test_audio_is_one_unbroken_tone_within_a_chunk() -> None:
    async with worker() as stub, talking(stub, format=pb.AudioFormat(sample_rate=16_000)) as talk:
        await talk.say(1, "a" * 50)
        await talk.finished(1)
        wave = np.frombuffer(talk.audio(1), dtype="<i2").astype(float)
    steps = np.abs(np.diff(wave))
    assert steps.max() < 1.1 * np.abs(wave).max() * 2 * np.pi * 440 / 16_000


async def test_the_rate_asked_for_is_the_rate_sent() -> None:
    for rate in (8_000, 22_050, 44_100):
        async with worker() as stub, talking(stub, format=pb.AudioFormat(sample_rate=rate)) as talk:
            await talk.say(1, "Ten chars.")
            frame = rate // 50
            assert (await talk.finished(1)).samples == -(-round(0.6 * rate) // frame) * frame
            wave = np.frombuffer(talk.audio(1), dtype="<i2").astype(float)
            peak = np.argmax(np.abs(np.fft.rfft(wave))) * rate / len(wave)
            assert peak == pytest.approx(440, abs=5)


async def test_voice_and_style_hold_for_a_turn() -> None:
    async with worker() as stub, talking(stub) as talk:
        await talk.credit(1)
        await talk.text(1, "x" * 20, 0, voice="low", style=pb.Style(rate=2.0))
        await talk.text(1, "x" * 20, 1, voice="high")
        await talk.end(1)
        await talk.say(2, "x" * 40)
        assert (await talk.finished(1)).samples == 57_600
        assert (await talk.finished(2)).samples == 115_200
        for turn, hertz in ((1, 220), (2, 440)):
            wave = np.frombuffer(talk.audio(turn), dtype="<i2").astype(float)
            assert np.argmax(np.abs(np.fft.rfft(wave))) * 48_000 / len(wave) == pytest.approx(hertz, abs=3)


async def test_volume_scales_what_all_voices_share() -> None:
    async with worker() as stub, talking(stub) as talk:
        await talk.say(1, "x" * 20)
        await talk.credit(2)
        await talk.text(2, "x" * 20, 0, style=pb.Style(volume=0.5))
        await talk.end(2)
        await talk.finished(2)
        full, half = (np.frombuffer(talk.audio(t), dtype="<i2").astype(float).std() for t in (1, 2))
        assert half / full == pytest.approx(0.5, abs=0.01)
        assert 20 * np.log10(full / 32768) == pytest.approx(-23, abs=0.7)
