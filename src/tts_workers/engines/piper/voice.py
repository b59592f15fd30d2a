"""One Piper voice in memory: its graph in ONNX Runtime, and piper-tts for the way from text to the graph's input.

The graph takes `input` (phoneme ids, [1, T]), `input_lengths` [1], `scales` (noise, length, noise of lengths) and, for
several speakers, `sid` [1]. It gives samples, and in voices patched for it (by `piper.patch_voice_with_alignment`) how
many steps of `hop_length` samples each id lasts. We run it ourselves rather than through `PiperVoice.synthesize`, which
takes no `RunOptions`, makes every sentence as loud as it can be, and logs the text.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.errors import AntiphonError, AtCapacity, Internal, Misconfigured
from tts_workers.engine import ModelSpec
from tts_workers.engines.piper.config import BOS, EOS, PAD, VoiceConfig
from tts_workers.engines.piper.files import VoiceFiles
from tts_workers.warmup import warm_up_text

CUDA = "CUDAExecutionProvider"
INSTALL = "./antiphon install piper"

PACES = (0.25, 0.5, 1.0, 2.5)
"""Scales of length, by the config's own, at which a voice is measured."""
MEASURED = 40
"""Phonemes that it is measured with: two or three seconds of speech."""

_DEVICE = re.compile(r"cpu|cuda(?::([0-9]{1,2}))?")
_POINTER = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Scales:
    """Of lengths, of the sound's noise and of the lengths' noise, as the graph takes them."""

    length: float
    noise: float
    noise_w: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """Samples in [-1, 1], shape (n,), and where each phoneme begins in them; none where the voice does not tell."""

    wave: NDArray[np.float32]
    starts: tuple[int, ...]


class Voice:
    """Any number of threads at once. Raises `Misconfigured` for files that do not go together.

    `aligned`: it tells where phonemes begin. `cpu_per_second`: core seconds that a second of its speech costs.
    """

    def __init__(self, spec: ModelSpec, files: VoiceFiles, config: VoiceConfig, *, device: str, threads: int) -> None:
        piper, runtime = import_piper(spec)
        self.files = files
        self.config = config
        self._spec = spec
        self._runtime = runtime
        self._session = self._open(device, threads)
        self._piper = piper.PiperVoice(session=self._session, config=piper.PiperConfig.from_dict(dict(config.raw)))
        self._check_inputs()
        self.aligned = self._probe()
        self.cpu_per_second, self._lengths = self._measure(threads)

    def run_options(self) -> Any:
        options = self._runtime.RunOptions()
        # A run that is told to end is no error to log.
        options.log_severity_level = 4
        return options

    def phonemize(self, text: str) -> list[list[str]]:
        """Phonemes of each sentence, of those that the voice knows.

        One at a time in the process: piper-tts holds its lock, as espeak-ng keeps its state in globals.
        """
        symbols = self.config.symbols
        return [[p for p in sentence if p in symbols] for sentence in self._piper.phonemize(text)]

    def speak(self, phonemes: list[str], speaker: int, scales: Scales, options: Any) -> Spoken:
        """One run of the graph; whatever ONNX Runtime raises goes through."""
        ids: list[int] = self._piper.phonemes_to_ids(phonemes)
        wave, steps = self._run(ids, speaker, scales, options)
        if steps is None or not self.aligned:
            return Spoken(wave, ())
        ends = np.concatenate(([0], np.cumsum(steps * self.config.hop))).astype(int)
        return Spoken(wave, tuple(int(ends[at]) for at in self._id_starts(phonemes)))

    def length_scale(self, rate: float) -> float:
        """The scale at which speech is `rate` times as fast as at the config's own.

        Not its inverse: a voice rounds the length of each id up, which weighs more the shorter they are.
        """
        return self.config.length_scale * float(np.interp(1.0 / rate, self._lengths, PACES))

    def _id_starts(self, phonemes: Sequence[str]) -> list[int]:
        """Which of the ids is each phoneme's first: they follow BOS and PAD, and each has a PAD behind it."""
        symbols = self.config.symbols
        pad = len(symbols[PAD])
        lengths = [len(symbols[BOS]) + pad, *(len(symbols[p]) + pad for p in phonemes)]
        return list(accumulate(lengths))[:-1]

    def _run(
        self, ids: list[int], speaker: int, scales: Scales, options: Any
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        feed = {
            "input": np.array([ids], dtype=np.int64),
            "input_lengths": np.array([len(ids)], dtype=np.int64),
            "scales": np.array([scales.noise, scales.length, scales.noise_w], dtype=np.float32),
        }
        if self.config.speakers:
            feed["sid"] = np.array([speaker], dtype=np.int64)
        result = self._session.run(None, feed, options)
        wave = np.asarray(result[0], dtype=np.float32).reshape(-1)
        if len(result) == 1:
            return wave, None
        steps = np.asarray(result[1], dtype=np.float64).reshape(-1)
        return wave, steps if len(steps) == len(ids) else None

    # --- at load ------------------------------------------------------------------------------------------------------

    def _open(self, device: str, threads: int) -> Any:
        runtime = self._runtime
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Else threads burn their core for a while after each run, waiting for the next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers: list[Any] = ["CPUExecutionProvider"]
        if device != "cpu":
            self._check_cuda(device)
            number = (_DEVICE.fullmatch(device) or [device, None])[1]
            providers.insert(0, (CUDA, {"device_id": number or "0", "cudnn_conv_algo_search": "HEURISTIC"}))
        try:
            session = runtime.InferenceSession(str(self.files.graph), sess_options=options, providers=providers)
        except Exception as error:  # its exceptions have no base of their own
            raise self._unreadable(error) from error
        if device != "cpu" and CUDA not in session.get_providers():
            raise self._no_cuda(device, "ONNX Runtime could not use it (its log says why) and fell back to the CPU")
        return session

    def _check_cuda(self, device: str) -> None:
        if CUDA not in self._runtime.get_available_providers():
            raise self._no_cuda(device, f"the ONNX Runtime here has no {CUDA}; install onnxruntime-gpu in its place")

    def _no_cuda(self, device: str, why: str) -> Misconfigured:
        return Misconfigured(
            f"model {self._spec.id!r} asks for device {device!r}, but {why}; or set device to 'cpu'", reason="NO_CUDA"
        )

    def _unreadable(self, error: Exception) -> AntiphonError:
        if _wants_memory(error):
            return self._no_memory(error)
        with self.files.graph.open("rb") as file:
            pointer = file.read(len(_POINTER)) == _POINTER
        if pointer:
            why = "is a Git LFS pointer, not the file itself; run `git lfs pull`, or get the file"
        else:
            why = "cannot be read; it may be cut short or no ONNX graph, get the voice's files afresh"
        return Misconfigured(
            f"model {self._spec.id!r}: {self.files.graph.name} ({self.files.size:,} bytes) {why}. "
            f"ONNX Runtime: {_said(error)}",
            reason="BROKEN_MODEL",
        )

    def _check_inputs(self) -> None:
        names = {i.name for i in self._session.get_inputs()}
        if missing := {"input", "input_lengths", "scales"} - names:
            raise self._mismatch(f"the graph has no input {', '.join(sorted(missing))}: it is no Piper voice")
        count = len(self.config.speakers)
        if count and "sid" not in names:
            raise self._mismatch(f"the config has {count} speakers, but the graph has no input sid, so it is of one")
        if not count and "sid" in names:
            raise self._mismatch("the graph takes a speaker (input sid), but the config's num_speakers is 1 or less")

    def _probe(self) -> bool:
        """Says all but nothing, with the highest ids that there are; whether the voice tells true alignments."""
        symbols = self.config.symbols
        highest = max(id for ids in symbols.values() for id in ids)
        ids = [*symbols[BOS], *symbols[PAD], highest, *symbols[PAD], *symbols[EOS]]
        scales = Scales(self.config.length_scale, 0.0, 0.0)
        wave, steps = self._try(ids, 0, scales, f"the config's phoneme ids go up to {highest}")
        if count := len(self.config.speakers):
            self._try(ids, count - 1, scales, f"the config has {count} speakers")
        self._try_phonemizer()
        return steps is not None and round(float(steps.sum())) * self.config.hop == len(wave) > 0

    def _measure(self, threads: int) -> tuple[float, list[float]]:
        """Core seconds that a second of speech costs, now, and how long speech is at each of `PACES`.

        By the beginning of the warm-up text. Others may use the cores meanwhile: only this thread's time counts.
        """
        text = warm_up_text(self.config.language)
        phonemes = next((s for s in self.phonemize(text) if s), [])[:MEASURED]
        before = time.thread_time()
        samples = []
        for pace in PACES:
            scales = Scales(self.config.length_scale * pace, 0.0, 0.0)
            try:
                spoken = self.speak(phonemes, 0, scales, self.run_options())
            except Exception as error:  # likewise
                raise self.failed(error) from error
            samples.append(len(spoken.wave))
        spent = (time.thread_time() - before) * threads
        own = max(samples[PACES.index(1.0)], 1)
        return spent * self.config.sample_rate / max(sum(samples), 1), [n / own for n in samples]

    def _try(
        self, ids: list[int], speaker: int, scales: Scales, claim: str
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        try:
            return self._run(ids, speaker, scales, self.run_options())
        except Exception as error:  # likewise
            raise self._mismatch(f"{claim}, which the graph cannot take. ONNX Runtime: {_said(error)}") from error

    def _try_phonemizer(self) -> None:
        try:
            self._piper.phonemize("a")
        except RuntimeError as error:
            name = self.config.raw["espeak"]["voice"]
            raise Misconfigured(
                f"model {self._spec.id!r}: {self.files.config.name} names espeak voice {name!r}, "
                f"which the espeak-ng of piper-tts has not ({error}); a newer piper-tts may have it",
                reason="UNKNOWN_ESPEAK_VOICE",
            ) from error

    def _mismatch(self, what: str) -> Misconfigured:
        return Misconfigured(
            f"model {self._spec.id!r}: {self.files.graph.name} and {self.files.config.name} don't go together: {what}; "
            "get both of the same voice",
            reason="CONFIG_MISMATCH",
        )

    def failed(self, error: Exception) -> AntiphonError:
        """What a run that broke is to the turn that asked for it."""
        if _wants_memory(error):
            return self._no_memory(error)
        return Internal(f"voice {self.files.name} failed in ONNX Runtime: {_said(error)}", reason="ENGINE_FAILED")

    def _no_memory(self, error: Exception) -> AtCapacity:
        return AtCapacity(
            f"model {self._spec.id!r}: no memory is left for {self.files.graph.name} ({self.files.size:,} bytes); "
            f"unload another model, or use a smaller voice. ONNX Runtime: {_said(error)}",
            reason="OUT_OF_MEMORY",
        )


def _wants_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "alloc" in str(error)


def _said(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__


def check_device(spec: ModelSpec, device: str) -> None:
    if not _DEVICE.fullmatch(device):
        raise Misconfigured(
            f"model {spec.id!r}: device is {device!r}; it can be cpu, cuda or cuda:1 and so on", reason="BAD_DEVICE"
        )


def import_piper(spec: ModelSpec) -> tuple[Any, Any]:
    """The packages `piper` and `onnxruntime`; raises `Misconfigured` that says how to get them."""
    try:
        import onnxruntime
        import piper
    except ModuleNotFoundError as error:
        raise Misconfigured(
            f"model {spec.id!r} needs piper-tts (GPL-3.0-or-later) and onnxruntime, which are not here ({error}); "
            f"this installs them: {INSTALL}",
            reason="NOT_INSTALLED",
        ) from error
    return piper, onnxruntime
