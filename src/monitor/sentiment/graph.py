"""The packaged encoder as an ONNX graph, written out by hand from its weights: no torch, no exporter.

BERT (Devlin et al. 2019): post-norm, exact GELU. Inputs: `ids` (batch, tokens)
int64 and `mask` (batch, tokens) float32, 1 where there is a token. Outputs: `sentiment` (batch, 3) and `complaint`
(batch, 1), both logits, and `story` (batch, 384), not normalised.

How the encoder's products are worked out is for a `Products` to say: `Float` here, eight-bit ones in
`monitor.sentiment.eight`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

    from monitor.sentiment.weights import Shape

OPSET: Final = 20
FAR: Final = -1e4
SUREST: Final = 0.7
"""How far, as a logarithm, the head `sure` may stretch or shrink a text's sentiment."""
SIGHT_PARTS: Final = ("query", "key", "value")
"""What a layer's attention makes of its input."""
CONTRIBUTED: Final = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""


class Graph:
    """Collects nodes and constants; every method returns the name of what it added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._count = 0

    def constant(self, value: NDArray[Any], name: str = "") -> str:
        """Add a constant, once for each name."""
        name = name or f"c{len(self.constants)}"
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def number(self, value: float) -> str:
        """Add a float32 scalar."""
        return self.constant(np.array(value, np.float32))

    def op(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        """Add a node of one output, named `to` or by its kind; attribute `domain` for other than ONNX's own."""
        self._count += 1
        name = to or f"{kind.lower()}{self._count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def cast(self, x: str) -> str:
        """Add `x` as float32."""
        self._count += 1
        name = f"cast{self._count}"
        self.nodes.append(helper.make_node("Cast", [x], [name], to=TensorProto.FLOAT))
        return name

    def ints(self, *values: int) -> str:
        """Add a vector of int64."""
        return self.constant(np.array(values, np.int64), "i" + "_".join(map(str, values)).replace("-", "m"))

    def linear(self, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32], name: str, to: str = "") -> str:
        """Add `x` times the transposed weight, plus bias."""
        product = self.op("MatMul", x, self.constant(weight.T, f"{name}.weight"))
        return self.op("Add", product, self.constant(bias, f"{name}.bias"), to=to)


class Products(Protocol):
    """How the products of the encoder's layers are worked out.

    A product's input may be asked for divided by a scale per channel (`scale`), which its weight then makes good.
    """

    def scale(self, name: str, weight: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return by what each channel of the input of the product `name` shall be divided; None: left as it is."""
        ...

    def linear(
        self, g: Graph, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32], name: str, part: str = ""
    ) -> str:
        """Add the product `name` of the input `x`, divided as `scale` asked; `weight` (out, in) is as it was.

        Several products of one input have one `name`, and a `part` each.
        """
        ...


class Float:
    """Products in plain float32."""

    def scale(self, name: str, weight: NDArray[np.float32]) -> None:  # noqa: ARG002 -- the protocol's arguments
        """Return None: nothing is scaled."""
        return

    def linear(
        self, g: Graph, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32], name: str, part: str = ""
    ) -> str:
        """Add the product."""
        return g.linear(x, weight, bias, f"{name}.{part}" if part else name)


class _Normed(NamedTuple):
    """What a norm gives: as it is, and as the next product asked for it."""

    plain: str
    ready: str


class _Encoder:
    """Adds the encoder to a graph, piece by piece."""

    def __init__(self, g: Graph, tensors: Mapping[str, NDArray[np.float32]], shape: Shape, products: Products) -> None:
        self.g, self.tensors, self.shape, self.products = g, tensors, shape, products

    def norm(self, x: str, name: str, following: str | None) -> _Normed:
        """Add a layer norm whose output goes into the product `following`, if into one."""
        g, weight, bias = self.g, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        scale = None if following is None else self.products.scale(following, self.linear_of(following)[0])
        by = np.float32(1) if scale is None else scale
        weigh, shift = g.constant(weight / by, f"{name}.weight"), g.constant(bias / by, f"{name}.bias")
        ready = g.op("LayerNormalization", x, weigh, shift, axis=-1, epsilon=self.shape.eps)
        return _Normed(ready if scale is None else g.op("Mul", ready, g.constant(scale)), ready)

    def linear_of(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return weight and bias of a product.

        Query, key and value stand below each other, as `SIGHT_PARTS` says, the score's scale taken into the query.
        """
        if not name.endswith(".qkv"):
            return self.tensors[f"{name}.weight"].copy(), self.tensors[f"{name}.bias"].copy()
        parts = [name.removesuffix("qkv") + f"attention.self.{part}" for part in SIGHT_PARTS]
        weight = np.concatenate([self.tensors[f"{part}.weight"] for part in parts])
        bias = np.concatenate([self.tensors[f"{part}.bias"] for part in parts])
        size = self.shape.width // self.shape.sights
        weight[: self.shape.width] *= size**-0.5
        bias[: self.shape.width] *= size**-0.5
        return weight, bias

    def layer(self, number: int, x: _Normed, away: str) -> _Normed:
        """Add one layer."""
        base = f"encoder.layer.{number}"
        seen = self.attention(base, x.ready, away)
        x = self.norm(
            self.g.op("Add", seen, x.plain), f"{base}.attention.output.LayerNorm", f"{base}.intermediate.dense"
        )
        weight, bias = self.linear_of(f"{base}.intermediate.dense")
        wide = self.g.op("Gelu", self.products.linear(self.g, x.ready, weight, bias, f"{base}.intermediate.dense"))
        name = f"{base}.output.dense"
        weight, bias = self.linear_of(name)
        scale = self.products.scale(name, weight)
        if scale is not None:
            wide = self.g.op("Mul", wide, self.g.constant(1 / scale))
        out = self.products.linear(self.g, wide, weight, bias, name)
        following = f"encoder.layer.{number + 1}.qkv" if number + 1 < self.shape.layers else None
        return self.norm(self.g.op("Add", out, x.plain), f"{base}.output.LayerNorm", following)

    def attention(self, base: str, x: str, away: str) -> str:
        """Add what each token takes from the others."""
        g, shape = self.g, self.shape
        size = shape.width // shape.sights
        weight, bias = self.linear_of(f"{base}.qkv")
        whole = f"{base}.attention.output.dense"
        out_weight, out_bias = self.linear_of(whole)
        scale = self.products.scale(whole, out_weight)
        if scale is not None:  # taken into the values: it costs nothing there
            weight[2 * shape.width :] /= scale[:, None]
            bias[2 * shape.width :] /= scale
        # three products, not one that is cut up afterwards: that would be copied once more
        products = (
            self.products.linear(g, x, rows, more, f"{base}.qkv", part)
            for part, rows, more in zip(SIGHT_PARTS, np.split(weight, 3), np.split(bias, 3), strict=True)
        )
        query, key, worth = (
            g.op("Transpose", g.op("Reshape", product, g.ints(0, 0, shape.sights, size)), perm=perm)
            for product, perm in zip(products, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
        )
        share = g.op("Softmax", g.op("Add", g.op("MatMul", query, key), away), axis=-1)
        seen = g.op("Transpose", g.op("MatMul", share, worth), perm=[0, 2, 1, 3])
        flat = g.op("Reshape", seen, g.ints(0, 0, shape.width))
        return self.products.linear(g, flat, out_weight, out_bias, whole)


def build(
    tensors: Mapping[str, NDArray[np.float32]],
    shape: Shape,
    products: Products | None = None,
    *,
    watched: list[str] | None = None,
) -> onnx.ModelProto:
    """Return the checked graph.

    Args:
        tensors: the encoder's weights under the base's own names; `heads.sentiment`, `heads.complaint` and `story`;
            with `heads.sure`, the sentiment's logits are multiplied by its exponential.
        shape: the encoder's sizes.
        products: how the layers' products are worked out; None: in float32.
        watched: filled with the names of the products whose inputs, (batch, tokens, width), become outputs too, under
            those names; None: none do.
    """
    g = Graph()
    encoder = _Encoder(g, tensors, shape, _Watching(watched) if watched is not None else products or Float())
    table = g.constant(tensors["embeddings.word_embeddings.weight"].astype(np.float16), "words")  # as it is stored
    words = g.cast(g.op("Gather", table, "ids"))
    places = tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
    tokens = g.op("Slice", g.op("Shape", "ids"), g.ints(1), g.ints(2))
    here = g.op("Slice", g.constant(places, "places"), g.ints(0), tokens, g.ints(0))
    x = encoder.norm(g.op("Add", words, here), "embeddings.LayerNorm", "encoder.layer.0.qkv")

    hidden = g.op("Sub", g.number(1), "mask")
    away = g.op("Unsqueeze", g.op("Mul", hidden, g.number(FAR)), g.ints(1, 2))
    row = g.op("Unsqueeze", "mask", g.ints(1))
    count = g.op("ReduceSum", "mask", g.ints(1), keepdims=1)

    def mean(y: str) -> str:
        return g.op("Div", g.op("Squeeze", g.op("MatMul", row, y), g.ints(1)), count)

    means = [mean(x.plain)]
    for number in range(shape.layers):
        x = encoder.layer(number, x, away)
        means.append(mean(x.plain))

    first = g.op("Gather", x.plain, g.constant(np.array(0, np.int64), "pick0"), axis=1)
    features = g.op("Concat", first, means[-1], axis=1)

    def head(name: str, to: str = "") -> str:
        weight, bias = tensors[f"heads.{name}.weight"], tensors[f"heads.{name}.bias"]
        return g.linear(features, weight, bias, f"heads.{name}", to=to)

    head("complaint", "complaint")
    if "heads.sure.weight" in tensors:
        rise = g.op("Clip", head("sure"), g.number(-SUREST), g.number(SUREST))
        g.op("Mul", head("sentiment"), g.op("Exp", rise), to="sentiment")
    else:
        head("sentiment", "sentiment")
    g.linear(g.op("Concat", *means, axis=1), tensors["story.weight"], tensors["story.bias"], "story", to="story")

    def value(name: str, kind: int, *sizes: str | int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, sizes)

    outputs = [
        value("sentiment", TensorProto.FLOAT, "batch", 3),
        value("complaint", TensorProto.FLOAT, "batch", 1),
        value("story", TensorProto.FLOAT, "batch", shape.width),
        *(value(name, TensorProto.FLOAT, "batch", "tokens", f"{name}.width") for name in watched or ()),
    ]
    graph = helper.make_graph(
        g.nodes,
        "reading",
        [value("ids", TensorProto.INT64, "batch", "tokens"), value("mask", TensorProto.FLOAT, "batch", "tokens")],
        outputs,
        list(g.constants.values()),
    )
    domains = [helper.make_opsetid("", OPSET)]
    if any(node.domain == CONTRIBUTED for node in g.nodes):
        domains.append(helper.make_opsetid(CONTRIBUTED, 1))
    model = helper.make_model(graph, opset_imports=domains)
    model.ir_version = 9  # what every onnxruntime since 1.17 reads
    checker.check_model(model, full_check=len(domains) == 1)  # the checker knows no contributed operators' shapes
    return model


class _Watching(Float):
    """Plain products whose inputs are given out."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def linear(
        self, g: Graph, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32], name: str, part: str = ""
    ) -> str:
        """Add the product, and its input under its name."""
        if name not in self._names:
            self._names.append(g.op("Identity", x, to=name))
        return super().linear(g, x, weight, bias, name, part)
