"""`python -m monitor.telemetry.probe`: ask this machine's worker whether it is alive; for a container's health check.

The port is the first argument, or whichever of the workers' usual ports answers.
"""

from __future__ import annotations

import http.client
import sys

PORTS = (9101, 9102, 9103, 9104)
TIMEOUT_S = 3.0


def alive(port: int, path: str = "/health/live") -> bool | None:
    """Return whether the worker at `port` says that it is alive; None if nobody answers there.

    >>> alive(1) is None
    True
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return None
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    """Return 0 if a worker is alive, else 1."""
    ports = [int(argument) for argument in arguments] or list(PORTS)
    return 0 if any(alive(port) for port in ports) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
