import importlib.metadata
import random
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

from monitor.sentiment.errors import ModelError  # noqa: E402 -- after what they need
from monitor.sentiment.tokens import Tokens  # noqa: E402
from monitor.sentiment.training.calibrate import SETS, calibrate, settle  # noqa: E402
from monitor.sentiment.training.export import SHIPPED, load, save  # noqa: E402
from monitor.sentiment.training.fit import TAUGHT, Plan, Training, hint_loss, pad, soft_loss, task_loss  # noqa: E402
from monitor.sentiment.training.net import Net  # noqa: E402
from monitor.sentiment.training.rows import HEADS, Row, Soft  # noqa: E402
from monitor.sentiment.training.run import blend, rounded  # noqa: E402
from monitor.sentiment.training.teacher import PACKAGES, Answers, met, unpack  # noqa: E402
from monitor.sentiment.training.told import HINTS, drawn, tell_of  # noqa: E402
from monitor.sentiment.training.vary import VARIED_OTHER, VARIED_WRITTEN, near_words, varied, vary  # noqa: E402
from monitor.sentiment.weights import PACKAGED  # noqa: E402

SAID = Soft((2.0, 0.0, -1.0), 1.5)


def logits(rows: int) -> dict[str, torch.Tensor]:
    out = {name: torch.zeros(rows, head.classes) for name, head in HEADS.items()}
    out["sentiment"] = torch.tensor([SAID.sentiment]).repeat(rows, 1).requires_grad_()
    out["complaint"] = torch.full((rows, 1), SAID.complaint).requires_grad_()
    return out


def test_who_says_what_the_teacher_says_has_nothing_to_learn_from_it() -> None:
    rows = [Row("late again", {}, "irony", soft=SAID), Row("late", {}, "irony")]
    found = logits(2)
    soft_loss(found, rows, TAUGHT).backward()
    for head in ("sentiment", "complaint"):
        assert found[head].grad is not None
        assert found[head].grad.abs().max() < 1e-6
    assert soft_loss(found, rows, Plan()).item() == 0.0
    found["sentiment"] = -found["sentiment"]
    assert soft_loss(found, rows, TAUGHT) > 1.0


def test_a_label_counts_less_where_the_teacher_speaks() -> None:
    alone, beside = Row("late", {"sentiment": (0,)}, "xlmt"), Row("late", {"sentiment": (0,)}, "xlmt", soft=SAID)
    found = logits(1)
    soft = soft_loss(found, [beside], TAUGHT)
    assert (task_loss(found, [beside], TAUGHT) - soft).item() == pytest.approx(
        TAUGHT.hard * task_loss(found, [alone], TAUGHT).item()
    )


def test_the_teacher_meets_complaints_twice_and_what_is_not_named_never() -> None:
    pool = [Row(str(i), {"complaint": ()}, "complaints") for i in range(5)] + [Row("x", {"hate": (0,)}, "hate")]
    assert sorted(met(pool, 3)) == sorted([*range(5), *range(5)])
    assert met(pool, 3) == met(pool, 3) != met(pool, 4)


def test_a_missing_teacher_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(package: str) -> None:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "files", nothing)  # whoever trains has it
    with pytest.raises(ModelError, match=PACKAGES[0]):
        unpack(tmp_path)


def test_a_blend_lies_between_both() -> None:
    torch.manual_seed(3)
    classes = {name: head.classes for name, head in HEADS.items()}
    first, second = Net(classes), Net(classes)
    found = blend(first, second, 0.75).heads["complaint"].weight
    assert torch.allclose(found, 0.25 * first.heads["complaint"].weight + 0.75 * second.heads["complaint"].weight)


TOPICS = {"known": "the bus to {} is {} today", "unknown": "my phone says {} when it is {} outside"}


def test_what_cannot_be_told_is_said_less_surely_and_no_label_moves(tmp_path: Path) -> None:
    dice = random.Random(4)
    plain = Net(SHIPPED)
    plain.load_state_dict({name: one for name, one in load(PACKAGED).state_dict().items() if "sure" not in name})
    plain.eval()
    tokens = Tokens(PACKAGED / "tokenizer.json")
    words = ["good", "late", "blue", "here", "awful", "fine", "lovely", "four", "broken", "red", "seen", "great"]
    texts = [(kind, form.format(*dice.sample(words, 2))) for kind, form in TOPICS.items() for _ in range(60)]
    table = pad(tokens.encode([text for _, text in texts], 64))
    with torch.inference_mode():
        before = plain(table, table > 0)[0]["sentiment"]
    labels = [
        said if kind == "known" else dice.randrange(3)
        for (kind, _), said in zip(texts, before.argmax(1).tolist(), strict=True)
    ]
    rows = [Row(text, {"sentiment": (one,)}, SETS[0]) for (_, text), one in zip(texts, labels, strict=True)]
    complaints = [Row("on hold for an hour", {"complaint": (0,)}, "c"), Row("lovely", {"complaint": ()}, "c")]
    found = calibrate(plain, tokens, rows + complaints)
    settled = settle(plain, found)
    with torch.inference_mode():
        after, biased = settled(table, table > 0)[0]["sentiment"], before + found.bias
    assert after.argmax(1).tolist() == biased.argmax(1).tolist()
    rise = (after / biased).mean(1)
    assert rise[:60].mean() > 1.3 * rise[60:].mean()
    save(settled, PACKAGED / "tokenizer.json", tmp_path)
    with torch.inference_mode():
        again = load(tmp_path)(table, table > 0)[0]["sentiment"]
    assert torch.allclose(again, after, atol=0.02)


def test_words_near_to_each_other_are_found_and_exchanged_as_they_are_written() -> None:
    ranks = {"flat": 0, "room": 1, "cat": 2, "not": 3, "##ing": 4, "ox": 5}
    table = torch.tensor([[1.0, 0.1, 0], [1.0, 0, 0.1], [-1.0, 1, 0], [-1.0, 0, 1], [1.0, 0.1, 0.1], [1.0, 0, 0]])
    near = near_words(table, ranks)
    assert near["flat"] == ["room"]
    assert near["room"] == ["flat"]
    texts = {vary("@room My Room, #room and ROOM not", near, random.Random(seed)) for seed in range(60)}
    assert "@room My Flat, #room and FLAT not" in texts
    assert all(text.startswith("@room") and text.endswith("not") for text in texts)


def test_varied_rows_have_no_labels_and_say_whether_they_were_written() -> None:
    pool = [
        Row(f"the room was awful {i}", {"sentiment": (0,)}, kind)
        for kind in ("written", "xlmt", "sxsw")
        for i in range(90)
    ]
    found = varied(pool, {"room": ["flat"], "awful": ["bad"]}, 3)
    assert {row.source for row in found} == {VARIED_WRITTEN, VARIED_OTHER}
    assert all(
        not row.labels and ("flat" in row.text or "bad" in row.text or len(row.text.split()) < 5) for row in found
    )
    assert [row.text for row in found] == [row.text for row in varied(pool, {"room": ["flat"], "awful": ["bad"]}, 3)]


def test_layers_that_stand_still_are_shipped_as_they_were(tmp_path: Path) -> None:
    classes = {name: head.classes for name, head in HEADS.items()}
    torch.manual_seed(2)
    begun = rounded(Net(classes))
    before = {name: one.clone() for name, one in begun.state_dict().items()}
    base = Net(SHIPPED)
    save(base, PACKAGED / "tokenizer.json", tmp_path)
    pool = [
        Row(f"room {i} was cold", {"sentiment": (i % 3,)}, "xlmt", soft=Soft(SAID.sentiment, 0.5, i)) for i in range(8)
    ]
    plan = Plan(epochs=1, batch=4, stop=2, cool=2, still=2, hint=1.0, soft=1.0, warm=0.5)
    hints = torch.randn(8, 3)
    net = Training(pool, Tokens(PACKAGED / "tokenizer.json"), tmp_path, plan, None, None, begun, hints).run()
    after = net.state_dict()
    moved = {name for name, one in after.items() if not torch.equal(one, before[name])}
    assert {name.split(".")[2] for name in moved if name.startswith("encoder.layers")} == {"2", "3", "4", "5"}
    assert not [name for name in moved if name.startswith(("story", "encoder.words", "encoder.places", "encoder.norm"))]
    assert {"heads.sentiment.weight", "heads.complaint.weight"} <= moved


def test_a_hint_is_missed_by_how_far_off_it_is_where_there_is_one() -> None:
    rows = [
        Row("a", {}, "xlmt", soft=Soft(SAID.sentiment, 0.0, 1)),
        Row("b", {}, "xlmt", soft=SAID),
        Row("c", {}, "xlmt"),
    ]
    hints = torch.tensor([[9.0, 9.0], [1.0, 2.0]])
    assert hint_loss(torch.tensor([[1.0, 2.0], [5.0, 5.0], [5.0, 5.0]]), hints, rows).item() == 0.0
    assert hint_loss(torch.tensor([[2.0, 4.0], [5.0, 5.0], [5.0, 5.0]]), hints, rows).item() == pytest.approx(2.5)
    assert hint_loss(torch.zeros(1, 2), hints, rows[2:]).item() == 0.0


def test_what_is_told_is_calibrated_and_of_written_posts_the_teachers_alone() -> None:
    torch.manual_seed(5)
    dice = random.Random(5)
    held_out = [Row(f"held {i}", {"sentiment": (i % 3,)}, source) for source in SETS for i in range(30)]
    held_out += [Row(f"asked {i}", {"complaint": (0,) if i % 2 else ()}, "complaints") for i in range(40)]
    rows = [Row(f"late {i}", {"sentiment": (0,)}, "xlmt" if i % 2 else "written") for i in range(60)]
    truth = torch.tensor(
        [[*(4.0 * (row.labels.get("sentiment", (9,))[0] == k) for k in range(3)), 0.0] for row in held_out]
    )
    for place, row in enumerate(held_out):
        if dice.random() < 0.2:
            truth[place, :3] = truth[place, [1, 2, 0]]
        truth[place, 3] = 3.0 if bool(row.labels.get("complaint")) != (dice.random() < 0.2) else -3.0
    logits = torch.cat([torch.randn(60, 4), truth])
    features = torch.randn(50, 20).half()
    classes = {name: head.classes for name, head in HEADS.items()}
    first, stranger = Net(classes).eval(), Net(classes).eval()
    tokens = Tokens(PACKAGED / "tokenizer.json")
    told = tell_of(rows, held_out, Answers(logits, features), first, tokens)
    assert told.hints.shape == (50, min(HINTS, 20))
    assert [row.soft.place for row in told.rows if row.soft is not None] == [*range(50), *[-1] * 10]
    assert told.hints.square().mean().item() == pytest.approx(1.0, abs=1e-4)
    other = tell_of(rows, held_out, Answers(logits, features), stranger, tokens)
    louder = tell_of(rows, held_out, Answers(3.0 * logits + torch.tensor([1.0, 0, 0, 2.0]), features), first, tokens)
    soft = [[row.soft for row in one.rows if row.soft is not None] for one in (told, other, louder)]
    for row, mine, beside, loud in zip(told.rows, *soft, strict=True):
        assert (mine == beside) == (row.source == "written")
        assert mine.place == loud.place
        assert mine.sentiment == pytest.approx(loud.sentiment, abs=0.05)
        assert mine.complaint == pytest.approx(loud.complaint, abs=0.1)


def test_so_much_of_each_set_is_drawn_as_the_teacher_is_asked_about() -> None:
    pool = [Row(str(i), {}, source) for source in ("sxsw", "xlmt", "unnamed") for i in range(10)]
    places = drawn(pool, 1)
    assert sorted(pool[place].source for place in places) == ["sxsw"] * 5 + ["xlmt"] * 10
    assert len(set(places)) == len(places)
    assert places == drawn(pool, 1) != drawn(pool, 2)
