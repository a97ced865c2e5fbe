"""The whole product in one command: broker, store, three workers, a receiver, and a stream replayed into them.

`run` is what `make demo` calls. Everything is real but the receiver's person: the embedded broker speaks Kafka, the
workers are processes, pages travel signed over HTTP.
"""

from monitor.demo.start import DemoOptions, run

__all__ = ["DemoOptions", "run"]
