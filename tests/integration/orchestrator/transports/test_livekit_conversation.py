"""Whole conversations in a room: a client of LiveKit's SDK speaks and listens; sine for a voice, a script for ears."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
import soxr

from benchmarks.speech import synthetic_speech
from orchestrator import messages as m
from orchestrator.hub import SessionHub
from tests.support.house import House, house
from tests.support.livekit import LiveKitServer, livekit_server
from tests.support.rooms import RATE, RoomClient, agent_in, room_client
from tests.support.transports import until
from tests.support.user import QUICK, raw

pytestmark = pytest.mark.integration

COUNT = "one two three four five six"


@pytest.fixture
async def hubs(monkeypatch: pytest.MonkeyPatch) -> list[SessionHub]:
    """The hubs that are made, so that a room can be served with them; nothing else about them is changed."""
    made: list[SessionHub] = []

    class Kept(SessionHub):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr("orchestrator.app.SessionHub", Kept)
    return made


@pytest.fixture
async def server() -> AsyncIterator[LiveKitServer]:
    async with livekit_server() as server:
        yield server


def spoken(seconds: float) -> bytes:
    voice = np.frombuffer(synthetic_speech(seconds), "<i2")
    quiet = np.zeros(RATE // 2, np.int16)
    return np.concatenate([soxr.resample(voice, 16_000, RATE).astype("<i2"), quiet]).tobytes()


def level(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(np.sqrt(np.mean(samples**2)))


async def begun(client: RoomClient, here: House, **start: object) -> None:
    await until(lambda: client.agent() is not None and client.tracks == 1, "the agent is not heard")
    await client.publish_microphone()
    start = {"greeting": False, "endpointing": QUICK} | start
    await client.send(m.SessionStart(**start))  # type: ignore[arg-type]
    await until(lambda: bool(client.got(m.SessionStarted)), "session_started")
    assert here.url


async def test_what_is_said_is_answered_heard_and_captioned(server: LiveKitServer, hubs: list[SessionHub]) -> None:
    async with (
        house() as here,
        room_client(server, "talk") as client,
        agent_in(server, "talk", hubs[0]),
    ):
        await begun(client, here, phrases=["what is this"])
        await client.speak(spoken(1.0))
        await until(lambda: bool(client.got(m.TurnEnded)), "the turn did not end")
        assert client.got(m.TurnEnded)[0].transcript == "what is this"
        await until(lambda: client.level() > 300, "the reply is not heard")
        await until(lambda: client.state() == "speaking")
        await until(lambda: bool(client.got(m.TurnFinished)), "the turn did not finish")
        finished = client.got(m.TurnFinished)[0]
        assert (finished.heard, finished.unheard, finished.reason) == ("what is this", "", "complete")
        await until(lambda: client.state() == "listening")
        await until(lambda: any(c.final and c.sender == "agent" for c in client.captions))
        finals = [(c.sender, c.text) for c in client.captions if c.final]
        assert finals == [("anna", "what is this"), ("agent", "what is this")]


async def test_who_speaks_over_the_reply_silences_it(server: LiveKitServer, hubs: list[SessionHub]) -> None:
    async with (
        house() as here,
        room_client(server, "barge") as client,
        agent_in(server, "barge", hubs[0]),
    ):
        await begun(client, here, phrases=["stop please"])
        await client.send(m.TextInput(text=" ".join([COUNT] * 5)))
        await until(lambda: client.level() > 300, "the reply is not heard")
        await client.speak(spoken(1.2))
        await until(lambda: bool(client.got(m.TurnFinished)), "the reply was not stopped")
        cut = client.got(m.TurnFinished)[0]
        assert cut.reason == "barge_in"
        assert cut.unheard
        await until(lambda: any(c.final and c.sender == "agent" for c in client.captions))
        said = next(c for c in client.captions if c.sender == "agent" and c.final)
        assert said.text == cut.heard


@pytest.mark.parametrize("hold", [True, False])
async def test_a_client_that_holds_is_told_of_what_is_on_its_way(
    server: LiveKitServer, hubs: list[SessionHub], hold: bool
) -> None:
    async with (
        house() as here,
        room_client(server, "hold") as client,
        agent_in(server, "hold", hubs[0]),
    ):
        await begun(client, here, phrases=["stop please"], hold=hold)
        await client.send(m.TextInput(text=" ".join([COUNT] * 5)))
        await until(lambda: client.level() > 300, "the reply is not heard")
        await client.speak(spoken(1.2))
        await until(lambda: bool(client.got(m.TurnFinished)), "the reply was not stopped")
        orders = [x for x in client.messages if isinstance(x, m.Hold | m.Resume | m.Clear)]
        if hold:
            assert isinstance(orders[0], m.Hold)
            assert isinstance(orders[-1], m.Clear)
            assert {x.turn for x in orders} == {client.got(m.TurnFinished)[0].turn}
        else:
            assert orders == []


async def test_a_reply_sets_out_before_the_turn_has_ended_and_comes_whole(
    server: LiveKitServer, hubs: list[SessionHub]
) -> None:
    async with (
        house(head_start_ms=200) as here,
        room_client(server, "ahead") as client,
        agent_in(server, "ahead", hubs[0]),
    ):
        usual = m.Endpointing(endpoint_ms=800, mode="fixed")
        await begun(client, here, phrases=["what is this"], hold=True, greeting=True, endpointing=usual)
        await until(lambda: bool(client.got(m.TurnFinished)), "it has not answered yet")
        await client.speak(spoken(1.0))
        await until(lambda: len(client.got(m.TurnFinished)) == 2, "the turn did not finish")
        finished = client.got(m.TurnFinished)[1]
        assert (finished.heard, finished.reason) == ("what is this", "complete")
        await until(lambda: client.level() < 50, "it does not end")
        kinds = m.Hold | m.Resume | m.Clear
        orders = [(x, at) for x, at in zip(client.messages, client.came, strict=True) if isinstance(x, kinds)]
        assert [x for x, _ in orders] == [m.Hold(turn=finished.turn), m.Resume(turn=finished.turn, sample=0)]
        sounding = [pcm for at, pcm in client.heard if level(pcm) > 300 and at > orders[0][1] - 0.3]
        assert len(sounding) / 100 >= finished.samples / RATE - 0.05


async def test_a_conversation_moves_to_a_websocket_and_back(server: LiveKitServer, hubs: list[SessionHub]) -> None:
    async with (
        house() as here,
        room_client(server, "move") as client,
        agent_in(server, "move", hubs[0]),
    ):
        await begun(client, here)
        session = client.got(m.SessionStarted)[0]
        await client.send(m.TextInput(text=" ".join([COUNT] * 4)))
        await until(lambda: client.level() > 300, "the reply is not heard")
        async with raw(here.url) as ws:
            start = m.SessionStart(resume=session.resume, hold=True)
            await ws.ws.send_str(m.client_encoder.encode(start).decode())
            await until(lambda: client.closed is not None, "the room was not told")
            assert client.closed is not None
            assert client.closed[0] == m.CloseCode.RESUMED_ELSEWHERE
            await until(lambda: client.level() < 50, "the room is not silent")
            await client.send(m.SessionStart(resume=session.resume))
            await until(lambda: len(client.got(m.SessionStarted)) == 2)
        back = client.got(m.SessionStarted)[1]
        assert (back.session, back.resumed) == (session.session, True)
        await until(lambda: client.level() > 300, "the reply does not go on")
        await until(lambda: bool(client.got(m.TurnFinished)))
        assert client.got(m.TurnFinished)[0].heard == " ".join([COUNT] * 4)


async def test_when_the_server_stops_the_room_is_told_and_left(server: LiveKitServer, hubs: list[SessionHub]) -> None:
    async with (
        house() as here,
        room_client(server, "stop") as client,
        agent_in(server, "stop", hubs[0]) as serving,
    ):
        await begun(client, here)
        await here.close()
        await serving.over()
        await until(lambda: client.closed is not None and client.agent_left)
        assert client.closed == (1001, "the server stops")
