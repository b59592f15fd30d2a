"""Tiny ONNX models with the signatures of Silero VAD, and of things that are not Silero VAD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

THRESHOLD = 0.01
"""Mean square from which the small model takes a window for speech."""


def own_model(path: Path, *, takes: int = 576, units: int = 128, outputs: int = 1) -> Path:
    """The package silero-vad's signature: input, state and sr in; a probability and the next state out.

    What is loud is speech. The state counts windows, so that a test sees whose it is; no other `outputs` than one is
    Silero's.
    """
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Mul", ["input", "input"], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["power"], keepdims=1),
        helper.make_node("Sub", ["power", "threshold"], ["apart"]),
        helper.make_node("Cast", ["sr"], ["rate"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["apart", "rate"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["sure"]),
        helper.make_node("Expand", ["sure", "shape"], ["output"]),
        helper.make_node("Add", ["state", "one"], ["stateN"]),
    ]
    constants = [
        helper.make_tensor("threshold", TensorProto.FLOAT, [], [THRESHOLD]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        helper.make_tensor("shape", TensorProto.INT64, [2], [1, outputs]),
    ]
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.FLOAT, (1, takes)),
        helper.make_tensor_value_info("state", TensorProto.FLOAT, (2, "batch", units)),
        helper.make_tensor_value_info("sr", TensorProto.INT64, ()),
    ]
    gives = [
        helper.make_tensor_value_info("output", TensorProto.FLOAT, (1, outputs)),
        helper.make_tensor_value_info("stateN", TensorProto.FLOAT, (2, "batch", units)),
    ]
    return _save(path, nodes, inputs, gives, constants)


def other_model(path: Path) -> Path:
    """One that has nothing to do with it."""
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 80)) for name in ("features", "out")]
    return _save(path, [helper.make_node("Identity", ["features"], ["out"])], value[:1], value[1:], [])


def _save(path: Path, nodes: list[Any], takes: list[Any], gives: list[Any], constants: list[Any]) -> Path:
    from onnx import helper, save

    graph = helper.make_graph(nodes, "silero", takes, gives, constants)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
