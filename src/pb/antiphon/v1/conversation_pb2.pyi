from pb.antiphon.v1 import synthesis_pb2 as _synthesis_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_USER: _ClassVar[Role]
    ROLE_ASSISTANT: _ClassVar[Role]

class TurnDetection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TURN_DETECTION_UNSPECIFIED: _ClassVar[TurnDetection]
    TURN_DETECTION_AUTO: _ClassVar[TurnDetection]
    TURN_DETECTION_MANUAL: _ClassVar[TurnDetection]

class EndpointingMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENDPOINTING_MODE_UNSPECIFIED: _ClassVar[EndpointingMode]
    ENDPOINTING_MODE_ADAPTIVE: _ClassVar[EndpointingMode]
    ENDPOINTING_MODE_FIXED: _ClassVar[EndpointingMode]

class TextMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TEXT_MODE_UNSPECIFIED: _ClassVar[TextMode]
    TEXT_MODE_ASK: _ClassVar[TextMode]
    TEXT_MODE_SAY: _ClassVar[TextMode]

class MicrophoneState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MICROPHONE_STATE_UNSPECIFIED: _ClassVar[MicrophoneState]
    MICROPHONE_STATE_OPEN: _ClassVar[MicrophoneState]
    MICROPHONE_STATE_MUTED: _ClassVar[MicrophoneState]
    MICROPHONE_STATE_RELEASED: _ClassVar[MicrophoneState]

class SessionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_STATE_UNSPECIFIED: _ClassVar[SessionState]
    SESSION_STATE_IDLE: _ClassVar[SessionState]
    SESSION_STATE_LISTENING: _ClassVar[SessionState]
    SESSION_STATE_THINKING: _ClassVar[SessionState]
    SESSION_STATE_SPEAKING: _ClassVar[SessionState]
    SESSION_STATE_BARGED_IN: _ClassVar[SessionState]
    SESSION_STATE_TERMINATED: _ClassVar[SessionState]
ROLE_UNSPECIFIED: Role
ROLE_USER: Role
ROLE_ASSISTANT: Role
TURN_DETECTION_UNSPECIFIED: TurnDetection
TURN_DETECTION_AUTO: TurnDetection
TURN_DETECTION_MANUAL: TurnDetection
ENDPOINTING_MODE_UNSPECIFIED: EndpointingMode
ENDPOINTING_MODE_ADAPTIVE: EndpointingMode
ENDPOINTING_MODE_FIXED: EndpointingMode
TEXT_MODE_UNSPECIFIED: TextMode
TEXT_MODE_ASK: TextMode
TEXT_MODE_SAY: TextMode
MICROPHONE_STATE_UNSPECIFIED: MicrophoneState
MICROPHONE_STATE_OPEN: MicrophoneState
MICROPHONE_STATE_MUTED: MicrophoneState
MICROPHONE_STATE_RELEASED: MicrophoneState
SESSION_STATE_UNSPECIFIED: SessionState
SESSION_STATE_IDLE: SessionState
SESSION_STATE_LISTENING: SessionState
SESSION_STATE_THINKING: SessionState
SESSION_STATE_SPEAKING: SessionState
SESSION_STATE_BARGED_IN: SessionState
SESSION_STATE_TERMINATED: SessionState

class ConverseRequest(_message.Message):
    __slots__ = ("session_start", "session_update", "text", "audio", "input", "turn_commit", "turn_cancel", "interrupt", "played", "reply_delta", "reply_end", "session_end")
    SESSION_START_FIELD_NUMBER: _ClassVar[int]
    SESSION_UPDATE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    TURN_COMMIT_FIELD_NUMBER: _ClassVar[int]
    TURN_CANCEL_FIELD_NUMBER: _ClassVar[int]
    INTERRUPT_FIELD_NUMBER: _ClassVar[int]
    PLAYED_FIELD_NUMBER: _ClassVar[int]
    REPLY_DELTA_FIELD_NUMBER: _ClassVar[int]
    REPLY_END_FIELD_NUMBER: _ClassVar[int]
    SESSION_END_FIELD_NUMBER: _ClassVar[int]
    session_start: SessionStart
    session_update: SessionUpdate
    text: TextInput
    audio: AudioInput
    input: InputState
    turn_commit: TurnCommit
    turn_cancel: TurnCancel
    interrupt: Interrupt
    played: Played
    reply_delta: ReplyDelta
    reply_end: ReplyEnd
    session_end: SessionEnd
    def __init__(self, session_start: _Optional[_Union[SessionStart, _Mapping]] = ..., session_update: _Optional[_Union[SessionUpdate, _Mapping]] = ..., text: _Optional[_Union[TextInput, _Mapping]] = ..., audio: _Optional[_Union[AudioInput, _Mapping]] = ..., input: _Optional[_Union[InputState, _Mapping]] = ..., turn_commit: _Optional[_Union[TurnCommit, _Mapping]] = ..., turn_cancel: _Optional[_Union[TurnCancel, _Mapping]] = ..., interrupt: _Optional[_Union[Interrupt, _Mapping]] = ..., played: _Optional[_Union[Played, _Mapping]] = ..., reply_delta: _Optional[_Union[ReplyDelta, _Mapping]] = ..., reply_end: _Optional[_Union[ReplyEnd, _Mapping]] = ..., session_end: _Optional[_Union[SessionEnd, _Mapping]] = ...) -> None: ...

class SessionStart(_message.Message):
    __slots__ = ("protocol", "encoding", "input_rate", "output_rate", "hold", "model", "voice", "language", "rate", "pitch", "responder", "instructions", "greeting", "history", "phrases", "turn_detection", "endpointing", "interruptible", "resume", "key", "ear")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    INPUT_RATE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_RATE_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    PITCH_FIELD_NUMBER: _ClassVar[int]
    RESPONDER_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTIONS_FIELD_NUMBER: _ClassVar[int]
    GREETING_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    PHRASES_FIELD_NUMBER: _ClassVar[int]
    TURN_DETECTION_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTING_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTIBLE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    EAR_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    encoding: _synthesis_pb2.AudioEncoding
    input_rate: int
    output_rate: int
    hold: bool
    model: str
    voice: str
    language: str
    rate: float
    pitch: float
    responder: str
    instructions: str
    greeting: Greeting
    history: _containers.RepeatedCompositeFieldContainer[HistoryItem]
    phrases: _containers.RepeatedScalarFieldContainer[str]
    turn_detection: TurnDetection
    endpointing: Endpointing
    interruptible: bool
    resume: str
    key: str
    ear: str
    def __init__(self, protocol: _Optional[int] = ..., encoding: _Optional[_Union[_synthesis_pb2.AudioEncoding, str]] = ..., input_rate: _Optional[int] = ..., output_rate: _Optional[int] = ..., hold: _Optional[bool] = ..., model: _Optional[str] = ..., voice: _Optional[str] = ..., language: _Optional[str] = ..., rate: _Optional[float] = ..., pitch: _Optional[float] = ..., responder: _Optional[str] = ..., instructions: _Optional[str] = ..., greeting: _Optional[_Union[Greeting, _Mapping]] = ..., history: _Optional[_Iterable[_Union[HistoryItem, _Mapping]]] = ..., phrases: _Optional[_Iterable[str]] = ..., turn_detection: _Optional[_Union[TurnDetection, str]] = ..., endpointing: _Optional[_Union[Endpointing, _Mapping]] = ..., interruptible: _Optional[bool] = ..., resume: _Optional[str] = ..., key: _Optional[str] = ..., ear: _Optional[str] = ...) -> None: ...

class Greeting(_message.Message):
    __slots__ = ("on", "text")
    ON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    on: bool
    text: str
    def __init__(self, on: _Optional[bool] = ..., text: _Optional[str] = ...) -> None: ...

class HistoryItem(_message.Message):
    __slots__ = ("role", "text")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    role: Role
    text: str
    def __init__(self, role: _Optional[_Union[Role, str]] = ..., text: _Optional[str] = ...) -> None: ...

class Endpointing(_message.Message):
    __slots__ = ("endpoint_ms", "confirm_ms", "resume_ms", "mode", "early")
    ENDPOINT_MS_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_MS_FIELD_NUMBER: _ClassVar[int]
    RESUME_MS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    EARLY_FIELD_NUMBER: _ClassVar[int]
    endpoint_ms: int
    confirm_ms: int
    resume_ms: int
    mode: EndpointingMode
    early: bool
    def __init__(self, endpoint_ms: _Optional[int] = ..., confirm_ms: _Optional[int] = ..., resume_ms: _Optional[int] = ..., mode: _Optional[_Union[EndpointingMode, str]] = ..., early: _Optional[bool] = ...) -> None: ...

class SessionUpdate(_message.Message):
    __slots__ = ("voice", "language", "rate", "pitch", "responder", "instructions", "endpointing", "interruptible", "turn_detection", "ear")
    VOICE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    PITCH_FIELD_NUMBER: _ClassVar[int]
    RESPONDER_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTIONS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTING_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTIBLE_FIELD_NUMBER: _ClassVar[int]
    TURN_DETECTION_FIELD_NUMBER: _ClassVar[int]
    EAR_FIELD_NUMBER: _ClassVar[int]
    voice: str
    language: str
    rate: float
    pitch: float
    responder: str
    instructions: str
    endpointing: Endpointing
    interruptible: bool
    turn_detection: TurnDetection
    ear: str
    def __init__(self, voice: _Optional[str] = ..., language: _Optional[str] = ..., rate: _Optional[float] = ..., pitch: _Optional[float] = ..., responder: _Optional[str] = ..., instructions: _Optional[str] = ..., endpointing: _Optional[_Union[Endpointing, _Mapping]] = ..., interruptible: _Optional[bool] = ..., turn_detection: _Optional[_Union[TurnDetection, str]] = ..., ear: _Optional[str] = ...) -> None: ...

class TextInput(_message.Message):
    __slots__ = ("text", "mode")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    text: str
    mode: TextMode
    def __init__(self, text: _Optional[str] = ..., mode: _Optional[_Union[TextMode, str]] = ...) -> None: ...

class AudioInput(_message.Message):
    __slots__ = ("data", "sample")
    DATA_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    sample: int
    def __init__(self, data: _Optional[bytes] = ..., sample: _Optional[int] = ...) -> None: ...

class InputState(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: MicrophoneState
    def __init__(self, state: _Optional[_Union[MicrophoneState, str]] = ...) -> None: ...

class TurnCommit(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TurnCancel(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Interrupt(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Played(_message.Message):
    __slots__ = ("turn", "samples")
    TURN_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    turn: int
    samples: int
    def __init__(self, turn: _Optional[int] = ..., samples: _Optional[int] = ...) -> None: ...

class ReplyDelta(_message.Message):
    __slots__ = ("turn", "text", "language")
    TURN_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    turn: int
    text: str
    language: str
    def __init__(self, turn: _Optional[int] = ..., text: _Optional[str] = ..., language: _Optional[str] = ...) -> None: ...

class ReplyEnd(_message.Message):
    __slots__ = ("turn",)
    TURN_FIELD_NUMBER: _ClassVar[int]
    turn: int
    def __init__(self, turn: _Optional[int] = ...) -> None: ...

class SessionEnd(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ConverseResponse(_message.Message):
    __slots__ = ("session_started", "state", "transcript", "turn_ended", "reply", "mark", "hold", "resume", "clear", "turn_finished", "notice", "error", "explain", "audio", "closing")
    SESSION_STARTED_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    TURN_ENDED_FIELD_NUMBER: _ClassVar[int]
    REPLY_FIELD_NUMBER: _ClassVar[int]
    MARK_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    CLEAR_FIELD_NUMBER: _ClassVar[int]
    TURN_FINISHED_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    CLOSING_FIELD_NUMBER: _ClassVar[int]
    session_started: SessionStarted
    state: StateChange
    transcript: Transcript
    turn_ended: TurnEnded
    reply: ReplyText
    mark: ReplyMark
    hold: Hold
    resume: Resume
    clear: Clear
    turn_finished: ReplyFinished
    notice: Notice
    error: ConversationError
    explain: Explanation
    audio: AudioOutput
    closing: Closing
    def __init__(self, session_started: _Optional[_Union[SessionStarted, _Mapping]] = ..., state: _Optional[_Union[StateChange, _Mapping]] = ..., transcript: _Optional[_Union[Transcript, _Mapping]] = ..., turn_ended: _Optional[_Union[TurnEnded, _Mapping]] = ..., reply: _Optional[_Union[ReplyText, _Mapping]] = ..., mark: _Optional[_Union[ReplyMark, _Mapping]] = ..., hold: _Optional[_Union[Hold, _Mapping]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ..., clear: _Optional[_Union[Clear, _Mapping]] = ..., turn_finished: _Optional[_Union[ReplyFinished, _Mapping]] = ..., notice: _Optional[_Union[Notice, _Mapping]] = ..., error: _Optional[_Union[ConversationError, _Mapping]] = ..., explain: _Optional[_Union[Explanation, _Mapping]] = ..., audio: _Optional[_Union[AudioOutput, _Mapping]] = ..., closing: _Optional[_Union[Closing, _Mapping]] = ...) -> None: ...

class SessionStarted(_message.Message):
    __slots__ = ("session", "protocol", "resume", "resumed", "input_rate", "output_rate", "voice", "language", "hears", "speaks", "can_hear", "responder", "grace_s", "next_input_sample")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    INPUT_RATE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_RATE_FIELD_NUMBER: _ClassVar[int]
    VOICE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    HEARS_FIELD_NUMBER: _ClassVar[int]
    SPEAKS_FIELD_NUMBER: _ClassVar[int]
    CAN_HEAR_FIELD_NUMBER: _ClassVar[int]
    RESPONDER_FIELD_NUMBER: _ClassVar[int]
    GRACE_S_FIELD_NUMBER: _ClassVar[int]
    NEXT_INPUT_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    session: str
    protocol: int
    resume: str
    resumed: bool
    input_rate: int
    output_rate: int
    voice: str
    language: str
    hears: _containers.RepeatedScalarFieldContainer[str]
    speaks: _containers.RepeatedScalarFieldContainer[str]
    can_hear: bool
    responder: str
    grace_s: float
    next_input_sample: int
    def __init__(self, session: _Optional[str] = ..., protocol: _Optional[int] = ..., resume: _Optional[str] = ..., resumed: _Optional[bool] = ..., input_rate: _Optional[int] = ..., output_rate: _Optional[int] = ..., voice: _Optional[str] = ..., language: _Optional[str] = ..., hears: _Optional[_Iterable[str]] = ..., speaks: _Optional[_Iterable[str]] = ..., can_hear: _Optional[bool] = ..., responder: _Optional[str] = ..., grace_s: _Optional[float] = ..., next_input_sample: _Optional[int] = ...) -> None: ...

class StateChange(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: SessionState
    def __init__(self, state: _Optional[_Union[SessionState, str]] = ...) -> None: ...

class Transcript(_message.Message):
    __slots__ = ("utterance", "text", "final", "language")
    UTTERANCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    utterance: int
    text: str
    final: bool
    language: str
    def __init__(self, utterance: _Optional[int] = ..., text: _Optional[str] = ..., final: _Optional[bool] = ..., language: _Optional[str] = ...) -> None: ...

class TurnEnded(_message.Message):
    __slots__ = ("turn", "transcript", "reason")
    TURN_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    turn: int
    transcript: str
    reason: str
    def __init__(self, turn: _Optional[int] = ..., transcript: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ReplyText(_message.Message):
    __slots__ = ("turn", "text")
    TURN_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    turn: int
    text: str
    def __init__(self, turn: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class ReplyMark(_message.Message):
    __slots__ = ("turn", "start", "end", "sample", "exact")
    TURN_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    turn: int
    start: int
    end: int
    sample: int
    exact: bool
    def __init__(self, turn: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., sample: _Optional[int] = ..., exact: _Optional[bool] = ...) -> None: ...

class Hold(_message.Message):
    __slots__ = ("turn",)
    TURN_FIELD_NUMBER: _ClassVar[int]
    turn: int
    def __init__(self, turn: _Optional[int] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("turn", "sample")
    TURN_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    turn: int
    sample: int
    def __init__(self, turn: _Optional[int] = ..., sample: _Optional[int] = ...) -> None: ...

class Clear(_message.Message):
    __slots__ = ("turn",)
    TURN_FIELD_NUMBER: _ClassVar[int]
    turn: int
    def __init__(self, turn: _Optional[int] = ...) -> None: ...

class ReplyFinished(_message.Message):
    __slots__ = ("turn", "heard", "unheard", "samples", "reason")
    TURN_FIELD_NUMBER: _ClassVar[int]
    HEARD_FIELD_NUMBER: _ClassVar[int]
    UNHEARD_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    turn: int
    heard: str
    unheard: str
    samples: int
    reason: str
    def __init__(self, turn: _Optional[int] = ..., heard: _Optional[str] = ..., unheard: _Optional[str] = ..., samples: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class ConversationError(_message.Message):
    __slots__ = ("code", "message", "fatal", "where", "reason", "retry_after_s")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FATAL_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    fatal: bool
    where: str
    reason: str
    retry_after_s: float
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., fatal: _Optional[bool] = ..., where: _Optional[str] = ..., reason: _Optional[str] = ..., retry_after_s: _Optional[float] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("turn", "facts")
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Fact
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Fact, _Mapping]] = ...) -> None: ...
    TURN_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    turn: int
    facts: _containers.MessageMap[str, Fact]
    def __init__(self, turn: _Optional[int] = ..., facts: _Optional[_Mapping[str, Fact]] = ...) -> None: ...

class Fact(_message.Message):
    __slots__ = ("text", "integer", "number")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    text: str
    integer: int
    number: float
    def __init__(self, text: _Optional[str] = ..., integer: _Optional[int] = ..., number: _Optional[float] = ...) -> None: ...

class AudioOutput(_message.Message):
    __slots__ = ("turn", "sample", "data")
    TURN_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    turn: int
    sample: int
    data: bytes
    def __init__(self, turn: _Optional[int] = ..., sample: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class Closing(_message.Message):
    __slots__ = ("code", "reason")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
