"""Who has spoken: distinct voices in bounded memory, whatever the order of arrival.

Up to `EXACT` voices each is known by name with the time of its first mention and how often it spoke. From then on a
bitmap of 2 KB stands for them (linear counting, Whang et al. 1990): a voice whose bit is set counts as known, and a
new bit stands for 1 / (share of bits unset) voices, so that the sum is without bias. That sum depends on the bits
alone, hence not on the order of arrival.
"""

from __future__ import annotations

EXACT = 64
"""Voices that are kept by name."""

BITS = 16384
"""Bits of the map that stands for more; good for 3 % at 60,000 voices."""

FULL = BITS - BITS // 64
"""Bits from which on the map is full (about 68,000 voices) and every mention counts by the story's own share."""

MASK64 = (1 << 64) - 1


def mix(voice: int) -> int:
    """Stir a 64-bit hash, so that weak ones do no harm (the finaliser of splitmix64; Steele, Lea, Flood 2014).

    >>> 0 <= mix(12345) >> 50 < BITS
    True
    """
    voice = ((voice ^ (voice >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    return ((voice ^ (voice >> 27)) * 0x94D049BB133111EB) & MASK64


def estimate(bits: int) -> float:
    """Return how many voices `bits` set bits stand for: the sum of BITS / (BITS - k) over k below `bits`.

    >>> estimate(0), round(estimate(100), 1)
    (0.0, 100.3)
    """
    return sum((BITS / (BITS - k) for k in range(min(bits, FULL))), 0.0)


class VoiceMap:
    """The bitmap. `add` says how many voices a mention's voice stands for: 0.0 when it is known."""

    __slots__ = ("bits", "raw")

    def __init__(self, raw: bytes | None = None) -> None:
        self.raw = bytearray(raw) if raw else bytearray(BITS // 8)
        self.bits = sum(b.bit_count() for b in self.raw) if raw else 0

    @property
    def full(self) -> bool:
        """Whether voices can no longer be told apart."""
        return self.bits >= FULL

    def add(self, voice: int) -> float:
        """Remember `voice` and return how many new voices it stands for.

        >>> known = VoiceMap()
        >>> known.add(7), known.add(7)
        (1.0, 0.0)
        """
        at = mix(voice) >> 50
        byte, bit = at >> 3, 1 << (at & 7)
        if self.raw[byte] & bit:
            return 0.0
        self.raw[byte] |= bit
        weight = BITS / (BITS - self.bits) if self.bits < FULL else 0.0
        self.bits += 1
        return weight

    def merge(self, other: VoiceMap) -> None:
        """Add every voice of `other`."""
        union = int.from_bytes(self.raw, "little") | int.from_bytes(other.raw, "little")
        self.bits = union.bit_count()
        self.raw[:] = union.to_bytes(BITS // 8, "little")
