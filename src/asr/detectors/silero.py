"""Silero VAD: a small recurrent network that tells speech from other sound, better than any rule and a little later.

ONNX Runtime, one thread; one session a process, which all streams share, and a kilobyte of state a stream. A window is
512 samples, heard with the 64 before it. Two signatures are known, and told apart by their inputs: faster-whisper's
bundled file (`input`, `h`, `c`), which takes several windows in a row at little more than the price of one, and the
package silero-vad's own, versions 5 and 6 (`input`, `state`, `sr`), which takes them one by one.

Model and weights: github.com/snakers4/silero-vad (MIT).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.audio import UPLINK_RATE
from base.errors import Misconfigured

WINDOW = 512
CONTEXT = 64
_UNITS = 128
_BUNDLED = (("silero_vad", "data/silero_vad.onnx"), ("faster_whisper", "assets/silero_vad_v*.onnx"))
_HELP = "./antiphon install whisper brings one"

Floats = NDArray[np.float32]
State = tuple[Floats, ...]
Run = Callable[[Floats, State], tuple[float, State]]
"""Windows in a row, shape (n, CONTEXT + WINDOW), and the state before them; the highest answer, and the state after."""


def find_model() -> Path | None:
    """The file of an installed package, found without importing the package; None where there is none, or nothing to
    run it with."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    for package, inside in _BUNDLED:
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec is not None else ():
            for path in sorted(Path(root).glob(inside), reverse=True):
                return path
    return None


class SileroModel:
    """The network, loaded from `path` (empty: an installed package's). Raises Misconfigured, which says what to do."""

    def __init__(self, path: str | Path = "") -> None:
        self.path = _file(path)
        self.run, self.begin = _signature(_open(self.path), self.path)
        self._check()

    def _check(self) -> None:
        """Two windows of silence: a wrong model is found at the start, and the first user does not wait."""
        state = self.begin
        for _ in range(2):
            try:
                probability, state = self.run(np.zeros((1, CONTEXT + WINDOW), np.float32), state)
            except Exception as error:  # ONNX Runtime has no common base of its errors
                raise Misconfigured(f"detector_model: {self.path} does not run: {error}", reason="BAD_MODEL") from error
        shapes = [part.shape for part in state]
        if not 0.0 <= probability <= 0.5 or shapes != [part.shape for part in self.begin]:
            raise Misconfigured(
                f"detector_model: {self.path} gives {probability:g} for silence and a state of {shapes}; "
                "Silero VAD gives a probability near 0 and a state like the one that it got",
                reason="BAD_MODEL",
            )


class SileroDetector:
    """One stream's `Detector`. Windows that it did not get are as if they had never been."""

    frame_samples = WINDOW

    def __init__(self, model: SileroModel) -> None:
        self._model = model
        self._heard = np.zeros(CONTEXT + WINDOW, np.float32)
        self._state = model.begin

    def probability(self, pcm: bytes) -> float:
        """Of several windows in a row: the highest."""
        windows, rest = divmod(len(pcm), 2 * WINDOW)
        if rest or not windows:
            raise ValueError(
                f"{len(pcm)} bytes of audio; it must be windows of {2 * WINDOW} (32 ms of s16le at 16 kHz)"
            )
        last, size = self._heard, CONTEXT + windows * WINDOW
        heard = last if len(last) == size else np.empty(size, np.float32)
        heard[:CONTEXT] = last[-CONTEXT:]
        np.multiply(np.frombuffer(pcm, "<i2"), np.float32(1 / 32768), out=heard[CONTEXT:])
        self._heard = heard
        cut = np.ndarray((windows, CONTEXT + WINDOW), np.float32, heard, strides=(4 * WINDOW, 4))
        probability, self._state = self._model.run(cut, self._state)
        return probability

    def reset(self) -> None:
        """What comes next has nothing to do with what came before."""
        self._heard[:] = 0.0
        self._state = self._model.begin


def _file(path: str | Path) -> Path:
    if path:
        if Path(path).is_file():
            return Path(path)
        raise Misconfigured(
            f"detector_model: there is no file {path}; Silero VAD's ONNX file is wanted, or an empty setting, which "
            f"means that of an installed package ({_HELP})",
            reason="MODEL_MISSING",
        )
    found = find_model()
    if found is None:
        raise Misconfigured(
            f"detector silero needs Silero VAD's model and ONNX Runtime, which come with: {_HELP.split(' brings')[0]}",
            reason="EXTRA_MISSING",
        )
    return found


def _open(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise Misconfigured(
            f"detector silero needs ONNX Runtime, which comes with: {_HELP.split(' brings')[0]}", reason="EXTRA_MISSING"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise Misconfigured(f"detector_model: {path} is no ONNX model: {error}", reason="BAD_MODEL") from error


def _signature(session: Any, path: Path) -> tuple[Run, State]:
    """How to run it, and the state to begin with."""
    takes = {each.name: each.shape for each in session.get_inputs()}
    if set(takes) == {"input", "h", "c"} and len(session.get_outputs()) == 3:

        def run_bundled(heard: Floats, state: State) -> tuple[float, State]:
            out, h, c = session.run(None, {"input": heard, "h": state[0], "c": state[1]})
            if out.size != len(heard):
                raise ValueError(f"{out.size} answers for {len(heard)} windows")
            return max(out.tolist()), (h, c)

        return run_bundled, (np.zeros((1, 1, _UNITS), np.float32),) * 2
    if set(takes) == {"input", "state", "sr"} and len(session.get_outputs()) == 2:
        rate = np.array(UPLINK_RATE, np.int64)

        def run_own(heard: Floats, state: State) -> tuple[float, State]:
            highest = 0.0
            for window in heard:
                out, after = session.run(None, {"input": window[np.newaxis], "state": state[0], "sr": rate})
                highest, state = max(highest, float(out.item())), (after,)
            return highest, state

        return run_own, (np.zeros((2, 1, _UNITS), np.float32),)
    raise Misconfigured(
        f"detector_model: {path} takes {takes}; Silero VAD 5 or 6 takes input, state and sr (or, from faster-whisper, "
        "input, h and c)",
        reason="BAD_MODEL",
    )
