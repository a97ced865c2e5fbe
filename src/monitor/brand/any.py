"""Brands without a brand tree: whatever `brand` a mention names is a brand of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.brand.match import Hit
from monitor.brand.tree import BrandTree

if TYPE_CHECKING:
    from monitor.mention.model import Mention


class AnyBrand:
    """Matches by the `brand` field alone; stands in for `BrandMatcher` where no tree is configured.

    >>> from datetime import UTC, datetime
    >>> from monitor.mention.model import Mention
    >>> at = datetime(2026, 1, 1, tzinfo=UTC)
    >>> AnyBrand().match(Mention(id="1", source="blog", text="late", published_at=at, brand="Sky Line"))
    (Hit(umbrella='sky-line', brands=('sky-line',)),)
    """

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def match(self, mention: Mention) -> tuple[Hit, ...]:
        """Return the one brand that the mention names, or nothing."""
        if not mention.brand:
            return ()
        brand = self._ids.get(mention.brand)
        if brand is None:
            roots = BrandTree.from_names([mention.brand]).roots
            if not roots:
                return ()
            brand = roots[0]
            if len(self._ids) < MOST_NAMES:
                self._ids[mention.brand] = brand
        return (Hit(brand, (brand,)),)

    def is_own(self, mention: Mention) -> bool:  # noqa: ARG002 -- the matcher's interface
        """Return False: no account is known to be a brand's own."""
        return False


MOST_NAMES = 10_000
"""Names whose ids are remembered: a hostile producer may name a new brand in every mention."""
