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
    """A story's state at `at` (seconds since the epoch).

    `usual` of its voices are what it brings anyhow, at `expected_per_hour`: only those beyond them count for the line.
    """

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
    usual: float = 0.0


class Tide(Struct, frozen=True):
    """A brand's state at `at`: its complaints against its own baseline, apart from any single story.

    `wave_since` is set while the brand is in a wave (hysteresis: one storm is one wave) and keeps its value
    throughout it, so it names the wave. `topic` is the one cause that stands out, or None when all complaints do;
    `observed`, `expected`, `low` and `high` are that topic's then. `silent_since` is set while the input is down: that
    nothing was heard since says nothing, and `expected` is what the rest of the window brings.
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
    silent_since: float | None = None


class Burn(Struct, frozen=True, kw_only=True):
    """How fast a brand spends its budget of one cause at `at`: see `monitor.spread.burn`.

    `allowed` is the people who may complain of it in four weeks, `why` where that comes from, `spent` how many did.
    `burn_*` are burn rates over windows that end at `at`, `people_*` the people in the long ones.
    """

    at: float
    cause: str
    allowed: float
    why: str
    burn_5m: float = 0.0
    burn_30m: float = 0.0
    burn_1h: float = 0.0
    burn_6h: float = 0.0
    burn_3d: float = 0.0
    people_1h: int = 0
    people_6h: int = 0
    people_3d: int = 0
    spent: float = 0.0
    confident: bool = True

    def windows(self) -> tuple[tuple[str, float, int, float], ...]:
        """Return the long windows: name, burn rate, people, and how far it and its short window are over.

        The thresholds are the workbook's: 2 % of the budget in an hour, 5 % in six, 10 % in three days.
        """
        return (
            ("hour", self.burn_1h, self.people_1h, min(self.burn_1h, self.burn_5m) / 14.4),
            ("6 h", self.burn_6h, self.people_6h, min(self.burn_6h, self.burn_30m) / 6.0),
            ("3 days", self.burn_3d, self.people_3d, min(self.burn_3d, self.burn_6h)),
        )

    def fastest(self) -> tuple[str, float, int, float]:
        """Return the window that is furthest over, relative to its threshold."""
        return max(self.windows(), key=lambda window: window[3])
