"""What can be configured, with its defaults. The text under a field is its line in docs/configuration.md."""

from __future__ import annotations

import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from monitor.escalation.types import Severity
from monitor.page.readers import Language, Role

Port = Annotated[int, Field(ge=0, le=65535)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is no web address; write it as https://host/path")
    return value


def _store_address(value: str) -> str:
    if not re.match(r"(sqlite|postgresql)(\+\w+)?://", value):
        raise ValueError("is no store; write sqlite:///FILE or postgresql+psycopg://user:${NAME}@host/database")
    return value


def _mail_address(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", value):
        raise ValueError("is no e-mail address; write it as name@example.org")
    return value


def _zone_name(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, LookupError):
        raise ValueError("is no time zone; write it as Europe/Lisbon") from None
    return value


def _long_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < _SHORTEST_SECRET:
        raise ValueError(f"is shorter than {_SHORTEST_SECRET} characters; make one with `openssl rand -hex 24`")
    return value


_SHORTEST_SECRET = 16
MailAddress = Annotated[str, AfterValidator(_mail_address)]
ZoneName = Annotated[str, AfterValidator(_zone_name)]
LongSecret = Annotated[SecretStr, AfterValidator(_long_secret)]
WebAddress = Annotated[str, AfterValidator(_web_address)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, nothing changes after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, str_strip_whitespace=True)


class TopicNames(Section):
    """What the topics are called."""

    mentions: TopicName = "mentions"
    """What comes in."""
    readings: TopicName = "readings"
    """What the model said of it, in batches."""
    dead: TopicName = "mentions.dead"
    """What could not be read, with the reason."""
    incidents: TopicName = "incidents"
    """Incidents, for other systems."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for name, times in Counter((self.mentions, self.readings, self.dead, self.incidents)).items():
            if times > 1:
                raise ValueError(f"gives {times} topics the name {name!r}; give each its own")
        return self


class KafkaSecurity(Section):
    """How to be let in."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """As in Kafka's `security.protocol`."""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """As in Kafka's `sasl.mechanism`."""
    username: str | None = None
    """For SASL."""
    password: SecretStr | None = None
    """For SASL: `${NAME}`, or `password_env: NAME`."""
    ca_file: Path | None = None
    """The authority that signed the brokers' certificates; without it the system's."""
    cert_file: Path | None = None
    """Our own certificate, where the brokers ask for one."""
    key_file: Path | None = None
    """Its key."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.protocol.startswith("SASL") and (not self.username or self.password is None):
            raise ValueError(f"protocol {self.protocol} needs a username and a password; add both")
        return self


class KafkaSettings(Section):
    """The broker, the topics and the groups."""

    bootstrap: Annotated[str, Field(pattern=r"^[^\s,:]+:\d+(\s*,\s*[^\s,:]+:\d+)*$")] = "127.0.0.1:9092"
    """`host:port` of one or more brokers, with commas between them."""
    security: KafkaSecurity = KafkaSecurity()
    topics: TopicNames = TopicNames()
    mentions_partitions: Annotated[int, Field(ge=1, le=1000)] = 4
    """Fixed when the topic is made: how many `score` workers can share the work."""
    readings_partitions: Annotated[int, Field(ge=1, le=1000)] = 4
    """Fixed when the topic is made: how many `watch` workers can share the umbrellas."""
    score_group: Name = "monitor-score"
    """The consumer group of the `score` workers."""
    watch_group: Name = "monitor-watch"
    """The consumer group of the `watch` workers."""
    session_timeout_ms: Annotated[int, Field(ge=1000, le=300_000)] = 10_000
    """So long after a worker's last sign of life another takes over."""
    create_topics: bool = True
    """Make topics that are missing; false where somebody else makes them."""
    replication: Annotated[int, Field(ge=1, le=10)] = 1
    """Copies of each topic that we make: 3 in production."""
    retention_hours: Annotated[float, Field(gt=0, le=24 * 366)] = 168.0
    """How long the topics that we make keep texts; longer than any outage that you want to sit out."""


class StoreSettings(Section):
    """The database."""

    url: Annotated[str, AfterValidator(_store_address)] = "sqlite:///monitor.sqlite"
    """A SQLAlchemy address: SQLite in a file on a local disk, or `postgresql+psycopg://user:${NAME}@host/database`."""
    id_retention_hours: Annotated[float, Field(ge=1, le=24 * 366)] = 48.0
    """How long ids are remembered, so that a repeat is known; what was published earlier is counted `too_old`."""


class ModelSettings(Section):
    """What reads the texts: the packaged weights, unless one of the first three says otherwise."""

    path: Path | None = None
    """A folder of weights made by `monitor model train`."""
    checkpoint: str | None = None
    """A Hugging Face sequence-classification checkpoint, by folder or name; needs the extra `train`."""
    stub: bool = False
    """Read by a word list instead, for tests and to measure everything else."""
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    """CPU threads; without it every core that the process may use."""
    runtime: Literal["auto", "int8", "float32"] = "auto"
    """How weights are run: `auto` takes eight bits where the CPU multiplies bytes (VNNI), else `float32`."""
    causes: str | None = "travel"
    """Why people complain: `travel`, `retail`, `software`, or a file of your own; `null` tells no causes."""
    cache_mb: Annotated[float, Field(ge=0, le=65536)] = 64.0
    """Memory for readings of texts already read; 0 keeps none."""
    vectors: bool = False
    """Readings carry their embedding (768 bytes each)."""
    languages: dict[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], str] = {}
    """Other checkpoints for other languages, `{es: FOLDER}`; what is in none of them stays unread."""
    shadow: Path | None = None
    """A folder of a second model, weights or a checkpoint: it reads some texts along, and how it differs is told."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        said = [
            key for key, value in (("path", self.path), ("checkpoint", self.checkpoint), ("stub", self.stub)) if value
        ]
        if len(said) > 1:
            raise ValueError(f"names {len(said)} models ({', '.join(said)}); keep one")
        return self

    @property
    def name(self) -> str | Path | None:
        """What `monitor.sentiment.load_scorer` takes: None is the packaged weights."""
        return "stub" if self.stub else self.path or self.checkpoint


class TimeSettings(Section):
    """Which clock the stream follows."""

    mode: Literal["live", "replay"] = "live"
    """`live`: the wall clock, with a tick each second; `replay`: the stream's own, ticks come with it."""


class WatchSettings(Section):
    """How stories are watched."""

    behind_after_s: Annotated[float, Field(ge=1)] = 300.0
    """Seconds of event time behind the wall clock over which nothing is decided on the past."""
    first_start: Literal["now", "fill", "beginning"] = "now"
    """Without a stored offset: read from `now` on, `fill` baselines from what is there without paging, or take all of
    it as new, from the `beginning`."""


class _ChannelSection(Section):
    name: Name
    """The channel's own name, in logs, metrics and receipts. No two channels share one."""


class TerminalChannel(_ChannelSection):
    """Prints pages where `dispatch` runs."""

    type: Literal["terminal"]
    """A terminal."""


class WebhookChannel(_ChannelSection):
    """Posts pages as JSON, signed with HMAC-SHA256."""

    type: Literal["webhook"]
    """A receiver of your own."""
    url: WebAddress
    """Where to."""
    secret: SecretStr
    """The key that signs: `${NAME}`, or `secret_env: NAME`."""
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Seconds to wait for an answer."""


class AlertmanagerChannel(_ChannelSection):
    """Posts incidents to Prometheus Alertmanager (API v2), again every minute while they last."""

    type: Literal["alertmanager"]
    """Prometheus Alertmanager, or what speaks its API v2."""
    urls: Annotated[list[WebAddress], Field(min_length=1)]
    """Every member of the cluster: Alertmanager wants its clients to post to all of them."""
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Seconds to wait for an answer."""


class SlackChannel(_ChannelSection):
    """Posts to Slack with a bot's token (scope `chat:write`), and keeps the message up to date."""

    type: Literal["slack"]
    """Slack."""
    token: SecretStr
    """The bot's token: `${NAME}`, or `token_env: NAME`."""
    channel: Annotated[str, Field(pattern=r"^[#@]?[A-Za-z0-9._-]{1,80}$")]
    """A channel's or person's id (better than its name)."""
    api: WebAddress = "https://slack.com/api"
    """Where Slack's Web API is."""
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Seconds to wait for an answer."""


class EmailChannel(_ChannelSection):
    """Sends e-mail over SMTP, as text and HTML, threaded per incident."""

    type: Literal["email"]
    """E-mail."""
    to: MailAddress
    """The recipient's address."""
    sender: MailAddress
    """The address that it comes from; its domain is in every Message-ID."""
    host: Annotated[str, Field(pattern=r"^[^\s:/]+$")]
    """The SMTP server."""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    """Its port."""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """`tls` from the first byte (port 465), after `starttls`, or `none`, for a server on this host."""
    username: str | None = None
    """Where the server asks for one."""
    password: SecretStr | None = None
    """Its password: `${NAME}`, or `password_env: NAME`."""
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Seconds to wait for each answer of the server."""


class PagerDutyChannel(_ChannelSection):
    """Sends events to PagerDuty (Events API v2); the alert is acknowledged and resolved with the incident."""

    type: Literal["pagerduty"]
    """PagerDuty, or what speaks its Events API v2."""
    routing_key: SecretStr
    """The integration's key: `${NAME}`, or `routing_key_env: NAME`."""
    url: WebAddress = "https://events.pagerduty.com/v2/enqueue"
    """Where events go; `https://events.eu.pagerduty.com/v2/enqueue` in Europe."""
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Seconds to wait for an answer."""


class AppriseChannel(_ChannelSection):
    """Notifies whatever Apprise knows, as plain text; needs the extra `apprise`."""

    type: Literal["apprise"]
    """Anything else: Teams, Telegram, Discord, ntfy, SMS and so on."""
    address: SecretStr
    """One Apprise URL: `${NAME}`, or `address_env: NAME`."""
    max_characters: Annotated[int, Field(ge=140, le=30_000)] = 1_500
    """Longer pages are cut to this, the least important part first."""


AnyChannel = (
    TerminalChannel
    | WebhookChannel
    | AlertmanagerChannel
    | SlackChannel
    | EmailChannel
    | PagerDutyChannel
    | AppriseChannel
)
Channel = Annotated[AnyChannel, Field(discriminator="type")]


class Recipient(Section):
    """A person or a team, and how they are reached."""

    name: Name
    """What pages and receipts call them."""
    channels: Annotated[list[Channel], Field(min_length=1)]
    """Every one of them gets each page."""
    role: Role = "operations"
    """What their pages dwell on: `operations` the figures, `pr` what is said and how, `manager` what to do on site."""
    language: Language = "en"
    """The language of their pages."""
    time_zone: ZoneName = "UTC"
    """The clock of their pages, as in Europe/Lisbon."""


class Route(Section):
    """Who hears of what: each route that fits adds its recipients. Without routes all hear of `notify` and up."""

    to: Annotated[list[Name], Field(min_length=1)]
    """Names of recipients, and of the rotas, teams and ladders of the on-call file."""
    name: Name | None = None
    """A route with a name is taken only by rules that ask for it (`route:`); the others take all routes without one."""
    severity: Severity = "notify"
    """At least this severe."""
    until: Severity = "crisis"
    """At most this severe."""
    brands: list[Name] = []
    """Ids of brands, with all that is below them; none means all."""
    rules: list[Name] = []
    """Only incidents that these rules opened; none means all."""


class Token(Section):
    """Who may use the API, and for what."""

    name: Name
    """What the log calls its owner."""
    token: LongSecret
    """What comes after `Authorization: Bearer`: `${NAME}`, or `token_env: NAME`; 16 characters or more."""
    scopes: Annotated[list[Literal["read", "act"]], Field(min_length=1)] = ["read"]
    """`read` incidents, `act` on them."""
    person: Name | None = None
    """In whose name it acts; without it the request says who does it."""


class ApiSettings(Section):
    """The HTTP API and the links of pages: `monitor serve`."""

    host: Name = "127.0.0.1"
    """The address to listen on."""
    port: Port = 8080
    """The port; 0 takes a free one."""
    public_url: WebAddress | None = None
    """Where it is reached from outside, as https://monitor.example.com; without it pages have no links."""
    link_secret: LongSecret | None = None
    """Signs the links of pages: `${NAME}`, or `link_secret_env: NAME`; 16 characters or more."""
    link_hours: Annotated[float, Field(gt=0, le=24 * 14)] = 24.0
    """How long a page's links are good."""
    tokens: list[Token] = []
    """Who may use the API."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.public_url is None) != (self.link_secret is None):
            raise ValueError("needs both public_url and link_secret for links on pages, or neither; add the other")
        for name, times in Counter(token.name for token in self.tokens).items():
            if times > 1:
                raise ValueError(f"has {times} tokens with the name {name!r}; give each its own")
        return self


class PagesSettings(Section):
    """What a person is spared."""

    budget: Annotated[int, Field(ge=0, le=1000)] = 2
    """After so many pages to a person within `budget_hours`, repeats and notices are held and come as one page; an
    incident's first page, an escalation, a deadline and a crisis are never held. 0 holds nothing."""
    budget_hours: Annotated[float, Field(gt=0, le=168)] = 12.0
    """The time in which they are counted."""
    weekly_test: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] | None = None
    """The day on which everybody gets a test page."""
    weekly_test_hour: Annotated[int, Field(ge=0, le=23)] = 10
    """The hour of it, UTC."""


class HttpSettings(Section):
    """Health and metrics of each worker."""

    host: Name = "127.0.0.1"
    """The address to listen on; `0.0.0.0` in a container."""
    score_port: Port | None = 9101
    """`monitor score`; 0 takes a free one, null serves nothing."""
    watch_port: Port | None = 9102
    """`monitor watch`."""
    dispatch_port: Port | None = 9103
    """`monitor dispatch`."""
    serve_port: Port | None = 9104
    """`monitor serve`: health and metrics; the API has its own port."""
    stuck_after_s: Annotated[float, Field(ge=90)] = 120.0
    """`/health/live` fails when a stage with work made no progress for so long."""


class LogSettings(Section):
    """The log, on standard error."""

    format: Literal["auto", "json", "console"] = "auto"
    """`auto`: for people on a terminal, else a JSON object a line."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is worth a line."""


class TracingSettings(Section):
    """Spans for OpenTelemetry; needs the extra `otel`. A mention's `traceparent` goes on to its page without it too."""

    spans: bool = False
    """Tell of rounds, batches and deliveries; OpenTelemetry's own variables say where to. See docs/deploy.md."""

    @model_validator(mode="after")
    def _is_here(self) -> Self:
        if self.spans and find_spec("opentelemetry") is None:
            raise ValueError("needs OpenTelemetry: pip install 'mention-monitor[otel]'")
        return self


class Settings(Section):
    """All of it."""

    kafka: KafkaSettings = KafkaSettings()
    store: StoreSettings = StoreSettings()
    model: ModelSettings = ModelSettings()
    brands: Path | None = None
    """The brand tree's file; without one, every `brand` that a mention names is a brand of its own."""
    rules: Path | None = None
    """The rule file; without one the shipped rules count alone. See docs/escalation.md."""
    oncall: Path | None = None
    """The file of rotas, ladders, teams, deadlines and quiet hours; without one pages go to recipients by name."""
    time: TimeSettings = TimeSettings()
    watch: WatchSettings = WatchSettings()
    recipients: list[Recipient] = []
    """Who can be paged."""
    routes: list[Route] = []
    """Who hears of what."""
    pages: PagesSettings = PagesSettings()
    api: ApiSettings = ApiSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        people = Counter(recipient.name for recipient in self.recipients)
        channels = Counter(channel.name for recipient in self.recipients for channel in recipient.channels)
        for what, names in (("recipients", people), ("channels", channels)):
            for name, times in names.items():
                if times > 1:
                    raise ValueError(f"has {times} {what} with the name {name!r}; give each its own")
        for number, route in enumerate(self.routes):
            for name in route.to:
                if name not in people and self.oncall is None:
                    known = ", ".join(people) or "none is configured"
                    raise ValueError(f"routes[{number}].to names {name!r}, who is no recipient; known: {known}")
        return self

    @property
    def channels(self) -> dict[str, AnyChannel]:
        """Every channel by its name."""
        return {channel.name: channel for recipient in self.recipients for channel in recipient.channels}
