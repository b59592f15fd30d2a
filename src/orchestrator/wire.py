"""Protobuf on the orchestrator's side: what its clients send to workers and read from them."""

from __future__ import annotations

import grpc

from asr.recognizer import Final, Partial
from base.errors import BY_GRPC_CODE, AntiphonError, Internal
from orchestrator.ports import SpokenMark, VoiceChoice
from pb.antiphon.v1 import recognition_pb2 as rec
from pb.antiphon.v1 import synthesis_pb2 as syn

TextChunk = syn.TextChunk
AudioFrame = syn.AudioFrame
RecognizeRequest = rec.RecognizeRequest
RecognizeResponse = rec.RecognizeResponse

_KINDS = {
    syn.MARK_KIND_CHUNK_START: "chunk_start",
    syn.MARK_KIND_CHUNK_END: "chunk_end",
    syn.MARK_KIND_WORD: "word",
}


def _style(choice: VoiceChoice) -> syn.Style:
    return syn.Style(rate=choice.rate, pitch=choice.pitch, range=choice.range, volume=choice.volume)


def start_session(choice: VoiceChoice, model: str, sample_rate: int) -> syn.StartSessionRequest:
    """`model`: the one of the worker's that has the voice."""
    return syn.StartSessionRequest(
        model=model,
        voice=choice.voice,
        language=choice.language,
        format=syn.AudioFormat(encoding=syn.AUDIO_ENCODING_PCM_S16LE, sample_rate=sample_rate),
        style=_style(choice),
    )


def hello(session: str) -> syn.TextChunk:
    """Names the session on a new stream; changes nothing."""
    return syn.TextChunk(session_id=session, turn=0, flush=syn.Flush())


def text(session: str, turn: int, chunk: int, words: str, language: str, choice: VoiceChoice) -> syn.TextChunk:
    body = syn.Text(text=words, chunk=chunk, language=language, voice=choice.voice, style=_style(choice))
    return syn.TextChunk(session_id=session, turn=turn, text=body)


def flush(session: str, turn: int) -> syn.TextChunk:
    return syn.TextChunk(session_id=session, turn=turn, flush=syn.Flush())


def end_of_turn(session: str, turn: int) -> syn.TextChunk:
    return syn.TextChunk(session_id=session, turn=turn, end_of_turn=syn.EndOfTurn())


def stop(session: str, turn: int) -> syn.TextChunk:
    return syn.TextChunk(session_id=session, turn=turn, control=syn.CONTROL_ACTION_STOP)


def credit(session: str, turn: int, until_sample: int) -> syn.TextChunk:
    return syn.TextChunk(session_id=session, turn=turn, credit=syn.Credit(until_sample=until_sample))


def reserve(session: str, turn: int) -> syn.TextChunk:
    return syn.TextChunk(session_id=session, turn=turn, reserve=syn.Reserve())


def audio(frame: syn.AudioFrame) -> tuple[int, bytes]:
    """(sample, PCM), counted from the worker's own first."""
    return frame.audio.sample, frame.audio.data


def marks(frame: syn.AudioFrame) -> tuple[SpokenMark, ...]:
    return tuple(
        SpokenMark(_KINDS[m.kind], m.chunk, m.start, m.end, m.sample, m.exact)
        for m in frame.marks.marks
        if m.kind in _KINDS
    )


def is_complete(done: syn.TurnFinished) -> bool:
    """Whether all of the turn was spoken."""
    return done.reason in (syn.FINISH_REASON_COMPLETED, syn.FINISH_REASON_UNSPECIFIED)


def turn_error(frame: syn.AudioFrame) -> AntiphonError:
    return _error(frame.error)


def _error(error: syn.TurnError | rec.UtteranceError) -> AntiphonError:
    """What a worker says of one turn or utterance, as the error of our tree that it is."""
    retry_after_s = error.retry_after_ms / 1000 or None
    kind = _ERRORS.get(error.code, Internal)
    return kind(error.message, reason=error.reason or None, retry_after_s=retry_after_s)


_ERRORS = {code.value[0]: BY_GRPC_CODE[code.name] for code in grpc.StatusCode if code.name in BY_GRPC_CODE}


# --- recognition -----------------------------------------------------------------------------------------------------


def recognition_config(language: str, phrases: tuple[str, ...], model: str = "") -> rec.RecognizeRequest:
    return rec.RecognizeRequest(
        config=rec.RecognitionConfig(
            model=model,
            language=language,
            phrases=phrases,
            format=syn.AudioFormat(encoding=syn.AUDIO_ENCODING_PCM_S16LE, sample_rate=16_000),
        )
    )


def utterance_audio(utterance: int, sample: int, pcm: bytes) -> rec.RecognizeRequest:
    return rec.RecognizeRequest(audio=rec.UtteranceAudio(utterance=utterance, sample=sample, data=pcm))


def utterance_end(utterance: int, sample: int) -> rec.RecognizeRequest:
    return rec.RecognizeRequest(end=rec.UtteranceEnd(utterance=utterance, sample=sample))


def utterance_cancel(utterance: int) -> rec.RecognizeRequest:
    return rec.RecognizeRequest(cancel=rec.UtteranceCancel(utterance=utterance))


def partial(response: rec.RecognizeResponse) -> Partial:
    p = response.partial
    return Partial(p.utterance, p.text, p.stable, p.language)


def final(response: rec.RecognizeResponse) -> Final:
    f = response.final
    return Final(f.utterance, f.text, f.confidence, language=f.language, end=f.end_sample)


def utterance_error(response: rec.RecognizeResponse) -> AntiphonError:
    return _error(response.error)
