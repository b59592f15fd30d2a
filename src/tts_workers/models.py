"""Loaded models: which voice speaks what, and how loud each is made."""

from __future__ import annotations

import difflib
import math
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from base import language as tags
from base.audio import to_float
from base.errors import AntiphonError, BadRequest, NotFound, Unavailable
from base.loudness import active_speech_level
from tts_workers import catalogue
from tts_workers.batching import Batched
from tts_workers.engine import (
    Audio,
    BatchModel,
    Engine,
    EngineInfo,
    Inspects,
    Measured,
    Model,
    ModelSpec,
    Request,
    Style,
    VoiceInfo,
)
from tts_workers.isolated.model import Loading, Lost, nobody
from tts_workers.options import read_everywhere
from tts_workers.warmup import warm_up_text

STYLE_RANGES = {"rate": (0.5, 3.0), "pitch": (-12.0, 12.0), "range": (0.0, 2.0), "volume": (0.0, 2.0)}
MAX_GAIN_DB = 30.0
REMEMBERED_GAINS = 1024


def check_style(style: Style) -> Style:
    """Returns `style`; raises `BadRequest` for a value outside the ranges of the proto."""
    for name, (low, high) in STYLE_RANGES.items():
        value = getattr(style, name)
        if not low <= value <= high:
            raise BadRequest(f"style.{name} is {value:g}; it can be {low:g} to {high:g}", reason="BAD_STYLE")
    return style


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice as a session or turn uses it."""

    voice: str
    language: str


class Voices:
    """Who can speak with a model, by what its engine declares: known of a model that is not loaded, too."""

    def __init__(self, model: str, info: EngineInfo) -> None:
        self._model = model
        self.info = info

    def speaker(self, voice: str, language: str) -> Speaker:
        """Who speaks: `voice` if one is named, else the default for `language`; "" is the default of either.

        Raises `NotFound` for a voice or language that the model has not.
        """
        if voice:
            info, variant = self._find(voice)
        else:
            info, variant = self._default_for(language), ""
        spoken = language if language and _speaks(info, language) else info.languages[0] if info.languages else ""
        return Speaker(f"{info.id}+{variant}" if variant else info.id, "" if spoken == tags.ANY else spoken)

    def speaker_of(self, session: Speaker, language: str) -> Speaker:
        """Who speaks a text in `language` when `session` speaks the rest: himself, if he can, else one who does."""
        if not language:
            return session
        info, variant = self._find(session.voice)
        if _speaks(info, language):
            return replace(session, language=language)
        try:
            other = self._default_for(language)
        except NotFound:
            return session
        return Speaker(f"{other.id}+{variant}" if variant else other.id, language)

    def languages(self, voice: str) -> tuple[str, ...]:
        """Those that `voice` (as in `Speaker`) speaks, its main one first. Raises `NotFound`."""
        return self._find(voice)[0].languages

    def _find(self, voice: str) -> tuple[VoiceInfo, str]:
        base, plus, variant = voice.partition("+")
        info = next((v for v in self.info.voices if v.id.lower() == base.lower()), None)
        if info is None:
            info = self._by_tag(base)
        if info is None:
            raise _unknown("voice", voice, (v.id for v in self.info.voices), self._model)
        if plus and variant.lower() not in self.info.variants:
            raise _unknown("variant", variant, self.info.variants, self._model)
        return info, variant.lower()

    def _by_tag(self, tag: str) -> VoiceInfo | None:
        """A voice named by a language tag of its own, such as "en" or "en_GB"."""
        exact = [v for v in self.info.voices if any(tags.closeness(tag, t) == 3 for t in v.languages if t != tags.ANY)]
        default = next((v for v in exact if v.id == self.info.default_voice), None)
        return default or next(iter(exact), None)

    def _default_for(self, language: str) -> VoiceInfo:
        voices = sorted(self.info.voices, key=lambda v: v.id != self.info.default_voice)
        if not language:
            return voices[0]
        best = max(voices, key=lambda v: _closeness(v, language))
        if not _closeness(best, language):
            raise _unknown("language", language, self.info.languages, self._model)
        return best


class LoadedModel:
    """A model in memory. `target_dbfs` is the active speech level (ITU-T P.56) that every voice of it is brought to."""

    def __init__(self, spec: ModelSpec, model: Model, target_dbfs: float) -> None:
        self.spec = spec
        self.model = model
        self.info: EngineInfo = model.info
        self.voices = Voices(spec.id, model.info)
        self._target_dbfs = target_dbfs
        self._gains: OrderedDict[str, float] = OrderedDict()
        self._measuring: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._users = 0
        self._unused = threading.Condition()

    def begin_use(self) -> None:
        """For whoever starts an engine thread: `close` waits for its `end_use`. A turn's lease may be over before its
        thread has noticed.
        """
        with self._unused:
            self._users += 1

    def end_use(self) -> None:
        with self._unused:
            self._users -= 1
            self._unused.notify_all()

    # --- loudness -----------------------------------------------------------------------------------------------------

    def gain(self, voice: str) -> float:
        """What samples of a voice (as in `Speaker`) are multiplied with, whatever the style.

        Measured the first time, which takes a synthesis. Blocks: for engine threads. Raises `Unavailable` for a voice
        that gives no sound.
        """
        with self._lock:
            if voice in self._gains:
                self._gains.move_to_end(voice)
                return self._gains[voice]
            measuring = self._measuring.setdefault(voice, threading.Lock())
        with measuring:
            with self._lock:
                if voice in self._gains:
                    return self._gains[voice]
            try:
                gain = self._measure(voice)
                with self._lock:
                    self._gains[voice] = gain
                    while len(self._gains) > REMEMBERED_GAINS:
                        self._gains.popitem(last=False)
            finally:
                with self._lock:
                    self._measuring.pop(voice, None)
        return gain

    def measured(self, voice: str) -> bool:
        return voice in self._gains

    def _measure(self, voice: str) -> float:
        languages = self.voices.languages(voice)
        language = next((tag for tag in languages if tag != tags.ANY), "")
        request = Request(turn=0, text=warm_up_text(language), language=language, voice=voice)
        pcm = b"".join(item.data for item in self.model.synthesize(request) if isinstance(item, Audio))
        level = active_speech_level(to_float(pcm), self.info.sample_rate).dbfs
        if not math.isfinite(level):
            raise Unavailable(f"voice {voice!r} of model {self.spec.id!r} gave only silence", reason="SILENT")
        gain_db = min(max(self._target_dbfs - level, -MAX_GAIN_DB), MAX_GAIN_DB)
        return float(10.0 ** (gain_db / 20.0))

    def warm_up(self) -> None:
        """Speaks with the default voice; raises if nothing usable comes. Blocks."""
        self.gain(self.voices.speaker("", "").voice)

    def close(self) -> None:
        """Blocks until no engine thread is at it."""
        with self._unused:
            self._unused.wait_for(lambda: self._users == 0)
        self.model.close()


class Gains:
    """One session's: a voice stays as loud as it was when its model comes back from an eviction."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}

    def of(self, model: LoadedModel, voice: str) -> float:
        """As `LoadedModel.gain`; of one model only."""
        gain = self._known.get(voice)
        return self._known.setdefault(voice, model.gain(voice)) if gain is None else gain


class ModelLoading:
    """One load of one model, as `worker.loader` wants it. `lost` as in `start`."""

    def __init__(self, spec: ModelSpec, target_dbfs: float, lost: Lost = nobody) -> None:
        self._spec = spec
        self._target_dbfs = target_dbfs
        self._start = start(spec, lost)

    def load(self) -> LoadedModel:
        return LoadedModel(self._spec, self._start.load(), self._target_dbfs)

    def warm_up(self, model: LoadedModel) -> int:
        """Returns what the model itself knows that it takes."""
        model.warm_up()
        return model.model.resident_bytes() if isinstance(model.model, Measured) else 0

    def close(self, model: LoadedModel) -> None:
        model.close()

    def kill(self) -> None:
        """Ends the model's own process; nothing for a load in ours, which cannot be ended."""
        self._start.kill()


def load(spec: ModelSpec, target_dbfs: float) -> LoadedModel:
    """Loads and warms up a model on the caller's thread; raises `AntiphonError`s that name it and what to do."""
    model = LoadedModel(spec, start(spec).load(), target_dbfs)
    try:
        model.warm_up()
    except BaseException:
        model.close()
        raise
    return model


class Start(Protocol):
    """One load of one model; see `isolated.model.Loading`."""

    def load(self) -> Model: ...

    def kill(self) -> None: ...


class _Here:
    """A load in our own process, where nothing can end it."""

    def __init__(self, engine: Engine, spec: ModelSpec) -> None:
        self._engine = engine
        self._spec = spec

    def load(self) -> Model:
        return as_model(self._engine.load(self._spec))

    def kill(self) -> None:
        pass


class _Wrong:
    """A load that can only fail."""

    def __init__(self, error: AntiphonError) -> None:
        self._error = error

    def load(self) -> Model:
        raise self._error

    def kill(self) -> None:
        pass


def is_isolated(spec: ModelSpec) -> bool:
    """Whether the model gets a process of its own: its engine needs that, or its options ask for it."""
    everywhere, _ = read_everywhere(spec)
    return everywhere.isolate or everywhere.memory_limit > 0 or bool(getattr(_engine(spec), "isolated", False))


def start(spec: ModelSpec, lost: Lost = nobody) -> Start:
    """A load, not begun yet; what is wrong with `spec` is for it to raise.

    `lost` is called, on some thread, if the model's own process goes without being asked to.
    """
    try:
        everywhere, theirs = read_everywhere(spec)
        if not is_isolated(spec):
            return _Here(_engine(spec), theirs)
        return Loading(theirs, catalogue.factory(spec.id, spec.engine), memory_limit=everywhere.memory_limit, lost=lost)
    except AntiphonError as error:
        return _Wrong(error)


def as_model(loaded: Model | BatchModel) -> Model:
    """What an engine loaded, in the form with one method."""
    return loaded if isinstance(loaded, Model) else Batched(loaded)


def inspect(spec: ModelSpec) -> EngineInfo | None:
    """What a model will be able to do, without loading it, where its engine can tell. Blocks. Raises likewise."""
    engine = _engine(spec)
    _, theirs = read_everywhere(spec)
    return engine.inspect(theirs) if isinstance(engine, Inspects) else None


def _engine(spec: ModelSpec) -> Engine:
    return catalogue.make(spec.id, catalogue.factory(spec.id, spec.engine))


def _closeness(voice: VoiceInfo, language: str) -> int:
    return max((tags.closeness(language, tag) for tag in voice.languages), default=2)


def _speaks(voice: VoiceInfo, language: str) -> bool:
    return _closeness(voice, language) > 0


def _unknown(what: str, value: str, known: Iterable[str], model: str) -> NotFound:
    ids = list(dict.fromkeys(known))
    close = difflib.get_close_matches(value.lower(), [i.lower() for i in ids], n=5, cutoff=0.5)
    if close:
        hint = f"; close to it: {', '.join(close)}"
    else:
        hint = f"; it has {', '.join(ids[:8])}{', …' if len(ids) > 8 else ''}" if ids else f"; it has no {what}s"
    return NotFound(f"model {model!r} has no {what} {value[:80]!r}{hint}", reason=f"UNKNOWN_{what.upper()}")
