"""The port of a speech engine: what turns text into audio.

The smallest adapter is one class with one method: `Model.synthesize`. It runs on an engine thread, never on the event
loop, and yields `Audio` and `Mark` values. It should look at `request.cancelled()` at least once per step; what it
still yields afterwards is thrown away and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

from base.errors import AntiphonError


@dataclass(frozen=True, slots=True)
class Style:
    """How to speak; the defaults are the voice's own way. Ranges as in proto/antiphon/v1/synthesis.proto.

    `volume` is the worker's to apply, never an engine's.
    """

    rate: float = 1.0
    pitch: float = 0.0
    range: float = 1.0
    volume: float = 1.0


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    """`languages` (BCP 47), its main one first; "*" speaks any."""

    id: str
    name: str
    languages: tuple[str, ...]
    gender: str = ""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine can do. What it lacks it declares; it never pretends."""

    name: str
    sample_rate: int
    languages: tuple[str, ...]
    voices: tuple[VoiceInfo, ...]
    default_voice: str
    licence: str
    streaming: bool = False
    zero_shot: bool = False
    lora: bool = False
    prosody: bool = False
    marks: bool = False
    cancellable: bool = False
    batch: int = 0
    memory_bytes: int = 0
    max_concurrent: int = 0
    """Turns its one model can speak at the promised latency; 0: as many as there are slots."""
    variants: tuple[str, ...] = ()
    """What any voice can be varied with: voice "en-us" and variant "f3" give voice "en-us+f3"."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What to load: an id, the engine's name and the engine's own options."""

    id: str
    engine: str
    options: Mapping[str, object] = field(default_factory=dict)


def _never() -> bool:
    return False


def _no_lead() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """One chunk of one turn. `cancelled` and `ahead_s` may be called from the engine thread at any time."""

    turn: int
    text: str
    first: bool = True
    last: bool = True
    previous_text: str = ""
    language: str = ""
    voice: str = ""
    style: Style = Style()
    seed: int = 0
    cancelled: Callable[[], bool] = _never
    ahead_s: Callable[[], float] = _no_lead


@dataclass(frozen=True, slots=True)
class Audio:
    """Mono s16le PCM at the engine's own sample rate, any number of whole samples."""

    data: bytes


class MarkKind(Enum):
    CHUNK_START = "chunk_start"
    CHUNK_END = "chunk_end"
    WORD = "word"


@dataclass(frozen=True, slots=True)
class Mark:
    """A span of the request's text (code points) whose sound begins at `sample` (engine rate, in this request).

    An engine yields WORD marks at most; chunk starts and ends are the worker's. `sample` of one request never goes
    back, and a mark is yielded before the audio it points into.
    """

    start: int
    end: int
    sample: int
    exact: bool = True
    kind: MarkKind = MarkKind.WORD


@runtime_checkable
class Model(Protocol):
    info: EngineInfo

    def synthesize(self, request: Request) -> Iterator[Audio | Mark]:
        """Several may run at once, each on a thread of its own; the worker may leave one at any item.

        Raises an AntiphonError, `NotFound` for a voice or a language that `info` has not, and any time for what goes
        wrong; the other requests, and the next one, are none the worse for it.
        """
        ...

    def close(self) -> None:
        """Frees what it holds. No request runs any more, and none comes."""
        ...


@dataclass(frozen=True, slots=True)
class Done:
    """The last of a request in a batch; `error`: why there is no more."""

    error: AntiphonError | None = None


class BatchModel(Protocol):
    """The other form of the port: a model that makes up to `info.batch` requests at once, step by step.

    All calls but `close` come from one thread, which `batching.Batched` keeps; it makes a `Model` of this.
    """

    info: EngineInfo

    def add(self, request: Request) -> int:
        """Takes a request in and returns its id, which no other has had; never more than `info.batch` are in. Raises an
        AntiphonError for a request that cannot be spoken.
        """
        ...

    def step(self) -> list[tuple[int, Audio | Mark | Done]]:
        """A little more of all that are in, in order for each. After its Done a request is out."""
        ...

    def drop(self, id: int) -> None:
        """The request is not wanted any more, and out."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Measured(Protocol):
    """A model that knows what it takes in memory, because that is not this process's."""

    def resident_bytes(self) -> int:
        """0 if that cannot be told."""
        ...


class Engine(Protocol):
    """One whose memory comes back only with its process, or whose loads may hang, says so with a class attribute
    `isolated = True`: its models then live in processes of their own. Its module must be cheap to import all the same.
    """

    name: str

    def load(self, spec: ModelSpec) -> Model | BatchModel:
        """Loads on the caller's thread; raises an `AntiphonError` that names the model and what to do."""
        ...


@runtime_checkable
class Inspects(Protocol):
    """An engine that can say what a model will be able to do without loading it; the others are asked when loaded."""

    def inspect(self, spec: ModelSpec) -> EngineInfo:
        """Reads what is cheap to read; raises like `load` for a model that cannot be loaded anyway."""
        ...
