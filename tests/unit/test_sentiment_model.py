import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.sentiment import CachedScorer, ModelError, Reading, load_scorer
from monitor.sentiment.cpu import BYTES, choose, cores, cpu_features
from monitor.sentiment.runtime import OnnxScorer, batches
from monitor.sentiment.weights import PACKAGED, Calibration, read_card

ORDINARY = [
    "your crew was lovely, thank you for a smooth flight",
    "on hold for two hours and then you hung up on me, unbelievable",
    "we land at five",
    "not bad at all",
    "My suitcase came back in pieces and nobody wants to pay for it 😡😡",
    "is there wifi in the lobby?",
    "the hotel was fine, the breakfast was cold, the staff were kind",
    "great, another delay. just what I needed",
]
BAD = [
    "",
    " \n ",
    "word " * 20_000,
    "x" * 100_000,
    "😡" * 5_000,
    "😡",
    "👍",
    "https://example.com/a",
    "@someone",
    "\0\x01\x02\x7f",
    "\ud800\udfff",
    "привет, всё плохо",
    "مرحبا late flight سيئة",
    "最悪",
    "a\u0300" * 3_000,
    "[CLS] [SEP] [MASK] [PAD]",
    "\u202eevil\u202c",
    "{'a': 1}",
]


needs_bytes = pytest.mark.skipif(not cpu_features() & BYTES, reason="eight bits are for CPUs with VNNI")


@pytest.fixture(scope="module", params=[pytest.param("int8", marks=needs_bytes), "float32"])
def scorer(request: pytest.FixtureRequest) -> OnnxScorer:
    return OnnxScorer(threads=1, vectors=True, runtime=request.param)


@pytest.fixture(scope="module")
def plain() -> OnnxScorer:
    return OnnxScorer(threads=1, vectors=True, runtime="float32")


def values(reading: Reading) -> np.ndarray:
    felt = reading.sentiment
    if felt is None:
        return np.zeros(4)
    return np.array([felt.negative, felt.neutral, felt.positive, reading.complaint])


def test_it_knows_praise_from_blame(scorer: OnnxScorer) -> None:
    readings = scorer.read(ORDINARY)
    labels = [one.sentiment.label for one in readings]
    assert (labels[0], labels[2], labels[4]) == ("positive", "neutral", "negative")
    assert readings[1].complaint > 0.5 > readings[0].complaint
    assert readings[4].complaint > 0.5 > readings[2].complaint


@pytest.mark.parametrize(
    ("glad", "cross"),
    [
        ("the room 😍", "the room 😡"),
        ("my flight tomorrow 👍", "my flight tomorrow 👎"),
        ("this is good", "this is not good"),
        ("the staff were helpful", "the staff were unhelpful"),
        ("thanks for the quick answer", "thanks for nothing"),
        ("#lovethishotel", "#hatethishotel"),
        ("so happy with the service", "so unhappy with the service"),
    ],
)
def test_one_changed_word_turns_the_reading(scorer: OnnxScorer, glad: str, cross: str) -> None:
    one, other = scorer.read([glad, cross])
    assert one.sentiment.negative < other.sentiment.negative
    assert one.sentiment.positive > other.sentiment.positive


def test_what_is_not_negative_is_hardly_a_complaint() -> None:
    sides = np.array([[9, 0, 0], [4, 0, 0], [0, 0, 0], [0, 0, 4]], np.float32)
    head = np.full(4, 1.0, np.float32)
    sure, crosser, unsure, glad = Calibration(complaint_need=1.0).complaint(head, sides)
    assert sure == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-3)
    assert sure - crosser < 0.01
    assert crosser > unsure > glad
    assert glad < 0.1
    one, other = Calibration().complaint(head, sides)[[0, 3]]
    assert one == other


def test_no_brand_tips_a_reading(scorer: OnnxScorer) -> None:
    one, other = scorer.read(
        ["@NorthAir where is my bag? http://a.example", "@south where is my bag? https://b.example/x"]
    )
    assert one == other


def test_a_text_reads_the_same_alone_and_in_any_batch(scorer: OnnxScorer) -> None:
    texts = ORDINARY + BAD
    alone = [scorer.read([text])[0] for text in texts]
    dice = random.Random(5)
    for size in (len(texts), 7, 3):
        order = list(range(len(texts)))
        dice.shuffle(order)
        for at in range(0, len(order), size):
            part = order[at : at + size]
            for index, reading in zip(part, scorer.read([texts[i] for i in part]), strict=True):
                assert np.abs(values(reading) - values(alone[index])).max() < 5e-3
                assert reading.unread == alone[index].unread
                if reading.vector:
                    mine, before = (
                        np.frombuffer(one, "<f2").astype(float) for one in (reading.vector, alone[index].vector)
                    )
                    assert np.abs(mine - before).max() < 5e-3


def test_bad_text_is_read_or_said_to_be_unread(scorer: OnnxScorer) -> None:
    for text, reading in zip(BAD, scorer.read(BAD), strict=True):
        if reading.unread is None:
            assert abs(values(reading)[:3].sum() - 1) < 1e-5, text
            assert 0 <= reading.complaint <= 1
        else:
            assert reading.sentiment is None
            assert reading.complaint is None
            assert reading.unread in {"empty", "no_words", "script", "language"}
        assert reading.model == scorer.name
    assert scorer.read([]) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec=None), max_size=300))
def test_any_text_at_all_is_read_and_leaves_its_neighbours_alone(scorer: OnnxScorer, text: str) -> None:
    alone, between = scorer.read(ORDINARY[:2]), scorer.read([ORDINARY[0], text, ORDINARY[1]])
    for one, other in zip(alone, (between[0], between[2]), strict=True):
        assert np.abs(values(one) - values(other)).max() < 5e-3
    assert (between[1].unread is None) == (between[1].sentiment is not None)
    assert np.isfinite(values(between[1])).all()


def test_what_is_not_read_still_has_a_vector(scorer: OnnxScorer) -> None:
    spanish, russian, empty = scorer.read(["el vuelo salió muy tarde", "рейс опять задержали", ""], ["es", None, None])
    assert (spanish.unread, russian.unread, empty.unread) == ("language", "script", "empty")
    assert len(spanish.vector) == len(russian.vector) == 768
    assert empty.vector is None


def test_vectors_are_of_unit_length_and_near_for_the_same_matter(scorer: OnnxScorer) -> None:
    readings = scorer.read(
        [
            "the airline broke my guitar and will not pay",
            "they smashed his guitar and the airline refuses to pay for it",
            "breakfast at the hotel was cold",
        ]
    )
    one, same, other = (np.frombuffer(reading.vector, "<f2").astype(float) for reading in readings)
    assert abs(np.linalg.norm(one) - 1) < 1e-2
    assert one @ same > 0.6
    assert one @ other < 0.4


def test_the_packaged_model_is_the_default_and_is_cached() -> None:
    scorer = load_scorer(threads=1, cache_bytes=1 << 20)
    assert isinstance(scorer, CachedScorer)
    scorer.read(["late again", "RT @someone: late again"])
    assert (scorer.hits, scorer.misses) == (1, 1)
    assert scorer.name == read_card(PACKAGED).name


def test_a_text_is_cleaned_once_and_reads_the_same(scorer: OnnxScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = scorer.read(ORDINARY)
    cleaned: list[str] = []
    monkeypatch.setattr(scorer, "clean", lambda text, clean=scorer.clean: cleaned.append(text) or clean(text))
    assert CachedScorer(scorer, 1 << 20).read(ORDINARY) == alone
    assert cleaned == list(ORDINARY)


def copy(folder: Path) -> Path:
    folder.mkdir()
    for name in ("model.json", "model.safetensors", "tokenizer.json", "ranges.safetensors"):
        (folder / name).symlink_to(PACKAGED / name)
    return folder


def damage(folder: Path, name: str, keep: int) -> None:
    content = (PACKAGED / name).read_bytes()
    (folder / name).unlink()
    (folder / name).write_bytes(content[:keep])


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "tokenizer.json", "ranges.safetensors"])
@pytest.mark.parametrize("keep", [None, 0, 1000])
def test_missing_or_truncated_weights_are_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, keep: int | None
) -> None:
    monkeypatch.setenv("MONITOR_CACHE", str(tmp_path / "cache"))
    folder = copy(tmp_path / "weights")
    if keep is None:
        (folder / name).unlink()
    else:
        damage(folder, name, min(keep, (PACKAGED / name).stat().st_size - 1) if name == "model.json" else keep)
        if name == "model.json" and keep:
            damage_json = (PACKAGED / name).read_bytes()[: (PACKAGED / name).stat().st_size // 2]
            (folder / name).write_bytes(damage_json)
    with pytest.raises(ModelError, match=r"install the package again") as told:
        OnnxScorer(folder, threads=1, runtime="int8")
    assert name in str(told.value)


def test_changed_weights_of_the_right_size_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_CACHE", str(tmp_path / "cache"))
    folder = copy(tmp_path / "weights")
    content = bytearray((PACKAGED / "model.safetensors").read_bytes())
    content[-100] ^= 0xFF
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        OnnxScorer(folder, threads=1)


def test_a_damaged_working_form_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_CACHE", str(tmp_path))
    OnnxScorer(threads=1)
    (kept,) = tmp_path.glob("*.onnx")
    kept.write_bytes(kept.read_bytes()[:1000])
    assert OnnxScorer(threads=1).read(["thank you"])[0].sentiment.label == "positive"
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]


def test_a_cache_that_cannot_be_written_falls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MONITOR_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert OnnxScorer(threads=1).read(["thank you"])[0].unread is None
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="MONITOR_CACHE"):
        OnnxScorer(threads=1)


def test_no_torch_in_the_process() -> None:
    code = (
        "import sys; from monitor.sentiment import load_scorer; load_scorer(threads=1).read(['late']);"
        "sys.exit(any(name.split('.')[0] in ('torch', 'transformers') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ)).returncode == 0


@needs_bytes
def test_eight_bits_say_what_float32_says(plain: OnnxScorer) -> None:
    eight = OnnxScorer(threads=2, vectors=True, runtime="int8")
    for one, other in zip(eight.read(ORDINARY), plain.read(ORDINARY), strict=True):
        assert np.abs(values(one) - values(other)).max() < 0.1  # .012 on the mean of 2,297 tweets, .10 at most
        mine, before = (np.frombuffer(reading.vector, "<f2").astype(float) for reading in (one, other))
        assert mine @ before > 0.98


def test_threads_change_nothing() -> None:
    texts = [f"{text} {n}" for n in range(40) for text in ORDINARY]
    assert OnnxScorer(threads=3).read(texts) == OnnxScorer(threads=1).read(texts)


def test_the_cpu_decides_unless_somebody_does() -> None:
    card = read_card(PACKAGED)
    assert choose("auto", card, frozenset({"avx2", "avx512_vnni"})) == "int8"
    assert choose("auto", card, frozenset({"avx2", "avx_vnni"})) == "int8"
    assert choose("auto", card, frozenset({"avx2", "avx512f"})) == "float32"
    assert choose("float32", card, frozenset({"avx512_vnni"})) == "float32"
    assert choose("int8", card, frozenset()) == "int8"
    assert cpu_features("Features\t: fp asimd asimddp\n") == {"fp", "asimd", "asimddp"}
    assert load_scorer(threads=1, runtime="float32").runtime == "onnxruntime float32"


def test_a_containers_limit_counts() -> None:
    free = cores("max 100000")
    assert free >= 1
    assert cores("150000 100000") == min(free, 2)
    assert cores("10000 100000") == 1
    assert cores("9900000 100000") == min(free, 99)
    assert cores("nonsense") == free


def test_weights_without_ranges_run_in_float32(tmp_path: Path) -> None:
    bare = msgspec.structs.replace(read_card(PACKAGED), ranges_sha256="")
    folder = copy(tmp_path / "weights")
    (folder / "model.json").unlink()
    (folder / "model.json").write_bytes(msgspec.json.encode(bare))
    assert choose("auto", bare, frozenset({"avx512_vnni"})) == "float32"
    assert OnnxScorer(folder, threads=1).kind == "float32"
    with pytest.raises(ModelError, match="choose float32"):
        OnnxScorer(folder, threads=1, runtime="int8")


def test_batches_hold_every_text_once_within_the_budget() -> None:
    dice = random.Random(3)
    for budget in (1, 64, 512):
        lengths = [dice.randint(2, 128) for _ in range(300)]
        found = batches(lengths, budget)
        assert sorted(i for batch in found for i in batch) == list(range(300))
        assert all(len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget for batch in found)
    assert batches([], 512) == []


def test_the_runtime_says_what_torch_says(plain: OnnxScorer) -> None:
    torch = pytest.importorskip("torch", reason="the reference needs the extra `train`")
    from monitor.sentiment.training.export import load  # noqa: PLC0415 -- with torch only
    from monitor.sentiment.training.fit import pad  # noqa: PLC0415 -- the same

    net = load(PACKAGED)
    cleaned = [plain.clean(text) for text in ORDINARY]
    logits, complaints, vectors = plain.infer(cleaned)
    table = pad(plain._tokens.ids(cleaned, plain.card.longest))
    with torch.inference_mode():
        found, story = net(table, table > 0)
    assert np.abs(found["sentiment"].numpy() - logits).max() < 1e-4
    assert np.abs(found["complaint"][:, 0].numpy() - complaints).max() < 1e-4
    assert np.abs(story.numpy() - vectors.astype(np.float32)).max() < 1e-3


def test_weights_survive_being_moved(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(PACKAGED, folder)
    there = load_scorer(folder, threads=1, cache_bytes=0)
    assert there.read(ORDINARY) == load_scorer(threads=1, cache_bytes=0).read(ORDINARY)
