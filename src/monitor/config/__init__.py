"""The configuration: one YAML file and `MONITOR_...` environment variables, read and validated once, at the start.

`load` gives the `Settings`; a wrong value is a `ConfigError` that names file, line and the mend.
"""

from __future__ import annotations

from monitor.config.directory import RouteError, directory_of
from monitor.config.load import ConfigError, find, load
from monitor.config.settings import (
    AlertmanagerChannel,
    Channel,
    HttpSettings,
    KafkaSecurity,
    KafkaSettings,
    LogSettings,
    ModelSettings,
    Recipient,
    Route,
    Settings,
    StoreSettings,
    TerminalChannel,
    TimeSettings,
    TopicNames,
    WatchSettings,
    WebhookChannel,
)

__all__ = [
    "AlertmanagerChannel",
    "Channel",
    "ConfigError",
    "HttpSettings",
    "KafkaSecurity",
    "KafkaSettings",
    "LogSettings",
    "ModelSettings",
    "Recipient",
    "Route",
    "RouteError",
    "Settings",
    "StoreSettings",
    "TerminalChannel",
    "TimeSettings",
    "TopicNames",
    "WatchSettings",
    "WebhookChannel",
    "directory_of",
    "find",
    "load",
]
