"""`monitor simulate`: files, standard output, and mistakes."""

import json

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from monitor.mention.model import Mention
from monitor.simulate import Settings, Simulation, Truth
from monitor.simulate.command import simulate

app = typer.Typer()
app.command()(simulate)


@pytest.fixture
def run():
    runner = CliRunner()
    return lambda *words: runner.invoke(app, [str(word) for word in words])


def test_it_writes_the_stream_and_the_truth(run, tmp_path):
    out, truth = tmp_path / "week.jsonl", tmp_path / "truth.json"
    result = run("--seed", 3, "--rate", 200, "-o", out, "--truth", truth)
    assert result.exit_code == 0, result.output
    lines = out.read_bytes().splitlines()
    told = msgspec.json.decode(truth.read_bytes(), type=Truth)
    simulation = Simulation(Settings(rate=200), seed=3)
    assert [msgspec.json.decode(line, type=Mention) for line in lines] == list(simulation.mentions())
    assert told == simulation.truth()
    assert len(lines) == told.mentions


def test_it_writes_to_standard_output(run):
    result = run("--limit", 5, "--stories", "none", "--start", "2026-05-01T06:00:00+02:00")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 5
    assert lines[0]["published_at"] >= "2026-05-01T04:00:00Z"


def test_plain_streams_are_numbered_one_by_one(run):
    result = run("--limit", 3000, "--stories", "none", "--plain", "--rate", 1e9)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["id"] for line in lines] == [f"n-{number:06d}" for number in range(1, 3001)]
    assert not {line.get("kind") for line in lines} & {"edit", "delete"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--start", "tomorrow"), "2026-03-02"),
        (("--days", "0"), "days"),
        (("--stories", "viral,flood"), "flood"),
        (("--days", "0.05"), "more days"),
        (("--rate", "nan"), "rate"),
        (("-o", "/nowhere/at/all.jsonl"), "cannot write"),
    ],
)
def test_a_mistake_is_told_in_words(run, words, said):
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.output
    assert "Traceback" not in result.output
