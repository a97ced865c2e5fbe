"""The pipeline on a virtual clock, without Kafka: what would have paged, when, and how long before the viral line.

The same decoding, matching, engine, rules and store as live; only the transport is missing and time is the stream's.
"""

from monitor.backtest.offline import Offline, OfflinePage, OfflineResult

__all__ = ["Offline", "OfflinePage", "OfflineResult"]
