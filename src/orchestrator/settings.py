"""What an operator can set on an orchestrator; read once, in `app.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from base.address import check_address, check_socket_or_none, check_url_or_none

Milliseconds = Annotated[int, Meta(ge=50, le=10_000)]


@dataclass(frozen=True, slots=True)
class OrchestratorSettings:
    host: Annotated[str, Meta(description="Address to serve HTTP, WebSocket and gRPC on.")] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port to serve on; 0 picks a free one.", ge=0, le=65535)] = 8765
    grpc_port: Annotated[
        int,
        Meta(
            description="Port of the gRPC door, on the same address; 0 picks a free one, -1 opens none.",
            ge=-1,
            le=65535,
        ),
    ] = 50060
    registry: Annotated[
        str, Meta(description="host:port of the registry that knows the workers.", extra={"check": check_address})
    ] = "127.0.0.1:50050"
    worker_token_file: Annotated[
        str,
        Meta(description="File with the token that registry and workers ask for; empty: they ask for none."),
    ] = ""
    web_dir: Annotated[str, Meta(description="Folder of the web page; empty: the one beside src/.")] = ""
    allowed_origins: Annotated[
        tuple[str, ...], Meta(description="Origins besides our own whose pages may open a session.")
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...], Meta(description="Host names besides loopback under which we may be addressed.")
    ] = ()
    request_s: Annotated[
        float, Meta(description="A connection that has not sent a whole request by then is closed.", gt=0)
    ] = 10.0
    access_key_file: Annotated[
        str,
        Meta(description="File with access keys as they are, one a line; keys_file is the better way; empty: none."),
    ] = ""
    livekit_url: Annotated[
        str,
        Meta(
            description="LiveKit's signalling, as this server reaches it; empty: no LiveKit. Without LiveKit's key "
            "(livekit_key_file, or LIVEKIT_API_KEY and LIVEKIT_API_SECRET) there is none, either.",
            extra={"check": check_socket_or_none},
        ),
    ] = "ws://127.0.0.1:7880"
    livekit_public_url: Annotated[
        str,
        Meta(
            description="LiveKit's signalling, as clients reach it; empty: livekit_url.",
            extra={"check": check_socket_or_none},
        ),
    ] = ""
    livekit_key_file: Annotated[
        str, Meta(description="LiveKit's own key file, one line `KEY: SECRET`; empty: the two variables.")
    ] = ""
    keys_file: Annotated[
        str,
        Meta(
            description="File of `antiphon keys` (hashes, not keys); changes are noticed while running. It need not "
            "exist yet; empty: none."
        ),
    ] = ""
    without_key: Annotated[
        Literal["auto", "loopback", "nobody"],
        Meta(
            description="Who needs no key: loopback (this machine itself), nobody, or auto (loopback as long as there "
            "are no keys). What came through a proxy is not loopback."
        ),
    ] = "auto"
    open_networks: Annotated[
        tuple[str, ...],
        Meta(description="Addresses or networks besides (10.1.0.0/16) that are served without a key."),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(description="Addresses or networks of proxies whose X-Forwarded-For tells the client's own address."),
    ] = ()
    address_sessions: Annotated[
        int,
        Meta(description="Sessions at once from one address (IPv6: /64) that is not loopback; 0: no limit.", ge=0),
    ] = 20
    address_sessions_per_minute: Annotated[
        int, Meta(description="Sessions opened a minute from one address that is not loopback; 0: no limit.", ge=0)
    ] = 60
    tokens_per_minute: Annotated[
        int, Meta(description="Tokens a minute for one key, or one address without a key; 0: no limit.", ge=0)
    ] = 60
    token_secret_file: Annotated[
        str,
        Meta(
            description="File with the secret that signs tokens where there is no LiveKit; empty: one made at start, "
            "so that tokens end with the process. Several orchestrators need the same."
        ),
    ] = ""
    token_ttl_s: Annotated[float, Meta(description="How long a token is good.", ge=10, le=86_400)] = 600.0
    tls_cert: Annotated[str, Meta(description="Certificate with its chain (PEM), for HTTPS; empty: HTTP alone.")] = ""
    tls_key: Annotated[str, Meta(description="Its key (PEM, without a password).")] = ""
    tls_ca: Annotated[
        str, Meta(description="Certificate of a CA of your own, which devices get at /ca.crt; empty: none.")
    ] = ""
    tls_host: Annotated[str, Meta(description="Address to serve HTTPS on; empty: that of HTTP.")] = ""
    tls_port: Annotated[
        int,
        Meta(
            description="Port to serve HTTPS on, beside HTTP; 0 picks a free one; -1: HTTPS in place of HTTP.",
            ge=-1,
            le=65535,
        ),
    ] = -1
    livekit_agent: Annotated[
        str,
        Meta(description="Name by which LiveKit dispatches us to rooms that ask for it; empty: to every room."),
    ] = ""
    livekit_per_participant: Annotated[
        bool,
        Meta(
            description="An agent, and a session, for every human in a room; off: one a room, the first human talks "
            "and others listen."
        ),
    ] = False
    max_sessions: Annotated[int, Meta(description="Sessions at once; one more is refused.", ge=1)] = 100
    language: Annotated[
        str, Meta(description="Language of a session that names none (BCP 47); *: what is said is detected.")
    ] = "en"
    voice: Annotated[str, Meta(description="Voice of a session that names none; empty: the worker's default.")] = ""
    model: Annotated[str, Meta(description="Speech model of a session; empty: any that has the voice.")] = ""
    responder: Annotated[
        str, Meta(description="Who answers: tour, eliza, echo, openai, client, or a Python entry point module:name.")
    ] = "tour"
    detector: Annotated[
        Literal["auto", "silero", "webrtc"],
        Meta(
            description="Who tells speech from noise: silero (Silero VAD judges what the WebRTC VAD notices), webrtc "
            "(that alone), auto (silero where its model is installed)."
        ),
    ] = "auto"
    detector_model: Annotated[
        str, Meta(description="ONNX file of Silero VAD; empty: that of an installed package.")
    ] = ""
    detector_mode: Annotated[int, Meta(description="Aggressiveness of the WebRTC VAD, 0 to 2.", ge=0, le=2)] = 2
    endpoint_ms: Annotated[Milliseconds, Meta(description="Silence after the last voiced sample that ends a turn.")] = (
        500
    )
    endpointing: Annotated[
        Literal["adaptive", "fixed"],
        Meta(
            description="adaptive: endpoint_ms, made shorter or longer by what was said and how the user pauses; "
            "fixed: exactly endpoint_ms."
        ),
    ] = "adaptive"
    endpoint_floor: Annotated[
        float, Meta(description="Adaptive: never below this many times endpoint_ms.", ge=0.1, le=1)
    ] = 0.5
    endpoint_ceiling: Annotated[
        float, Meta(description="Adaptive: never above this many times endpoint_ms.", ge=1, le=10)
    ] = 3.0
    early_start: Annotated[
        bool,
        Meta(
            description="Begin the answer to what reads as complete before the turn has ended; it is thrown away if "
            "the user says more. Saves waiting, costs the brain and the voice some answers that nobody hears."
        ),
    ] = False
    head_start_ms: Annotated[
        int,
        Meta(
            description="So long before the turn ends, with all words in, its answer is begun, unheard; it is thrown "
            "away if the user says more in that moment. 0: not before the turn has ended.",
            ge=0,
            le=1000,
        ),
    ] = 100
    turn_model: Annotated[
        str, Meta(description="ONNX file of smart-turn v3, which hears whether somebody is done; empty: none.")
    ] = ""
    final_ms: Annotated[Milliseconds, Meta(description="How long an endpoint waits for the final transcript.")] = 500
    confirm_ms: Annotated[Milliseconds, Meta(description="Speech over a reply that stops it without a word.")] = 700
    resume_ms: Annotated[Milliseconds, Meta(description="Silence after a noise over a reply that resumes it.")] = 600
    grace_s: Annotated[float, Meta(description="How long a session outlives its transport.", ge=0)] = 30.0
    lead_ms: Annotated[
        int, Meta(description="How far ahead of the listener audio is sent to a client that can hold or tell.", ge=40)
    ] = 200
    start_timeout_s: Annotated[
        float, Meta(description="How long a turn waits for a worker that can speak it.", ge=0.1)
    ] = 10.0
    llm_url: Annotated[
        str,
        Meta(
            description="Base URL of an OpenAI-compatible endpoint, e.g. http://127.0.0.1:11434/v1.",
            extra={"check": check_url_or_none},
        ),
    ] = ""
    llm_model: Annotated[str, Meta(description="Model to ask there; empty: its first.")] = ""
    llm_key_file: Annotated[str, Meta(description="File with the API key; the key itself is never a setting.")] = ""
    llm_context_tokens: Annotated[int, Meta(description="Budget to which the context is trimmed.", ge=256)] = 4096
    llm_max_tokens: Annotated[int, Meta(description="Longest answer asked for.", ge=16)] = 400
    llm_temperature: Annotated[float, Meta(description="Sampling temperature.", ge=0, le=2)] = 0.7
    llm_timeout_s: Annotated[
        float, Meta(description="Longest silence within an answer before the endpoint counts as lost.", ge=1)
    ] = 60.0
    llm_start_timeout_s: Annotated[
        float, Meta(description="Longest wait for the first sign of an answer, while the model may be loading.", ge=1)
    ] = 300.0
    client_reply_timeout_s: Annotated[
        float, Meta(description="Responder `client`: longest wait for its next reply_delta.", ge=1)
    ] = 30.0
    drain_s: Annotated[float, Meta(description="How long sessions may finish their turns at shutdown.", ge=0)] = 5.0
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="How much is logged.")] = "info"
    log_pii: Annotated[bool, Meta(description="Log what people said, under pii. keys. Off unless you mean it.")] = False
