"""Who is told: recipients, routes, and the two questions `who` and `reach` that rotas and ladders will answer too."""

from __future__ import annotations

from monitor.oncall.directory import Directory, Recipient, Route, UnknownRecipient

__all__ = ["Directory", "Recipient", "Route", "UnknownRecipient"]
