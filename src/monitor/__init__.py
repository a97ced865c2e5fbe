"""Mention Monitor: pages the right person before a public complaint goes viral."""

__version__ = "0.1.0"
