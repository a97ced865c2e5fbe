"""Making probabilities believable: temperature scaling with a bias per class (Guo et al. 2017; Platt 1999).

One calibration for all sets and brands, fitted on the held-out splits, each set counting the same. The bias per class
is fitted where the classes of a set count the same, so that the likeliest class presumes no share of them; how sure the
answers are is fitted half way from there to the classes as they come, which is how they are met. Some kinds of text are
harder to tell than others, so the temperature hangs on the text (Joy et al. 2023): it is linear, in the logarithm, in
the few directions in which texts differ most to the encoder, and moves no label. It becomes a head of the weights.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own custom
from torch import Tensor

from monitor.sentiment.graph import SUREST
from monitor.sentiment.training.export import LONGEST, SHIPPED
from monitor.sentiment.training.fit import pad
from monitor.sentiment.training.net import Net
from monitor.sentiment.weights import Calibration

SETS: Final = ("tweeteval", "xlmt", "apple", "sanders", "sxsw")
"""The sets that sentiment is calibrated on: labelled in three classes by people, of posts."""
COMPLAINT_NEED: Final = 1.2
"""How much of ln p(negative) goes into a complaint: more ranks new brands better and its own set worse."""
COMPLAINT_SHARE: Final = 0.9
"""How much of the log-odds of negative goes into it: the same trade."""
SIGHT: Final = 4
"""In how many directions of the encoder's features the temperature may differ from text to text."""
CALM: Final = 0.003
"""How much a difference of it costs."""
BATCH: Final = 64

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.sentiment.tokens import Tokens
    from monitor.sentiment.training.rows import Row


def minimise(parameters: list[Tensor], loss: Callable[[], Tensor]) -> None:
    """Set `parameters` to where `loss` is least (L-BFGS)."""
    optimiser = torch.optim.LBFGS(parameters, lr=0.5, max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    optimiser.step(closure)


def _even(rows: Sequence[Row]) -> Tensor:
    """Return a weight per row such that each set counts the same, and in each the classes do; they sum to 1.

    So no share of classes is presumed: among general tweets a sixth is negative, at a service company two thirds are.
    """
    sizes = Counter((row.source, row.labels["sentiment"][0]) for row in rows)
    return torch.tensor([1 / sizes[row.source, row.labels["sentiment"][0]] for row in rows]) / len(sizes)


def _half_even(rows: Sequence[Row]) -> Tensor:
    """Return the geometric mean of `_even` and of weights by which only the sets count the same; they sum to 1."""
    sizes = Counter(row.source for row in rows)
    both = (_even(rows) * torch.tensor([1 / sizes[row.source] for row in rows])).sqrt()
    return both / both.sum()


def _unlikely(logits: Tensor, truth: Tensor, worth: Tensor) -> Tensor:
    """Return the mean of -ln p(label), weighed by `worth`, which sums to 1."""
    return (F.cross_entropy(logits, truth, reduction="none") * worth).sum()


def even_fit(logits: Tensor, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Return factor (1,) and bias (3,) of sentiment logits that fit where each set and class counts the same."""
    truth, even = _truth(rows), _even(rows)
    rise, bias = torch.zeros(1, requires_grad=True), torch.zeros(3, requires_grad=True)
    minimise([rise, bias], lambda: _unlikely(logits * rise.exp() + bias, truth, even) + 1e-4 * bias.square().sum())
    return rise.exp().detach(), bias.detach()


def half_even_fit(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """Return the factor (1,) of sentiment logits that fits half way from there to the classes as they come."""
    truth, half = _truth(rows), _half_even(rows)
    sure = torch.zeros(1, requires_grad=True)
    minimise([sure], lambda: _unlikely(logits * sure.exp(), truth, half))
    return sure.exp().detach()


def _truth(rows: Sequence[Row]) -> Tensor:
    return torch.tensor([row.labels["sentiment"][0] for row in rows])


class Settled(NamedTuple):
    """What calibration found: for the card, and for the weights (see `settle`)."""

    calibration: Calibration
    bias: Tensor
    sure: Tensor
    sure_bias: float


def _sureness(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return (SIGHT, width) in which directions features (rows, width) differ most, by their spread; and their mean."""
    mean = features.mean(0)
    _, spread, directions = torch.linalg.svd(features - mean, full_matrices=False)
    sight = min(SIGHT, len(spread))
    return directions[:sight] / (spread[:sight, None] / len(features) ** 0.5), mean


def seen_by(net: Net, tokens: Tokens, rows: Sequence[Row]) -> Tensor:
    """Return what the heads see of each row, (rows, width)."""
    ids = tokens.encode([row.text for row in rows], LONGEST)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    out: dict[int, Tensor] = {}
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            table = pad([ids[i] for i in part])
            out.update(zip(part, net.features(net.encoder(table, table > 0), table > 0), strict=True))
    return torch.stack([out[i].clone() for i in range(len(ids))])


def calibrate(net: Net, tokens: Tokens, held_out: Sequence[Row]) -> Settled:
    """Return the calibration that makes the held-out labels most likely.

    Args:
        net: the weights as they are shipped, rounded to half precision, without a head `sure`.
        tokens: how texts become token ids.
        held_out: rows that were not trained on.
    """
    felt = [row for row in held_out if row.source in SETS]
    features = seen_by(net, tokens, felt)
    with torch.inference_mode():
        found = net.heads["sentiment"](features)
    logits, features = found.clone(), features.clone()  # outside of inference mode: gradients pass by them
    truth, half = _truth(felt), _half_even(felt)
    factor, bias = even_fit(logits, felt)
    settled = logits * factor + bias
    directions, mean = _sureness(features)
    seen = (features - mean) @ directions.T
    sure, tilt = torch.zeros(1, requires_grad=True), torch.zeros(len(directions), requires_grad=True)
    minimise(
        [sure, tilt],
        lambda: _unlikely(settled * (sure + seen @ tilt).exp()[:, None], truth, half) + CALM * tilt.square().sum(),
    )
    pull = (tilt @ directions).detach()
    found = Calibration(
        sentiment_temperature=round(float(((-sure).exp() / factor).item()), 4),
        complaint_need=COMPLAINT_NEED,
        complaint_share=COMPLAINT_SHARE,
    )
    inside = (bias - bias.mean()) / factor
    out = Settled(found, inside, pull, -float(pull @ mean))
    asked = [row for row in held_out if "complaint" in row.labels]
    features = seen_by(net, tokens, asked)
    with torch.inference_mode():
        heads = {name: head(features) for name, head in settle(net, out).heads.items()}
    sides = heads["sentiment"] * heads["sure"].clamp(-SUREST, SUREST).exp()
    scores = torch.from_numpy(found.complaint_score(heads["complaint"][:, 0].numpy(), sides.numpy()))
    marks = torch.tensor([float(bool(row.labels["complaint"])) for row in asked])
    lift, shift = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    minimise([lift, shift], lambda: F.binary_cross_entropy_with_logits(scores * lift.exp() + shift, marks))
    return out._replace(
        calibration=msgspec.structs.replace(
            found,
            complaint_temperature=round(float((-lift).exp().item()), 4),
            complaint_bias=round(float(shift.item()), 4),
        )
    )


def settle(net: Net, found: Settled) -> Net:
    """Return a network of the weights of `net` in which what was found stands: a bias per class and the head `sure`."""
    out = Net({**SHIPPED, "sure": 1})
    state = out.state_dict()
    state |= {name: one for name, one in net.state_dict().items() if name in state}
    state["heads.sentiment.bias"] = state["heads.sentiment.bias"] + found.bias
    state |= {"heads.sure.weight": found.sure[None], "heads.sure.bias": torch.tensor([found.sure_bias])}
    out.load_state_dict(state)
    out.eval()
    return out
