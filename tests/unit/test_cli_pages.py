"""`monitor page test`, with a dispatcher beside it and without."""

import asyncio
import json
import threading

import pytest
from typer.testing import CliRunner

from monitor.cli.pages import app
from monitor.config import load
from monitor.page.worker import dispatch
from monitor.store import Store
from monitor.telemetry import Worker
from tests.support.stores import url_for

pytestmark = pytest.mark.store


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "monitor.yaml"
    path.write_text(
        f"store: {{url: '{url_for(tmp_path / 'm.db')}'}}\n"
        "recipients:\n- {name: ana, channels: [{name: t, type: terminal}, {name: u, type: terminal}]}\n"
    )
    store = Store(url_for(tmp_path / "m.db"))
    store.migrate()
    store.close()
    return path


def page(config, *words):
    return CliRunner().invoke(app, ["test", *words, "--config", str(config)])


def test_without_a_dispatcher_it_says_so(config):
    done = page(config, "--to", "ana", "--wait", "0")
    assert done.exit_code == 1
    assert "is `monitor dispatch` running?" in done.output
    assert page(config, "--to", "zoe").exit_code == 2


def test_it_arrives_over_every_channel_and_says_so(config):
    worker, out = Worker("dispatch"), (config.parent / "out").open("w+", encoding="utf-8")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(dispatch(load(config), worker, stream=out)))
    thread.start()
    try:
        done = page(config, "--to", "ana", "--json", "--wait", "20")
    finally:
        loop.call_soon_threadsafe(worker.stop.set)
        thread.join()
        loop.close()
    assert done.exit_code == 0, done.output
    assert [(row["channel"], row["status"]) for row in json.loads(done.output.splitlines()[-1])] == [
        ("t", "accepted"),
        ("u", "accepted"),
    ]
    out.seek(0)
    text = out.read()
    out.close()
    assert text.count("TEST Mention Monitor: this is a test, nothing has happened") == 2
