"""How grouping by meaning is set: one setting for all streams (docs/stories.md)."""

from __future__ import annotations

from msgspec import Struct


class BackgroundSettings(Struct, frozen=True, kw_only=True):
    """How the means are taken.

    - `prior`: so many mentions count as lying at the origin when the umbrella's mean is taken, so that the first story
      is not taken for the whole stream.
    - `brand_prior`: so many stories count as lying at the umbrella's mean when a brand's is taken.
    - `memory`: from so many mentions on the older ones count half.
    """

    prior: float = 100.0
    brand_prior: float = 100.0
    memory: float = 20_000.0


class MeaningSettings(Struct, frozen=True, kw_only=True):
    """One setting for all streams, chosen on the public part of six labelled ones (docs/stories.md).

    - `join`, `merge`: scores (log-likelihood ratio a dimension, words, activity) from which a mention joins and a story
      is merged.
    - `kinship`: the part of an embedding's variance that the mentions of a story share, the mean cosine of two of them.
    - `merge_known`: for merging no story counts as known better than by so many mentions.
    - `join_least`, `merge_least`: ratios below which words and activity bring nothing together.
    - `words`, `merge_words`: weight of the words' cosine.
    - `active`: weight of log(share of the last mentions / `usual_share`), at most `active_most`, times
      `active_negative` where it is negative; `active_halflife` is in mentions.
    - `loose`, `tight`: a story whose mean has at most the first length gets no bonus for being spoken of, one from the
      second on all of it: what is said of everything at once must not swallow the rest.
    - `candidates`: so many of the nearest by embedding are looked at closely, `neighbours` of them for merging.
    - `switch`: so many mentions in a row read by another model make its space the one that counts.
    """

    join: float = 0.11
    merge: float = 0.3
    kinship: float = 0.37
    merge_known: float = 8.0
    join_least: float = -0.15
    merge_least: float = -0.2
    words: float = 0.5
    merge_words: float = 0.9
    active: float = 0.15
    active_most: float = 0.2
    active_negative: float = 0.75
    active_halflife: float = 30.0
    loose: float = 0.4
    tight: float = 0.5
    active_prior: float = 30.0
    usual_share: float = 0.05
    least_share: float = 0.01
    candidates: int = 24
    neighbours: int = 8
    rows: int = 4096
    switch: int = 50
    background: BackgroundSettings = BackgroundSettings()
