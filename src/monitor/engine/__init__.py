"""What the watching worker does to a batch of readings, as values: batch in, changes out.

One `PartitionEngine` stands for one partition of `readings`. It joins the story, spread and escalation rooms and does
no I/O: whoever drives it (the Faust agent, the backtest, a test) looks up the ids it asks for and commits what it
returns. An engine whose changes could not be committed is thrown away and built again from the store.
"""

from monitor.engine.changes import Act, Changes, SeenRow
from monitor.engine.partition import EngineSettings, PartitionEngine
from monitor.engine.records import Marker, ReadingBatch, Tick, decode_batch, encode_batch, partition_of

__all__ = [
    "Act",
    "Changes",
    "EngineSettings",
    "Marker",
    "PartitionEngine",
    "ReadingBatch",
    "SeenRow",
    "Tick",
    "decode_batch",
    "encode_batch",
    "partition_of",
]
