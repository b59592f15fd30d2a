"""LiveKit's agent protocol: its messages (livekit-protocol's `livekit_agent.proto`) to values, and back.

A worker opens a WebSocket at /agent with a token that has the `agent` grant, and sends `register`. For every job the
server asks `availability`; a worker that says yes gets the `assignment`, with the token for the room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from google.protobuf.message import DecodeError
from livekit.protocol import agent, models

from base.errors import BadRequest
from base.version import VERSION
from orchestrator.dispatch.jobs import Job, Load

TOKEN_S = 600
"""The token is read once, when the connection opens."""


@dataclass(frozen=True, slots=True)
class Registered:
    worker_id: str
    server_version: str


@dataclass(frozen=True, slots=True)
class Offered:
    job: Job


@dataclass(frozen=True, slots=True)
class Assigned:
    """`url` is empty where the server means its own address."""

    job_id: str
    url: str
    token: str


@dataclass(frozen=True, slots=True)
class Terminated:
    job_id: str


@dataclass(frozen=True, slots=True)
class Other:
    """Nothing that we need."""

    what: str


News = Registered | Offered | Assigned | Terminated | Other


def token(key: str, secret: str, now: float) -> str:
    """With which a worker may register; `now` is the wall clock's, in seconds since 1970."""
    # nbf lies back a little: clocks differ.
    claims = {"iss": key, "nbf": int(now) - 60, "exp": int(now) + TOKEN_S, "video": {"agent": True}}
    return jwt.encode(claims, secret, algorithm="HS256")


def read(data: bytes) -> News:
    """Raises BadRequest for what is no message of a LiveKit server."""
    message = agent.ServerMessage()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise BadRequest(f"{len(data)} bytes that are no message of a LiveKit server: {error}") from error
    what = message.WhichOneof("message")
    match what:
        case "register":
            return Registered(message.register.worker_id, message.register.server_info.version)
        case "availability":
            return Offered(_job(message.availability.job))
        case "assignment":
            assignment = message.assignment
            return Assigned(assignment.job.id, assignment.url, assignment.token)
        case "termination":
            return Terminated(message.termination.job_id)
        case _:
            return Other(what or "")


def _job(job: agent.Job) -> Job:
    participant = job.participant.identity if job.type == agent.JT_PARTICIPANT else ""
    return Job(job.id, job.room.name, job.room.sid, participant, job.metadata)


def register(agent_name: str, *, per_participant: bool) -> bytes:
    """The agent may do in a room what one that talks there has to."""
    return _bytes(
        register=agent.RegisterWorkerRequest(
            type=agent.JT_PARTICIPANT if per_participant else agent.JT_ROOM,
            agent_name=agent_name,
            version=VERSION,
            allowed_permissions=models.ParticipantPermission(
                can_subscribe=True, can_publish=True, can_publish_data=True, can_update_metadata=True, agent=True
            ),
        )
    )


def accept(job_id: str, *, identity: str, name: str, attributes: Mapping[str, str]) -> bytes:
    return _bytes(
        availability=agent.AvailabilityResponse(
            job_id=job_id,
            available=True,
            participant_identity=identity,
            participant_name=name,
            participant_attributes=dict(attributes),
        )
    )


def refuse(job_id: str, *, settled: bool) -> bytes:
    """`settled`: nobody else is to be asked."""
    return _bytes(availability=agent.AvailabilityResponse(job_id=job_id, available=False, terminate=settled))


def status(load: Load) -> bytes:
    return _bytes(
        update_worker=agent.UpdateWorkerStatus(
            status=agent.WS_FULL if load.full else agent.WS_AVAILABLE,
            load=load.load,
            job_count=load.jobs,
            draining=load.draining,
        )
    )


def job_runs(job_id: str) -> bytes:
    return _bytes(update_job=agent.UpdateJobStatus(job_id=job_id, status=agent.JS_RUNNING))


def job_over(job_id: str, error: str = "") -> bytes:
    state = agent.JS_FAILED if error else agent.JS_SUCCESS
    return _bytes(update_job=agent.UpdateJobStatus(job_id=job_id, status=state, error=error))


def still_ours(job_ids: Sequence[str]) -> bytes:
    """After a reconnect: what we go on serving."""
    return _bytes(migrate_job=agent.MigrateJobRequest(job_ids=job_ids))


def _bytes(**arm: Any) -> bytes:
    data: bytes = agent.WorkerMessage(**arm).SerializeToString()
    return data
