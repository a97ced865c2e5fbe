"""`monitor incident ...`, as a person types it."""

import json

import pytest
from typer.testing import CliRunner

from monitor.cli.incidents import app
from monitor.engine.changes import Act
from monitor.escalation.example import example_view
from monitor.escalation.types import Decision
from monitor.incident import IllegalChange, incident_id
from monitor.store import Store, VersionConflictError
from monitor.store.writer import IncidentWriter
from tests.support.pipeline import on_call
from tests.support.stores import url_for

pytestmark = pytest.mark.store

ID = incident_id("u", "s1")


@pytest.fixture
def monitor(tmp_path, monkeypatch):
    store = Store(url_for(tmp_path / "m.db"))
    store.migrate()
    view = example_view(umbrella="u", story="s1", headline="\x1b[31mred\x1b[0m <b>")
    act = Act(100.0, view, Decision("open", "page", "going-viral", "many"), None)
    store.transact(lambda connection: IncidentWriter(connection, on_call("ana", "ben"), 5000.0).act(act))
    store.close()
    config = tmp_path / "monitor.yaml"
    config.write_text(
        f"store: {{url: '{url_for(tmp_path / 'm.db')}'}}\n"
        "recipients:\n"
        "- {name: ana, channels: [{name: t, type: terminal}]}\n"
        "- {name: ben, channels: [{name: u, type: terminal}]}\n"
    )
    monkeypatch.setenv("MONITOR_USER", "ana")

    def run(*words, code=0):
        done = CliRunner().invoke(app, [*words, "--config", str(config)], env={"COLUMNS": "200"})
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done.output

    return run


def test_an_incident_from_the_page_to_the_end(monitor):
    assert json.loads(monitor("list", "--json"))[0]["id"] == ID
    assert "is acknowledged, owned by ana" in monitor("ack", ID)
    handed = json.loads(monitor("assign", ID, "--to", "ben", "--why", "shift ends", "--json"))
    assert (handed["owner"], handed["handovers"]) == ("ben", 1)
    assert "silenced until" in monitor("silence", ID, "--for", "2h", "--why", "known", "--by", "ben")
    assert "is answered" in monitor("answer", ID, "--url", "https://example.org/1", "--by", "ben")
    assert "is resolved" in monitor("resolve", ID, "--by", "ben", "--why", "refunded")
    shown = monitor("show", ID)
    for text in ("assigned: ben", "shift ends", "silenced until", "answered: https://example.org/1", "refunded"):
        assert text in shown
    assert "\x1b" not in shown
    log = json.loads(monitor("show", ID, "--json"))["log"]
    assert [event["event"] for event in log] == [
        *("opened", "paged", "acknowledged", "assigned", "paged", "silenced", "answered", "resolved", "paged"),
    ]
    assert json.loads(monitor("list", "--json")) == []


def test_mistakes_are_said_and_change_nothing(monitor):
    monitor("ack", "nothing", code=2)
    monitor("silence", ID, "--for", "long", "--why", "x", code=2)
    monitor("dismiss", ID, code=2)
    with pytest.raises(IllegalChange, match="nobody is configured"):
        monitor("assign", ID, "--to", "zoe")
    with pytest.raises(VersionConflictError, match="has version 2 by now, not 1"):
        monitor("ack", ID, "--version", "1")
    assert json.loads(monitor("show", ID, "--json"))["incident"]["state"] == "open"
    assert "dismissed" in monitor("dismiss", ID, "--why", "an old photo")
