"""The simple case of synthesis as protobuf: one text in, its audio out."""

from __future__ import annotations

from pb.antiphon.v1 import synthesis_pb2 as pb

SpeakRequest = pb.SpeakRequest
AudioFrame = pb.AudioFrame


def speak_request(
    text: str, *, model: str, voice: str, language: str, rate: float, pitch: float, sample_rate: int
) -> pb.SpeakRequest:
    return pb.SpeakRequest(
        text=text,
        model=model,
        voice=voice,
        language=language,
        format=pb.AudioFormat(encoding=pb.AUDIO_ENCODING_PCM_S16LE, sample_rate=sample_rate),
        style=pb.Style(rate=rate, pitch=pitch),
    )


def pcm_of(frame: pb.AudioFrame) -> bytes:
    """Empty for a message without audio."""
    return frame.audio.data if frame.WhichOneof("body") == "audio" else b""


def complaint_of(frame: pb.AudioFrame) -> str:
    """Why the turn failed; empty when it did not."""
    return frame.error.message if frame.WhichOneof("body") == "error" else ""
