"""What the dispatcher remembers of each receiver: how many sends are under way, and whether it is resting. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from monitor.page.policy import Policy
    from monitor.page.types import Delivery

_FORGET_OVER = 10_000


class _State:
    __slots__ = ("failures", "in_flight", "rests_until")

    def __init__(self) -> None:
        self.in_flight = 0
        self.failures = 0
        self.rests_until = 0.0


class Receivers:
    """Limits and rests for each (recipient, channel), and a limit for each channel as a whole.

    A receiver that failed `Policy.trips` times in a row rests for a random time that doubles up to `rest_s`, and is
    then tried with one page at a time until one gets through. So a dead receiver costs few sends and no one else's.
    """

    def __init__(self, policy: Policy, random: Random) -> None:
        self._policy = policy
        self._random = random
        self._states: dict[tuple[str, str], _State] = {}
        self._channels: dict[str, int] = {}

    def room(self, recipient: str, channel: str, now: float) -> bool:
        """Return whether one more send may start."""
        if self._channels.get(channel, 0) >= self._policy.per_channel:
            return False
        state = self._states.get((recipient, channel))
        if state is None:
            return True
        tripped = state.failures >= self._policy.trips
        return state.rests_until <= now and state.in_flight < (1 if tripped else self._policy.per_receiver)

    def full(self, now: float) -> tuple[tuple[str, str], ...]:
        """Return the (recipient, channel) pairs that have no room."""
        return tuple(pair for pair in self._states if not self.room(*pair, now))

    def open_channels(self, channels: Iterable[str]) -> tuple[str, ...]:
        """Return the channels that have room."""
        return tuple(name for name in channels if self._channels.get(name, 0) < self._policy.per_channel)

    def start(self, recipient: str, channel: str) -> None:
        """Note that a send starts."""
        self._states.setdefault((recipient, channel), _State()).in_flight += 1
        self._channels[channel] = self._channels.get(channel, 0) + 1

    def end(self, recipient: str, channel: str, delivery: Delivery | None, now: float) -> None:
        """Note what became of a send; None: nothing was sent, which says nothing of the receiver."""
        state = self._states[recipient, channel]
        state.in_flight -= 1
        self._channels[channel] -= 1
        if delivery is None or delivery.outcome == "cancelled":
            pass
        elif delivery.outcome in {"accepted", "refused"}:  # it answers
            state.failures, state.rests_until = 0, 0.0
        else:
            state.failures += 1
            wait = delivery.retry_after or 0.0
            over = state.failures - self._policy.trips
            if over >= 0:
                most = min(self._policy.rest_s, self._policy.first_s * 2 ** min(over, 20))
                wait = max(wait, self._random.uniform(most / 2, most))
            state.rests_until = max(state.rests_until, now + wait)
        if not state.in_flight and not state.failures and len(self._states) > _FORGET_OVER:
            del self._states[recipient, channel]
