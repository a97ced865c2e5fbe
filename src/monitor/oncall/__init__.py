"""Who is on call and who is told: recipients, routes, rotas, teams and ladders, and the questions about them.

`load_oncall` reads the on-call file; a `Directory` answers who is told at a moment, who next, and until when a page
waits for the end of quiet hours.
"""

from __future__ import annotations

from monitor.oncall.directory import Directory, Recipient, Route, UnknownRecipient
from monitor.oncall.ladder import Deadlines, Ladder, Level, OnCall, Quiet
from monitor.oncall.oncallfile import OnCallFileError, load_oncall
from monitor.oncall.rota import Layer, Override, Rota, Shift, Window

__all__ = [
    "Deadlines",
    "Directory",
    "Ladder",
    "Layer",
    "Level",
    "OnCall",
    "OnCallFileError",
    "Override",
    "Quiet",
    "Recipient",
    "Rota",
    "Route",
    "Shift",
    "UnknownRecipient",
    "Window",
    "load_oncall",
]
