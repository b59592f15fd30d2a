"""A model that hears whether somebody is done: smart-turn v3's signature, from a file.

Input `input_features` [1, 80, 800] (see `features`), one output: the probability that the turn is over. ONNX Runtime,
one thread: an answer takes some tens of milliseconds, while the endpoint waits for hundreds. Model and weights:
github.com/pipecat-ai/smart-turn (BSD 2-clause).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from base.errors import Misconfigured
from orchestrator.ports import Said
from orchestrator.turn_detectors.features import BANDS, FRAMES, features


class SmartTurn:
    """A `TurnDetector`. Raises Misconfigured, which says what is wrong with the file."""

    name = "smart-turn"

    def __init__(self, path: str) -> None:
        self._session = _open(path)
        self._input = _input_name(self._session, path)
        self._check(path)

    def done(self, said: Said) -> float:
        out = self._session.run(None, {self._input: features(said.pcm)})[0]
        return float(np.clip(np.asarray(out).reshape(-1)[0], 0.0, 1.0))

    def _check(self, path: str) -> None:
        """One run, on silence: a wrong model is found at the start, and the first user does not wait."""
        try:
            out = np.asarray(self._session.run(None, {self._input: features(b"")})[0])
        except Exception as error:  # ONNX Runtime has no common base of its errors
            raise Misconfigured(f"turn_model: {path} does not run: {error}", reason="BAD_MODEL") from error
        if out.size != 1 or not 0.0 <= float(out.reshape(-1)[0]) <= 1.0:
            raise Misconfigured(
                f"turn_model: {path} gives {out.size} values, the first {out.reshape(-1)[:1].tolist()}; "
                "a turn detector gives one probability",
                reason="BAD_MODEL",
            )


def _open(path: str) -> Any:
    if not Path(path).is_file():
        raise Misconfigured(
            f"turn_model: there is no file {path}; smart-turn-v3's ONNX file is wanted, or an empty setting",
            reason="MODEL_MISSING",
        )
    try:
        import onnxruntime
    except ImportError as error:
        raise Misconfigured(
            "turn_model needs ONNX Runtime, which comes with: ./antiphon install piper", reason="EXTRA_MISSING"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise Misconfigured(f"turn_model: {path} is no ONNX model: {error}", reason="BAD_MODEL") from error


def _input_name(session: Any, path: str) -> str:
    inputs = session.get_inputs()
    shape = inputs[0].shape if inputs else []
    fits = len(shape) == 3 and all(
        not isinstance(have, int) or have == want for have, want in zip(shape, (1, BANDS, FRAMES), strict=True)
    )
    if len(inputs) != 1 or not fits:
        raise Misconfigured(
            f"turn_model: {path} takes {[(i.name, i.shape) for i in inputs]}; "
            f"smart-turn v3 takes one input of [1, {BANDS}, {FRAMES}]",
            reason="BAD_MODEL",
        )
    return str(inputs[0].name)
