"""Making probabilities believable: temperature scaling with a bias per class (Guo et al. 2017; Platt 1999).

One calibration for all sets and brands, fitted on the held-out splits, each set counting the same. The bias per class
is fitted where the classes of a set count the same, so that the likeliest class presumes no share of them; how sure the
answers are is fitted half way from there to the classes as they come, which is how they are met.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec
import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own custom

from monitor.sentiment.weights import Calibration

SETS: Final = ("tweeteval", "xlmt", "apple", "sanders", "sxsw")
"""The sets that sentiment is calibrated on: labelled in three classes by people, of posts."""
COMPLAINT_NEED: Final = 0.7
"""How much of ln p(negative) goes into a complaint: more ranks new brands better and its own set worse."""
COMPLAINT_SHARE: Final = 0.3
"""How much of the log-odds of negative goes into it: the same trade."""
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from monitor.sentiment.runtime import OnnxScorer
    from monitor.sentiment.training.rows import Row


def _minimise(parameters: list[Tensor], loss: Callable[[], Tensor]) -> None:
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


def calibrate(scorer: OnnxScorer, held_out: Sequence[Row]) -> Calibration:
    """Return the calibration that makes the held-out labels most likely.

    Args:
        scorer: the weights as they are shipped, rounded to half precision; its own calibration is not looked at.
        held_out: rows that were not trained on.
    """
    felt = [row for row in held_out if row.source in SETS]
    logits = torch.from_numpy(scorer.infer([scorer.clean(row.text) for row in felt])[0])
    truth = torch.tensor([row.labels["sentiment"][0] for row in felt])
    even, half = _even(felt), _half_even(felt)
    rise, bias = torch.zeros(1, requires_grad=True), torch.zeros(3, requires_grad=True)
    _minimise([rise, bias], lambda: _unlikely(logits * rise.exp() + bias, truth, even) + 1e-4 * bias.square().sum())
    settled = (logits * rise.exp() + bias).detach()
    sure = torch.zeros(1, requires_grad=True)
    _minimise([sure], lambda: _unlikely(settled * sure.exp(), truth, half))
    centred = ((bias - bias.mean()) * sure.exp()).tolist()
    found = Calibration(
        sentiment_temperature=round(float((-rise - sure).exp().item()), 4),
        sentiment_bias=(round(centred[0], 4), round(centred[1], 4), round(centred[2], 4)),
        complaint_need=COMPLAINT_NEED,
        complaint_share=COMPLAINT_SHARE,
    )
    asked = [row for row in held_out if "complaint" in row.labels]
    felt_logits, complaints, _ = scorer.infer([scorer.clean(row.text) for row in asked])
    scores = torch.from_numpy(found.complaint_score(complaints, felt_logits))
    marks = torch.tensor([float(bool(row.labels["complaint"])) for row in asked])
    lift, shift = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    _minimise([lift, shift], lambda: F.binary_cross_entropy_with_logits(scores * lift.exp() + shift, marks))
    return msgspec.structs.replace(
        found,
        complaint_temperature=round(float((-lift).exp().item()), 4),
        complaint_bias=round(float(shift.item()), 4),
    )
