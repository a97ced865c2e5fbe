"""The encoder and its heads in torch: the reference that the runtime's graph is held against.

BERT as in Devlin et al. 2019 (post-norm, exact GELU), with the names of the base's weight file. One pass gives the
task features ([CLS] beside the mean over tokens) and the story vector (below).

The story vector must not be spoilt by the tasks, so it has a projection of its own, over the token means of all
layers, and is held to the frozen base's own embedding of the same text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own custom
from torch import Tensor, nn

from monitor.sentiment.graph import SUREST

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDTH: Final = 384
LAYERS: Final = 6
SIGHTS: Final = 12
INNER: Final = 1536
EPS: Final = 1e-12
POSITIONS: Final = 512
WORDS: Final = 30522
FAR: Final = -1e4


class Layer(nn.Module):  # type: ignore[misc,unused-ignore]  # torch is optional, so its types may be unknown
    """One encoder layer."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out = nn.Linear(WIDTH, WIDTH)
        self.out_norm = nn.LayerNorm(WIDTH, eps=EPS)
        self.up, self.down = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.down_norm = nn.LayerNorm(WIDTH, eps=EPS)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same; `mask` (batch, 1, 1, tokens) is true where there is a token."""
        batch, tokens, _ = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(batch, tokens, SIGHTS, WIDTH // SIGHTS).transpose(1, 2)

        # written out: on a CPU the fused attention's way back is three times slower at 25 tokens
        scores = split(self.query(x)) @ split(self.key(x)).transpose(2, 3) * (WIDTH // SIGHTS) ** -0.5
        seen = scores.masked_fill(~mask, FAR).softmax(3, dtype=x.dtype) @ split(self.value(x))
        x = self.out_norm(x + self.out(seen.transpose(1, 2).reshape(batch, tokens, WIDTH)))
        return self.down_norm(x + self.down(F.gelu(self.up(x))))


class Encoder(nn.Module):  # type: ignore[misc,unused-ignore]  # torch is optional, so its types may be unknown
    """Embeddings and layers; returns every layer's output, the embeddings' first."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.places = nn.Embedding(POSITIONS, WIDTH)
        self.types = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=EPS)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, ids: Tensor, mask: Tensor) -> list[Tensor]:
        """Map ids and mask (batch, tokens) to LAYERS + 1 tensors (batch, tokens, width)."""
        places = self.places.weight[: ids.shape[1]]
        x = self.norm(self.words(ids) + places + self.types.weight[0])
        wide = mask[:, None, None, :]
        out = [x]
        for layer in self.layers:
            x = layer(x, wide)
            out.append(x)
        return out


def mean(x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over tokens (batch, width) of (batch, tokens, width)."""
    share = mask.to(x.dtype)
    return (x * share[:, :, None]).sum(1) / share.sum(1, keepdim=True)


class Net(nn.Module):  # type: ignore[misc,unused-ignore]  # torch is optional, so its types may be unknown
    """The encoder, one linear head per task, and the story projection.

    Args:
        heads: task to number of classes.
    """

    def __init__(self, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.drop = nn.Dropout(0.1)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * WIDTH, classes) for name, classes in heads.items()})
        self.story = nn.Linear((LAYERS + 1) * WIDTH, WIDTH)
        with torch.no_grad():
            self.story.weight.zero_()
            self.story.weight[:, -WIDTH:] = torch.eye(WIDTH)
            self.story.bias.zero_()

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the logits of every head and the story vector (unit length), (batch, ...).

        With a head `sure`, which says how far the text's sentiment can be told (a temperature of its own: Joy et al.
        2023), the sentiment's logits are multiplied by its exponential.
        """
        logits, story, _ = self.all(ids, mask)
        return logits, story

    def all(self, ids: Tensor, mask: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Return what `forward` does, and what the heads see (batch, 2 * width), before any of it is left out."""
        layers = self.encoder(ids, mask)
        means = [mean(layer, mask) for layer in layers]
        seen = self.features(layers, mask)
        features = self.drop(seen)
        story = F.normalize(self.story(torch.cat(means, 1)).float(), dim=1)
        logits = {name: head(features) for name, head in self.heads.items()}
        if "sure" in logits:
            logits["sentiment"] = logits["sentiment"] * logits.pop("sure").clamp(-SUREST, SUREST).exp()
        return logits, story, seen

    @staticmethod
    def features(layers: list[Tensor], mask: Tensor) -> Tensor:
        """Return what the heads see (batch, 2 * width): [CLS] beside the mean over tokens."""
        return torch.cat([layers[-1][:, 0], mean(layers[-1], mask)], 1)


class Layout(NamedTuple):
    """What the parts of a layer, and of what lies outside of the layers, are called in a base's weight file."""

    inside: Mapping[str, str]
    outside: Mapping[str, str]


BERT: Final = Layout(
    {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "out": "attention.output.dense",
        "out_norm": "attention.output.LayerNorm",
        "up": "intermediate.dense",
        "down": "output.dense",
        "down_norm": "output.LayerNorm",
    },
    {
        "words": "embeddings.word_embeddings",
        "places": "embeddings.position_embeddings",
        "types": "embeddings.token_type_embeddings",
        "norm": "embeddings.LayerNorm",
    },
)


def base_name(name: str, layout: Layout = BERT) -> str:
    """Return the base file's name for a parameter of an encoder.

    >>> base_name("layers.3.up.weight")
    'encoder.layer.3.intermediate.dense.weight'
    """
    first, *rest = name.split(".")
    if first == "layers":
        number, part, kind = rest
        return f"encoder.layer.{number}.{layout.inside[part]}.{kind}"
    return f"{layout.outside[first]}.{rest[0]}"
