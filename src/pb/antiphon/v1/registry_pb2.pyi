from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkerKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_KIND_UNSPECIFIED: _ClassVar[WorkerKind]
    WORKER_KIND_TTS: _ClassVar[WorkerKind]
    WORKER_KIND_ASR: _ClassVar[WorkerKind]

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_ABSENT: _ClassVar[ModelState]
    MODEL_STATE_LOADING: _ClassVar[ModelState]
    MODEL_STATE_WARMING: _ClassVar[ModelState]
    MODEL_STATE_READY: _ClassVar[ModelState]
    MODEL_STATE_DRAINING: _ClassVar[ModelState]
    MODEL_STATE_UNLOADING: _ClassVar[ModelState]
    MODEL_STATE_FAILED: _ClassVar[ModelState]
WORKER_KIND_UNSPECIFIED: WorkerKind
WORKER_KIND_TTS: WorkerKind
WORKER_KIND_ASR: WorkerKind
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_ABSENT: ModelState
MODEL_STATE_LOADING: ModelState
MODEL_STATE_WARMING: ModelState
MODEL_STATE_READY: ModelState
MODEL_STATE_DRAINING: ModelState
MODEL_STATE_UNLOADING: ModelState
MODEL_STATE_FAILED: ModelState

class Voice(_message.Message):
    __slots__ = ("id", "name", "languages", "gender")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    GENDER_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    languages: _containers.RepeatedScalarFieldContainer[str]
    gender: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., languages: _Optional[_Iterable[str]] = ..., gender: _Optional[str] = ...) -> None: ...

class ModelRecord(_message.Message):
    __slots__ = ("id", "engine", "state", "languages", "voices", "sample_rate", "features", "is_default", "licence")
    ID_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    VOICES_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    engine: str
    state: ModelState
    languages: _containers.RepeatedScalarFieldContainer[str]
    voices: _containers.RepeatedCompositeFieldContainer[Voice]
    sample_rate: int
    features: _containers.RepeatedScalarFieldContainer[str]
    is_default: bool
    licence: str
    def __init__(self, id: _Optional[str] = ..., engine: _Optional[str] = ..., state: _Optional[_Union[ModelState, str]] = ..., languages: _Optional[_Iterable[str]] = ..., voices: _Optional[_Iterable[_Union[Voice, _Mapping]]] = ..., sample_rate: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ..., is_default: _Optional[bool] = ..., licence: _Optional[str] = ...) -> None: ...

class WorkerRecord(_message.Message):
    __slots__ = ("id", "kind", "address", "host", "epoch", "models", "slots", "slots_used", "free_bytes", "first_audio_s", "rtf", "draining", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_USED_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FIRST_AUDIO_S_FIELD_NUMBER: _ClassVar[int]
    RTF_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: WorkerKind
    address: str
    host: str
    epoch: str
    models: _containers.RepeatedCompositeFieldContainer[ModelRecord]
    slots: int
    slots_used: int
    free_bytes: int
    first_audio_s: float
    rtf: float
    draining: bool
    version: str
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[_Union[WorkerKind, str]] = ..., address: _Optional[str] = ..., host: _Optional[str] = ..., epoch: _Optional[str] = ..., models: _Optional[_Iterable[_Union[ModelRecord, _Mapping]]] = ..., slots: _Optional[int] = ..., slots_used: _Optional[int] = ..., free_bytes: _Optional[int] = ..., first_audio_s: _Optional[float] = ..., rtf: _Optional[float] = ..., draining: _Optional[bool] = ..., version: _Optional[str] = ...) -> None: ...

class RegisterRequest(_message.Message):
    __slots__ = ("worker", "ttl_s")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    worker: WorkerRecord
    ttl_s: float
    def __init__(self, worker: _Optional[_Union[WorkerRecord, _Mapping]] = ..., ttl_s: _Optional[float] = ...) -> None: ...

class RegisterResponse(_message.Message):
    __slots__ = ("ttl_s",)
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    ttl_s: float
    def __init__(self, ttl_s: _Optional[float] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("worker", "ttl_s")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    worker: WorkerRecord
    ttl_s: float
    def __init__(self, worker: _Optional[_Union[WorkerRecord, _Mapping]] = ..., ttl_s: _Optional[float] = ...) -> None: ...

class RenewResponse(_message.Message):
    __slots__ = ("ttl_s",)
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    ttl_s: float
    def __init__(self, ttl_s: _Optional[float] = ...) -> None: ...

class RemoveRequest(_message.Message):
    __slots__ = ("id", "epoch")
    ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    id: str
    epoch: str
    def __init__(self, id: _Optional[str] = ..., epoch: _Optional[str] = ...) -> None: ...

class RemoveResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("workers",)
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[WorkerRecord]
    def __init__(self, workers: _Optional[_Iterable[_Union[WorkerRecord, _Mapping]]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("snapshot", "put", "removed")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    PUT_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    put: WorkerRecord
    removed: str
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., put: _Optional[_Union[WorkerRecord, _Mapping]] = ..., removed: _Optional[str] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("workers",)
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[WorkerRecord]
    def __init__(self, workers: _Optional[_Iterable[_Union[WorkerRecord, _Mapping]]] = ...) -> None: ...
