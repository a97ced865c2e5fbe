"""The packaged encoder as an ONNX graph, written out by hand from its weights: no torch, no exporter.

BERT (Devlin et al. 2019): post-norm, exact GELU; query, key and value as one product. Inputs: `ids` (batch, tokens)
int64 and `mask` (batch, tokens) float32, 1 where there is a token. Outputs: `sentiment` (batch, 3) and `complaint`
(batch, 1), both logits, and `story` (batch, 384), not normalised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

    from monitor.sentiment.weights import Shape

OPSET: Final = 20
FAR: Final = -1e4


class _Graph:
    """Collects nodes and constants; every method returns the name of what it added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._count = 0

    def constant(self, value: NDArray[Any], name: str = "") -> str:
        name = name or f"c{len(self.constants)}"
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def op(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        self._count += 1
        name = to or f"{kind.lower()}{self._count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64), "i" + "_".join(map(str, values)).replace("-", "m"))

    def linear(self, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32], name: str, to: str = "") -> str:
        product = self.op("MatMul", x, self.constant(weight.T, f"{name}.weight"))
        return self.op("Add", product, self.constant(bias, f"{name}.bias"), to=to)


def build(tensors: Mapping[str, NDArray[np.float32]], shape: Shape) -> onnx.ModelProto:
    """Return the checked graph.

    Args:
        tensors: the encoder's weights under the base's own names; `heads.sentiment`, `heads.complaint` and `story`.
        shape: the encoder's sizes.
    """
    g = _Graph()

    def norm(x: str, name: str) -> str:
        scale = g.constant(tensors[f"{name}.weight"], f"{name}.weight")
        shift = g.constant(tensors[f"{name}.bias"], f"{name}.bias")
        return g.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=shape.eps)

    words = g.op("Gather", g.constant(tensors["embeddings.word_embeddings.weight"], "words"), "ids")
    places = tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
    tokens = g.op("Slice", g.op("Shape", "ids"), g.ints(1), g.ints(2))
    here = g.op("Slice", g.constant(places, "places"), g.ints(0), tokens, g.ints(0))
    x = norm(g.op("Add", words, here), "embeddings.LayerNorm")

    hidden = g.op("Sub", g.constant(np.array(1, np.float32), "one"), "mask")
    away = g.op("Unsqueeze", g.op("Mul", hidden, g.constant(np.array(FAR, np.float32), "far")), g.ints(1, 2))
    row = g.op("Unsqueeze", "mask", g.ints(1))
    count = g.op("ReduceSum", "mask", g.ints(1), keepdims=1)

    def mean(y: str) -> str:
        return g.op("Div", g.op("Squeeze", g.op("MatMul", row, y), g.ints(1)), count)

    means = [mean(x)]
    for number in range(shape.layers):
        x = _layer(g, tensors, shape, number, x, away, norm)
        means.append(mean(x))

    first = g.op("Gather", x, g.constant(np.array(0, np.int64), "zero"), axis=1)
    features = g.op("Concat", first, means[-1], axis=1)
    for head in ("sentiment", "complaint"):
        g.linear(features, tensors[f"heads.{head}.weight"], tensors[f"heads.{head}.bias"], f"heads.{head}", to=head)
    g.linear(g.op("Concat", *means, axis=1), tensors["story.weight"], tensors["story.bias"], "story", to="story")

    def value(name: str, kind: int, *sizes: str | int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, sizes)

    graph = helper.make_graph(
        g.nodes,
        "reading",
        [value("ids", TensorProto.INT64, "batch", "tokens"), value("mask", TensorProto.FLOAT, "batch", "tokens")],
        [
            value("sentiment", TensorProto.FLOAT, "batch", 3),
            value("complaint", TensorProto.FLOAT, "batch", 1),
            value("story", TensorProto.FLOAT, "batch", shape.width),
        ],
        list(g.constants.values()),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 9  # what every onnxruntime since 1.17 reads
    checker.check_model(model, full_check=True)
    return model


def _layer(
    g: _Graph, tensors: Mapping[str, NDArray[np.float32]], shape: Shape, number: int, x: str, away: str, norm: Any
) -> str:
    """Add one encoder layer and return the name of its output."""
    base = f"encoder.layer.{number}"
    size = shape.width // shape.sights
    parts = [f"{base}.attention.self.{part}" for part in ("query", "key", "value")]
    weight = np.concatenate([tensors[f"{part}.weight"] for part in parts])
    bias = np.concatenate([tensors[f"{part}.bias"] for part in parts])
    weight[: shape.width] *= size**-0.5  # the score's scale, taken into the query
    bias[: shape.width] *= size**-0.5
    packed = g.linear(x, weight, bias, f"{base}.qkv")
    heads = g.op("Reshape", packed, g.ints(0, 0, 3, shape.sights, size))
    query = g.op("Transpose", _pick(g, heads, 0), perm=[0, 2, 1, 3])
    key = g.op("Transpose", _pick(g, heads, 1), perm=[0, 2, 3, 1])
    worth = g.op("Transpose", _pick(g, heads, 2), perm=[0, 2, 1, 3])
    share = g.op("Softmax", g.op("Add", g.op("MatMul", query, key), away), axis=-1)
    seen = g.op("Transpose", g.op("MatMul", share, worth), perm=[0, 2, 1, 3])
    flat = g.op("Reshape", seen, g.ints(0, 0, shape.width))
    name = f"{base}.attention.output"
    out = g.linear(flat, tensors[f"{name}.dense.weight"], tensors[f"{name}.dense.bias"], f"{name}.dense")
    x = norm(g.op("Add", out, x), f"{name}.LayerNorm")
    name = f"{base}.intermediate.dense"
    wide = g.op("Gelu", g.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], name))
    name = f"{base}.output"
    out = g.linear(wide, tensors[f"{name}.dense.weight"], tensors[f"{name}.dense.bias"], f"{name}.dense")
    return str(norm(g.op("Add", out, x), f"{name}.LayerNorm"))


def _pick(g: _Graph, heads: str, which: int) -> str:
    """Return one of query, key and value, (batch, tokens, heads, size)."""
    return g.op("Gather", heads, g.constant(np.array(which, np.int64), f"pick{which}"), axis=2)
