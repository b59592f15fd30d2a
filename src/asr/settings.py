"""What an operator can set on an ASR worker; read once, in `app.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from base.address import check_address_or_none


@dataclass(frozen=True, slots=True)
class AsrWorkerSettings:
    host: Annotated[str, Meta(description="Address to serve gRPC on.")] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port to serve on; 0 picks a free one.", ge=0, le=65535)] = 0
    advertise: Annotated[str, Meta(description="host or host:port that others reach us under; empty: our own.")] = ""
    registry: Annotated[
        str,
        Meta(description="host:port of the registry; empty: announce nowhere.", extra={"check": check_address_or_none}),
    ] = "127.0.0.1:50050"
    worker_token_file: Annotated[
        str,
        Meta(description="File with the token that all services share; needed to serve others than this machine."),
    ] = ""
    id: Annotated[str, Meta(description="Name of this worker; empty: made from host and process.")] = ""
    engine: Annotated[
        Literal["pocketsphinx", "moonshine", "whisper", "scripted"], Meta(description="What recognises.")
    ] = "pocketsphinx"
    model: Annotated[
        str,
        Meta(
            description="Directory of a model. Engine whisper: as CTranslate2 reads it, see `antiphon ears`; engine "
            "moonshine: empty is the one that its package brings."
        ),
    ] = ""
    models_dir: Annotated[
        str,
        Meta(description="Engines whisper and moonshine: where `model` is looked for; empty: where the worker starts."),
    ] = ""
    device: Annotated[
        Literal["cpu", "cuda"],
        Meta(description="Engine whisper: what computes. Never another. Engine moonshine: cpu alone."),
    ] = "cpu"
    compute_type: Annotated[
        str, Meta(description="Engine whisper: int8, float16, …; empty: int8 on the CPU, float16 with CUDA.")
    ] = ""
    threads: Annotated[
        int, Meta(description="Engines whisper and moonshine: threads of a decode; 0: up to 4.", ge=0, le=256)
    ] = 0
    behind_s: Annotated[
        float,
        Meta(
            description="Engines whisper and moonshine: a final comes at most so long after speech, or it is told "
            "at once that it cannot.",
            gt=0,
        ),
    ] = 2.0
    decoders: Annotated[int, Meta(description="Utterances decoded at once; 0: by cores and memory.", ge=0, le=256)] = 0
    confidence: Annotated[float, Meta(description="Posterior that a word needs to count.", ge=0, le=1)] = 0.1
    utterance_s: Annotated[
        float, Meta(description="An utterance that gets longer is ended, with what was heard and where.", gt=0, le=3600)
    ] = 120.0
    config_s: Annotated[float, Meta(description="How long a stream may wait with its first message.", gt=0)] = 5.0
    max_streams: Annotated[int, Meta(description="Streams open at once; one more is refused.", ge=1)] = 1024
    idle_s: Annotated[float, Meta(description="A decoding process ends after so long without work.", gt=0)] = 60.0
    stall_s: Annotated[float, Meta(description="One that says nothing for so long is ended.", gt=0)] = 10.0
    load_s: Annotated[float, Meta(description="One that has not loaded by then is ended.", gt=0)] = 60.0
    ttl_s: Annotated[
        float,
        Meta(description="The model goes when nobody spoke for so long; 0: at once, -1: it always stays.", ge=-1),
    ] = -1.0
    linger_s: Annotated[
        float, Meta(description="How long a session keeps the model from going, after an utterance.", ge=0)
    ] = 10.0
    script: Annotated[
        tuple[str, ...], Meta(description="Engine scripted: what the utterances of each session say, in order.")
    ] = ()
    script_word_s: Annotated[float, Meta(description="Engine scripted: audio a word of a partial.", gt=0)] = 0.25
    script_languages: Annotated[tuple[str, ...], Meta(description="Engine scripted: languages it claims.")] = ("en",)
    drain_s: Annotated[float, Meta(description="How long utterances may finish at shutdown.", ge=0)] = 5.0
    metrics_port: Annotated[int, Meta(description="Port of /metrics; 0: none.", ge=0, le=65535)] = 0
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="How much is logged.")] = "info"
    log_pii: Annotated[bool, Meta(description="Log what people said, under pii. keys. Off unless you mean it.")] = False
