import importlib.metadata
import random
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")

from monitor.sentiment.errors import ModelError  # noqa: E402 -- after what they need
from monitor.sentiment.tokens import Tokens  # noqa: E402
from monitor.sentiment.training.calibrate import SETS, calibrate, settle  # noqa: E402
from monitor.sentiment.training.export import SHIPPED, load, save  # noqa: E402
from monitor.sentiment.training.fit import TAUGHT, Plan, pad, soft_loss, task_loss  # noqa: E402
from monitor.sentiment.training.net import Net  # noqa: E402
from monitor.sentiment.training.rows import HEADS, Row, Soft  # noqa: E402
from monitor.sentiment.training.run import blend  # noqa: E402
from monitor.sentiment.training.teacher import PACKAGES, met, unpack  # noqa: E402
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
