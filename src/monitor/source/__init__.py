"""Where mentions come from.

Each source yields mentions as JSON objects for `[mentions]`. Here now: files, replayed.
"""

from monitor.source.replay import LineError, TimeOrder, read_file, read_lines, time_order

__all__ = ["LineError", "TimeOrder", "read_file", "read_lines", "time_order"]
