"""`monitor stories`: a file in, stories out; a file cut anywhere gives the beginning of the same log."""

from __future__ import annotations

import gzip
import json
import random

import pytest
from typer.testing import CliRunner

from monitor.story.cli import app

RUN = CliRunner()
MATTERS = (
    ("towels", "the towels in our room smelled of smoke and nobody came to change them"),
    ("queue", "two hours in the queue at the desk and then they sent us away again"),
    ("pool", "the pool was closed all week without a word although we had paid for children and towels"),
)


def line(number: int, text: str, **given) -> dict:
    at = f"2026-01-0{1 + number // 1440}T{number // 60 % 24:02d}:{number % 60:02d}:00Z"
    return {"id": f"m{number}", "source": "bluesky", "published_at": at, "text": text,
            "author": {"handle": f"guest{number}", "followers": 50}} | given  # fmt: skip


@pytest.fixture
def rows() -> list[dict]:
    dice = random.Random(5)
    out = []
    for number in range(120):
        name, text = MATTERS[number % 3]
        words = [word for word in text.split() if dice.random() < 0.9]
        out.append(line(number, f"{' '.join(words)} #{name}{dice.randrange(3)}"))
    out.append(line(120, "so true", in_reply_to="m0", kind="reply"))
    out.append(line(121, MATTERS[2][1], in_reply_to="m1", kind="reply"))  # joins two matters
    out.append(line(122, "and the pool is green as well by the way"))
    return out


def write(path, rows):
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def group(tmp_path, source, name="whole"):
    out, log = tmp_path / f"{name}.out", tmp_path / f"{name}.log"
    done = RUN.invoke(app, [str(source), "-o", str(out), "--log", str(log), "--model", "none"])
    assert done.exit_code == 0, done.output
    return [json.loads(each) for each in out.read_text().splitlines()], log.read_bytes().splitlines(), done, out


def test_every_mention_has_one_story_and_the_log_ends_in_the_same(tmp_path, rows):
    stories, log, _, _ = group(tmp_path, write(tmp_path / "in.jsonl", rows))
    assert [row["id"] for row in stories] == [row["id"] for row in rows]
    into = {}
    placed = []
    for event in map(json.loads, log):
        if "merge" in event:
            into[event["merge"]] = event["into"]
        else:
            placed.append(event)

    def end(story):
        while story in into:
            story = into[story]
        return story

    assert into
    assert [{"id": e["id"], "story": end(e["story"])} for e in placed] == stories


@pytest.mark.parametrize("cut", [1, 50, 121, 122])
def test_a_cut_file_gives_the_beginning_of_the_log(tmp_path, rows, cut):
    _, whole, _, _ = group(tmp_path, write(tmp_path / "in.jsonl.gz", rows))
    _, part, _, _ = group(tmp_path, write(tmp_path / "cut.jsonl", rows[:cut]), "cut")
    assert part == whole[: len(part)]


def test_show_prints_what_was_grouped_and_groups_a_file_of_mentions_itself(tmp_path, rows):
    source = write(tmp_path / "in.jsonl", rows)
    _, _, _, out = group(tmp_path, source)
    for shown in (["show", str(out)], ["show", str(source), "--model", "none"]):
        done = RUN.invoke(app, shown)
        assert done.exit_code == 0
        assert "towels" in done.output
    as_json = RUN.invoke(app, ["show", str(out), "--json", "--top", "1"])
    story = json.loads(as_json.output)
    assert story["size"] == story["voices"] > 30
    assert sum(story["shape"]) == story["size"]


def test_bad_lines_are_counted_and_edits_and_deletes_change_the_counts(tmp_path):
    text = MATTERS[0][1]
    rows = [
        line(1, "", kind="delete", target="m9"),
        line(2, text),
        line(3, text),
        line(4, text),
        line(5, "we have been moved to another room, all is well", kind="edit", target="m3", revision=1),
        line(6, "", kind="delete", target="m4", revision=1),
        line(2, text),
        line(9, text),
        {"id": "x"},
    ]
    source = write(tmp_path / "in.jsonl", rows)
    source.write_bytes(source.read_bytes() + b"not json\n\n")
    stories, _, done, out = group(tmp_path, source)
    assert [row["id"] for row in stories] == ["m2", "m3", "m4", "m9"]
    assert "4 mentions" in done.stderr
    assert "1 repeated" in done.stderr
    assert "2 unreadable" in done.stderr
    assert "1 edits, 2 deletes, 0 of them orphans" in done.stderr
    shown = RUN.invoke(app, ["show", str(out), "--json"])
    assert json.loads(shown.output)["size"] == 2


def test_hostile_text_is_made_safe(tmp_path):
    rows = [line(n, "\x1b[31mred\u202e alarm in the lobby of the hotel again tonight") for n in range(3)]
    done = RUN.invoke(app, ["show", str(write(tmp_path / "in.jsonl", rows)), "--model", "none"])
    assert done.exit_code == 0
    assert "\x1b" not in done.output
    assert "\u202e" not in done.output


def test_a_grouping_without_its_summaries_says_what_to_do(tmp_path, rows):
    _, _, _, out = group(tmp_path, write(tmp_path / "in.jsonl", rows))
    out.with_name(f"{out.name}.summary.jsonl").unlink()
    done = RUN.invoke(app, ["show", str(out)])
    assert done.exit_code != 0
    assert "mentions instead" in " ".join(done.output.split())
