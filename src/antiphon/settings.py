"""What a user can set for `up` and `chat`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from base.address import check_url_or_none


def _check_llm(url: str) -> None:
    if url != "none":
        check_url_or_none(url)


@dataclass(frozen=True, slots=True)
class UpSettings:
    open: Annotated[Literal["ask", "yes", "no"], Meta(description="Open the page in a browser once it is there.")] = (
        "ask"
    )
    llm: Annotated[
        str,
        Meta(
            description="Base URL of an OpenAI-compatible language model; none: don't look; empty: look and ask.",
            extra={"check": _check_llm},
        ),
    ] = ""
    model: Annotated[str, Meta(description="Which of its models; empty: its first.")] = ""
    responder: Annotated[
        str,
        Meta(
            description="Who answers: tour, eliza, echo, openai, client, or your own, module:name; empty: the language "
            "model, or the tour without one."
        ),
    ] = ""
    registry_port: Annotated[
        int, Meta(description="Port of the registry; the next free one is taken.", ge=0, le=65535)
    ] = 50050
    livekit: Annotated[
        bool, Meta(description="Start a livekit-server here, too, and talk by WebRTC; without one, by WebSocket.")
    ] = False
    livekit_server: Annotated[
        str,
        Meta(
            description="The program livekit-server; empty: the one on the PATH, or what `antiphon livekit get` built."
        ),
    ] = ""
    livekit_port: Annotated[
        int,
        Meta(description="Port of LiveKit's signalling; the next free one is taken.", ge=0, le=65535),
    ] = 7880
    tts_workers: Annotated[int, Meta(description="TTS workers to start; 0: they run elsewhere.", ge=0, le=16)] = 1
    asr_workers: Annotated[int, Meta(description="ASR workers to start; 0: they run elsewhere.", ge=0, le=16)] = 1
    log_dir: Annotated[str, Meta(description="Where the services' logs go; empty: var/log beside src.")] = ""
    lan: Annotated[
        bool,
        Meta(description="Serve other devices in this network, too: HTTPS with a CA of our own (docs/lan.md)."),
    ] = False
    lan_port: Annotated[
        int, Meta(description="Port of HTTPS with --lan; the next free one is taken.", ge=1, le=65535)
    ] = 8443
    lan_addresses: Annotated[
        tuple[str, ...], Meta(description="Private addresses of this machine that --lan does not find by itself.")
    ] = ()
    verbose: Annotated[bool, Meta(description="Show the services' logs as well.")] = False
    stop_s: Annotated[float, Meta(description="How long a service may take to stop before it is killed.", gt=0)] = 15.0


@dataclass(frozen=True, slots=True)
class ChatSettings:
    url: Annotated[
        str, Meta(description="Address of the system to talk to; empty: the one that `up` runs here, or port 8765.")
    ] = ""
    key: Annotated[
        str,
        Meta(
            description="Access key or token, if the system asks for one; empty: key_file, then the variable "
            "ANTIPHON_KEY. On the command line other users of the machine can see it.",
            extra={"secret": True},
        ),
    ] = ""
    key_file: Annotated[str, Meta(description="File that has the access key in it.")] = ""
    voice: Annotated[str, Meta(description="Voice to be answered with; see `antiphon voices`.")] = ""
    language: Annotated[str, Meta(description="Language of the conversation (BCP 47).")] = ""
    rate: Annotated[float, Meta(description="Pace; 1 is the voice's own.", ge=0.5, le=3.0)] = 1.0
    pitch: Annotated[float, Meta(description="Semitones up or down.", ge=-12, le=12)] = 0.0
    responder: Annotated[str, Meta(description="Who answers; empty: the system's own choice.")] = ""
    phrases: Annotated[
        tuple[str, ...], Meta(description="Phrases that you will say; recognised far better than open speech.")
    ] = ()
    input_device: Annotated[str, Meta(description="Microphone: a part of its name, or its number.")] = ""
    output_device: Annotated[str, Meta(description="Loudspeaker: a part of its name, or its number.")] = ""
    echo_cancellation: Annotated[bool, Meta(description="Take the loudspeaker out of the microphone.")] = True
    noise_suppression: Annotated[bool, Meta(description="Take steady noise out of the microphone.")] = True
