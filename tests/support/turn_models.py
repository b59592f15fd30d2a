"""Tiny ONNX models with smart-turn's signature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

QUIET = 750
"""The first of the frames that count: the last half second."""


def energy_model(path: Path) -> str:
    """Done if the last half second is much quieter than the loudest there is."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Slice", ["input_features", "start", "end", "axis"], ["tail"]),
        helper.make_node("ReduceMean", ["tail"], ["quiet"], keepdims=0),
        helper.make_node("ReduceMax", ["input_features"], ["loud"], keepdims=0),
        helper.make_node("Sub", ["loud", "quiet"], ["apart"]),
        helper.make_node("Sub", ["apart", "one"], ["score"]),
        helper.make_node("Mul", ["score", "ten"], ["steep"]),
        helper.make_node("Sigmoid", ["steep"], ["sure"]),
        helper.make_node("Reshape", ["sure", "shape"], ["logits"]),
    ]
    constants = [
        helper.make_tensor("start", TensorProto.INT64, [1], [QUIET]),
        helper.make_tensor("end", TensorProto.INT64, [1], [800]),
        helper.make_tensor("axis", TensorProto.INT64, [1], [2]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        helper.make_tensor("ten", TensorProto.FLOAT, [], [10.0]),
        helper.make_tensor("shape", TensorProto.INT64, [2], [1, 1]),
    ]
    return _save(path, nodes, constants, ("batch", 80, 800), ("batch", 1))


def certain_model(path: Path, done: float) -> str:
    """One that has made up its mind."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("ReduceMean", ["input_features"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "done"], ["logits"]),
    ]
    constants = [
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("done", TensorProto.FLOAT, [1, 1], [done]),
    ]
    return _save(path, nodes, constants, (1, 80, 800), (1, 1))


def other_model(path: Path, shape: tuple[int, ...], values: int) -> str:
    """One that takes `shape` and gives `values` numbers."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("ReduceMean", ["input_features"], ["mean"], keepdims=0),
        helper.make_node("Expand", ["mean", "shape"], ["logits"]),
    ]
    constants = [helper.make_tensor("shape", TensorProto.INT64, [2], [1, values])]
    return _save(path, nodes, constants, shape, (1, values))


def _save(path: Path, nodes: list[Any], constants: list[Any], takes: tuple[Any, ...], gives: tuple[Any, ...]) -> str:
    from onnx import TensorProto, helper, save

    graph = helper.make_graph(
        nodes,
        "turn",
        [helper.make_tensor_value_info("input_features", TensorProto.FLOAT, takes)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, gives)],
        constants,
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return str(path)
