"""A real run under a real Prometheus and Alertmanager: parts are broken, the right alert fires, and resolves.

The rules are those of `deploy/prometheus`, made by the same template with all windows divided by 20.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
from ruamel.yaml import YAML

from monitor.stream.embedded import free_port
from tests.conftest import REPOSITORY
from tests.deploy.house import Alertmanager, Desk, Prometheus, Worker, slug, until
from tests.support.kafka import a_broker
from tests.support.postgres import Postgres
from tests.support.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.stream.embedded import EmbeddedBroker
    from tests.support.kafka import ApacheKafka

sys.path.insert(0, str(REPOSITORY / "tools"))
import rules

pytestmark = [pytest.mark.broker, pytest.mark.slow]

SCALE = 1 / 20
SECRET = "operations-secret"  # noqa: S105 -- the tests' own
BRANDS = ("Aurora Hotels", "Blue Finch Air")
PARTITIONS = 4
ROLES = ("score", "watch", "dispatch", "serve")
LINE = 3000
"""The viral line: crossed half a minute or so after the page."""
RATE = 40.0
"""Mentions a second."""


class Crowd(threading.Thread):
    """Publishes as people talk: a murmur from several sources, and a story about each brand that spreads when asked."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(daemon=True)
        self._broker = bootstrap
        self.ended = threading.Event()
        self.silenced: set[str] = set()
        self.angry_at: str | None = None
        self.published = 0
        self.error: BaseException | None = None
        self._dice = random.Random(3)

    def run(self) -> None:
        try:
            asyncio.run(self._talk())
        except BaseException as error:
            self.error = error
            raise

    async def _talk(self) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self._broker, linger_ms=5) as producer:
            while not self.ended.is_set():
                began = time.monotonic()
                for _ in range(int(RATE / 10)):
                    value = self._mention()
                    if value is not None:
                        await producer.send("mentions", value, partition=self.published % PARTITIONS)
                        self.published += 1
                await asyncio.sleep(max(0.0, 0.1 - (time.monotonic() - began)))

    def _mention(self) -> bytes | None:
        dice = self._dice
        if dice.random() < 0.01:
            return b"{no mention"
        source = dice.choice(("twitter", "news", "blog"))
        if source in self.silenced:
            return None
        number = f"{self.published}-{dice.randrange(1 << 30)}"
        brand = dice.choice(BRANDS)
        text = f"passed by {brand} today, number {number} of {dice.randrange(999)}"
        if self.angry_at is not None and dice.random() < 0.6:
            brand = self.angry_at
            text = f"the worst: {brand} lost my bag, nobody would answer, no refund, rude and useless. {number}"
        said = {
            "id": number,
            "source": source,
            "published_at": datetime.now(UTC).isoformat(),
            "text": text,
            "author": {"id": f"a{number}", "handle": f"h{number}", "followers": dice.randrange(2000)},
        }
        return json.dumps(said).encode()


class House:
    """All of it; made by the fixture."""

    def __init__(self, folder: Any, postgres: Postgres, broker: EmbeddedBroker | ApacheKafka) -> None:
        self.postgres, self.desk = postgres, Desk()
        brands = {"brands": [{"id": slug(name), "name": name, "viral_line": {"size": LINE}} for name in BRANDS]}
        person = {"name": "desk", "type": "webhook", "url": f"{self.desk.url}/pages", "secret_env": "DESK_SECRET"}
        config = {
            "kafka": {
                "bootstrap": broker.bootstrap,
                "mentions_partitions": PARTITIONS,
                "readings_partitions": PARTITIONS,
                "session_timeout_ms": 6000,
            },
            "store": {"url": postgres.url},
            "model": {"stub": True},
            "brands": "brands.yaml",
            "watch": {"first_start": "beginning"},
            "recipients": [{"name": "on-call", "channels": [person]}],
            "api": {"port": 0},
            "log": {"format": "json"},
        }
        for name, content in (("monitor.yaml", config), ("brands.yaml", brands)):
            with (folder / name).open("w") as out:
                YAML().dump(content, out)
        env = {"DESK_SECRET": SECRET}
        self.workers = {role: Worker(role, folder / "monitor.yaml", free_port(), env) for role in ROLES}
        self.alertmanager = Alertmanager(
            program("prometheus-alertmanager", "Debian: apt install prometheus-alertmanager"), folder, self.desk.url
        )
        self.prometheus = Prometheus(
            program("prometheus", "Debian: apt install prometheus"),
            folder,
            {f"monitor-{role}": [worker.port] for role, worker in self.workers.items()},
            rules.groups(scale=SCALE),
            f"127.0.0.1:{self.alertmanager.port}",
        )
        self.crowd = Crowd(broker.bootstrap)
        self.seen: dict[str, list[Any]] = {}

    def start(self) -> None:
        for several in ((self.alertmanager, *self.workers.values()), (self.prometheus,)):
            for one in several:
                one.start()
            for one in several:
                until(f"{one.name} is ready", one.ready, 180)
        self.crowd.start()

    def stop(self) -> None:
        self.crowd.ended.set()
        if self.crowd.is_alive():
            self.crowd.join(5)
        for one in (*self.workers.values(), self.prometheus, self.alertmanager):
            one.kill()
        self.desk.stop()

    def fires(self, name: str, since: float, within_s: float, what: str, **labels: str) -> None:
        """Wait for the alert, and hold it to naming its runbook; note how long it took since `since`."""
        until(f"{name} fires", lambda: self.desk.told(name, "firing", since, **labels), within_s)
        alert = self.desk.told(name, "firing", since, **labels)
        assert alert is not None
        assert (REPOSITORY / alert["annotations"]["runbook_url"]).is_file()
        self.seen[name] = [what, time.monotonic() - since, math.nan]

    def resolves(self, name: str, since: float, within_s: float, **labels: str) -> None:
        until(f"{name} resolves", lambda: self.desk.told(name, "resolved", since, **labels), within_s)
        self.seen[name][2] = time.monotonic() - since


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[House]:
    binaries = Postgres.binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL here: install Debian's package postgresql")
    pytest.importorskip("psycopg", reason="no driver: pip install 'mention-monitor[postgres]'")
    with Postgres(binaries) as postgres, a_broker(tmp_path_factory.mktemp("kafka")) as broker:
        made = House(tmp_path_factory.mktemp("house"), postgres, broker)
        try:
            made.start()
            yield made
        finally:
            made.stop()


def test_the_right_alert_fires_and_resolves(house, capsys):
    desk, workers, crowd = house.desk, house.workers, house.crowd
    crowd.angry_at = BRANDS[0]
    up = 'sum(up{job=~"monitor-.+"})'
    until("all are scraped", lambda: house.prometheus.query(up) == [({}, float(len(ROLES)))], 30)
    calm_at = time.monotonic() + 10.0
    until("the switch fires", lambda: desk.told("MonitorDeadMansSwitch", "firing"), 30)
    until("there is history", lambda: crowd.published > 20 * RATE, 60)
    quiet = {
        alert["labels"]["alertname"]
        for at, alert in desk.alerts
        if alert["status"] == "firing" and (at > calm_at or alert["labels"]["alertname"] == "MonitorDeadMansSwitch")
    }
    assert quiet == {"MonitorDeadMansSwitch"}, "what works raises no alarm"
    until("somebody is paged", lambda: desk.pages, 150)
    crossed = "max(monitor_lead_time_seconds_count) > 0"
    until("the story crosses its line", lambda: house.prometheus.query(crossed), 150)

    # One source falls silent, while the receiver is broken and another story calls for pages.
    silenced_at = time.monotonic()
    crowd.silenced.add("news")
    desk.broken = True
    crowd.angry_at = BRANDS[1]
    house.fires("MonitorSourceSilent", silenced_at, 90, "a source silenced", source="news")
    assert desk.told("MonitorSourceSilent", "firing", source="twitter") is None
    speaks_at = time.monotonic()
    crowd.silenced.clear()
    house.resolves("MonitorSourceSilent", speaks_at, 60, source="news")

    # A worker is killed.
    killed_at = time.monotonic()
    workers["watch"].kill()
    house.fires("MonitorWatchDown", killed_at, 30, "watch killed")
    back_at = time.monotonic()
    workers["watch"].start()
    house.resolves("MonitorWatchDown", back_at, 120)

    house.fires("MonitorPagesLate", silenced_at, 200, "the receiver broken (from then on; a page is late after 30 s)")
    mended_at = time.monotonic()
    desk.broken = False
    house.resolves("MonitorPagesLate", mended_at, 150)

    # The store goes away.
    stopped_at = time.monotonic()
    house.postgres.stop("immediate")
    house.fires("MonitorStoreFailing", stopped_at, 60, "the store stopped")
    started_at = time.monotonic()
    house.postgres.start()
    house.resolves("MonitorStoreFailing", started_at, 120)
    assert crowd.error is None
    rows = [f"{what:62} {name:22} {fired:6.1f}s {over:8.1f}s" for name, (what, fired, over) in house.seen.items()]
    with capsys.disabled():
        sys.stdout.write(
            "\n".join(["", f"{'what was broken':62} {'alert':22} {'fires':>7} {'resolves':>9}", *rows, ""])
        )


def test_every_panel_has_data(house, capsys):
    pytest.importorskip("grafana_foundation_sdk")
    import dashboards  # noqa: PLC0415 -- a script, found by its path

    assert house.desk.pages
    empty, lines = [], []
    for board, panel, expr in dashboards.queries():
        found = house.prometheus.query(expr.replace(dashboards.WINDOW, "30s"))
        values = [value for _, value in found if not math.isnan(value)]
        if not values:
            empty.append((board, panel, expr))
        shown = ", ".join(f"{value:.4g}" for value in values[:4])
        lines.append(f"{board:8} {panel:34} {len(found):3} {shown:34} {' '.join(expr.split())[:110]}")
    with capsys.disabled():
        sys.stdout.write("\n".join(["", *lines, ""]))
    assert not empty
