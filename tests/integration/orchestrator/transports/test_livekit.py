"""The agent in a real room of a real livekit-server, with clients of LiveKit's own SDK."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import numpy as np
import pytest
import pytest_asyncio

from base.errors import AtCapacity, Denied, NotFound
from orchestrator import messages as m
from orchestrator.connection import Limits
from orchestrator.leaving import Stop
from orchestrator.tokens import KEY_CLAIM
from orchestrator.transports.livekit.room import serve_room
from orchestrator.transports.livekit.settings import RoomSettings
from tests.support.livekit import LiveKitServer, livekit_server
from tests.support.rooms import RATE, RoomClient, agent_in, agent_token, room_client
from tests.support.transports import PATIENCE_S, RecordingHub, RecordingSide, until

pytestmark = pytest.mark.integration

FRAME = 960
QUICK = RoomSettings(start_s=0.5, grace_s=5.0, moved_s=1.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[LiveKitServer]:
    async with livekit_server() as server:
        yield server


@pytest.fixture
async def room(request: pytest.FixtureRequest, server: LiveKitServer) -> str:
    """One that stays when its people leave."""
    from livekit import api

    async with server.api() as lk:
        wanted = api.CreateRoomRequest(name=request.node.name, empty_timeout=120, departure_timeout=120)
        return (await lk.room.create_room(wanted)).name


@asynccontextmanager
async def made_by_key(server: LiveKitServer, room: str, key: str) -> AsyncIterator[None]:
    """As a token does that was got with the access key of this id."""
    from livekit import api

    async with server.api() as lk:
        await lk.room.create_room(api.CreateRoomRequest(name=room, metadata=json.dumps({KEY_CLAIM: key})))
    yield


def tone(seconds: float, *, hz: float = 300.0, rate: int = RATE, channels: int = 1) -> bytes:
    t = np.arange(round(seconds * rate)) / rate
    mono = (9000 * np.sin(2 * np.pi * hz * t)).astype("<i2")
    return np.repeat(mono, channels).tobytes()


@asynccontextmanager
async def visitor(server: LiveKitServer, room: str, identity: str = "anna") -> AsyncIterator[RoomClient]:
    """Somebody who knows nothing of us, with a microphone: LiveKit tells of others up to three seconds late."""
    async with room_client(server, room, identity, native=False) as client:
        await client.publish_microphone()
        yield client


async def opened(hub: RecordingHub, count: int = 1) -> RecordingSide:
    await until(lambda: len(hub.opened) >= count, f"{count} sessions")
    return hub.opened[count - 1][3]


async def begun(client: RoomClient, hub: RecordingHub, **start: object) -> RecordingSide:
    await until(lambda: client.agent() is not None, "the agent did not come")
    await client.send(m.SessionStart(greeting=False, **start))  # type: ignore[arg-type]
    await until(lambda: bool(client.got(m.SessionStarted)), "session_started")
    return hub.opened[-1][3]


def left_over() -> tuple[set[asyncio.Task[object]], int]:
    """Tasks, and what listens to LiveKit's library."""
    from livekit.rtc._ffi_client import FfiClient

    return asyncio.all_tasks(), len(FfiClient.instance.queue._subscribers)


def level(audio: list[tuple[int, bytes]]) -> float:
    samples = np.frombuffer(b"".join(pcm for _, pcm in audio), "<i2").astype(float)
    return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0


def pitch(audio: list[tuple[int, bytes]]) -> float:
    samples = np.frombuffer(b"".join(pcm for _, pcm in audio), "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * 16_000 / len(samples)


class Speaker:
    """Plays a turn into a transport as a session would: no faster than it has room, `lead_s` ahead."""

    def __init__(self, hub: RecordingHub, turn: int, pcm: bytes) -> None:
        self.transport, self.side = hub.opened[-1][1], hub.opened[-1][3]
        self.turn, self.pcm = turn, pcm
        self.sent = 0

    async def until(self, samples: int) -> None:
        begun, first = time.monotonic(), self.sent
        while self.sent < samples:
            ahead = self.sent - first - (time.monotonic() - begun) * RATE
            if ahead < self.transport.lead_s * RATE and self.transport.room() >= FRAME:
                at = self.sent * 2
                self.transport.play_nowait(self.turn, self.sent, self.pcm[at : at + FRAME * 2])
                self.sent += FRAME
            else:
                await asyncio.sleep(0.005)


# --- who is talked with --------------------------------------------------------------------------------------------


async def test_a_native_client_gets_the_session_that_it_asks_for(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub):
        await begun(client, hub, language="de", output_rate=24_000, hold=True)
        start, transport, peer, _side = hub.opened[0]
        assert (start.language, start.output_rate, start.hold) == ("de", RATE, False)
        assert (peer.kind, peer.admitted) == ("livekit", True)
        assert (transport.holds, transport.acknowledges, transport.output_rate) == (False, True, RATE)
        assert client.got(m.SessionStarted)[0].output_rate == RATE


async def test_a_client_that_knows_nothing_of_us_gets_a_session_all_the_same(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with room_client(server, room, native=False) as client, agent_in(server, room, hub):
        side = await opened(hub)
        await client.chat("What time is it?")
        await until(lambda: bool(side.messages))
        assert side.messages == [m.TextInput(text="What time is it?")]
        assert not client.messages


async def test_a_native_client_that_says_nothing_gets_one_in_the_end_and_may_still_ask_for_another(
    server: LiveKitServer, room: str
) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub, QUICK):
        first = await opened(hub)
        assert hub.opened[0][0] == m.SessionStart()
        await client.send(m.SessionStart(language="de"))
        await opened(hub, 2)
        assert hub.opened[1][0].language == "de"
        assert first.lost == [hub.opened[0][1]]
        assert first.messages == [m.SessionEnd()]
        await client.send(m.SessionStart())
        await until(lambda: bool(client.got(m.Error)))
        assert client.got(m.Error)[0].code == "wrong_state"
        assert len(hub.opened) == 2


async def test_others_listen_and_are_told_once_that_they_are_not_heard(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with (
        room_client(server, room, "anna") as anna,
        agent_in(server, room, hub),
    ):
        side = await begun(anna, hub)
        async with room_client(server, room, "bert") as bert:
            await bert.publish_microphone()
            await until(lambda: bert.tracks == 1, "bert does not hear the agent")
            for _ in range(3):
                await bert.send(m.TextInput(text="me too"))
            await bert.chat("and me")
            await bert.speak(tone(0.5))
            await anna.send(m.TextInput(text="hello"))
            await until(lambda: bool(side.messages))
            assert side.messages == [m.TextInput(text="hello")]
            await until(lambda: bool(bert.got(m.Error)), "bert was not told")
            assert [e.reason for e in bert.got(m.Error)] == ["NOT_THE_USER"]
            assert not side.audio
            assert len(hub.opened) == 1


async def test_only_the_one_who_was_named_is_served(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    settings = RoomSettings(participant="bert")
    async with (
        visitor(server, room, "anna"),
        room_client(server, room, "bert") as bert,
        agent_in(server, room, hub, settings),
    ):
        await begun(bert, hub)
        assert len(hub.opened) == 1


# --- the microphone ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (48_000, 2), (16_000, 1)])
async def test_the_microphone_is_heard_as_16_khz_mono_whatever_it_is(
    server: LiveKitServer, room: str, rate: int, channels: int
) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub):
        side = await begun(client, hub)
        await client.publish_microphone(rate=rate, channels=channels)
        await client.speak(tone(1.5, rate=rate, channels=channels))
        await until(lambda: level(side.audio[-25:]) > 1000, "nothing is heard")
        await client.speak(tone(0.5, rate=rate, channels=channels))
        heard = [frame for frame in side.audio if level([frame]) > 1000]
        assert abs(pitch(heard[-25:]) - 300) < 10
        assert {len(pcm) for _, pcm in side.audio} == {640}
        samples = [sample for sample, _ in side.audio]
        assert samples == sorted(set(samples))
        assert all(sample % 320 == 0 for sample in samples)


async def test_a_muted_microphone_is_input_that_is_muted(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub):
        side = await begun(client, hub)
        await client.publish_microphone()
        await until(lambda: bool(side.audio))
        client.mute(True)
        await until(lambda: side.messages == [m.InputState(state="muted")])
        client.mute(False)
        await until(lambda: side.messages[1:] == [m.InputState(state="open")])


async def test_a_microphone_that_goes_and_comes_back_is_heard_on_in_media_time(
    server: LiveKitServer, room: str
) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub):
        side = await begun(client, hub)
        await client.publish_microphone()
        await until(lambda: len(side.audio) > 20)
        began = time.monotonic() - side.audio[0][0] / 16_000 - len(side.audio) / 50
        await client.room.local_participant.unpublish_track(client.publication.sid)
        await asyncio.sleep(0.6)
        before = len(side.audio)
        await client.publish_microphone()
        await client.speak(tone(1.0, hz=500))
        await until(lambda: level(side.audio[-25:]) > 1000, "it is not heard again")
        gap = side.audio[before][0] - side.audio[before - 1][0] if before < len(side.audio) else 0
        assert gap >= 320
        passed = time.monotonic() - began
        assert side.audio[-1][0] / 16_000 < passed + 0.5
        assert side.audio[-1][0] / 16_000 > passed - 2.5


async def test_without_a_microphone_one_can_type_and_nothing_said_early_is_lost(
    server: LiveKitServer, room: str
) -> None:
    """LiveKit tells of such a participant seconds late, if it comes after the agent."""
    hub = RecordingHub()
    async with (
        room_client(server, room, "bert", native=False) as bert,
        agent_in(server, room, hub, RoomSettings(participant="anna")),
    ):
        await until(lambda: bert.tracks == 1)
        async with room_client(server, room) as client:
            side = await begun(client, hub)
            # Its own, not the one that it would get for saying nothing.
            assert hub.opened[0][0].greeting is False
            await client.send(m.TextInput(text="hello"))
            await until(lambda: side.messages == [m.TextInput(text="hello")])
            assert not side.audio


async def test_video_is_not_even_sent_to_us(server: LiveKitServer, room: str) -> None:
    from livekit import rtc

    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub):
        side = await begun(client, hub)
        source = rtc.VideoSource(320, 240)
        track = rtc.LocalVideoTrack.create_video_track("camera", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
        publication = await client.room.local_participant.publish_track(track, options)
        frame = rtc.VideoFrame(320, 240, rtc.VideoBufferType.RGBA, bytearray(320 * 240 * 4))
        for _ in range(5):
            source.capture_frame(frame)
        await client.publish_microphone()
        await until(lambda: len(side.audio) > 10)
        assert not publication._first_subscription.done()
        await source.aclose()


# --- the agent's voice ---------------------------------------------------------------------------------------------


async def test_a_turn_is_heard_held_resumed_and_reported_to_its_end(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub):
        side = await begun(client, hub)
        await until(lambda: client.tracks == 1)
        speaker = Speaker(hub, 1, tone(3.0))
        await speaker.until(RATE)
        speaker.transport.hold_nowait(1)
        turn, held = side.played[-1]
        assert turn == 1
        assert 0 < held <= speaker.sent
        await until(lambda: client.level() > 1000, "it is not heard")
        await until(lambda: client.level() < 100, "it is not silent")
        assert side.played[-1] == (1, held)
        speaker.transport.resume_nowait(1, held)
        await speaker.until(2 * RATE)
        await until(lambda: client.level() > 1000, "it does not go on")
        await until(lambda: side.played[-1] == (1, speaker.sent), "it is not heard to the end")
        assert [samples for _, samples in side.played] == sorted(samples for _, samples in side.played)
        speaker.transport.clear_nowait(1)
        assert side.played[-1] == (1, speaker.sent)


async def test_a_clear_ends_the_turn_and_the_next_one_is_heard(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub):
        side = await begun(client, hub)
        await until(lambda: client.tracks == 1)
        speaker = Speaker(hub, 1, tone(1.0))
        await speaker.until(RATE // 2)
        speaker.transport.clear_nowait(1)
        cleared = side.played[-1]
        assert 0 < cleared[1] <= speaker.sent
        await until(lambda: client.level() < 100)
        after = Speaker(hub, 2, tone(1.0, hz=700))
        await after.until(RATE)
        await until(lambda: side.played[-1] == (2, RATE))
        assert [at for turn, at in side.played if turn == 1][-1] == cleared[1]


# --- captions and state --------------------------------------------------------------------------------------------


async def test_captions_and_state_are_as_livekits_components_expect_them(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub):
        await begun(client, hub)
        await client.publish_microphone()
        side = hub.opened[0][3]
        await until(lambda: bool(side.audio))
        send = hub.opened[0][1].send_nowait
        send(m.Transcript(utterance=1, text="what time", final=False))
        await until(lambda: len(client.captions) == 1)
        send(m.Transcript(utterance=1, text="What time is it?", final=True))
        send(m.State(state="thinking"))
        await until(lambda: client.state() == "thinking")
        send(m.Reply(turn=1, text="It is five "))
        send(m.Reply(turn=1, text="o'clock."))
        send(m.MarkMessage(turn=1, start=0, end=2, sample=0, exact=True))
        send(m.MarkMessage(turn=1, start=3, end=5, sample=FRAME * 10, exact=True))
        send(m.MarkMessage(turn=1, start=6, end=10, sample=FRAME * 500, exact=True))
        send(m.State(state="speaking"))
        speaker = Speaker(hub, 1, tone(0.5))
        await speaker.until(RATE // 2)
        await until(lambda: client.state() == "speaking")
        await until(lambda: [c.text for c in client.captions if c.sender == "agent"] == ["It is"])
        send(m.TurnFinished(turn=1, heard="It is five", unheard="o'clock.", samples=RATE // 2, reason="interrupted"))
        await until(lambda: any(c.final and c.sender == "agent" for c in client.captions))
        mine = [c for c in client.captions if c.sender == "anna"]
        assert [(c.text, c.final) for c in mine] == [("what time", False), ("What time is it?", True)]
        assert len({c.segment for c in mine}) == 1
        assert mine[0].attributes["lk.transcribed_track_id"] == client.publication.sid
        (said,) = [c for c in client.captions if c.sender == "agent"]
        assert said.text == "It is five"
        assert said.segment != mine[0].segment


async def test_a_long_message_comes_whole_in_both_directions(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub):
        side = await begun(client, hub)
        hub.opened[0][1].send_nowait(m.Reply(turn=1, text="ä" * 30_000))
        hub.opened[0][1].send_nowait(m.Notice(code="after", message="it"))
        # A client reads streams beside packets: what follows may be read first.
        await until(lambda: bool(client.got(m.Notice) and client.got(m.Reply)))
        assert [r.text for r in client.got(m.Reply)] == ["ä" * 30_000]
        long = m.TextInput(text="ö" * 19_000)
        await client.room.local_participant.send_text(m.client_encoder.encode(long).decode(), topic="antiphon")
        await until(lambda: side.messages == [long])


# --- bad input -----------------------------------------------------------------------------------------------------


async def test_what_is_no_message_is_answered_as_on_a_websocket(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub):
        await until(lambda: client.agent() is not None)
        await client.send(m.TextInput(text="too soon"))
        await client.send(b"\xff\xfe{")
        await client.send({"type": "dance"})
        await client.send({"type": "session_start", "protocol": 7})
        await until(lambda: len(client.got(m.Error)) == 4)
        assert [e.reason for e in client.got(m.Error)] == ["WRONG_STATE", "NOT_JSON", "UNKNOWN_TYPE", "BAD_PROTOCOL"]
        await begun(client, hub)
        await client.send(m.AudioInput(data="AAAA"))
        await until(lambda: len(client.got(m.Error)) == 5)
        assert client.got(m.Error)[4].reason == "AUDIO_IS_A_TRACK"
        assert not any(e.fatal for e in client.got(m.Error))


async def test_a_flood_ends_that_clients_session_and_the_agent_leaves(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    settings = RoomSettings(limits=Limits(messages_per_s=10, message_burst=30))
    async with room_client(server, room) as client, agent_in(server, room, hub, settings) as serving:
        side = await begun(client, hub)
        for n in range(60):
            await client.send(m.TextInput(text=f"flood {n}"))
        await until(lambda: bool(side.lost))
        await until(lambda: client.closed is not None)
        assert client.closed is not None
        assert client.closed[0] == m.CloseCode.POLICY
        assert client.got(m.Error)[-1].reason == "RATE_LIMITED"
        await serving.over()
        assert len(side.messages) < 40


async def test_a_session_that_is_refused_is_said_so_and_the_agent_leaves(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub(AtCapacity("all sessions are taken", retry_after_s=10.0))
    async with room_client(server, room) as client, agent_in(server, room, hub) as serving:
        await until(lambda: client.agent() is not None)
        await client.send(m.SessionStart())
        await serving.over()
        await until(lambda: client.closed is not None and client.agent_left)
        assert client.got(m.Error)[0].fatal
        assert client.closed is not None
        assert client.closed[0] == m.CloseCode.TRY_LATER


@pytest.mark.parametrize("what", ["forged", "expired", "another room's"])
async def test_a_token_that_is_no_good_is_denied(server: LiveKitServer, room: str, what: str) -> None:
    tokens: dict[str, Callable[[], str]] = {
        "forged": lambda: server.token("agent", room, secret="x" * 40),
        "expired": lambda: agent_token(server, room, ttl_s=-600),
        "another room's": lambda: server.token("agent", room, room_join=False),
    }
    with pytest.raises(Denied, match="refuses the agent's token"):
        async with agent_in(server, room, RecordingHub(), token=tokens[what]()) as serving:
            await serving.over()


# --- coming and going ----------------------------------------------------------------------------------------------


async def test_the_user_who_comes_back_goes_on_with_the_session(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with agent_in(server, room, hub):
        async with visitor(server, room):
            side = await opened(hub)
        await until(lambda: side.lost == [hub.opened[0][1]])
        async with visitor(server, room):
            await opened(hub, 2)
            assert hub.opened[1][0].resume == "token"


async def test_a_session_that_is_over_meanwhile_is_followed_by_a_new_one(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with agent_in(server, room, hub):
        async with visitor(server, room):
            side = await opened(hub)
        await until(lambda: bool(side.lost))
        hub.refusal = NotFound("resume: this token is of no session here")
        hub.refuses = lambda start: bool(start.resume)
        async with visitor(server, room):
            await opened(hub, 2)
            assert hub.opened[1][0].resume == ""


async def test_the_agent_turns_to_the_next_when_the_user_stays_away_and_leaves_when_there_is_none(
    server: LiveKitServer, room: str
) -> None:
    hub = RecordingHub()
    async with agent_in(server, room, hub, RoomSettings(grace_s=0.5)) as serving, AsyncExitStack() as bert:
        async with visitor(server, room):
            await opened(hub)
            await bert.enter_async_context(visitor(server, room, "bert"))
        await opened(hub, 2)
        assert hub.opened[1][0].resume == ""
        await bert.aclose()
        assert "the user" in await serving.over()


async def test_a_session_that_moves_to_another_transport_leaves_the_room_quietly(
    server: LiveKitServer, room: str
) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub, QUICK) as serving:
        side = await begun(client, hub)
        transport = hub.opened[0][1]
        side.lost_nowait(transport)
        transport.close_nowait(m.CloseCode.RESUMED_ELSEWHERE, "the session goes on over another connection")
        await until(lambda: client.closed is not None)
        assert client.closed == (4001, "the session goes on over another connection")
        assert "elsewhere" in await serving.over()
        assert not client.got(m.Error)


async def test_a_session_that_moved_away_can_come_back(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub) as serving:
        await begun(client, hub)
        hub.opened[0][1].close_nowait(m.CloseCode.RESUMED_ELSEWHERE, "elsewhere")
        await until(lambda: client.closed is not None)
        await client.send(m.SessionStart(resume="token"))
        await opened(hub, 2)
        assert not serving.task.done()


async def test_a_session_that_is_over_says_its_last_words_and_the_agent_leaves(
    server: LiveKitServer, room: str
) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub) as serving:
        side = await begun(client, hub)
        await client.send(m.SessionEnd())
        await until(lambda: side.messages == [m.SessionEnd()])
        transport = hub.opened[0][1]
        transport.send_nowait(m.State(state="terminated"))
        transport.close_nowait(m.CloseCode.ENDED, "the session is over")
        assert await serving.over() == "the session is over"
        await until(lambda: client.agent_left)
        assert client.closed == (1000, "the session is over")
        assert client.messages[-1] == m.State(state="terminated")


async def test_told_to_stop_it_says_so_and_the_session_is_kept(server: LiveKitServer, room: str) -> None:
    hub = RecordingHub()
    async with room_client(server, room) as client, agent_in(server, room, hub) as serving:
        side = await begun(client, hub)
        serving.stop.set()
        await serving.over()
        await until(lambda: client.agent_left)
        assert client.closed == (1001, "the server stops")
        assert side.lost == [hub.opened[0][1]]


async def test_a_room_that_is_deleted_is_left_and_nothing_is_kept(server: LiveKitServer, room: str) -> None:
    from livekit import api

    hub = RecordingHub()
    before = left_over()
    async with room_client(server, room) as client, agent_in(server, room, hub) as serving:
        side = await begun(client, hub)
        await client.publish_microphone()
        await until(lambda: bool(side.audio))
        async with server.api() as lk:
            await lk.room.delete_room(api.DeleteRoomRequest(room=room))
        await serving.over()
        assert side.lost == [hub.opened[0][1]]
    await until(lambda: left_over() == before, "something is left")


@pytest.mark.parametrize("moment_s", [0.0, 0.03, 0.1, 0.2, 0.4, 0.8])
async def test_cancelled_at_any_moment_it_is_gone_from_the_room_and_leaves_nothing(
    server: LiveKitServer, room: str, moment_s: float
) -> None:
    from livekit import api

    async def people() -> list[str]:
        async with server.api() as lk:
            found = await lk.room.list_participants(api.ListParticipantsRequest(room=room))
            return [each.identity for each in found.participants]

    before = left_over()
    async with visitor(server, room) as client:
        stop = Stop()
        work = serve_room(server.url, agent_token(server, room), RecordingHub(), stop=stop)
        serving = asyncio.create_task(work)
        await asyncio.sleep(moment_s)
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        await until(lambda: client.agent() is None)
        async with asyncio.timeout(PATIENCE_S):
            while await people() != ["anna"]:
                await asyncio.sleep(0.05)
    await until(lambda: left_over() == before, "something is left")


def test_media_that_do_not_get_through_are_told_with_what_to_mend() -> None:
    from orchestrator.transports.livekit.connection import _refusal

    error = _refusal("ws://livekit:7880", "engine: connection error: wait_pc_connection timed out")  # the SDK's words
    assert (type(error).__name__, error.reason) == ("Unavailable", "LIVEKIT_MEDIA")
    assert "rtc.udp_port" in error.message


async def test_livekit_that_is_restarted_midway_is_joined_again_and_the_session_goes_on() -> None:
    hub = RecordingHub()
    async with (
        livekit_server() as server,
        made_by_key(server, "restarted", "3f9c2a10"),
        agent_in(server, "restarted", hub, RoomSettings(grace_s=60.0)) as serving,
    ):
        async with visitor(server, "restarted"):
            side = await opened(hub)
            await server.stop(kill=True)
            await until(lambda: bool(side.lost))
            await server.start()
        async with visitor(server, "restarted") as client:
            await opened(hub, 2)
            assert hub.opened[1][0].resume == "token"
            await until(lambda: client.tracks == 1)
            assert not serving.task.done()
    assert [peer.behind for _, _, peer, _ in hub.opened] == ["3f9c2a10"] * 2
