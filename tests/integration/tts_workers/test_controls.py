"""PAUSE, RESUME and STOP, in the stream and from anywhere; reservations and slots."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from base.rpc import error_from_rpc
from pb.antiphon.v1 import synthesis_pb2 as pb
from tests.support.tts import LIMIT_S, PLENTY, talking, worker

pytestmark = pytest.mark.integration

LONG = "x" * 2000


async def test_pause_withholds_everything_until_resume() -> None:
    async with worker() as stub, talking(stub) as talk:
        await talk.credit(1, 9600)
        await talk.text(1, "x" * 300)
        await talk.until(lambda: talk.samples(1) == 9600)
        before = await stub.Control(_control(talk.session, 1, "PAUSE"))
        assert before.samples_sent == 9600
        await talk.credit(1)
        await talk.text(1, "more")
        await talk.end(1)
        await talk.reserve(2)
        await talk.until(lambda: talk.of(2, "reserved"))
        assert talk.samples(1) == 9600
        await talk.control(1, "RESUME")
        assert (await talk.finished(1)).samples == 304 * 2880


async def test_nothing_is_written_after_a_pause_is_answered() -> None:
    async with worker() as stub, talking(stub) as talk:
        await talk.say(1, LONG)
        await talk.until(lambda: talk.samples(1) > 48_000)
        for _ in range(10):
            sent = (await stub.Control(_control(talk.session, 1, "PAUSE"))).samples_sent
            # A stream keeps its order: what is asked for now comes after all that was written before.
            await _answered(talk)
            assert talk.samples(1) <= sent + 5 * 960
            here = talk.samples(1)
            await _answered(talk)
            assert talk.samples(1) == here
            await talk.control(1, "RESUME")
            await talk.until(lambda here=here: talk.samples(1) > here)
        await talk.control(1, "STOP")
        assert (await talk.finished(1)).reason == pb.FINISH_REASON_STOPPED


async def _answered(talk) -> None:
    """Waits for an error of a turn that cannot be: it is written after everything that was written before."""
    talk.probes = getattr(talk, "probes", 0) + 1
    turn = 1000 + talk.probes
    await talk.text(turn, "x" * 5000)
    await talk.until(lambda: talk.finish_of(turn))


async def test_stop_ends_a_turn_at_once_and_the_next_one_speaks() -> None:
    async with worker() as stub, talking(stub) as talk:
        await talk.say(1, "one two three " * 100)
        await talk.until(lambda: talk.samples(1) > 24_000)  # a word at least
        await stub.Control(_control(talk.session, 1, "STOP"))
        done = await talk.finished(1)
        assert done.reason == pb.FINISH_REASON_STOPPED
        assert done.samples == talk.samples(1)
        assert 0 < done.spoken < 1400
        assert done.wasted_samples <= 2 * 48_000
        await talk.say(2, "Next.")
        await talk.finished(2)
        where = [i for i, f in enumerate(talk.frames) if f.WhichOneof("body") == "turn_finished"]
        assert all(f.turn != 1 for f in talk.frames[where[0] + 1 :])


async def test_spoken_says_which_words_were_sent() -> None:
    words = "alpha beta gamma delta epsilon zeta"
    async with worker() as stub, talking(stub) as talk:
        await talk.text(1, words)
        # beta begins at 6 * 2880 = 17280, gamma at 11 * 2880 = 31680
        await talk.credit(1, 32 * 960)
        await talk.until(lambda: talk.samples(1) == 32 * 960)
        await talk.control(1, "STOP")
        assert (await talk.finished(1)).spoken == words.index("beta")
        await talk.text(2, words)
        await talk.credit(2, 33 * 960)
        await talk.until(lambda: talk.samples(2) == 33 * 960)
        await talk.control(2, "STOP")
        assert (await talk.finished(2)).spoken == words.index("gamma")


async def test_stop_is_a_watermark_also_for_text_that_comes_later() -> None:
    async with worker() as stub, talking(stub) as talk:
        await talk.control(5, "STOP")
        await talk.say(4, "Too late.")
        await talk.say(5, "Too late as well.")
        await talk.say(6, "In time.")
        assert (await talk.finished(6)).reason == pb.FINISH_REASON_COMPLETED
        for turn in (4, 5):
            assert [d.reason for d in talk.of(turn, "turn_finished")] == [pb.FINISH_REASON_STOPPED]
            assert talk.samples(turn) == 0
            assert not talk.errors(turn)


async def test_stop_ends_a_turn_whose_engine_hangs() -> None:
    async with worker(options={"ignores_cancel": True}) as stub, talking(stub) as talk:
        await talk.say(1, "[[stall 5]] never heard")
        await talk.control(1, "STOP")
        await talk.say(2, "Right away.")
        async with asyncio.timeout(4):
            await talk.finished(2)


async def test_a_reservation_is_answered_and_holds_a_slot() -> None:
    async with worker(slots=1) as stub, talking(stub) as first, talking(stub) as second:
        await first.reserve(1)
        await first.until(lambda: first.of(1, "reserved"))
        await second.reserve(1)
        (error,) = await second.until(lambda: second.errors(1))
        assert error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        assert error.reason == "AT_CAPACITY"
        assert error.retry_after_ms > 0
        assert (await second.finished(1)).reason == pb.FINISH_REASON_FAILED
        await first.say(1, "Mine.")
        await first.finished(1)
        await second.say(2, "Now mine.")
        assert (await second.finished(2)).reason == pb.FINISH_REASON_COMPLETED


async def test_a_slot_is_free_again_however_its_turn_ends() -> None:
    async with worker(slots=1) as stub, talking(stub) as other:
        for turn, end in enumerate(("finish", "stop", "error", "drop", "end"), start=1):
            async with talking(stub) as talk:
                text = "[[error]]" if end == "error" else LONG if end != "finish" else "Short."
                await talk.credit(1)
                await talk.text(1, text)
                await talk.until(lambda talk=talk: talk.of(1, "audio") or talk.errors(1))
                if end == "finish":
                    await talk.end(1)
                    await talk.finished(1)
                elif end == "stop":
                    await talk.control(1, "STOP")
                    await talk.finished(1)
                elif end == "end":
                    await stub.EndSession(pb.EndSessionRequest(session_id=talk.session))
                    await talk.until(lambda talk=talk: talk.status is not None)
                    assert talk.status is grpc.StatusCode.OK
            await _speaks(other, turn)


async def _speaks(talk, number: int) -> None:
    """Until the worker has noticed that a stream is gone, it may refuse."""
    turn = number * 1000
    async with asyncio.timeout(LIMIT_S):
        while True:
            await talk.say(turn, "Now I.")
            if (await talk.finished(turn)).reason == pb.FINISH_REASON_COMPLETED:
                return
            turn += 1
            await asyncio.sleep(0.02)


async def test_a_reservation_without_text_lapses() -> None:
    async with worker(slots=1, reserve_s=0.2) as stub, talking(stub) as first, talking(stub) as second:
        await first.reserve(1)
        await first.until(lambda: first.of(1, "reserved"))
        await _speaks(second, 1)
        await first.say(1, "Late, but welcome.")
        assert (await first.finished(1)).reason == pb.FINISH_REASON_COMPLETED


async def test_control_names_what_is_wrong() -> None:
    async with worker() as stub, talking(stub) as talk:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub.Control(pb.ControlRequest(session_id="nobody", turn=1, action=pb.CONTROL_ACTION_STOP))
        assert error_from_rpc(failed.value).reason == "UNKNOWN_SESSION"
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub.Control(pb.ControlRequest(session_id=talk.session, turn=1))
        assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        await talk.credit(1, PLENTY)


def _control(session: str, turn: int, action: str) -> pb.ControlRequest:
    return pb.ControlRequest(session_id=session, turn=turn, action=pb.ControlAction.Value(f"CONTROL_ACTION_{action}"))
