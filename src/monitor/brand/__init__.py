"""What is watched.

The brand tree (umbrella > brand > property or product), read from a file or made of names, and the matcher that says
which of its nodes a mention names, and whether the brand itself is speaking.
"""

from monitor.brand.match import BrandMatcher, Hit
from monitor.brand.tree import Account, BrandTree, Node, ViralLine

__all__ = ["Account", "BrandMatcher", "BrandTree", "Hit", "Node", "ViralLine"]
