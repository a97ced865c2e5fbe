"""The teacher's network: MPNet (Song et al. 2020), post-norm, with a bias per distance (Raffel et al. 2020).

Its parameters are named for what they do; by `MPNET`, `base_name` gives their names in the file of all-mpnet-base-v2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own custom
from torch import Tensor, nn

from monitor.sentiment.training.net import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDTH: Final = 768
SIGHTS: Final = 12
LAYERS: Final = 12
WORDS: Final = 30527
POSITIONS: Final = 514
NOTHING: Final = 1
"""The token that pads; positions are counted from the one after it."""
EPS: Final = 1e-5
BUCKETS: Final = 32
FAR: Final = -1e4


class Layer(nn.Module):  # type: ignore[misc,unused-ignore]  # torch is optional, so its types may be unknown
    """One encoder layer."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.out_norm = nn.LayerNorm(WIDTH, eps=EPS)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.down_norm = nn.LayerNorm(WIDTH, eps=EPS)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same; `bias` is put to the attention's scores."""
        batch, tokens, _ = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(batch, tokens, SIGHTS, WIDTH // SIGHTS).transpose(1, 2)

        scores = split(self.q(x)) @ split(self.k(x)).transpose(2, 3) * (WIDTH // SIGHTS) ** -0.5 + bias
        seen = scores.softmax(3, dtype=x.dtype) @ split(self.v(x))
        x = self.out_norm(x + self.o(seen.transpose(1, 2).reshape(batch, tokens, WIDTH)))
        return self.down_norm(x + self.down(F.gelu(self.up(x))))


def buckets(tokens: int) -> Tensor:
    """Return (tokens, tokens): which of the learnt distances lies between two places, finely near, coarsely far.

    >>> buckets(3).tolist()
    [[0, 17, 18], [1, 0, 17], [2, 1, 0]]
    """
    apart = torch.arange(tokens)[:, None] - torch.arange(tokens)[None, :]
    side = BUCKETS // 2
    near, far = side // 2, apart.abs()
    coarse = near + (torch.log(far.clamp(min=1) / near) / math.log(128 / near) * (side - near)).long()
    return (apart < 0).long() * side + torch.where(far < near, far, coarse.clamp(max=side - 1))


class Teacher(nn.Module):  # type: ignore[misc,unused-ignore]  # torch is optional, so its types may be unknown
    """The encoder and one linear head per task, on [CLS] beside the mean over tokens.

    Args:
        still: how many layers, and the embeddings, stand still.
        heads: task to number of classes.
    """

    def __init__(self, still: int, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=EPS)
        self.bias = nn.Embedding(BUCKETS, SIGHTS)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.heads = nn.ModuleDict({name: nn.Linear(2 * WIDTH, classes) for name, classes in heads.items()})
        self._still = still
        for part in (self.words, self.places, self.norm, self.bias, *self.layers[:still]):
            part.requires_grad_(False)  # noqa: FBT003 -- torch's own signature

    def features(self, ids: Tensor) -> Tensor:
        """Return what the heads see, (batch, 2 * WIDTH)."""
        mask = ids != NOTHING
        with torch.no_grad():
            x = self.norm(self.words(ids) + self.places.weight[NOTHING + 1 : NOTHING + 1 + ids.shape[1]])
            bias = self.bias(buckets(ids.shape[1])).permute(2, 0, 1)[None] + (~mask)[:, None, None, :] * FAR
            kind = self.layers[0].out_norm.weight.dtype
            x, bias = x.to(kind), bias.to(kind)
            for layer in self.layers[: self._still]:
                x = layer(x, bias)
        for layer in self.layers[self._still :]:
            x = layer(x, bias)
        x, share = x.float(), mask.float()
        return torch.cat([x[:, 0], (x * share[:, :, None]).sum(1) / share.sum(1, keepdim=True)], 1)

    def forward(self, ids: Tensor, drop: float = 0.0, seed: int = 0) -> dict[str, Tensor]:
        """Return the logits of every head; `drop` of the features are left out, drawn from `seed`."""
        features = self.features(ids)
        if drop:
            dice = torch.Generator().manual_seed(seed)
            features = features * (torch.rand(features.shape, generator=dice) > drop) / (1 - drop)
        return {name: head(features) for name, head in self.heads.items()}


MPNET: Final = Layout(
    {
        "q": "attention.attn.q",
        "k": "attention.attn.k",
        "v": "attention.attn.v",
        "o": "attention.attn.o",
        "out_norm": "attention.LayerNorm",
        "up": "intermediate.dense",
        "down": "output.dense",
        "down_norm": "output.LayerNorm",
    },
    {
        "words": "embeddings.word_embeddings",
        "places": "embeddings.position_embeddings",
        "norm": "embeddings.LayerNorm",
        "bias": "encoder.relative_attention_bias",
    },
)
