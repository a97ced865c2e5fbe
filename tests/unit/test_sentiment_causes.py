import os
import re
from pathlib import Path

import numpy as np
import pytest

from monitor.mention.yamlfile import FileError
from monitor.sentiment.causes import SHIPPED, CauseReader, load_causes
from monitor.sentiment.runtime import OnnxScorer
from tests.support.runs import taken

TREES = ("travel", "retail", "software")
AIRLINE = {
    "late_flight", "cancelled_flight", "lost_luggage", "damaged_luggage", "bad_flight", "booking_problem",
    "customer_service", "attendant", "long_lines",
}  # fmt: skip


@pytest.mark.parametrize("tree", TREES)
def test_shipped_trees_give_each_cause_five_to_ten_examples(tree: str) -> None:
    nodes = load_causes(tree)
    parents = {node.parent for node in nodes}
    for node in nodes:
        assert node.id in parents or 5 <= len(node.examples) <= 10, node.id
    assert tree != "travel" or {node.id for node in nodes} >= AIRLINE


@pytest.mark.parametrize(
    ("tree", "text", "cause"),
    [
        ("travel", "three hours late and still no plane at the gate", "late_flight"),
        ("travel", "you cracked the shell of my suitcase and broke two wheels", "damaged_luggage"),
        ("travel", "nobody can tell me where my bags are, it has been two days", "lost_luggage"),
        ("travel", "there were bed bugs in the hotel room", "dirty_room"),
        ("travel", "an hour on hold and then they hung up on me", "customer_service"),
        ("retail", "parcel never came although it says delivered", "lost_parcel"),
        ("retail", "still waiting for my money back after the return", "refund"),
        ("software", "app crashes every time I open it, so annoying", "crash"),
        ("software", "you charged my card again after I cancelled the subscription", "billing"),
    ],
)
def test_plain_complaints_get_their_cause(tree: str, text: str, cause: str) -> None:
    assert OnnxScorer(threads=1, causes=tree).read([text])[0].cause.best == cause


def test_a_new_cause_is_a_few_lines_in_the_file(tmp_path: Path) -> None:
    text = "the lounge had no chairs left and no coffee, horrible"
    path = tmp_path / "mine.yaml"
    path.write_text(
        (SHIPPED / "travel.yaml").read_text()
        + "  - id: lounge\n    parent: service\n    examples:\n"
        + "      - the lounge was full and dirty\n      - no coffee and no seats in the lounge\n"
    )
    reading = OnnxScorer(threads=1, causes=path).read([text])[0]
    assert (reading.cause.id, reading.cause.best) == ("lounge", "lounge")


def test_who_is_not_cross_has_no_cause_but_a_best_guess() -> None:
    thanks, shrug = OnnxScorer(threads=1, causes="travel").read(["thank you, the flight was lovely", "see you at six"])
    assert thanks.cause.id == shrug.cause.id == "unclear"
    assert thanks.cause.best in {node.id for node in load_causes("travel")}


def test_words_that_no_example_has_weigh_nothing_in_any_order() -> None:
    # which of them counted used to hang on the order of a set, so on the process
    nodes = load_causes("travel")
    ranks = {word: 10_000 + place for place, word in enumerate(("suitcase", "handle", "zither", "quokka", "walnut"))}
    flat = np.zeros((sum(len(node.examples) for node in nodes), 2), np.float32)
    flat[:, 0] = 1.0
    reader = CauseReader(nodes, lambda texts: flat[: len(texts)], ranks)
    texts = ["suitcase handle", "zither suitcase quokka handle", "handle walnut quokka zither suitcase"]
    plain, *others = reader.scores(np.zeros((3, 2), np.float32), texts)
    assert plain.max() > 0
    for other in others:
        np.testing.assert_array_equal(other, plain)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("version: 2\ncauses: []", "1: the version"),
        ("version: 1\ncauses: []", "2: no cause has examples"),
        ("version: 1\ncauses:\n  - id: Bad Id\n    examples: [a]", "3: 'Bad Id'"),
        ("version: 1\ncauses:\n  - id: unclear\n    examples: [a]", "3: 'unclear'"),
        (
            "version: 1\ncauses:\n  - id: a\n    examples: [x]\n  - id: a\n    examples: [y]",
            "5: the cause 'a' stands here twice",
        ),
        ("version: 1\ncauses:\n  - id: a\n    parent: b\n    examples: [x]", "4: no cause 'b'"),
        ("version: 1\ncauses:\n  - id: a", "3: the cause 'a' has no examples"),
        ("version: 1\ncauses:\n  - id: a\n    example: [x]", "did you mean 'examples'"),
    ],
)
def test_a_bad_file_is_refused_with_line_and_mend(tmp_path: Path, lines: str, told: str) -> None:
    path = tmp_path / "causes.yaml"
    path.write_text(lines)
    with pytest.raises(FileError, match=re.escape(told)):
        load_causes(path)


@pytest.mark.shared
@pytest.mark.slow
def test_no_example_is_taken_from_data() -> None:
    data = Path(os.environ.get("MONITOR_SHARED", "../shared")) / "data"
    if not data.exists():
        pytest.skip("the shared data is not here (MONITOR_SHARED)")
    assert not taken((one for tree in TREES for node in load_causes(tree) for one in node.examples), data)
