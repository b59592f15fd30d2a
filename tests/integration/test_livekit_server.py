"""The livekit-server of the tests: it carries sound from one client to another, and can be restarted."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.livekit import livekit_server

pytestmark = pytest.mark.integration


async def test_two_clients_meet_and_one_hears_the_other() -> None:
    async with livekit_server() as server, asyncio.timeout(60):
        from livekit import rtc

        anna, ben = rtc.Room(), rtc.Room()
        heard = asyncio.Event()
        ben.on("track_subscribed", lambda *_: heard.set())
        source = rtc.AudioSource(48_000, 1)
        try:
            await anna.connect(server.url, server.token("anna", "kitchen"))
            await ben.connect(server.url, server.token("ben", "kitchen"))
            track = rtc.LocalAudioTrack.create_audio_track("voice", source)
            await anna.local_participant.publish_track(track)
            await heard.wait()
            async with server.api() as client:
                from livekit import api

                rooms = await client.room.list_rooms(api.ListRoomsRequest())
            assert [room.name for room in rooms.rooms] == ["kitchen"]
        finally:
            await anna.disconnect()
            await ben.disconnect()
            await source.aclose()


async def test_it_comes_back_at_the_same_address_with_the_same_keys() -> None:
    async with livekit_server() as server, asyncio.timeout(60):
        from livekit import rtc

        token = server.token("anna", "kitchen")
        await server.stop()
        await server.start()
        room = rtc.Room()
        try:
            await room.connect(server.url, token)
            assert room.isconnected()
        finally:
            await room.disconnect()
