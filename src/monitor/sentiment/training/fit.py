"""The training itself: seeded, multi-task, checkpointed; killed and started again it goes on where it was.

AdamW (Loshchilov & Hutter 2019) at a rate that falls layer by layer towards the input (Howard & Ruder 2018) and
linearly in time, with a steeper end; the word embeddings stand still. What is kept is the running mean of the weights
(Izmailov et al. 2018), which reads better than the last step. Batches hold texts of like length, so little is padding.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own custom
from msgspec import Struct
from safetensors.torch import load_file
from torch import Tensor, nn

from monitor.sentiment.cpu import cpu_features, has_bfloat16
from monitor.sentiment.training.net import LAYERS, WIDTH, Encoder, Net, base_name, mean
from monitor.sentiment.training.rows import HEADS, SHARE, TAUGHT_SHARE, TOLD_SHARE, Row, epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from monitor.sentiment.tokens import Tokens


class Plan(Struct, frozen=True):
    """The settings of one training.

    `soft` is how much a teacher's sentiment counts, `soft_complaint` its complaint, and `hard` how much a row's own
    sentiment does where the teacher speaks; `hint` is how much what the teacher saw counts. `still`: how many layers
    stand still, and with them the embeddings and the story projection.
    """

    seed: int = 7
    epochs: int = 2
    batch: int = 64
    tokens: int = 96
    rate: float = 1e-4
    fall: float = 0.9
    head_rate: float = 1e-3
    warm: float = 0.05
    stop: int = 1800
    cool: int = 290
    hold: float = 10.0
    keep: float = 0.997
    save_every: int = 150
    shares: Mapping[str, float] = SHARE
    soft: float = 0.0
    soft_complaint: float = 0.0
    hard: float = 1.0
    hint: float = 0.0
    still: int = 0


TAUGHT: Final = Plan(
    seed=23, epochs=3, rate=1e-4, warm=0.016, stop=1500, cool=1500, keep=0.995, save_every=100,
    shares=TAUGHT_SHARE, soft=1.0, soft_complaint=0.5, hard=0.4,
)  # fmt: skip
"""The settings of the second training, by a teacher's answers."""
THIRD: Final = Plan(
    seed=31, epochs=4, rate=1e-4, warm=0.02, stop=3000, cool=1000, keep=0.995, save_every=200,
    shares=TOLD_SHARE, soft=1.0, soft_complaint=0.7, hard=0.3, hint=1.0, still=2,
)  # fmt: skip
"""The settings of the third training, by the mean of a teacher's answers and the first training's."""
HEAT: Final = 2.0
"""How far a teacher's answers are flattened (Hinton et al. 2015)."""

WORTH: Final = {
    "sentiment": 1.0,
    "complaint": 1.5,
    "feelings": 0.25,
    "emotion": 0.5,
    "irony": 0.4,
    "offensive": 0.5,
    "hate": 0.4,
}
"""How much one row of each task counts in the loss."""
CLASS_WORTH: Final = (1.5, 0.8, 1.0)
"""How much one row of each sentiment class counts: negatives are rare in the sets and dear in life."""


class Batch(Struct):
    """Texts of like length, as the network takes them."""

    ids: Tensor
    bare: Tensor
    rows: list[Row]


def pad(ids: Sequence[Sequence[int]]) -> Tensor:
    """Return (texts, longest) of token ids, zero where there is none."""
    longest = max(map(len, ids))
    return torch.tensor([[*one, *[0] * (longest - len(one))] for one in ids])


def batches(pool: Sequence[Row], tokens: Tokens, plan: Plan, seed: int) -> Iterator[Batch]:
    """Yield one epoch in batches of like length, in an order made from `seed`."""
    dice = random.Random(seed)  # noqa: S311 -- seeded, no secrets
    window = plan.batch * 50
    for start in range(0, len(pool), window):
        part = list(pool[start : start + window])
        ids = tokens.encode([row.text for row in part], plan.tokens)
        bare = tokens.encode([row.text for row in part], plan.tokens, bare=True)
        order = sorted(range(len(part)), key=lambda i: len(ids[i]))
        cuts = [order[at : at + plan.batch] for at in range(0, len(order), plan.batch)]
        dice.shuffle(cuts)
        for cut in cuts:
            dice.shuffle(cut)
            yield Batch(pad([ids[i] for i in cut]), pad([bare[i] for i in cut]), [part[i] for i in cut])


def soft_loss(logits: dict[str, Tensor], rows: Sequence[Row], plan: Plan) -> Tensor:
    """Return how far the answers are from the teacher's, per row of the batch."""
    at = [index for index, row in enumerate(rows) if row.soft is not None]
    told = [row.soft for row in rows if row.soft is not None]
    if not at or not plan.soft:
        return torch.zeros(())
    mine, theirs = logits["sentiment"][at].float(), torch.tensor([one.sentiment for one in told])
    flat = F.kl_div((mine / HEAT).log_softmax(1), (theirs / HEAT).softmax(1), reduction="sum")
    marks = torch.tensor([one.complaint for one in told]).sigmoid()
    apart = F.binary_cross_entropy_with_logits(logits["complaint"][at][:, 0].float(), marks, reduction="sum")
    return (plan.soft * HEAT**2 * flat + plan.soft_complaint * apart) / len(rows)


def hint_loss(mine: Tensor, hints: Tensor, rows: Sequence[Row]) -> Tensor:
    """Return how far `mine` (rows, directions) is from what a teacher saw (Romero et al. 2015), where that is known."""
    at = [index for index, row in enumerate(rows) if row.soft is not None and row.soft.place >= 0]
    places = [row.soft.place for row in rows if row.soft is not None and row.soft.place >= 0]
    return (mine[at] - hints[places]).square().mean() if at else torch.zeros(())


def task_loss(logits: dict[str, Tensor], rows: Sequence[Row], plan: Plan) -> Tensor:
    """Return the sum over heads of the loss of the rows that are labelled for it, per row of the batch."""
    total = soft_loss(logits, rows, plan)
    for name, head in HEADS.items():
        at = [index for index, row in enumerate(rows) if name in row.labels]
        if not at:
            continue
        mine = logits[name][at].float()
        if head.exclusive:
            target = torch.tensor([rows[i].labels[name][0] for i in at])
            losses = F.cross_entropy(mine, target, reduction="none")
            if name == "sentiment":
                losses = losses * torch.tensor([_worth(rows[i], plan) for i in at]) * torch.tensor(CLASS_WORTH)[target]
        else:
            marks = torch.zeros_like(mine)
            for line, i in enumerate(at):
                marks[line, list(rows[i].labels[name])] = 1.0
            losses = F.binary_cross_entropy_with_logits(mine, marks, reduction="none").sum(1)
        total = total + WORTH[name] * losses.sum()
    return total / len(rows)


def _worth(row: Row, plan: Plan) -> float:
    return row.weight * (plan.hard if row.soft is not None else 1.0)


def groups(net: Net, plan: Plan) -> list[dict[str, Any]]:
    """Return the optimiser's groups: the rate falls by `plan.fall` per layer towards the input; words stand still."""
    encoder = net.encoder
    still = [encoder.words]
    if plan.still:
        still += [encoder.places, encoder.types, encoder.norm, net.story, *encoder.layers[: plan.still]]
    for part in still:
        part.requires_grad_(False)  # noqa: FBT003 -- torch's own signature
    out: list[dict[str, Any]] = []
    for name, weight in net.named_parameters():
        if not weight.requires_grad:
            continue
        if not name.startswith("encoder."):
            rate = plan.rate if name.startswith("story") else plan.head_rate
        elif name.startswith("encoder.layers."):
            rate = plan.rate * plan.fall ** (LAYERS - 1 - int(name.split(".")[2]))
        else:
            rate = plan.rate * plan.fall**LAYERS
        out.append({"params": [weight], "lr": rate, "top": rate, "weight_decay": 0.01 if weight.ndim > 1 else 0.0})
    return out


def pace(step: int, steps: int, plan: Plan) -> float:
    """Return the share of the top rate at `step` of `steps`: up linearly, down linearly, and to zero before `stop`.

    >>> [round(pace(step, 1000, Plan(warm=0.1, stop=800, cool=200)), 2) for step in (0, 99, 550, 700, 799)]
    [0.01, 1.0, 0.5, 0.16, 0.0]
    """
    ramp = max(1, int(steps * plan.warm))
    if step < ramp:
        return (step + 1) / ramp
    last = min(plan.stop, steps)
    return (steps - 1 - step) / (steps - ramp) * min(1.0, (last - 1 - step) / plan.cool)


def frozen_base(base: Path) -> Encoder:
    """Return the base encoder of the folder `base` (a sentence-transformers folder)."""
    stored = load_file(base / "model.safetensors")
    encoder = Encoder()
    encoder.load_state_dict({name: stored[base_name(name)] for name in encoder.state_dict()})
    encoder.eval()
    return encoder


class Training:
    """One training, step by step.

    Args:
        pool: the rows to learn from.
        tokens: how texts become token ids.
        base: the folder of the base encoder.
        plan: the settings.
        state: where the checkpoint is kept; None: nowhere.
        tell: is told of progress: step, steps, loss, distance of the story vector.
        first: the network that it goes on from; None: the base, with new heads.
        hints: (rows, directions), what a teacher saw of the rows, by their `soft.place`; None: nothing is known of it.
    """

    def __init__(
        self,
        pool: list[Row],
        tokens: Tokens,
        base: Path,
        plan: Plan,
        state: Path | None = None,
        tell: Callable[[int, int, float, float], None] | None = None,
        first: Net | None = None,
        hints: Tensor | None = None,
    ) -> None:
        torch.manual_seed(plan.seed)
        self._pool, self._tokens, self._plan, self._state, self._tell = pool, tokens, plan, state, tell
        self.base = frozen_base(base)
        self.net = Net({name: head.classes for name, head in HEADS.items()})
        self.net.encoder.load_state_dict(self.base.state_dict())
        if first is not None:
            self.net.load_state_dict(first.state_dict())
        self._mean = Net({name: head.classes for name, head in HEADS.items()})
        self._mean.load_state_dict(self.net.state_dict())
        self._hints = hints
        self._hinted = None if hints is None else nn.Linear(2 * WIDTH, hints.shape[1])
        learnt = groups(self.net, plan)
        if self._hinted is not None:
            own = list(self._hinted.parameters())
            learnt.append({"params": own, "lr": plan.head_rate, "top": plan.head_rate, "weight_decay": 0.01})
        self._optimiser = torch.optim.AdamW(learnt, fused=True)
        self._half = has_bfloat16(cpu_features())
        self.step = 0
        self.seconds = 0.0
        if state is not None and state.exists():
            saved = torch.load(state, weights_only=True)
            self.net.load_state_dict(saved["net"])
            if self._hinted is not None:
                self._hinted.load_state_dict(saved["hinted"])
            self._mean.load_state_dict(saved["mean"])
            self._optimiser.load_state_dict(saved["optimiser"])
            self.step, self.seconds = saved["step"], saved["seconds"]

    def run(self) -> Net:
        """Train to the end and return the network with the running mean of the weights."""
        plan = self._plan
        per_epoch = -(-len(epoch(self._pool, plan.seed, plan.shares)) // plan.batch)
        steps, seen = per_epoch * plan.epochs, 0
        self.net.train()
        for number in range(plan.epochs):
            seed = plan.seed * 1000 + number
            if seen + per_epoch <= self.step:
                seen += per_epoch
                continue
            for batch in batches(epoch(self._pool, seed, plan.shares), self._tokens, plan, seed):
                if self.step >= min(plan.stop, steps):
                    break
                seen += 1
                if seen > self.step:
                    self._one(batch, steps)
        self._mean.eval()
        return self._mean

    def _one(self, batch: Batch, steps: int) -> None:
        began = time.perf_counter()
        plan = self._plan
        for group in self._optimiser.param_groups:
            group["lr"] = group["top"] * pace(self.step, steps, plan)
        part = len(batch.rows) // 4 + 1
        with torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            with torch.no_grad():
                bare = batch.bare[:part]
                target = F.normalize(mean(self.base(bare, bare > 0)[-1].float(), bare > 0), dim=1)
            logits, story, features = self.net.all(batch.ids, batch.ids > 0)
        apart = 1.0 - (story[:part] * target).sum(1).mean()
        loss = task_loss(logits, batch.rows, plan) + plan.hold * apart
        if self._hinted is not None and self._hints is not None:
            loss = loss + plan.hint * hint_loss(self._hinted(features.float()), self._hints, batch.rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self._optimiser.step()
        self._optimiser.zero_grad()
        keep = min(plan.keep, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for kept, new in zip(self._mean.parameters(), self.net.parameters(), strict=True):
                if new.requires_grad:
                    kept.lerp_(new, 1.0 - keep)
        self.step += 1
        self.seconds += time.perf_counter() - began
        if self._tell is not None:
            self._tell(self.step, steps, loss.item(), apart.item())
        if self._state is not None and (self.step % plan.save_every == 0 or self.step == plan.stop):
            self._save()

    def _save(self) -> None:
        if self._state is None:
            return
        self._state.parent.mkdir(parents=True, exist_ok=True)
        draft = self._state.with_suffix(".new")
        torch.save(
            {
                "net": self.net.state_dict(),
                "mean": self._mean.state_dict(),
                "hinted": {} if self._hinted is None else self._hinted.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
            },
            draft,
        )
        os.replace(draft, self._state)  # noqa: PTH105 -- atomic on every platform
