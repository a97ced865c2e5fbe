"""What comes in.

A `Mention`, read from bytes or dead-lettered with a reason; its text made comparable or printable; its schema; and
mappings that bring other people's JSON into its form. Nothing here knows of brands, models or Kafka.
"""

from monitor.mention.decode import MAX_BYTES, REASONS, Dead, Reason, decode, encode, to_dict
from monitor.mention.mapping import Mapping
from monitor.mention.model import Author, Engagement, Kind, Mention
from monitor.mention.text import normalise, printable, safe, shorten
from monitor.mention.yamlfile import FileError

__all__ = [
    "MAX_BYTES",
    "REASONS",
    "Author",
    "Dead",
    "Engagement",
    "FileError",
    "Kind",
    "Mapping",
    "Mention",
    "Reason",
    "decode",
    "encode",
    "normalise",
    "printable",
    "safe",
    "shorten",
    "to_dict",
]
