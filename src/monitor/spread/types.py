"""The numbers that leave the spread room. Every one carries what a page needs to say why."""

from __future__ import annotations

from msgspec import Struct


class ViralLine(Struct, frozen=True):
    """At which size (mentions) or reach (followers of distinct authors) a story counts as viral, and why there."""

    size: float
    reach: float | None = None
    why: str = ""


class Forecast(Struct, frozen=True):
    """The final size as quantiles, and when the viral line is crossed.

    `minutes_to_viral` is the median time until the line, given that it is crossed; 0 once it is, None if it never is.
    """

    q10: float
    q50: float
    q90: float
    p_viral: float
    minutes_to_viral: float | None = None


class Spread(Struct, frozen=True):
    """A story's state at `at` (seconds since the epoch)."""

    at: float
    size: int
    voices: int
    reach: float
    per_hour: float
    expected_per_hour: float
    reproduction: float
    forecast: Forecast
    line: ViralLine
    drivers: tuple[tuple[str, float], ...] = ()
    since: float | None = None
    burst_scale_s: float | None = None


class Tide(Struct, frozen=True):
    """A brand's state at `at`: its complaints against its own baseline, apart from any single story.

    `wave_since` is set while the brand is in a wave (hysteresis: one storm is one wave) and keeps its value
    throughout it, so it names the wave. `topic` is the one cause that stands out, or None when all complaints do;
    `observed`, `expected`, `low` and `high` are that topic's then.
    """

    at: float
    observed: float
    expected: float
    low: float
    high: float
    window_s: float
    score: float
    voices: int
    wave_since: float | None = None
    confident: bool = True
    topic: str | None = None
