"""Fitting the story projection to the frozen base's embedding, in closed form, once the encoder stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own custom

from monitor.sentiment.training.fit import pad
from monitor.sentiment.training.net import mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.sentiment.tokens import Tokens
    from monitor.sentiment.training.net import Encoder, Net


def refit(net: Net, teacher: Encoder, texts: Sequence[str], tokens: Tokens, longest: int, pull: float) -> float:
    """Set `net.story` to the ridge solution towards the teacher's unit embedding of the bare texts.

    Args:
        net: its encoder is only read.
        teacher: the frozen base.
        texts: what to fit on.
        tokens: how texts become token ids.
        longest: tokens of a text that are read.
        pull: how strongly the solution is held to the projection as trained, per text.

    Returns:
        The mean cosine between projection and teacher on the texts, after the fit.
    """
    ids = tokens.encode(texts, longest)
    bare = tokens.encode(texts, longest, bare=True)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    width = net.story.in_features
    gram = torch.zeros(width + 1, width + 1, dtype=torch.float64)
    cross = torch.zeros(width + 1, net.story.out_features, dtype=torch.float64)
    kept = []
    with torch.inference_mode():
        for at in range(0, len(order), 64):
            table = pad([ids[i] for i in order[at : at + 64]])
            plain = pad([bare[i] for i in order[at : at + 64]])
            goal = F.normalize(mean(teacher(plain, plain > 0)[-1], plain > 0), dim=1)
            sight = torch.cat([mean(layer, table > 0) for layer in net.encoder(table, table > 0)], 1)
            # the vector's length is free, so the goal is given the length that the projection has now
            goal = goal * net.story(sight).norm(dim=1).mean()
            sight = torch.cat([sight, torch.ones(len(sight), 1)], 1).double()
            gram += sight.T @ sight
            cross += sight.T @ goal.double()
            kept.append((sight.float(), goal))
    before = torch.cat([net.story.weight, net.story.bias[:, None]], 1).detach().T.double()
    scale = pull * len(texts)
    solution = torch.linalg.solve(gram + scale * torch.eye(width + 1, dtype=torch.float64), cross + scale * before)
    with torch.no_grad():
        net.story.weight.copy_(solution[:-1].T.float())
        net.story.bias.copy_(solution[-1].float())
        near = [F.cosine_similarity(sight @ solution.float(), goal).sum() for sight, goal in kept]
    return float(torch.stack(near).sum() / len(texts))
