"""Joining a LiveKit room as a user does: who is there, and which way media went. Needs livekit's rtc SDK."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, replace
from typing import Any

from antiphon.outside.verdicts import Candidate, Route
from base.errors import TimedOut, Unavailable

KINDS = ("host", "srflx", "prflx", "relay")
"""By the SDK's numbers."""


@dataclass(frozen=True, slots=True)
class Joined:
    """`track_s`: from joining to the agent's track; None: none came. `silent`: it came and carried nothing."""

    join_s: float
    track_s: float | None
    agent: str
    route: Route


async def join(url: str, token: str, *, wait_s: float, relay: bool = False) -> Joined:
    """Joins, waits for the agent's audio for `wait_s` at most, and leaves. `relay`: by TURN alone.

    Raises Unavailable, TimedOut.
    """
    from livekit import rtc

    # What went wrong is told once, by us.
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    room = rtc.Room()
    heard: asyncio.Future[tuple[float, str]] = asyncio.get_running_loop().create_future()

    def subscribed(track: Any, publication: Any, participant: Any) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO and not heard.done():
            heard.set_result((time.monotonic(), str(participant.identity)))

    room.on("track_subscribed", subscribed)
    kind = rtc.IceTransportType.TRANSPORT_RELAY if relay else rtc.IceTransportType.TRANSPORT_ALL
    options = rtc.RoomOptions(rtc_config=rtc.RtcConfiguration(ice_transport_type=kind))
    began = time.monotonic()
    try:
        try:
            async with asyncio.timeout(wait_s):
                await room.connect(url, token, options)
        except TimeoutError:
            raise TimedOut(f"joining took longer than {wait_s:g} s") from None
        except rtc.ConnectError as error:
            raise Unavailable(f"joining failed: {error.message}") from error
        joined = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await asyncio.shield(heard)
        route = await _route(room, wait_s)
        at, agent = heard.result() if heard.done() else (None, "")
        return Joined(joined - began, None if at is None else at - began, agent, route)
    finally:
        heard.cancel()
        await room.disconnect()


async def _route(room: Any, wait_s: float) -> Route:
    """Once a pair was chosen; of the connection that we receive by, else the one that we send by."""
    deadline = time.monotonic() + wait_s
    while True:
        stats = await room.get_rtc_stats()
        found = [route_of(stats.subscriber_stats), route_of(stats.publisher_stats)]
        best = next((route for route in found if route.remote is not None), None)
        if best is not None or time.monotonic() > deadline:
            return best or found[0]
        await asyncio.sleep(0.1)


def route_of(stats: Any) -> Route:
    """Of one peer connection's statistics (livekit's protobuf)."""
    locals_: dict[str, Candidate] = {}
    remotes: dict[str, Candidate] = {}
    pairs = []
    for one in stats:
        which = one.WhichOneof("stats")
        inner = getattr(one, which) if which else None
        if inner is not None and which == "local_candidate":
            locals_[inner.rtc.id] = _candidate(inner.candidate)
        elif inner is not None and which == "remote_candidate":
            remotes[inner.rtc.id] = _candidate(inner.candidate)
        elif inner is not None and which == "candidate_pair" and inner.candidate_pair.nominated:
            pairs.append(inner.candidate_pair)
    # Several may have been nominated over time: the one that carries something.
    pairs.sort(key=lambda pair: -pair.bytes_received)
    chosen = pairs[0] if pairs else None
    remote = remotes.get(chosen.remote_candidate_id) if chosen else None
    return Route(
        locals_.get(chosen.local_candidate_id) if chosen else None,
        None if remote is None else named(remote, tuple(remotes.values())),
        tuple(locals_.values()),
        tuple(remotes.values()),
        chosen.current_round_trip_time if chosen and chosen.current_round_trip_time else None,
    )


def named(remote: Candidate, told: tuple[Candidate, ...]) -> Candidate:
    """The SDK hides the address of one that was found by its packets: the same port of what LiveKit told says it."""
    if remote.address:
        return remote
    same = (c for c in told if c.address and (c.protocol, c.port) == (remote.protocol, remote.port))
    first = next(iter(sorted(same, key=lambda c: ":" in c.address)), None)
    return remote if first is None else replace(remote, address=first.address)


def _candidate(found: Any) -> Candidate:
    return Candidate(found.protocol, found.address, found.port, KINDS[found.candidate_type], found.url)
