"""The log: structured, quiet about people, safe for a terminal."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from monitor.telemetry import Bounded, configure_logs
from monitor.telemetry.logs import PERSONAL


@pytest.fixture
def log():
    """Give a function that configures the log and returns what it then holds."""
    before, handlers, level = structlog.get_config(), logging.getLogger().handlers[:], logging.getLogger().level

    def configured(**settings):
        stream = io.StringIO()
        configure_logs(stream=stream, **settings)
        return stream

    yield configured
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def test_a_line_is_a_json_object(log):
    stream = log()
    structlog.get_logger("monitor.page").info("page_settled", channel="hook", attempts=2)
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "page_settled",
        "level": "info",
        "logger": "monitor.page",
        "channel": "hook",
        "attempts": 2,
    }


def test_what_names_a_person_is_dropped(log):
    stream = log()
    structlog.contextvars.bind_contextvars(author="Zoë Quill")
    structlog.get_logger().warning("seen", **dict.fromkeys(PERSONAL, "Zoë Quill said so"))
    structlog.contextvars.clear_contextvars()
    assert "Quill" not in stream.getvalue()
    assert json.loads(stream.getvalue())["dropped"] == sorted(PERSONAL)


def test_the_standard_library_speaks_the_same_way(log):
    stream = log()
    logging.getLogger("aiokafka.consumer").warning("lost %s", "a broker")
    logging.getLogger("aiokafka.consumer").info("nothing to see")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["logger"], line["level"]) == ("lost a broker", "aiokafka.consumer", "warning")


def test_a_level_is_kept(log):
    stream = log(level="warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().error("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_an_exception_is_told_without_the_statements_parameters(log):
    stream = log()
    error = ValueError("(sqlite3.OperationalError) locked\n[SQL: INSERT ...]\n[parameters: ('what Zoë wrote',)]")
    structlog.get_logger().error("store_failed", exc_info=error)
    line = json.loads(stream.getvalue())
    assert "ValueError" in line["exception"]
    assert "what Zoë wrote" not in stream.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
def test_nothing_steers_the_terminal(log, style):
    stream = log(format=style)
    structlog.get_logger().info("seen", detail="a\x1b[2Jb\u202ec\x07")
    assert not {"\x1b", "\u202e", "\x07"} & set(stream.getvalue())


def test_a_long_value_is_cut(log):
    stream = log()
    structlog.get_logger().info("seen", detail="x" * 10_000)
    assert len(stream.getvalue()) < 1000


@given(st.lists(st.text(max_size=80), max_size=300))
def test_labels_stay_bounded_whatever_comes(values):
    label = Bounded(["twitter"], room=10)
    labels = {label(value) for value in values}
    assert len(labels) <= 12
    assert all(text.isprintable() and text for text in labels)
    assert label("twitter") == "twitter"
