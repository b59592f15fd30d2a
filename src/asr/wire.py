"""Protobuf on the ASR worker's side: messages to values and back."""

from __future__ import annotations

from dataclasses import dataclass

from asr.ears import Failed, News
from asr.recognizer import Final, Partial, RecognizerConfig
from base.errors import BadRequest
from pb.antiphon.v1 import recognition_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["SpeechToText"].full_name

RecognizeRequest = pb.RecognizeRequest
RecognizeResponse = pb.RecognizeResponse

_CODES = {
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
}


@dataclass(frozen=True, slots=True)
class Config:
    model: str
    recognizer: RecognizerConfig


@dataclass(frozen=True, slots=True)
class Audio:
    utterance: int
    sample: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class End:
    utterance: int


@dataclass(frozen=True, slots=True)
class Cancel:
    utterance: int


Request = Config | Audio | End | Cancel


def request(message: pb.RecognizeRequest) -> Request | None:
    """None for an arm that is not known here. Raises BadRequest for audio that is not 16 kHz mono s16le."""
    match message.WhichOneof("body"):
        case "config":
            return Config(message.config.model, _config(message.config))
        case "audio":
            return Audio(message.audio.utterance, message.audio.sample, message.audio.data)
        case "end":
            return End(message.end.utterance)
        case "cancel":
            return Cancel(message.cancel.utterance)
    return None


def _config(config: pb.RecognitionConfig) -> RecognizerConfig:
    rate, encoding = config.format.sample_rate, config.format.encoding
    if rate not in (0, 16_000):
        raise BadRequest(f"sample rate {rate} is not recognised; send 16000", reason="BAD_SAMPLE_RATE")
    if encoding not in (0, 1):
        raise BadRequest(f"audio encoding {encoding} is not recognised; send PCM_S16LE (1)", reason="BAD_ENCODING")
    return RecognizerConfig(language=config.language, phrases=tuple(config.phrases))


def ready(model: str, languages: tuple[str, ...], warnings: tuple[str, ...] = ()) -> pb.RecognizeResponse:
    return pb.RecognizeResponse(ready=pb.Ready(model=model, languages=languages, warnings=warnings))


def news(item: News) -> pb.RecognizeResponse:
    match item:
        case Partial():
            return pb.RecognizeResponse(
                partial=pb.Partial(utterance=item.utterance, text=item.text, stable=item.stable, language=item.language)
            )
        case Final():
            words = [
                pb.Word(text=w.text, start_sample=max(0, w.start), end_sample=max(0, w.end), confidence=w.confidence)
                for w in item.words
            ]
            return pb.RecognizeResponse(
                final=pb.Final(
                    utterance=item.utterance,
                    text=item.text,
                    confidence=item.confidence,
                    words=words,
                    language=item.language,
                    end_sample=item.end,
                )
            )
        case Failed():
            error = item.error
            return pb.RecognizeResponse(
                error=pb.UtteranceError(
                    utterance=item.utterance,
                    code=_CODES[error.grpc_code],
                    reason=error.reason,
                    message=error.message,
                    retry_after_ms=round((error.retry_after_s or 0.0) * 1000),
                )
            )
