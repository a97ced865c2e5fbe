import gzip
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from monitor.sentiment import ModelError, StubScorer, load_scorer
from monitor.sentiment.cli import model_app, read
from monitor.sentiment.evaluate import Figure, complaints, evaluate

app = typer.Typer()
app.command()(read)


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    return result.exit_code, result.output


def test_read_keeps_lines_fields_and_order(tmp_path: Path) -> None:
    rows = [{"id": str(n), "text": text, "extra": {"n": n}} for n, text in enumerate(["so rude", "", "lovely, thanks"])]
    source, out, vectors = tmp_path / "in.jsonl.gz", tmp_path / "out.jsonl", tmp_path / "v.npy"
    with gzip.open(source, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n\n" for row in rows)
    assert run(source, "-o", out, "--vectors", vectors, "--model", "stub")[0] == 0
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [{key: row[key] for key in ("id", "text", "extra")} for row in found] == rows
    assert [row["reading"]["sentiment"] and row["reading"]["sentiment"]["label"] for row in found] == [
        "negative",
        None,
        "positive",
    ]
    assert set(found[0]["reading"]) == {"sentiment", "complaint", "cause", "lang", "model"}
    assert found[1]["reading"]["unread"] == "empty"
    table = np.load(vectors)
    assert table.shape == (3, 384)
    assert not table[1].any()


@pytest.mark.parametrize(("line", "told"), [("{", "not JSON"), ("[1]", "a JSON object")])
def test_a_bad_line_is_named(tmp_path: Path, line: str, told: str) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": "1", "text": "a"}\n' + line + "\n")
    code, output = run(source, "-o", tmp_path / "out", "--model", "stub")
    assert code == 2
    assert told in output.replace("\n", "")
    assert ":2:" in output.replace("\n", "")


@pytest.mark.parametrize("content", [b"\xff\xfe{}", gzip.compress(b'{"text": "a"}' * 99)[:-20], b"no gzip"])
def test_input_that_is_no_text_is_told(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / ("in.jsonl" if content.startswith(b"\xff") else "in.jsonl.gz")
    source.write_bytes(content)
    code, output = run(source, "-o", tmp_path / "out", "--model", "stub")
    assert (code, "cannot be read" in " ".join(output.split())) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_told_and_leaves_what_was_there(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"id": "1", "text": "so rude"}\n' * 900)
    out.write_text("what was there")
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "read", source, "-o", out, "--model", "stub"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode == 2
    assert "cannot be written" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert out.read_text() == "what was there"
    assert sorted(tmp_path.iterdir()) == [source, out]
    if Path("/dev/full").exists():
        code, output = run(source, "-o", "/dev/full", "--model", "stub")
        assert (code, "No space left" in " ".join(output.split())) == (2, True)


def test_a_device_is_written_to_itself_and_a_link_stays_one(tmp_path: Path) -> None:
    source, real, link = tmp_path / "in.jsonl", tmp_path / "real.jsonl.gz", tmp_path / "link.jsonl.gz"
    source.write_text('{"id": "1", "text": "so rude"}\n')
    real.write_text("")
    link.symlink_to(real)
    assert run(source, "-o", "/dev/null", "--model", "stub")[0] == 0
    assert Path("/dev/null").is_char_device()
    assert run(source, "-o", link, "--model", "stub")[0] == 0
    assert link.is_symlink()
    assert json.loads(gzip.decompress(real.read_bytes()))["id"] == "1"


def test_a_wrong_tree_of_causes_is_told_with_its_line(tmp_path: Path) -> None:
    source, causes = tmp_path / "in.jsonl", tmp_path / "causes.yaml"
    source.write_text('{"id": "1", "text": "a"}\n')
    causes.write_text("version: 1\ncauses:\n  - name: x\n")
    code, output = run(source, "-o", tmp_path / "out", "--causes", causes)
    assert code == 2
    assert "causes.yaml:3:" in output.replace("\n", "")


def test_a_folder_without_weights_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no weights"):
        load_scorer(tmp_path)


def test_training_without_its_data_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(model_app, ["train", "--data", str(tmp_path / "none"), "--out", str(tmp_path)])
    assert result.exit_code == 2


def test_evaluation_counts_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "complaints_acl19"
    folder.mkdir()
    rows = [
        {"text": "worst, rude, still waiting for a refund", "complaint": 1, "domain": "retail", "split": "test_public"},
        {"text": "lovely day", "complaint": 0, "domain": "random_tweet", "split": "test_public"},
        {"text": "never asked", "complaint": 0, "domain": "retail", "split": "train"},
    ]
    with gzip.open(folder / "complaints.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    found = list(complaints(StubScorer(), tmp_path))
    assert Figure("complaints", "macro-F1 at .5", 1.0, 2) in found
    with pytest.raises(FileNotFoundError):
        list(evaluate(StubScorer(), tmp_path))
