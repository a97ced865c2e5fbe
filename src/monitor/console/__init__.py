"""The HTTP API and the pages behind the links of pages: what `monitor serve` serves, and what a console stands on.

`build` makes the web application, `document` its OpenAPI description, `serve` runs both as a worker.
"""

from __future__ import annotations

from monitor.console.app import build
from monitor.console.openapi import document

__all__ = ["build", "document"]
