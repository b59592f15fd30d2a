"""The agent worker with a real livekit-server: it gets rooms, not more than it has places, and comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.support import livekit
from tests.support.dispatch import CountingHub, Rooms, agents_in, create, dispatch, until
from tests.support.livekit import LiveKitServer, livekit_server
from tests.support.logs import captured

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _needs_livekit() -> None:
    livekit.require()


async def test_a_room_that_is_created_gets_our_agent_and_is_left_at_the_end() -> None:
    rooms = Rooms()
    async with livekit_server() as server:
        async with dispatch(server, rooms) as worker:
            await until(lambda: worker.is_registered)
            await create(server, "kitchen")
            await until(lambda: rooms.joined)
            assert len(await agents_in(server, "kitchen")) == 1
        assert rooms.joined == rooms.left == ["kitchen"]
        assert await agents_in(server, "kitchen") == []


async def test_a_burst_of_rooms_fills_every_place_and_no_more() -> None:
    rooms, hub = Rooms(opens=True), CountingHub()
    async with livekit_server() as server, dispatch(server, rooms, hub, places=4) as worker:
        await until(lambda: worker.is_registered)
        await create(server, *(f"room-{n}" for n in range(10)))
        await until(lambda: len(rooms.joined) == 4)
        await until(lambda: worker.load().full)
        assert hub.sessions == 4
        async with dispatch(server, other := Rooms()) as second:
            await until(lambda: second.is_registered)
            await create(server, "one-more")
            await until(lambda: "one-more" in other.joined)
        assert len(rooms.joined) == 4
        assert worker.statistics().accepted == 4


async def test_the_last_places_are_given_too() -> None:
    """LiveKit gives nothing to a worker at its target load: what we report must not reach it too early."""
    rooms, hub = Rooms(opens=True), CountingHub()
    hub.sessions = 8
    async with livekit_server() as server, dispatch(server, rooms, hub, places=10) as worker:
        await until(lambda: worker.is_registered)
        await create(server, "ninth")
        await until(lambda: hub.sessions == 9)
        await create(server, "tenth")
        await until(lambda: hub.sessions == 10)
        assert worker.load().full


async def test_each_human_gets_an_agent_of_their_own_where_that_is_wanted() -> None:
    from livekit import rtc

    rooms = Rooms()
    async with livekit_server() as server, dispatch(server, rooms, per_participant=True) as worker:
        await until(lambda: worker.is_registered)
        anna, ben = rtc.Room(), rtc.Room()
        try:
            await anna.connect(server.url, server.token("anna", "kitchen"))
            await until(lambda: rooms.participants == ["anna"])
            await ben.connect(server.url, server.token("ben", "kitchen"))
            await until(lambda: rooms.participants == ["anna", "ben"])
        finally:
            await anna.disconnect()
            await ben.disconnect()


async def test_an_agent_with_a_name_comes_only_where_it_is_called() -> None:
    from livekit import rtc

    rooms = Rooms()
    async with livekit_server() as server, dispatch(server, rooms, agent="antiphon") as worker:
        await until(lambda: worker.is_registered)
        anna, ben = rtc.Room(), rtc.Room()
        try:
            await anna.connect(server.url, server.token("anna", "without"))
            await ben.connect(server.url, server.token("ben", "with", agents=["antiphon"]))
            await until(lambda: rooms.joined)
            assert rooms.joined == ["with"]
            await until(lambda: ben.remote_participants)
            agent = next(iter(ben.remote_participants.values()))
            assert agent.attributes["lk.agent.name"] == "antiphon"
        finally:
            await anna.disconnect()
            await ben.disconnect()


async def test_a_room_whose_serving_fails_is_told_and_the_next_one_is_served() -> None:
    rooms = Rooms(fault=RuntimeError("the sky fell"))
    async with livekit_server() as server, dispatch(server, rooms) as worker:
        await until(lambda: worker.is_registered)
        with captured() as logs:
            await create(server, "kitchen")
            await until(lambda: worker.statistics().failed)
        assert any(line["event"] == "livekit.room_failed" for line in logs)
        rooms.fault = None
        await create(server, "hall")
        await until(lambda: rooms.joined == ["hall"])
        assert worker.statistics().jobs == 1


async def test_drained_it_takes_no_room_and_those_that_it_has_go_on() -> None:
    rooms = Rooms()
    async with livekit_server() as server, dispatch(server, rooms) as worker:
        await until(lambda: worker.is_registered)
        await create(server, "before")
        await until(lambda: rooms.joined)
        worker.drain()
        await create(server, "after")
        await until(lambda: worker.load().full)
        async with dispatch(server, other := Rooms()) as second:
            await until(lambda: second.is_registered)
            await create(server, "for-the-other")
            # LiveKit may have been slow to offer the room before.
            await until(lambda: "for-the-other" in other.joined)
        assert rooms.joined == ["before"]
        assert rooms.left == []


async def test_a_room_that_is_deleted_is_left() -> None:
    from livekit import api

    rooms = Rooms()
    async with livekit_server() as server, dispatch(server, rooms) as worker:
        await until(lambda: worker.is_registered)
        await create(server, "kitchen")
        await until(lambda: rooms.joined)
        async with server.api() as client:
            await client.room.delete_room(api.DeleteRoomRequest(room="kitchen"))
        await until(lambda: rooms.left == ["kitchen"])
        await until(lambda: worker.statistics().jobs == 0)
        assert worker.load().load == 0.0
        # The same name anew is another room.
        await create(server, "kitchen")
        await until(lambda: rooms.joined == ["kitchen", "kitchen"])


async def test_a_server_that_is_down_at_the_start_is_waited_for() -> None:
    rooms = Rooms()
    with captured() as logs:
        async with livekit_server(start=False) as server, dispatch(server, rooms) as worker:
            await until(lambda: logs)
            assert not worker.is_registered
            await server.start()
            await until(lambda: worker.is_registered)
            await create(server, "kitchen")
            await until(lambda: rooms.joined)
    told = [line for line in logs if line["event"] == "livekit.not_registered"]
    assert len(told) == 1
    assert told[0]["trouble"] == "unreachable"
    assert server.url in told[0]["message"]


async def test_a_server_that_is_restarted_gets_us_back_and_its_rooms_keep_the_one_agent_they_had() -> None:
    """Both sides of the room come back by themselves; the job that LiveKit offers for it anew is settled."""
    from livekit import rtc

    rooms = Rooms()
    async with livekit_server() as server, dispatch(server, rooms) as worker:
        await until(lambda: worker.is_registered)
        anna = rtc.Room()
        try:
            await anna.connect(server.url, server.token("anna", "kitchen"))
            await until(lambda: anna.remote_participants, "our agent")
            (agent,) = anna.remote_participants
            gone = asyncio.Event()
            anna.on("participant_disconnected", lambda *_: gone.set())
            await server.stop(kill=True)
            await until(lambda: not worker.is_registered)
            await server.start()
            await until(lambda: worker.is_registered)
            await until(lambda: gone.is_set() and agent in anna.remote_participants, "our agent again")
            await create(server, "hall")
            await until(lambda: "hall" in rooms.joined)
            assert list(anna.remote_participants) == [agent]
            assert rooms.joined == ["kitchen", "hall"]
            assert rooms.left == []
            assert worker.statistics().registrations == 2
        finally:
            await anna.disconnect()


async def test_a_wrong_secret_is_told_with_what_to_mend_and_not_tried_in_a_hurry() -> None:
    rooms = Rooms()
    with captured() as logs:
        async with livekit_server() as server, dispatch(server, rooms, secret="x" * 40) as worker:
            await until(lambda: [line for line in logs if line["event"] == "livekit.not_registered"])
            assert not worker.is_registered
    told = next(line for line in logs if line["event"] == "livekit.not_registered")
    assert told["log_level"] == "error"
    assert told["trouble"] == "refused"
    assert server.key in told["message"]
    assert "livekit_key_file" in told["message"]
    assert server.secret not in str(logs)
    assert "x" * 40 not in str(logs)


async def test_what_is_no_livekit_is_told_so() -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    server = LiveKitServer(Path("/nowhere"), port, 0, 0, "APIkey", "s" * 32)
    try:
        with captured() as logs:
            async with dispatch(server, Rooms()):
                await until(lambda: logs)
    finally:
        await runner.cleanup()
    assert logs[0]["trouble"] == "stranger"
    assert "livekit_url" in logs[0]["message"]
