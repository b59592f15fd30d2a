"""The registry's protobuf: records and news to messages and back. Nothing else in the package knows the messages."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from base.errors import BadRequest, Misconfigured
from base.rpc import split_address
from pb.antiphon.v1 import registry_pb2
from pb.antiphon.v1.registry_pb2 import (
    ListRequest,
    ListResponse,
    RegisterRequest,
    RegisterResponse,
    RemoveRequest,
    RemoveResponse,
    RenewRequest,
    RenewResponse,
    WatchRequest,
    WatchResponse,
)
from registry.records import ModelRecord, ModelState, Voice, WorkerKind, WorkerRecord
from registry.store import News, Put, Removed, Snapshot

__all__ = [
    "SERVICE",
    "ListRequest",
    "ListResponse",
    "RegisterRequest",
    "RegisterResponse",
    "RemoveRequest",
    "RemoveResponse",
    "RenewRequest",
    "RenewResponse",
    "WatchRequest",
    "WatchResponse",
    "news_from",
    "news_to",
    "record_from",
    "record_to",
    "records_from",
    "size_in_snapshot",
]

SERVICE = "antiphon.v1.Registry"

_KINDS = {
    WorkerKind.TTS: registry_pb2.WORKER_KIND_TTS,
    WorkerKind.ASR: registry_pb2.WORKER_KIND_ASR,
}
_STATES = {
    ModelState.ABSENT: registry_pb2.MODEL_STATE_ABSENT,
    ModelState.LOADING: registry_pb2.MODEL_STATE_LOADING,
    ModelState.WARMING: registry_pb2.MODEL_STATE_WARMING,
    ModelState.READY: registry_pb2.MODEL_STATE_READY,
    ModelState.DRAINING: registry_pb2.MODEL_STATE_DRAINING,
    ModelState.UNLOADING: registry_pb2.MODEL_STATE_UNLOADING,
    ModelState.FAILED: registry_pb2.MODEL_STATE_FAILED,
}
_MEASURED_BYTES = 64
"""Of a record: fields that change while a worker runs, and what frames it in a snapshot."""
_KINDS_BACK = {number: kind for kind, number in _KINDS.items()}
_STATES_BACK = {number: state for state, number in _STATES.items()}


def record_to(record: WorkerRecord) -> registry_pb2.WorkerRecord:
    return registry_pb2.WorkerRecord(
        id=record.id,
        kind=_KINDS[record.kind],
        address=record.address,
        host=record.host,
        epoch=record.epoch,
        models=[_model_to(model) for model in record.models],
        slots=record.slots,
        slots_used=record.slots_used,
        free_bytes=record.free_bytes,
        first_audio_s=record.first_audio_s,
        rtf=record.rtf,
        draining=record.draining,
        version=record.version,
    )


def size_in_snapshot(record: WorkerRecord) -> int:
    """Bytes, at most, whatever is measured of the worker later."""
    still = replace(record, slots_used=0, free_bytes=0, first_audio_s=0.0, rtf=0.0, draining=False)
    return record_to(still).ByteSize() + _MEASURED_BYTES


def record_from(message: registry_pb2.WorkerRecord) -> WorkerRecord:
    """Raises `BadRequest` for a record that nobody could use: no id, no epoch, no kind, no address."""
    kind = _KINDS_BACK.get(message.kind)
    if not message.id or not message.epoch or kind is None:
        raise BadRequest(
            f"a worker's record needs id, epoch and kind; got id {message.id!r}, epoch {message.epoch!r} and kind "
            f"{message.kind}",
            reason="BAD_RECORD",
        )
    try:
        split_address(message.address)
    except Misconfigured as error:
        raise BadRequest(f"record of worker {message.id!r}: {error.message}", reason="BAD_RECORD") from error
    return WorkerRecord(
        id=message.id,
        kind=kind,
        address=message.address,
        host=message.host,
        epoch=message.epoch,
        models=tuple(_model_from(model) for model in message.models),
        slots=message.slots,
        slots_used=message.slots_used,
        free_bytes=message.free_bytes,
        first_audio_s=message.first_audio_s,
        rtf=message.rtf,
        draining=message.draining,
        version=message.version,
    )


def news_to(news: News) -> WatchResponse:
    match news:
        case Snapshot(workers):
            return WatchResponse(snapshot=registry_pb2.Snapshot(workers=[record_to(w) for w in workers]))
        case Put(worker):
            return WatchResponse(put=record_to(worker))
        case Removed(id):
            return WatchResponse(removed=id)


def news_from(message: WatchResponse) -> News | None:
    """None for what a newer registry may say and we cannot use."""
    match message.WhichOneof("body"):
        case "snapshot":
            return Snapshot(records_from(message.snapshot.workers))
        case "put":
            return next((Put(record) for record in records_from([message.put])), None)
        case "removed":
            return Removed(message.removed)
        case _:
            return None


def records_from(messages: Iterable[registry_pb2.WorkerRecord]) -> tuple[WorkerRecord, ...]:
    """The usable ones: a worker of a kind that we don't know must not hide the others."""
    records = []
    for message in messages:
        with suppress(BadRequest):
            records.append(record_from(message))
    return tuple(records)


def _model_to(model: ModelRecord) -> registry_pb2.ModelRecord:
    return registry_pb2.ModelRecord(
        id=model.id,
        engine=model.engine,
        state=_STATES[model.state],
        languages=model.languages,
        voices=[registry_pb2.Voice(id=v.id, name=v.name, languages=v.languages, gender=v.gender) for v in model.voices],
        sample_rate=model.sample_rate,
        features=sorted(model.features),
        is_default=model.is_default,
        licence=model.licence,
    )


def _model_from(message: registry_pb2.ModelRecord) -> ModelRecord:
    """A state that we don't know is taken as absent: such a model may be asked for, and is not preferred."""
    return ModelRecord(
        id=message.id,
        engine=message.engine,
        state=_STATES_BACK.get(message.state, ModelState.ABSENT),
        languages=tuple(message.languages),
        voices=tuple(
            Voice(id=v.id, name=v.name, languages=tuple(v.languages), gender=v.gender) for v in message.voices
        ),
        sample_rate=message.sample_rate,
        features=frozenset(message.features),
        is_default=message.is_default,
        licence=message.licence,
    )
