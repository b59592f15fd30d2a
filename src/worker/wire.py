"""The model manager's protobuf: statuses to messages and back. Nothing else in the package knows the messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pb.antiphon.v1 import registry_pb2
from pb.antiphon.v1.models_pb2 import (
    ListModelsRequest,
    ListModelsResponse,
    LoadModelRequest,
    LoadModelResponse,
    ModelStatus,
    PrefetchRequest,
    PrefetchResponse,
    UnloadModelRequest,
    UnloadModelResponse,
    WatchModelsRequest,
    WatchModelsResponse,
)
from worker.residency_values import State, Status

__all__ = [
    "SERVICE",
    "ListModelsRequest",
    "ListModelsResponse",
    "LoadModelRequest",
    "LoadModelResponse",
    "ModelReport",
    "ModelStatus",
    "PrefetchRequest",
    "PrefetchResponse",
    "UnloadModelRequest",
    "UnloadModelResponse",
    "WatchModelsRequest",
    "WatchModelsResponse",
    "reports_from",
    "status_to",
]

SERVICE = "antiphon.v1.ModelManager"

_STATES = {
    State.ABSENT: registry_pb2.MODEL_STATE_ABSENT,
    State.LOADING: registry_pb2.MODEL_STATE_LOADING,
    State.WARMING: registry_pb2.MODEL_STATE_WARMING,
    State.READY: registry_pb2.MODEL_STATE_READY,
    State.DRAINING: registry_pb2.MODEL_STATE_DRAINING,
    State.UNLOADING: registry_pb2.MODEL_STATE_UNLOADING,
    State.FAILED: registry_pb2.MODEL_STATE_FAILED,
}
_STATES_BACK = {number: state for state, number in _STATES.items()}


@dataclass(frozen=True, slots=True)
class ModelReport:
    """A model as a client reads of it; times in seconds, None where they do not run."""

    id: str
    engine: str
    device: str
    state: State
    bytes: int
    measured: bool
    leases: int
    waiting: int
    lingering: bool
    pinned: bool
    idle_s: float | None
    ttl_left_s: float | None
    error: str
    retry_after_s: float | None


def status_to(status: Status, engine: str, device: str, now: float) -> ModelStatus:
    """`now`: on the clock of `status`."""
    made = ModelStatus(
        id=status.model,
        engine=engine,
        device=device,
        state=_STATES[status.state],
        bytes=status.size,
        measured=status.measured,
        leases=status.leases,
        waiting=status.waiting,
        lingering=status.lingering,
        pinned=status.pinned,
    )
    if status.last_release_s is not None:
        made.idle_ms = _ms(now - status.last_release_s)
    if status.ttl_left_s is not None:
        made.ttl_left_ms = _ms(status.ttl_left_s)
    if status.error is not None:
        made.error_reason, made.error_message = status.error.reason, status.error.message
    if status.retry_at_s is not None:
        made.retry_after_ms = _ms(status.retry_at_s - now)
    return made


def reports_from(models: Iterable[ModelStatus]) -> tuple[ModelReport, ...]:
    return tuple(
        ModelReport(
            id=m.id,
            engine=m.engine,
            device=m.device,
            state=_STATES_BACK.get(m.state, State.ABSENT),
            bytes=m.bytes,
            measured=m.measured,
            leases=m.leases,
            waiting=m.waiting,
            lingering=m.lingering,
            pinned=m.pinned,
            idle_s=m.idle_ms / 1000 if m.HasField("idle_ms") else None,
            ttl_left_s=m.ttl_left_ms / 1000 if m.HasField("ttl_left_ms") else None,
            error=m.error_message,
            retry_after_s=m.retry_after_ms / 1000 if m.HasField("retry_after_ms") else None,
        )
        for m in models
    )


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
