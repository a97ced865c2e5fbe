import os
import re
from collections import Counter
from pathlib import Path

import pytest

from monitor.sentiment.training.rows import WRITTEN, Row, written
from tests.support.runs import taken, words

AIR = re.compile(r"\b(airlines?|airways|airports?|airplanes?|flights?|flew|boarding pass|tarmac)\b", re.IGNORECASE)


def test_a_line_is_feeling_complaint_and_text_and_every_tenth_is_held_out(tmp_path: Path) -> None:
    path = tmp_path / "written.txt"
    path.write_text("".join(f"- c|number {number} a|b\n" for number in range(9)) + "+ n|ten\n0 c|eleven\n", "utf-8")
    assert [row.text for row in written("dev", path)] == ["ten"]
    train = written("train", path)
    assert train[0] == Row("number 0 a|b", {"sentiment": (0,), "complaint": (0,)}, "written", train[0].weight)
    assert train[-1].labels == {"sentiment": (1,), "complaint": (0,)}
    assert train[-1].weight == 0.0 < train[0].weight  # whether a calm complaint is negative is left open
    assert written("dev", path)[0].labels["complaint"] == ()


def test_written_posts_are_well_formed_varied_and_of_no_airline() -> None:
    lines = WRITTEN.read_text(encoding="utf-8").splitlines()
    assert len(lines) > 8000
    assert [line for line in lines if not re.fullmatch(r"[-0+] [cn]\|\S.*\S|[-0+] [cn]\|\S", line)] == []
    assert [line for line in lines if AIR.search(line)] == []
    said = Counter(" ".join(words(re.sub(r"@\w+|https?://\S+", " ", line[4:]))) for line in lines)
    assert [text for text, often in said.items() if often > 1] == []


@pytest.mark.shared
@pytest.mark.slow
def test_no_written_post_is_taken_from_data() -> None:
    data = Path(os.environ.get("MONITOR_SHARED", "../shared")) / "data"
    if not data.exists():
        pytest.skip("the shared data is not here (MONITOR_SHARED)")
    assert not taken((row.text for split in ("train", "dev") for row in written(split)), data)
