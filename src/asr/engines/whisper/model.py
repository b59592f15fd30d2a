"""Whisper through faster-whisper and CTranslate2. Imported in the child alone (`asr.shared_child`).

CPU means int8 and CUDA float16 where nothing else is asked for; what is asked for and cannot be had is refused, never
replaced. Nothing is ever fetched: the directory is checked before, and the hub's client is told to stay offline.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.engines.whisper import guard
from asr.engines.whisper.files import BCP47, find_model
from asr.quiet import is_quiet
from asr.speechlike import Speechlike
from asr.transcriber import Clip, ClipWord, Transcript
from asr.warm_up import decode_seconds
from base.audio import UPLINK_RATE, to_float
from base.errors import Misconfigured, Unavailable
from base.language import primary

COMPUTE = {"cpu": "int8", "cuda": "float16"}
TEMPERATURES = (0.0, 0.2, 0.4)
"""Those after the first are tried with the last decode of an utterance only, where the thresholds are not met."""
MOST_PROMPT = 200
"""Tokens of phrases; the model's memory holds 448, and half of it is what it may say."""
_CONTROL = re.compile(r"<\|[^<>|]*\|>")
_CODES = {tag: code for code, tag in BCP47.items()}


class WhisperTranscriber:
    """Raises Misconfigured for a model that cannot be loaded, and Unavailable where the device has no room."""

    def __init__(self, folder: str, device: str = "cpu", compute_type: str = "", threads: int = 0) -> None:
        # Here too, not only at the worker's start: what is missing since then would be looked for on the network.
        find_model(folder, "")
        os.environ["HF_HUB_OFFLINE"] = "1"
        import ctranslate2
        from faster_whisper import WhisperModel

        self._folder = folder
        compute = compute_type or COMPUTE[device]
        _check_device(device, compute)
        ctranslate2.set_random_seed(0)
        try:
            self._model = WhisperModel(
                folder, device=device, compute_type=compute, cpu_threads=threads, local_files_only=True
            )
        except Exception as error:  # whatever its parts raise: RuntimeError, ValueError, tokenizers' own
            raise _why(folder, error) from error
        mels, told = self._model.model.n_mels, len(self._model.feature_extractor.mel_filters)
        if mels != told:
            there = (Path(folder) / "preprocessor_config.json").is_file()
            raise Misconfigured(
                f"{folder}: the model wants {mels} mel bands, and its preprocessor_config.json "
                f"{'tells' if there else 'is missing; without it come'} {told}; get the model again",
                reason="BAD_MODEL",
            )

    def warm_up(self) -> float:
        language = "en" if self._model.model.is_multilingual else ""
        try:
            return decode_seconds(lambda noise: self._decode(noise, language, (), (0.0,)))
        except Exception as error:
            raise _why(self._folder, error) from error

    def transcribe(self, clip: Clip) -> Transcript:
        samples = to_float(clip.pcm)
        if is_quiet(samples):
            return Transcript()
        sound = Speechlike()
        sound.push(clip.pcm)
        speechlike = sound.verdict()
        if not speechlike and not clip.last:
            return Transcript(sure=False)
        temperatures = TEMPERATURES if clip.last else TEMPERATURES[:1]
        segments, info = self._decode(samples, clip.language, clip.phrases, temperatures)
        words: list[ClipWord] = []
        dropped = False
        for s in segments:
            if guard.is_said(s.no_speech_prob, s.avg_logprob, s.compression_ratio, speechlike=speechlike):
                words += (_word(w, len(samples)) for w in s.words or ())
            else:
                dropped = True
        language = BCP47.get(info.language, info.language)
        probability = 0.0 if clip.language else float(info.language_probability)
        return Transcript(tuple(words), language, probability, sure=not dropped)

    def close(self) -> None:
        self._model.model.unload_model()

    def _decode(
        self, samples: NDArray[np.float32], language: str, phrases: tuple[str, ...], temperatures: tuple[float, ...]
    ) -> tuple[list[Any], Any]:
        code = primary(language) if language else None
        segments, info = self._model.transcribe(
            samples,
            language=_CODES.get(code, code) if code else None,
            beam_size=1,
            best_of=1,
            temperature=list(temperatures),
            compression_ratio_threshold=guard.SPEECH.compression,
            log_prob_threshold=guard.SPEECH.log_probability,
            condition_on_previous_text=False,
            hotwords=self._prompt(phrases) or None,
            word_timestamps=True,
        )
        return list(segments), info

    def _prompt(self, phrases: tuple[str, ...]) -> str:
        """As many as the prompt has room for, the first ones; none of them can say what only the decoder may."""
        taken: list[str] = []
        room = MOST_PROMPT
        for phrase in filter(None, map(plain, phrases)):
            room -= len(self._model.hf_tokenizer.encode(f" {phrase},", add_special_tokens=False).ids)
            if room < 0:
                break
            taken.append(phrase)
        return ", ".join(taken)


def plain(phrase: str) -> str:
    """Without what Whisper's tokenizer reads as control tokens: "<|startoftranscript|>", "<|0.00|>"."""
    return " ".join(_CONTROL.sub(" ", phrase).replace("<|", " ").replace("|>", " ").split())


def _word(word: Any, most: int) -> ClipWord:
    start, end = (min(most, max(0, round(float(t) * UPLINK_RATE))) for t in (word.start, word.end))
    return ClipWord(word.word, start, max(start, end), min(1.0, max(0.0, float(word.probability))))


def _check_device(device: str, compute: str) -> None:
    import ctranslate2

    if device == "cuda" and not ctranslate2.get_cuda_device_count():
        raise Misconfigured(
            "asr_worker.device is cuda, and CTranslate2 sees no NVIDIA GPU here; install the driver, or set it to cpu",
            reason="NO_CUDA",
        )
    can = sorted(ctranslate2.get_supported_compute_types(device))
    if compute not in can:
        raise Misconfigured(
            f"asr_worker.compute_type {compute!r} is not for this {device}; it can do {', '.join(can)}",
            reason="COMPUTE_TYPE",
        )


def _why(folder: str, error: Exception) -> Misconfigured | Unavailable:
    text = str(error)[:300]
    if "out of memory" in text.lower() or isinstance(error, MemoryError):
        return Unavailable(f"there is no room for {folder} ({text}); use a smaller model", reason="OUT_OF_MEMORY")
    if "libcublas" in text or "libcudnn" in text:
        return Misconfigured(
            f"CTranslate2 lacks a library for CUDA ({text}); "
            ".venv/bin/pip install nvidia-cublas-cu12 nvidia-cudnn-cu12",
            reason="NO_CUDA",
        )
    return Misconfigured(f"{folder} cannot be loaded: {text}; get the model again", reason="BAD_MODEL")
