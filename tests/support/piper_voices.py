"""Tiny voices in Piper's format, which the real piper-tts and ONNX Runtime speak with.

The graph has a Piper voice's inputs and outputs, and does by tables what a real one learnt: a duration a phoneme id,
scaled and rounded up; of each id, one step (256 samples) of sound that begins and ends at zero and is repeated as long
as the phoneme lasts. Vowels are pulse trains through formants, consonants noise, punctuation is silence. So the length
of what is said follows from its phonemes, and the same text gives the same samples.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP as ESPEAK_IDS

from tts_workers.engine import ModelSpec

HOP = 256
NAME = "en_US-tiny-low"
VOWELS = frozenset("aeiouyæɐɑɒɔəɚɛɜɝɪʊʌᵻ")
SILENT = frozenset(" .,;:!?^$")
STRESS = frozenset("ˈˌː")
TEXT_IDS = {symbol: [id] for id, symbol in enumerate("_^$ abcdefghijklmnopqrstuvwxyz.,!?'")}


def make_voice(
    place: Path,
    name: str = NAME,
    *,
    speakers: int = 1,
    names: Sequence[str] = (),
    aligned: bool = False,
    rate: int = 22_050,
    pitch: int = 2,
    hurry: float = 1.0,
    symbols: Mapping[str, list[int]] = ESPEAK_IDS,
    megabytes: int = 0,
    endless: bool = False,
    broken: bool = False,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Writes `name`.onnx and its .json to `place`; returns the former's path.

    `names` are of the first speakers. `pitch` is in steps of 86 Hz, one more a speaker. `hurry` shortens phonemes, so
    that rounding them up weighs more. `megabytes`: how much the graph weighs besides. `endless`: more than 150 ids take
    for ever; `broken`: they fail. `config`: what the .json says otherwise.
    """
    place.mkdir(parents=True, exist_ok=True)
    graph = place / f"{name}.onnx"
    sounds = [_sounds(symbols, pitch + speaker, speaker) for speaker in range(speakers)]
    onnx.save(
        _graph(
            _durations(symbols, hurry),
            np.stack(sounds),
            aligned=aligned,
            megabytes=megabytes,
            endless=endless,
            broken=broken,
        ),
        graph,
    )
    said: dict[str, Any] = {
        "audio": {"sample_rate": rate, "quality": "low"},
        "espeak": {"voice": "en-us"},
        "language": {"code": "en_US", "family": "en", "region": "US"},
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": dict(symbols),
        "num_symbols": 256,
        "num_speakers": speakers,
        "speaker_id_map": {speaker: id for id, speaker in enumerate(names)},
        "hop_length": HOP,
        "piper_version": "1.0.0",
    }
    graph.with_name(f"{name}.onnx.json").write_text(json.dumps({**said, **(config or {})}))
    return graph


def truncated(graph: Path) -> Path:
    """The voice with its graph cut in half, as a download that broke off leaves it."""
    data = graph.read_bytes()
    graph.write_bytes(data[: len(data) // 2])
    return graph


def write_card(place: Path, licence: str) -> None:
    (place / "MODEL_CARD").write_text(f"# Model card for tiny (low)\n\n## Dataset\n\n* License: {licence}\n")


class Spec:
    """A model spec as a class attribute, whose voices are made when a test first asks for it."""

    def __init__(self, *voices: dict[str, Any], **options: Any) -> None:
        self._voices = voices or ({},)
        self._options = options
        self._spec: ModelSpec | None = None

    def __get__(self, instance: object, owner: type) -> ModelSpec:
        if self._spec is None:
            place = Path(tempfile.mkdtemp(prefix="antiphon-voices-"))
            atexit.register(shutil.rmtree, place, ignore_errors=True)
            graphs = [make_voice(place, **voice) for voice in self._voices]
            path = graphs[0] if len(graphs) == 1 else place
            self._spec = ModelSpec("tiny", "piper", {"path": str(path), **self._options})
        return self._spec


# --- the tables -------------------------------------------------------------------------------------------------------


def _durations(symbols: Mapping[str, list[int]], hurry: float) -> np.ndarray:
    """Steps that each id lasts; even, so that half of it is whole, unless in a hurry: then not whole itself."""
    table = np.full(256, 4, dtype=np.float32)
    for symbol, ids in symbols.items():
        steps = (
            8 if symbol[0] in VOWELS else 2 if symbol in "_^$ " or symbol in STRESS else 10 if symbol in SILENT else 4
        )
        table[ids] = steps
    return table if hurry == 1.0 else table / hurry * np.float32(0.6 + 0.8 * (np.arange(256) % 7) / 6)


def _sounds(symbols: Mapping[str, list[int]], pitch: int, seed: int) -> np.ndarray:
    """One step of sound for each id, shape (256, HOP)."""
    table = np.zeros((256, HOP), dtype=np.float32)
    for symbol, ids in symbols.items():
        for id in ids:
            if symbol in SILENT:
                continue
            if symbol[0] in VOWELS:
                table[id] = 0.12 * _voiced(pitch, 4 + id % 9, 14 + id % 13)
            elif symbol == "_" or symbol in STRESS:
                table[id] = 0.06 * _voiced(pitch, 4, 16)
            else:
                noise = np.random.default_rng(1000 * seed + id).normal(0, 1, HOP)
                table[id] = 0.04 * noise * np.sin(np.pi * np.arange(HOP) / HOP)
    return table


def _voiced(pitch: int, *formants: int) -> np.ndarray:
    """Harmonics of `pitch` cycles a step, louder near the formants (in cycles a step); of RMS 1."""
    t = 2 * np.pi * np.arange(HOP) / HOP
    wave = np.zeros(HOP)
    for cycles in range(pitch, 48, pitch):
        gain = sum(1.0 / (1.0 + ((cycles - f) / 2.0) ** 2) for f in formants) + 0.3 / cycles
        wave += gain * np.sin(cycles * t)
    return wave / np.sqrt(np.mean(wave**2))


# --- the graph --------------------------------------------------------------------------------------------------------


def _graph(
    durations: np.ndarray, sounds: np.ndarray, *, aligned: bool, megabytes: int, endless: bool, broken: bool
) -> onnx.ModelProto:
    speakers = len(sounds)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def constant(name: str, value: Any) -> str:
        weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(kind: str, inputs: Sequence[str], output: str, **more: Any) -> str:
        nodes.append(helper.make_node(kind, list(inputs), [output], **more))
        return output

    one, flat = constant("one", np.int64([1])), constant("flat", np.int64([-1]))
    zero = constant("zero", np.int64(0))
    # How long each id lasts: [1, 1, T], as in a real voice.
    length = node("Gather", ["scales", constant("length_index", np.int64(1))], "length")
    lasts = node("Unsqueeze", [node("Gather", [constant("durations", durations), "input"], "lasts"), one], "lasts_3d")
    node("Ceil", [node("Mul", [lasts, length], "scaled")], "w_ceil")
    # Which id each step of sound is of: as many of them have ended before.
    steps = node("Reshape", ["w_ceil", flat], "steps")
    ends = node("CumSum", [steps, zero], "ends")
    total = node("Cast", [node("ReduceSum", [steps], "sum", keepdims=0)], "total", to=TensorProto.INT64)
    numbers = node("Range", [zero, total, constant("step", np.int64(1))], "numbers")
    column = node("Unsqueeze", [node("Cast", [numbers], "numbers_f", to=TensorProto.FLOAT), one], "column")
    over = node("Cast", [node("GreaterOrEqual", [column, ends], "over_b")], "over", to=TensorProto.FLOAT)
    place = node("Cast", [node("ReduceSum", [over, one], "place_f", keepdims=0)], "place", to=TensorProto.INT64)
    ids = node("Gather", [node("Reshape", ["input", flat], "ids"), place], "step_ids")
    table = constant("sounds", sounds.astype(np.float32))
    mine = node("Gather", [table, "sid" if speakers > 1 else constant("alone", np.int64([0]))], "mine")
    wave = node("Gather", [node("Squeeze", [mine, constant("axis", np.int64([0]))], "mine_2d"), ids], "wave_2d")
    silent = constant("silent", np.float32(0.0))
    if megabytes:
        weight = constant("weight", np.zeros((megabytes * 1024, 256), np.float32))
        heavy = node("ReduceSum", [node("Gather", [weight, ids], "heavy")], "weighed", keepdims=0)
        wave = node("Add", [wave, heavy], "wave_weighed")
    long = node("Greater", [node("Size", ["input"], "size"), constant("many", np.int64(150))], "long")
    if broken:
        nowhere = node("Where", [long, constant("far", np.int64(10**6)), zero], "nowhere")
        nothing = node("Mul", [node("Gather", ["durations", nowhere], "there"), silent], "nothing")
        wave = node("Add", [wave, nothing], "wave_broken")
    if endless:
        rounds = node("Where", [long, constant("for_ever", np.int64(2**60)), zero], "rounds")
        wave = node("Add", [wave, node("Loop", [rounds, "", silent], "turned", body=_again())], "wave_turned")
    node("Reshape", [wave, constant("shape", np.int64([1, 1, 1, -1]))], "output")

    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, ["batch", "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    if speakers > 1:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, ["batch"]))
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1, 1, "time"])]
    if aligned:
        outputs.append(helper.make_tensor_value_info("w_ceil", TensorProto.FLOAT, ["batch", 1, "phonemes"]))
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _again() -> onnx.GraphProto:
    """The body of a loop that changes nothing."""
    scalars = [("round", TensorProto.INT64), ("on", TensorProto.BOOL), ("x", TensorProto.FLOAT)]
    given = [helper.make_tensor_value_info(name, kind, []) for name, kind in scalars]
    left = [helper.make_tensor_value_info(f"{name}_next", kind, []) for name, kind in scalars[1:]]
    nodes = [helper.make_node("Identity", [name], [f"{name}_next"]) for name, _ in scalars[1:]]
    return helper.make_graph(nodes, "again", given, left)
