"""Neural voices that a CPU speaks faster than real time: Piper (piper-tts, GPL-3.0-or-later) on ONNX Runtime.

Sentence by sentence, a long one clause by clause; a cancel ends the run in its middle. Rate is the voice's length
scale; it knows no pitch. Word marks come where every voice of the model tells its alignments (see `voice.py`).
Voices of a model that differ in sample rate are brought to the highest. The text's way to phonemes leads through the
espeak-ng inside piper-tts, in this process, one text at a time.

Options of its model spec:

    path            a voice's .onnx file (its .onnx.json beside it), or a directory of voices, each a voice of the model
    models_dir      nothing outside it is read, and relative paths begin here ("": no such limit)
    voice           the default voice, where there are several; for the ids see `speakers.py` ("": the first)
    device          cpu, cuda or cuda:N; never the CPU where CUDA was asked for (cpu)
    threads         threads of one run (0: half of the cores, 4 at most)
    length_scale    longer or shorter than the voice's config says, as a factor (1)
    noise_scale     liveliness of the sound (the config's)
    noise_w_scale   liveliness of the rhythm (the config's)
    pause_s         silence between sentences besides the voice's own (0.15)
    max_concurrent  turns at once, as in EngineInfo (0: by a measurement at load, of this voice on these cores)

`docs/models.md` says where voices come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from base.audio import StreamResampler, from_float
from base.errors import NotFound, Unavailable
from base.language import matches
from tts_workers.engine import Audio, EngineInfo, Mark, ModelSpec, Request
from tts_workers.engines.piper.config import VoiceConfig, read_config
from tts_workers.engines.piper.cores import CORES, available, default_threads
from tts_workers.engines.piper.files import VoiceFiles, find_voices, licence_on
from tts_workers.engines.piper.memory import needed
from tts_workers.engines.piper.sentences import ends_sentence, plain, split
from tts_workers.engines.piper.speakers import Speaker, Speakers
from tts_workers.engines.piper.voice import Scales, Spoken, Voice, check_device, import_piper
from tts_workers.engines.piper.watch import Watch
from tts_workers.engines.piper.words import Place, places
from tts_workers.options import read_options
from tts_workers.text import speakable
from worker.memory import give_back

FADE_S = 0.003
LICENCE = "GPL-3.0-or-later"
LOAD = 0.7
"""Of the cores, how much may be taken where every turn is to stay ahead of its listener."""


@dataclass(frozen=True, slots=True)
class _Options:
    path: str = ""
    models_dir: str = ""
    voice: str = ""
    device: str = "cpu"
    threads: Annotated[int, Meta(ge=0, le=256)] = 0
    length_scale: Annotated[float, Meta(gt=0, le=10)] = 1.0
    noise_scale: Annotated[float, Meta(ge=0, le=10)] | None = None
    noise_w_scale: Annotated[float, Meta(ge=0, le=10)] | None = None
    pause_s: Annotated[float, Meta(ge=0, le=5)] = 0.15
    max_concurrent: Annotated[int, Meta(ge=0)] = 0


_Found = tuple[VoiceFiles, VoiceConfig]


class PiperEngine:
    name = "piper"

    def load(self, spec: ModelSpec) -> PiperModel:
        options = _options(spec)
        import_piper(spec)
        found = _found(spec, options)
        voices = [Voice(spec, f, c, device=options.device, threads=options.threads) for f, c in found]
        return PiperModel(spec, options, voices)

    def inspect(self, spec: ModelSpec) -> EngineInfo:
        """What the model will be, by its voices' configs; whether it has marks, only its graphs tell.

        `memory_bytes` is the estimate. Raises what `load` would for files that aren't there or can't be.
        """
        options = _options(spec)
        found = _found(spec, options)
        return _info(options, found, _speakers(spec, found))


class PiperModel:
    """See the module. Any number of requests at once."""

    def __init__(self, spec: ModelSpec, options: _Options, voices: list[Voice]) -> None:
        self._spec = spec
        self._options = options
        self._voices = voices
        self._watch = Watch()
        found = [(voice.files, voice.config) for voice in voices]
        self._speakers = _speakers(spec, found)
        self.info = replace(
            _info(options, found, self._speakers),
            marks=all(voice.aligned for voice in voices),
            max_concurrent=options.max_concurrent or _concurrent(voices, options),
        )
        self._rate = self.info.sample_rate

    def synthesize(self, request: Request) -> Iterator[Audio | Mark]:
        speaker = self._speakers.find(request.voice or self.info.default_voice)
        self._check_language(speaker, request.language)
        if not self._voices:
            raise self._closed()
        voice = self._voices[speaker.voice]
        made = at = 0
        before = "" if request.first else request.previous_text
        for piece in split(request.text, first=request.first):
            if request.cancelled():
                return
            text = plain(piece)
            if speakable(text):
                pause = self._options.pause_s / request.style.rate if ends_sentence(before) else 0.0
                for item in self._piece(request, voice, speaker.number, text, round(pause * self._rate)):
                    if isinstance(item, Mark):
                        yield replace(item, start=at + item.start, end=at + item.end, sample=made + item.sample)
                    else:
                        made += len(item.data) // 2
                        yield item
                        if request.cancelled():
                            return
                before = piece
            at += len(piece)

    def close(self) -> None:
        """Ends what still runs; the memory comes back when the last run has ended."""
        self._watch.close()
        self._voices = []
        give_back()

    def _piece(self, request: Request, voice: Voice, speaker: int, text: str, pause: int) -> Iterator[Audio | Mark]:
        """One piece, after a pause in samples. Code points and samples of its marks count in the piece."""
        sentences = [s for s in voice.phonemize(text) if s]
        words = self._places(voice, text, sentences) if self.info.marks else []
        done = index = 0
        for phonemes in sentences:
            spoken = self._run(request, voice, speaker, phonemes)
            if spoken is None:
                return
            lead, pause = pause, 0
            end = index + len(phonemes) + 1
            for place in (place for place in words if index <= place.phoneme < end):
                begins = spoken.starts[min(place.phoneme - index, len(phonemes) - 1)] if spoken.starts else 0
                sample = done + lead + self._scaled(voice, begins)
                yield Mark(place.word.start, place.word.end, sample, place.exact and bool(spoken.starts))
            data = bytes(2 * lead) + self._sound(voice, spoken.wave)
            yield Audio(data)
            done += len(data) // 2
            index = end

    def _run(self, request: Request, voice: Voice, speaker: int, phonemes: list[str]) -> Spoken | None:
        """None when it was cancelled."""
        cores = self._options.threads if self._options.device == "cpu" else 1
        with CORES.lent(request, cores) as wanted:
            if not wanted:
                return None
            options = voice.run_options()
            run = self._watch.begin(options, request.cancelled)
            try:
                spoken = voice.speak(phonemes, speaker, self._scales(voice, request), options)
            except Exception as error:  # ONNX Runtime's have no base of their own
                if run.cancelled:
                    spoken = None
                else:
                    raise voice.failed(error) from error
            finally:
                cancelled = self._watch.finish(run)
        if cancelled and not request.cancelled():
            raise self._closed()
        return None if cancelled else spoken

    def _places(self, voice: Voice, text: str, sentences: list[list[str]]) -> list[Place]:
        """Words by their first phoneme, counted over all sentences with a space behind each."""

        def alone(word: str) -> list[str]:
            return [p for sentence in voice.phonemize(word) for p in sentence]

        return places(text, [p for sentence in sentences for p in [*sentence, " "]], alone)

    def _scales(self, voice: Voice, request: Request) -> Scales:
        options, config = self._options, voice.config
        return Scales(
            length=voice.length_scale(request.style.rate) * options.length_scale,
            noise=config.noise_scale if options.noise_scale is None else options.noise_scale,
            noise_w=config.noise_w if options.noise_w_scale is None else options.noise_w_scale,
        )

    def _sound(self, voice: Voice, wave: NDArray[np.float32]) -> bytes:
        """At the model's rate, faded at both ends, where a voice may click."""
        size = min(len(wave) // 2, round(FADE_S * voice.config.sample_rate))
        ramp = np.linspace(0.0, 1.0, size, endpoint=False, dtype=np.float32)
        wave[:size] *= ramp
        wave[len(wave) - size :] *= ramp[::-1]
        pcm = from_float(wave)
        if voice.config.sample_rate == self._rate:
            return pcm
        resampler = StreamResampler(voice.config.sample_rate, self._rate)
        return resampler.process(pcm) + resampler.flush()

    def _scaled(self, voice: Voice, sample: int) -> int:
        return round(sample * self._rate / voice.config.sample_rate)

    def _closed(self) -> Unavailable:
        return Unavailable(f"model {self._spec.id!r} is closed", reason="MODEL_CLOSED")

    def _check_language(self, speaker: Speaker, language: str) -> None:
        if language and not any(matches(language, tag) for tag in speaker.info.languages):
            raise NotFound(
                f"model {self._spec.id!r}: voice {speaker.info.id} speaks {', '.join(speaker.info.languages)}, "
                f"not {language[:40]!r}; the model has {', '.join(self.info.languages)}",
                reason="UNKNOWN_LANGUAGE",
            )


def _options(spec: ModelSpec) -> _Options:
    options = read_options(_Options, spec)
    check_device(spec, options.device)
    return options if options.threads else replace(options, threads=default_threads())


def _found(spec: ModelSpec, options: _Options) -> list[_Found]:
    return [(f, read_config(spec, f)) for f in find_voices(spec, options.path, options.models_dir)]


def _speakers(spec: ModelSpec, found: list[_Found]) -> Speakers:
    return Speakers(spec, [(files.name, config) for files, config in found])


def _info(options: _Options, found: list[_Found], speakers: Speakers) -> EngineInfo:
    """As far as files and options tell."""
    return EngineInfo(
        name="piper",
        sample_rate=max(config.sample_rate for _, config in found),
        languages=speakers.languages,
        voices=speakers.infos,
        default_voice=speakers.find(options.voice).info.id,
        licence=_licence(found),
        streaming=True,
        prosody=True,
        cancellable=True,
        memory_bytes=needed([files.size for files, _ in found], available() // options.threads),
        max_concurrent=options.max_concurrent,
    )


def _licence(found: list[_Found]) -> str:
    """Piper's own, and that of the voices as their model cards tell it."""
    told = dict.fromkeys(config.licence or licence_on(files) or "not stated" for files, config in found)
    return f"{LICENCE} (piper-tts); voice: {', '.join(told)}"


def _concurrent(voices: list[Voice], options: _Options) -> int:
    """Turns that the cores can speak in real time; 0, for no limit, where it is not they that do."""
    if options.device != "cpu":
        return 0
    slowest = max(voice.cpu_per_second for voice in voices)
    return max(1, int(LOAD * available() / max(slowest, 1e-6)))
