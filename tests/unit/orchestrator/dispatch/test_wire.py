"""LiveKit's agent protocol, as its own package reads and writes it."""

from __future__ import annotations

from contextlib import suppress

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("livekit.protocol")

from livekit.protocol import agent, models

from base.errors import BadRequest
from orchestrator.dispatch import wire
from orchestrator.dispatch.jobs import Job, Load
from orchestrator.dispatch.registration import agent_url

pytestmark = pytest.mark.unit


def said(data: bytes) -> agent.WorkerMessage:
    message = agent.WorkerMessage()
    message.ParseFromString(data)
    return message


@pytest.mark.parametrize(("per_participant", "type"), [(False, agent.JT_ROOM), (True, agent.JT_PARTICIPANT)])
def test_we_register_for_rooms_or_for_participants_and_may_talk_there(per_participant: bool, type: int) -> None:
    register = said(wire.register("antiphon", per_participant=per_participant)).register
    assert register.type == type
    assert register.agent_name == "antiphon"
    may = register.allowed_permissions
    assert may.can_publish
    assert may.can_subscribe
    assert may.can_publish_data
    assert may.can_update_metadata
    assert may.agent
    assert not may.hidden


def test_the_token_has_the_agent_grant_and_nothing_else() -> None:
    claims = jwt.decode(wire.token("APIkey", "s" * 40, 1e9), "s" * 40, ["HS256"], options={"verify_exp": False})
    assert claims["iss"] == "APIkey"
    assert claims["video"] == {"agent": True}
    assert claims["nbf"] < 1e9 < claims["exp"] <= 1e9 + wire.TOKEN_S


def test_a_job_for_a_participant_names_them_and_one_for_a_room_nobody() -> None:
    room = models.Room(name="kitchen", sid="RM_1")
    anna = models.ParticipantInfo(identity="anna")
    for type, who in ((agent.JT_ROOM, ""), (agent.JT_PARTICIPANT, "anna")):
        job = agent.Job(id="AJ_1", type=type, room=room, participant=anna, metadata="m")
        message = agent.ServerMessage(availability=agent.AvailabilityRequest(job=job))
        assert wire.read(message.SerializeToString()) == wire.Offered(Job("AJ_1", "kitchen", "RM_1", who, "m"))


def test_an_assignment_has_the_rooms_token() -> None:
    assigned = agent.JobAssignment(job=agent.Job(id="AJ_1"), token="t")
    news = wire.read(agent.ServerMessage(assignment=assigned).SerializeToString())
    assert news == wire.Assigned("AJ_1", "", "t")


def test_full_and_drained_are_said() -> None:
    update = said(wire.status(Load(1.0, True, 3, True))).update_worker
    assert (update.status, update.load, update.job_count, update.draining) == (agent.WS_FULL, 1.0, 3, True)
    update = said(wire.status(Load(0.5, False, 1, False))).update_worker
    assert (update.status, update.load, update.draining) == (agent.WS_AVAILABLE, 0.5, False)


def test_no_is_for_this_worker_alone_unless_it_is_settled() -> None:
    for settled in (False, True):
        answer = said(wire.refuse("AJ_1", settled=settled)).availability
        assert (answer.job_id, answer.available, answer.terminate) == ("AJ_1", False, settled)


def test_a_room_that_failed_says_why() -> None:
    assert said(wire.job_over("AJ_1")).update_job.status == agent.JS_SUCCESS
    failed = said(wire.job_over("AJ_1", "no way in")).update_job
    assert (failed.status, failed.error) == (agent.JS_FAILED, "no way in")


def test_what_we_do_not_know_is_no_fault() -> None:
    assert isinstance(wire.read(b""), wire.Other)
    pong = agent.ServerMessage(pong=agent.WorkerPong(timestamp=1))
    assert wire.read(pong.SerializeToString()) == wire.Other("pong")


@given(st.binary(max_size=200))
def test_garbage_is_a_bad_request_or_nothing(data: bytes) -> None:
    with suppress(BadRequest):
        wire.read(data)


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("ws://127.0.0.1:7880", "ws://127.0.0.1:7880/agent"),
        ("wss://example.org/livekit/", "wss://example.org/livekit/agent"),
        ("https://example.org", "wss://example.org/agent"),
        ("http://[::1]:7880/", "ws://[::1]:7880/agent"),
    ],
)
def test_workers_register_beside_the_rooms(url: str, there: str) -> None:
    assert agent_url(url) == there
