"""What an operator can set on a TTS worker; read once, by whoever starts it (section `tts_worker`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from base.address import check_address_or_none


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """One model to serve."""

    id: Annotated[str, Meta(description="What clients call it.", min_length=1)]
    engine: Annotated[
        str,
        Meta(
            description="The engine that loads it: espeak, piper, sine, or one of yours: module:Class, or an entry "
            "point of the group antiphon.engines.",
            min_length=1,
        ),
    ]
    options: Annotated[dict[str, Any], Meta(description="The engine's own options.")] = field(default_factory=dict)
    device: Annotated[str, Meta(description="Where it is loaded: models of one device load one after another.")] = "cpu"
    memory_mb: Annotated[int, Meta(description="What it is thought to take, until it is measured.", ge=0)] = 0
    ttl_s: Annotated[
        Annotated[float, Meta(ge=-1)] | None,
        Meta(description="As the worker's `ttl_s`, for this model; not set: the worker's."),
    ] = None


@dataclass(frozen=True, slots=True)
class TtsWorkerSettings:
    host: Annotated[str, Meta(description="Address to serve gRPC on.")] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port to serve on; 0 picks a free one.", ge=0, le=65535)] = 0
    advertise: Annotated[
        str, Meta(description="Host, or host:port, that others reach it at; empty: the address it serves on.")
    ] = ""
    registry: Annotated[
        str,
        Meta(
            description="Registry to announce itself to, host:port; empty: none.",
            extra={"check": check_address_or_none},
        ),
    ] = ""
    worker_token_file: Annotated[
        str,
        Meta(description="File with the token that all services share; needed to serve others than this machine."),
    ] = ""
    id: Annotated[str, Meta(description="Its name in the registry; empty: made from host and process.")] = ""
    engine: Annotated[str, Meta(description="Engine of its one model, where `models` is empty.")] = "espeak"
    models: Annotated[
        tuple[ModelSettings, ...], Meta(description="Models to serve, each with id, engine and options.")
    ] = ()
    default_model: Annotated[
        str, Meta(description="Model of those who name none, always kept loaded; empty: the first.")
    ] = ""
    preload: Annotated[tuple[str, ...], Meta(description="Other models that are loaded at the start.")] = ()
    ttl_s: Annotated[
        float,
        Meta(description="How long a model stays after its last use; 0: not at all, -1: until room is wanted.", ge=-1),
    ] = -1.0
    linger_s: Annotated[
        float, Meta(description="How long a session keeps its model from being evicted, after a turn.", ge=0)
    ] = 10.0
    max_models: Annotated[int, Meta(description="Models in memory at once, a device; 0: any number.", ge=0)] = 0
    memory_mb: Annotated[int, Meta(description="Memory for models, a device; 0: no limit.", ge=0)] = 0
    room_wait_s: Annotated[
        float, Meta(description="How long who wants a model waits for room before a refusal.", ge=0)
    ] = 5.0
    load_s: Annotated[float, Meta(description="How long a load may take before it counts as hanging.", gt=0)] = 120.0
    unload_drain_s: Annotated[
        float, Meta(description="How long turns may finish when their model is unloaded by force.", ge=0)
    ] = 10.0
    slots: Annotated[int, Meta(description="Turns spoken at once; one more is refused.", ge=1, le=4096)] = 48
    ahead_s: Annotated[
        float, Meta(description="How far synthesis runs ahead of what was sent, in seconds.", gt=0.1, le=2.0)
    ] = 0.3
    max_backlog: Annotated[
        int, Meta(description="Characters not yet spoken that a session may have waiting.", ge=100)
    ] = 4000
    max_speak: Annotated[int, Meta(description="Characters that one Speak call may have.", ge=100)] = 20_000
    reserve_s: Annotated[float, Meta(description="How long a reserved slot waits for text.", gt=0)] = 30.0
    stall_s: Annotated[
        float, Meta(description="How long a turn may stand still, without text, end or credit.", gt=0)
    ] = 120.0
    engine_timeout_s: Annotated[
        float, Meta(description="How long an engine may give nothing before its turn fails.", gt=0)
    ] = 30.0
    claim_s: Annotated[float, Meta(description="How long a new session waits for its stream.", gt=0)] = 5.0
    max_unclaimed: Annotated[int, Meta(description="Sessions that may wait for their stream at once.", ge=1)] = 256
    max_sessions: Annotated[int, Meta(description="Sessions at once.", ge=1)] = 1024
    loudness_dbfs: Annotated[
        float, Meta(description="Active speech level that every voice is brought to, in dBFS.", ge=-40, le=-12)
    ] = -23.0
    drain_s: Annotated[float, Meta(description="How long turns may finish at shutdown.", ge=0)] = 20.0
    metrics_port: Annotated[
        int | None, Meta(description="Port to serve /metrics on, 0 for a free one; none if not set.")
    ] = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="How much is logged.")] = "info"
