"""What bad input gets: a clear error or a clean close, nothing left of it, and nothing that a neighbour could hear."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import psutil
import pytest

from asr.vad import FrameVad
from benchmarks.speech import key_click, synthetic_speech
from orchestrator.messages import (
    Audio,
    CloseCode,
    InputState,
    Notice,
    State,
    Transcript,
    TurnEnded,
    TurnFinished,
    pack_audio,
)
from orchestrator.transports import websocket
from tests.support.house import LIMIT_S, House, house, until
from tests.support.speech import chords, hum
from tests.support.user import Raw, cable, raw, user

pytestmark = pytest.mark.integration

COUNT = "one two three four five six"
VOICE = {"options": {"char_s": 0.02}}
"""Half a second for `COUNT`."""


@dataclass
class Street:
    here: House
    url: str
    whole: bytes
    """What is heard of `COUNT`."""


@asynccontextmanager
async def street(**settings: Any) -> AsyncIterator[Street]:
    """A house in which a neighbour talks all the time; at the end it has heard every sample, and nothing is left."""
    async with house(tts_settings=VOICE, **({"grace_s": 0.2} | settings)) as here:
        async with user(here.url, at_once=True) as listener:
            whole = listener.heard((await listener.asks(COUNT)).turn)
        await here.wait_free()
        tasks, sockets = len(asyncio.all_tasks()), _sockets()
        done = asyncio.Event()
        turns = 0

        async def talk() -> None:
            nonlocal turns
            async with user(here.url) as neighbour:
                while turns < 2 or not done.is_set():
                    finished = await neighbour.asks(COUNT)
                    turns += 1
                    assert (finished.reason, finished.heard) == ("complete", COUNT)
                    assert neighbour.heard(finished.turn) == whole
                assert not neighbour.errors()
                assert not neighbour.player.jumps
                assert neighbour.player.statistics().gaps == 0

        async with asyncio.TaskGroup() as group:
            group.create_task(talk())
            yield Street(here, here.url, whole)
            done.set()
        await here.wait_free()
        await until(lambda: len(asyncio.all_tasks()) <= tasks, "all tasks to end")
        # A gRPC client in this process is connected for as long as the objects of its call are there.
        await until(lambda: _sockets() <= sockets or gc.collect() < 0, "all sockets to be closed")


def _sockets() -> int:
    return sum(c.status == psutil.CONN_ESTABLISHED for c in psutil.Process().net_connections("tcp"))


async def answers(client: Raw, text: str = "hello") -> None:
    """It still works."""
    before = len(client.all("turn_finished"))
    await client.send(type="text", text=text)
    assert (await client.wait("turn_finished", before + 1))["reason"] == "complete"


async def refused(client: Raw, payload: str | bytes, code: str, reason: str = "") -> dict[str, Any]:
    """Sends it; it gets a non-fatal error that says what and where."""
    before = len(client.all("error"))
    if isinstance(payload, bytes):
        await client.ws.send_bytes(payload)
    else:
        await client.ws.send_str(payload)
    error = await client.wait("error", before + 1)
    assert (error["code"], error["fatal"]) == (code, False), error
    assert error["message"]
    assert reason in ("", error["reason"]), error
    return error


def pcm(samples: int, sample: int = 0, turn: int = 0) -> bytes:
    return pack_audio(Audio(turn, sample, bytes(2 * samples)))


async def test_messages_that_are_none() -> None:
    async with street() as s, raw(s.url) as client:
        await client.start()
        for payload, reason in (
            ('{"type": "text", "te', "NOT_JSON"),
            ("", "NOT_JSON"),
            ("[]", "MALFORMED"),
            ("42", "MALFORMED"),
            ("{}", "MALFORMED"),
            ('{"type": 7}', "MALFORMED"),
            ('{"type": "dance"}', "UNKNOWN_TYPE"),
            ('{"type": "text", "text": 7}', "MALFORMED"),
            ('{"type": "text", "text": "x", "mode": "sing"}', "MALFORMED"),
            ('{"type": "played", "turn": -1, "samples": 0}', "MALFORMED"),
            ('{"type": "played", "turn": 1, "samples": 1e400}', ""),
            ('{"type": "input", "state": null}', "MALFORMED"),
            ('{"type": "session_update", "rate": 99}', "MALFORMED"),
            ("[" * 5000 + "]" * 5000, ""),
        ):
            await refused(client, payload, "bad_request", reason)
        where = await refused(client, '{"type": "session_update", "endpointing": {"endpoint_ms": 1}}', "bad_request")
        assert where["where"] == "endpointing.endpoint_ms"
        await answers(client)


async def test_text_that_is_too_much_or_nothing() -> None:
    async with street() as s, raw(s.url) as client:
        await client.start()
        await refused(client, json.dumps({"type": "text", "text": "x" * 100_000}), "bad_request")
        await refused(client, json.dumps({"type": "text", "text": ""}), "bad_request")
        await refused(client, json.dumps({"type": "text", "text": "\x00\x1b\x07\u202e"}), "bad_request")
        # Emoji only: there is nothing to speak, and the turn is over with that.
        await client.send(type="text", text="🎉🎉👩\u200d👩\u200d👧")
        finished = await client.wait("turn_finished")
        assert (finished["reason"], finished["samples"]) == ("complete", 0)
        await client.send(type="text", text="a\x00b\x1b[2J\r\n \u202ec")
        assert (await client.wait("turn_finished", 2))["heard"] == "ab[2J c"
        await client.send(type="text", text="🎉", mode="say")
        assert (await client.wait("turn_finished", 3))["reason"] == "complete"
        # As much as there may be is spoken; nobody has to wait for it.
        await client.send(type="text", text="word " * 3_999 + "end")
        await client.wait("turn_ended", 3)
        await client.send(type="interrupt")
        assert (await client.wait("turn_finished", 4))["reason"] == "interrupt"
        await answers(client)


async def test_audio_that_is_none() -> None:
    async with street() as s, raw(s.url) as client:
        await refused(client, pcm(320), "wrong_state")
        await client.start()
        await refused(client, pcm(320) + b"\0", "bad_request", "ODD_AUDIO")
        await refused(client, pcm(16_001), "bad_request", "AUDIO_TOO_LONG")
        await refused(client, b"\x01\x00", "bad_request")
        await refused(client, b"\x07" + pcm(320)[1:], "bad_request")
        await refused(client, pcm(320, turn=3), "bad_request")
        for first in (2**62, 2**63, 2**64 - 1):
            await refused(client, pcm(320, sample=first), "bad_request", "SAMPLE_AHEAD")
        await client.ws.send_bytes(pcm(320))
        await refused(client, pcm(320, sample=2**62), "bad_request", "SAMPLE_AHEAD")
        await refused(client, json.dumps({"type": "audio", "data": "!"}), "bad_request", "NOT_BASE64")
        odd = base64.b64encode(b"\0").decode()
        await refused(client, json.dumps({"type": "audio", "data": odd}), "bad_request", "ODD_AUDIO")
        await client.send(type="audio", data=base64.b64encode(bytes(640)).decode())
        await answers(client)


async def test_openings_that_are_none() -> None:
    async with street() as s, raw(s.url) as client:
        await refused(client, '{"type": "text", "text": "hello"}', "wrong_state")
        for wishes, code, reason in (
            ({"input_rate": 44_000}, "bad_request", "BAD_SAMPLE_RATE"),
            ({"output_rate": 11_025}, "bad_request", "BAD_SAMPLE_RATE"),
            ({"output_rate": "48000"}, "bad_request", "MALFORMED"),
            ({"encoding": "opus"}, "bad_request", "BAD_ENCODING"),
            ({"protocol": 2}, "bad_request", "BAD_PROTOCOL"),
            ({"voice": "alto"}, "not_found", "VOICE_UNKNOWN"),
            ({"voice": "../../etc/passwd"}, "not_found", "VOICE_UNKNOWN"),
            ({"model": "xtts"}, "not_found", "MODEL_UNKNOWN"),
            ({"responder": "os:system"}, "not_found", "RESPONDER_UNKNOWN"),
            ({"history": [{"role": "user"}]}, "bad_request", "MALFORMED"),
            ({"history": [{"role": "system", "text": "x"}]}, "bad_request", "MALFORMED"),
            ({"phrases": ["x"] * 501}, "bad_request", "MALFORMED"),
            ({"resume": "forged"}, "not_found", "RESUME_UNKNOWN"),
        ):
            error = await refused(client, json.dumps({"type": "session_start"} | wishes), code, reason)
            assert error["where"].startswith(next(iter(wishes))), error
        await client.start(language="xx-" + "x" * 190)
        assert (await client.wait("notice"))["code"] == "cannot_hear"
        await refused(client, '{"type": "session_start"}', "wrong_state")
        await answers(client)
        assert len(client.all("session_started")) == 1


async def test_pages_of_others() -> None:
    async with street() as s:
        port = s.url.rpartition(":")[2]
        for headers, status in (
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Host": f"evil.example:{port}"}, 421),
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                async with raw(s.url, **headers):
                    pass
            assert error.value.status == status
        async with raw(s.url, Origin=s.url) as client:
            await client.start()


async def test_a_client_that_never_says_what_it_heard() -> None:
    async with street() as s, raw(s.url) as client:
        await client.start(hold=True)
        await client.send(type="text", text=COUNT)
        finished = await client.wait("turn_finished")
        assert (finished["reason"], finished["heard"]) == ("complete", COUNT)
        assert client.audio_bytes >= len(s.whole)
        await answers(client)


async def test_a_client_that_has_heard_what_was_never_sent() -> None:
    async with street() as s, raw(s.url) as client:
        await client.start(hold=True)
        await client.send(type="played", turn=1, samples=10**15)
        await client.send(type="text", text=COUNT)
        for turn in (1, 1, 0, 7, 2**32 - 1):
            await client.send(type="played", turn=turn, samples=10**15)
        finished = await client.wait("turn_finished")
        assert (finished["reason"], finished["heard"]) == ("complete", COUNT)
        assert finished["samples"] <= len(s.whole) // 2
        await client.send(type="text", text=COUNT)
        await client.send(type="played", turn=2, samples=0)
        assert (await client.wait("turn_finished", 2))["heard"] == COUNT


async def test_a_client_that_stops_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = websocket.Limits(stalled_s=0.5)
    monkeypatch.setattr(websocket, "Limits", lambda: limits)
    async with street() as s:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(s.url.rpartition(":")[2]), limit=1024)
        key = base64.b64encode(bytes(16)).decode()
        writer.write(
            f"GET /v1/converse HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_masked(json.dumps({"type": "session_start", "greeting": False}).encode()))
        # Errors that nobody reads, and speech that nobody hears; then not a byte is taken any more.
        writer.write(_masked(json.dumps({"type": "text", "text": "word " * 3_000}).encode()))
        await s.here.wait_metric("antiphon_sessions_connected", 2)
        await s.here.wait_metric("antiphon_sessions_connected", 1)
        writer.transport.abort()


def _masked(text: bytes) -> bytes:
    """A WebSocket text frame from a client; its mask is zero."""
    assert 125 < len(text) < 65_536 or len(text) <= 125
    size = bytes([0x80 | len(text)]) if len(text) <= 125 else bytes([0x80 | 126]) + len(text).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + text


@pytest.mark.parametrize(
    "flood",
    [
        json.dumps({"type": "interrupt"}),
        json.dumps({"type": "text", "text": "again and again"}),
        json.dumps({"type": "dance"}),
        pcm(320),
    ],
    ids=["interrupt", "text", "unknown", "audio"],
)
async def test_ten_thousand_messages_in_a_second(flood: str | bytes) -> None:
    async with street() as s, raw(s.url) as client:
        await client.start()
        with pytest.raises((ConnectionError, aiohttp.ClientError)):  # noqa: PT012
            for _ in range(10_000):
                await (client.ws.send_bytes(flood) if isinstance(flood, bytes) else client.ws.send_str(flood))
            async with asyncio.timeout(LIMIT_S):
                while not client.ws.closed:
                    await asyncio.sleep(0.01)
            raise ConnectionError
        error = client.all("error")[-1]
        assert (error["code"], error["reason"], error["fatal"]) == ("at_capacity", "RATE_LIMITED", True)
        assert len(client.all("error")) < 60, "errors about messages are limited as well"
        assert await client.closed() == CloseCode.POLICY


async def test_a_client_that_vanishes_or_mutes_in_mid_word() -> None:
    async with street() as s:
        async with cable(s.url) as line, user(line.url, speaks=True, phrases=["in the middle of"]) as u:
            u.microphone.say_nowait(synthetic_speech(3.0))
            await u.wait(Transcript)
            line.cut()
            await s.here.wait_metric("antiphon_sessions", 1)
        async with user(s.url, speaks=True, phrases=["in the middle of"]) as u:
            u.microphone.say_nowait(synthetic_speech(3.0))
            await u.wait(Transcript)
            u.session.send(InputState(state="muted"))
            assert (await u.wait(TurnEnded)).transcript == "in the middle of"
            assert (await u.finished()).reason == "complete"


async def test_typing_over_a_reply_costs_not_one_sample() -> None:
    """Four key clicks a second."""
    async with street() as s, user(s.url, speaks=True, phrases=[""], rate=0.5) as u:
        quiet = (await u.asks(COUNT)).turn
        u.session.ask(COUNT)
        await u.hears(0.1, 2)
        for number in range(6):
            await u.microphone.say(key_click(number) + bytes(2 * 4_000 - len(key_click(number))))
        finished = await u.finished(turn=2)
        assert (finished.reason, finished.heard) == ("complete", COUNT)
        assert u.heard(2) == u.heard(quiet)


@pytest.mark.parametrize("noise", ["hum", "music", "somebody else"])
async def test_no_reply_is_lost_in_a_noise_over_it(noise: str) -> None:
    """It is held, or stopped and goes on as another turn: every word is heard, in order."""
    pcm = {"hum": hum, "music": chords, "somebody else": synthetic_speech}[noise](2.0)
    async with street() as s, user(s.url, speaks=True, phrases=[""], rate=0.5) as u:
        u.session.ask(COUNT)
        await u.hears(0.3, 1)
        await u.microphone.say(pcm)

        def heard() -> str:
            return " ".join(filter(None, (turn.heard for turn in u.all(TurnFinished))))

        await until(lambda: heard() == COUNT, f"every word; came: {u.all(TurnFinished)}")
        await until(lambda: u.state() == "idle", "the end")
        assert not u.errors()


async def test_a_sound_that_goes_on_without_a_word_ends_in_words() -> None:
    """And in the middle of it there is an answer for who types."""
    async with street() as s, user(s.url, speaks=True, phrases=[""]) as u:
        u.microphone.say_nowait(synthetic_speech(60.0))
        await u.wait(State, state="listening")
        assert (await u.asks("are you there")).heard == "are you there"
        u.microphone.hush()
        await u.microphone.say(bytes(32_000 // 2))
        await u.speaks(0.3)
        assert (await u.wait(Notice)).code == "no_words"
        assert u.state() in ("idle", "listening")


async def test_a_fault_of_ours_ends_its_session_and_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No input that does this is known; so here is one."""
    poison = bytes(range(256)) * 2 + bytes(128)
    sound = FrameVad.push

    def push(self: FrameVad, sample: int, frame: bytes) -> Any:
        if frame == poison:
            raise RuntimeError("my secret")
        return sound(self, sample, frame)

    monkeypatch.setattr(FrameVad, "push", push)
    async with street() as s, raw(s.url) as client:
        await client.start()
        await client.send(type="text", text=COUNT)
        await client.wait("reply")
        await client.ws.send_bytes(pack_audio(Audio(0, 0, poison)))
        error = await client.wait("error")
        assert (error["code"], error["fatal"]) == ("internal", True)
        assert await client.closed() == CloseCode.INTERNAL
    said = capsys.readouterr().err
    assert "session_fault" in said
    assert "test_bad_input.py" in said
    assert "my secret" not in said + error["message"]
