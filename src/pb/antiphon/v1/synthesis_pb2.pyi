from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AudioEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIO_ENCODING_UNSPECIFIED: _ClassVar[AudioEncoding]
    AUDIO_ENCODING_PCM_S16LE: _ClassVar[AudioEncoding]

class ControlAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTROL_ACTION_UNSPECIFIED: _ClassVar[ControlAction]
    CONTROL_ACTION_PAUSE: _ClassVar[ControlAction]
    CONTROL_ACTION_RESUME: _ClassVar[ControlAction]
    CONTROL_ACTION_STOP: _ClassVar[ControlAction]

class MarkKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MARK_KIND_UNSPECIFIED: _ClassVar[MarkKind]
    MARK_KIND_CHUNK_START: _ClassVar[MarkKind]
    MARK_KIND_CHUNK_END: _ClassVar[MarkKind]
    MARK_KIND_WORD: _ClassVar[MarkKind]

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_COMPLETED: _ClassVar[FinishReason]
    FINISH_REASON_STOPPED: _ClassVar[FinishReason]
    FINISH_REASON_FAILED: _ClassVar[FinishReason]
AUDIO_ENCODING_UNSPECIFIED: AudioEncoding
AUDIO_ENCODING_PCM_S16LE: AudioEncoding
CONTROL_ACTION_UNSPECIFIED: ControlAction
CONTROL_ACTION_PAUSE: ControlAction
CONTROL_ACTION_RESUME: ControlAction
CONTROL_ACTION_STOP: ControlAction
MARK_KIND_UNSPECIFIED: MarkKind
MARK_KIND_CHUNK_START: MarkKind
MARK_KIND_CHUNK_END: MarkKind
MARK_KIND_WORD: MarkKind
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_COMPLETED: FinishReason
FINISH_REASON_STOPPED: FinishReason
FINISH_REASON_FAILED: FinishReason

class AudioFormat(_message.Message):
    __slots__ = ("encoding", "sample_rate")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    encoding: AudioEncoding
    sample_rate: int
    def __init__(self, encoding: _Optional[_Union[AudioEncoding, str]] = ..., sample_rate: _Optional[int] = ...) -> None: ...

class Style(_message.Message):
    __slots__ = ("rate", "pitch", "range", "volume")
    RATE_FIELD_NUMBER: _ClassVar[int]
    PITCH_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    rate: float
    pitch: float
    range: float
    volume: float
    def __init__(self, rate: _Optional[float] = ..., pitch: _Optional[float] = ..., range: _Optional[float] = ..., volume: _Optional[float] = ...) -> None: ...

class StartSessionRequest(_message.Message):
    __slots__ = ("model", "voice", "language", "format", "style")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    STYLE_FIELD_NUMBER: _ClassVar[int]
    model: str
    voice: str
    language: str
    format: AudioFormat
    style: Style
    def __init__(self, model: _Optional[str] = ..., voice: _Optional[str] = ..., language: _Optional[str] = ..., format: _Optional[_Union[AudioFormat, _Mapping]] = ..., style: _Optional[_Union[Style, _Mapping]] = ...) -> None: ...

class StartSessionResponse(_message.Message):
    __slots__ = ("session_id", "model", "voice", "language", "format")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    model: str
    voice: str
    language: str
    format: AudioFormat
    def __init__(self, session_id: _Optional[str] = ..., model: _Optional[str] = ..., voice: _Optional[str] = ..., language: _Optional[str] = ..., format: _Optional[_Union[AudioFormat, _Mapping]] = ...) -> None: ...

class TextChunk(_message.Message):
    __slots__ = ("session_id", "turn", "text", "end_of_turn", "control", "flush", "credit", "reserve")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    END_OF_TURN_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    FLUSH_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    turn: int
    text: Text
    end_of_turn: EndOfTurn
    control: ControlAction
    flush: Flush
    credit: Credit
    reserve: Reserve
    def __init__(self, session_id: _Optional[str] = ..., turn: _Optional[int] = ..., text: _Optional[_Union[Text, _Mapping]] = ..., end_of_turn: _Optional[_Union[EndOfTurn, _Mapping]] = ..., control: _Optional[_Union[ControlAction, str]] = ..., flush: _Optional[_Union[Flush, _Mapping]] = ..., credit: _Optional[_Union[Credit, _Mapping]] = ..., reserve: _Optional[_Union[Reserve, _Mapping]] = ...) -> None: ...

class Text(_message.Message):
    __slots__ = ("text", "chunk", "language", "voice", "style")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    STYLE_FIELD_NUMBER: _ClassVar[int]
    text: str
    chunk: int
    language: str
    voice: str
    style: Style
    def __init__(self, text: _Optional[str] = ..., chunk: _Optional[int] = ..., language: _Optional[str] = ..., voice: _Optional[str] = ..., style: _Optional[_Union[Style, _Mapping]] = ...) -> None: ...

class EndOfTurn(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Flush(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Credit(_message.Message):
    __slots__ = ("until_sample",)
    UNTIL_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    until_sample: int
    def __init__(self, until_sample: _Optional[int] = ...) -> None: ...

class Reserve(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AudioFrame(_message.Message):
    __slots__ = ("session_id", "turn", "audio", "marks", "turn_finished", "error", "reserved")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    MARKS_FIELD_NUMBER: _ClassVar[int]
    TURN_FINISHED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    turn: int
    audio: Audio
    marks: Marks
    turn_finished: TurnFinished
    error: TurnError
    reserved: Reserved
    def __init__(self, session_id: _Optional[str] = ..., turn: _Optional[int] = ..., audio: _Optional[_Union[Audio, _Mapping]] = ..., marks: _Optional[_Union[Marks, _Mapping]] = ..., turn_finished: _Optional[_Union[TurnFinished, _Mapping]] = ..., error: _Optional[_Union[TurnError, _Mapping]] = ..., reserved: _Optional[_Union[Reserved, _Mapping]] = ...) -> None: ...

class Audio(_message.Message):
    __slots__ = ("sample", "data")
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    sample: int
    data: bytes
    def __init__(self, sample: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class Mark(_message.Message):
    __slots__ = ("kind", "chunk", "start", "end", "sample", "exact")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    kind: MarkKind
    chunk: int
    start: int
    end: int
    sample: int
    exact: bool
    def __init__(self, kind: _Optional[_Union[MarkKind, str]] = ..., chunk: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., sample: _Optional[int] = ..., exact: _Optional[bool] = ...) -> None: ...

class Marks(_message.Message):
    __slots__ = ("marks",)
    MARKS_FIELD_NUMBER: _ClassVar[int]
    marks: _containers.RepeatedCompositeFieldContainer[Mark]
    def __init__(self, marks: _Optional[_Iterable[_Union[Mark, _Mapping]]] = ...) -> None: ...

class Reserved(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TurnFinished(_message.Message):
    __slots__ = ("reason", "samples", "spoken", "wasted_samples")
    REASON_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    SPOKEN_FIELD_NUMBER: _ClassVar[int]
    WASTED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    reason: FinishReason
    samples: int
    spoken: int
    wasted_samples: int
    def __init__(self, reason: _Optional[_Union[FinishReason, str]] = ..., samples: _Optional[int] = ..., spoken: _Optional[int] = ..., wasted_samples: _Optional[int] = ...) -> None: ...

class TurnError(_message.Message):
    __slots__ = ("code", "reason", "message", "retry_after_ms")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    retry_after_ms: int
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class ControlRequest(_message.Message):
    __slots__ = ("session_id", "turn", "action")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    turn: int
    action: ControlAction
    def __init__(self, session_id: _Optional[str] = ..., turn: _Optional[int] = ..., action: _Optional[_Union[ControlAction, str]] = ...) -> None: ...

class ControlResponse(_message.Message):
    __slots__ = ("samples_sent",)
    SAMPLES_SENT_FIELD_NUMBER: _ClassVar[int]
    samples_sent: int
    def __init__(self, samples_sent: _Optional[int] = ...) -> None: ...

class EndSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class EndSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SpeakRequest(_message.Message):
    __slots__ = ("text", "model", "voice", "language", "format", "style")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    STYLE_FIELD_NUMBER: _ClassVar[int]
    text: str
    model: str
    voice: str
    language: str
    format: AudioFormat
    style: Style
    def __init__(self, text: _Optional[str] = ..., model: _Optional[str] = ..., voice: _Optional[str] = ..., language: _Optional[str] = ..., format: _Optional[_Union[AudioFormat, _Mapping]] = ..., style: _Optional[_Union[Style, _Mapping]] = ...) -> None: ...
