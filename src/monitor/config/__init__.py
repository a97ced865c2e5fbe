"""The configuration: one YAML file and `MONITOR_...` environment variables, read and validated once, at the start.

`load` gives the `Settings`; a wrong value is a `ConfigError` that names file, line and the mend.
"""

from __future__ import annotations

from monitor.config.directory import RouteError, directory_of
from monitor.config.live import REFUSED, Escalation, Reloader, escalation_of, follow
from monitor.config.load import ConfigError, find, load
from monitor.config.settings import (
    AlertmanagerChannel,
    AnyChannel,
    ApiSettings,
    AppriseChannel,
    Channel,
    EmailChannel,
    HttpSettings,
    KafkaSecurity,
    KafkaSettings,
    LogSettings,
    ModelSettings,
    PagerDutyChannel,
    PagesSettings,
    Recipient,
    Route,
    Settings,
    SlackChannel,
    StoreSettings,
    TerminalChannel,
    TimeSettings,
    Token,
    TopicNames,
    WatchSettings,
    WebhookChannel,
)

__all__ = [
    "REFUSED",
    "AlertmanagerChannel",
    "AnyChannel",
    "ApiSettings",
    "AppriseChannel",
    "Channel",
    "ConfigError",
    "EmailChannel",
    "Escalation",
    "HttpSettings",
    "KafkaSecurity",
    "KafkaSettings",
    "LogSettings",
    "ModelSettings",
    "PagerDutyChannel",
    "PagesSettings",
    "Recipient",
    "Reloader",
    "Route",
    "RouteError",
    "Settings",
    "SlackChannel",
    "StoreSettings",
    "TerminalChannel",
    "TimeSettings",
    "Token",
    "TopicNames",
    "WatchSettings",
    "WebhookChannel",
    "directory_of",
    "escalation_of",
    "find",
    "follow",
    "load",
]
