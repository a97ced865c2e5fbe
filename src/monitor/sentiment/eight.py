"""The encoder's products in eight bits: four times the speed where the CPU multiplies bytes (VNNI).

Inputs become unsigned bytes, weights signed ones, at scales that are fixed beforehand, so that a text's reading never
depends on its neighbours in a batch (scales taken per batch would make it). Before, each channel of an input is
divided by how far it goes, and the weight makes it good (SmoothQuant, Xiao et al. 2023): an encoder has a few
channels ten times as wide as the rest. How far each channel goes was seen on held-out texts when the weights were made
and lies beside them, in `ranges.safetensors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.sentiment.graph import CONTRIBUTED, Graph, build

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.sentiment.weights import Shape

SMOOTH: Final = 0.9
"""How much of a channel's width goes into the weight: 1 is all of it."""
ROOM: Final = 1.1
"""How much further than what was seen an input may go before it is cut."""
_LEAST: Final = 1e-6


class Eight:
    """Products of bytes, for one graph.

    Args:
        ranges: (2, channels) for each product's name: the least and the most that each channel of its input was.
    """

    def __init__(self, ranges: Mapping[str, NDArray[np.float32]]) -> None:
        self._ranges = ranges
        self._scales: dict[str, NDArray[np.float32]] = {}
        self._bytes: tuple[str, str] = ("", "")

    def scale(self, name: str, weight: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return by what each channel of the input of the product `name` shall be divided: 1 on the mean."""
        if name not in self._scales:
            least, most = self._ranges[name]
            wide = np.maximum(np.maximum(-least, most), _LEAST)
            heavy = np.maximum(np.abs(weight).max(axis=0), _LEAST)
            logs = SMOOTH * np.log(wide) - (1 - SMOOTH) * np.log(heavy)
            self._scales[name] = np.exp(logs - logs.mean()).astype(np.float32)
        return self._scales[name]

    def linear(
        self, g: Graph, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32], name: str, part: str = ""
    ) -> str:
        """Add the product: the input to bytes, the product in whole numbers, and back."""
        scale = self.scale(name, weight)
        step, zero = grid(self._ranges[name] / scale)
        weight = weight * scale
        steps = np.maximum(np.abs(weight).max(axis=1), _LEAST) / 127
        whole = np.rint(weight / steps[:, None]).astype(np.int8)
        step_name, zero_name = g.number(step), g.constant(np.array(zero, np.uint8))
        if self._bytes[0] != name:  # several products of one input share its bytes
            self._bytes = (name, g.op("QuantizeLinear", x, step_name, zero_name))
        own = f"{name}.{part}" if part else name
        return g.op(
            "MatMulIntegerToFloat",
            self._bytes[1],
            g.constant(whole.T, f"{own}.whole"),
            step_name,
            g.constant(steps.astype(np.float32), f"{own}.steps"),
            zero_name,
            "",
            g.constant(bias, f"{own}.bias"),
            domain=CONTRIBUTED,
        )


def grid(ranges: NDArray[np.float32]) -> tuple[float, int]:
    """Return the step between two bytes and the byte that stands for zero.

    Args:
        ranges: (2, channels), the least and the most of each channel.

    >>> step, zero = grid(np.array([[-1.0, -0.5], [1.0, 3.0]], np.float32))
    >>> round(step, 4), zero
    (0.0173, 64)
    """
    least, most = min(float(ranges[0].min()), 0.0) * ROOM, max(float(ranges[1].max()), _LEAST) * ROOM
    step = (most - least) / 255
    return step, round(-least / step)


def find_ranges(
    tensors: Mapping[str, NDArray[np.float32]], shape: Shape, ids: Iterable[Sequence[int]]
) -> dict[str, NDArray[np.float32]]:
    """Return what `Eight` asks for: how far each channel of each product's input goes on the texts `ids`.

    Args:
        tensors: the weights, in float32.
        shape: the encoder's sizes.
        ids: the token ids of each text.
    """
    import onnxruntime as ort  # noqa: PLC0415 -- only where weights are made

    names: list[str] = []
    model = build(tensors, shape, watched=names)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    out: dict[str, NDArray[np.float32]] = {}
    for one in ids:
        table = np.array([one], np.int64)
        found = session.run(names, {"ids": table, "mask": np.ones(table.shape, np.float32)})
        for name, seen in zip(names, found, strict=True):
            mine = np.stack([seen[0].min(axis=0), seen[0].max(axis=0)])
            before = out.get(name, mine)
            out[name] = np.stack([np.minimum(before[0], mine[0]), np.maximum(before[1], mine[1])])
    return out
