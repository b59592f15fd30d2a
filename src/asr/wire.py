"""Protobuf on the ASR worker's side: messages to values and back."""

from __future__ import annotations

from asr.recognizer import Final, Partial, RecognizerConfig, RecognizerInfo
from base.errors import AntiphonError, BadRequest
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


def config_from(config: pb.RecognitionConfig) -> RecognizerConfig:
    """Raises BadRequest for audio that is not 16 kHz mono s16le."""
    rate = config.format.sample_rate
    if rate not in (0, 16_000):
        raise BadRequest(f"sample rate {rate} is not recognised; send 16000", reason="BAD_SAMPLE_RATE")
    return RecognizerConfig(language=config.language, phrases=tuple(config.phrases))


def ready(info: RecognizerInfo) -> pb.RecognizeResponse:
    return pb.RecognizeResponse(ready=pb.Ready(model=info.name, languages=info.languages))


def partial(news: Partial) -> pb.RecognizeResponse:
    return pb.RecognizeResponse(partial=pb.Partial(utterance=news.utterance, text=news.text, stable=news.stable))


def final(news: Final) -> pb.RecognizeResponse:
    words = [pb.Word(text=w.text, start_sample=w.start, end_sample=w.end, confidence=w.confidence) for w in news.words]
    return pb.RecognizeResponse(
        final=pb.Final(utterance=news.utterance, text=news.text, confidence=news.confidence, words=words)
    )


def failed(utterance: int, error: AntiphonError) -> pb.RecognizeResponse:
    return pb.RecognizeResponse(
        error=pb.UtteranceError(
            utterance=utterance,
            code=_CODES[error.grpc_code],
            reason=error.reason,
            message=error.message,
            retry_after_ms=round((error.retry_after_s or 0.0) * 1000),
        )
    )
