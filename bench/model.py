"""How fast the model reads, against what one would take otherwise, on unique real tweets and the same weights.

Contestants take turns; what counts is the median round. Texts come in, finished readings go out: tokenising is in,
and for ours language and cause too. `make bench-model` calls it; the pipeline needs the extra `train` (torch).
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `import monitor` does, if it comes before numpy

import argparse
import gzip
import json
import logging
import random
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from monitor.sentiment import CachedScorer
from monitor.sentiment.cpu import cpu_features
from monitor.sentiment.graph import build
from monitor.sentiment.metrics import confusion, macro_f1
from monitor.sentiment.runtime import OnnxScorer
from monitor.sentiment.weights import PACKAGED, read_card, read_tensors
from monitor.stream.score import ScoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OURS, REPOSTS, DYNAMIC = "ours", "ours, reposts", "onnxruntime dynamic int8"
ONE_BY_ONE, BATCHED = "pipeline, text by text", "pipeline, batches of 32"
LABELS = ("negative", "neutral", "positive")
ROUND = ScoreSettings(client={}).round_size
BARS = {True: (14.0, 8.0, 2.0), False: (6.0, 2.2, 1.2)}
"""Times as fast as the pipeline text by text, the pipeline in batches of 32, ONNX Runtime's dynamic int8: on a CPU with
AMX or bfloat16, and on one without."""
FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def rows(shared: Path) -> list[dict[str, Any]]:
    """Return TweetEval's public test rows, each text once, in a fixed order."""
    with gzip.open(shared / "data/tweeteval_sentiment/sentiment.jsonl.gz", "rt", encoding="utf-8") as lines:
        found = {row["text"]: row for row in map(json.loads, lines) if row["split"] == "test_public"}
    out = list(found.values())
    random.Random(7).shuffle(out)
    return out


def chunks(texts: Sequence[str]) -> list[Sequence[str]]:
    """Return the texts in rounds as a worker reads them."""
    return [texts[at : at + ROUND] for at in range(0, len(texts), ROUND)]


def dynamic(scorer: OnnxScorer, threads: int) -> OnnxScorer:
    """Return the same scorer over ONNX Runtime's own dynamic int8 of the same graph, with its own threads."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 -- loads onnx

    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "plain.onnx", Path(folder) / "small.onnx"
        card = read_card(PACKAGED)
        plain.write_bytes(build(read_tensors(PACKAGED, card), card.shape).SerializeToString())
        logging.disable(logging.WARNING)
        quantize_dynamic(plain, small, weight_type=QuantType.QInt8, per_channel=True)
        logging.disable(logging.NOTSET)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        scorer._session = ort.InferenceSession(small, options, providers=["CPUExecutionProvider"])  # noqa: SLF001 -- all else is the same
    scorer._pool = ThreadPoolExecutor(1)  # noqa: SLF001 -- it threads by itself
    return scorer


def pipeline_of(threads: int) -> Any:
    """Return `transformers.pipeline` over the same weights and heads in torch's float32; None without torch."""
    try:
        import torch  # noqa: PLC0415 -- only with the extra
        from safetensors.torch import load_file  # noqa: PLC0415 -- the same
        from transformers import (  # noqa: PLC0415 -- the same
            BertConfig,
            BertModel,
            BertPreTrainedModel,
            PreTrainedTokenizerFast,
            pipeline,
        )
        from transformers.modeling_outputs import SequenceClassifierOutput  # noqa: PLC0415 -- the same
        from transformers.utils import logging as chatter  # noqa: PLC0415 -- the same
    except ImportError:
        return None
    chatter.set_verbosity_error()
    torch.set_num_threads(threads)
    card = read_card(PACKAGED)

    class Same(BertPreTrainedModel):  # type: ignore[misc]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.bert = BertModel(config, add_pooling_layer=False)
            self.classifier = torch.nn.Linear(2 * config.hidden_size, 3)
            self.post_init()

        def forward(self, input_ids: Any, attention_mask: Any, **_: Any) -> Any:
            last = self.bert(input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask[:, :, None].float()
            mean = (last * mask).sum(1) / mask.sum(1)
            return SequenceClassifierOutput(logits=self.classifier(torch.cat([last[:, 0], mean], 1)))

    shape = card.shape
    config = BertConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.sights,
        intermediate_size=shape.inner,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    model = Same(config).eval()
    stored = {name: weight.float() for name, weight in load_file(PACKAGED / "model.safetensors").items()}
    state = {f"bert.{name}": weight for name, weight in stored.items() if not name.startswith(("heads.", "story."))}
    for part in ("weight", "bias"):
        state[f"classifier.{part}"] = stored[f"heads.sentiment.{part}"]
    missing = model.load_state_dict(state, strict=False).missing_keys
    assert not [name for name in missing if "position_ids" not in name], missing
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(PACKAGED / "tokenizer.json"),
        **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "cls", "sep")},
    )
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    logging.disable(logging.CRITICAL)  # it grumbles about a class that it does not know
    made = pipeline("text-classification", model=model, tokenizer=tokenizer, truncation=True, max_length=128)
    logging.disable(logging.NOTSET)
    return made


def memory() -> float:
    """Return the peak memory, in MB, of a fresh process that loads the model and reads 2,000 texts."""
    code = (
        "from monitor.sentiment import load_scorer; s = load_scorer(threads=2);"
        "[s.read([f'late {n} ' + 'word ' * (n % 90) for n in range(at, at + 250)]) for at in range(0, 2000, 250)];"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 -- our own
    return int(told.stdout) / 1024


def agreement(found: list[dict[str, Any]], scorers: Sequence[OnnxScorer]) -> None:
    """Print the macro-F1 of each scorer on the rows, and how far their answers are apart."""
    truth = np.array([LABELS.index(row["sentiment"]) for row in found])
    each = []
    for scorer in scorers:
        logits = scorer.infer([scorer.clean(row["text"]) for row in found])[0]
        each.append(scorer.card.calibration.sentiment(logits))
        value = macro_f1(confusion(truth, each[-1].argmax(axis=1), 3))
        print(f"macro-F1 on {len(found)} tweets, {scorer.runtime}: {value:.4f}")
    apart = np.abs(each[0] - each[-1])
    print(f"probabilities apart: {apart.mean():.4f} on the mean, {apart.max():.3f} at most")


def reposts(texts: Sequence[str]) -> tuple[list[str], float]:
    """Return a stream of which 60 % are reposts, and the share of repeats in it."""
    dice = random.Random(1)
    fresh = iter(texts)
    stream = [next(fresh)]
    while len(stream) < 2 * len(texts):
        stream.append(next(fresh) if dice.random() < 0.4 else dice.choice(stream))
    return stream, 1 - len(set(stream)) / len(stream)


def through_cache(scorer: OnnxScorer, texts: Sequence[str]) -> None:
    """Read the texts through an empty cache."""
    cached = CachedScorer(scorer, 64 << 20)
    for part in chunks(texts):
        cached.read(part)


def in_turns(contestants: Mapping[str, tuple[int, Callable[[], Any]]], rounds: int) -> dict[str, float]:
    """Return each contestant's median texts a second over rounds taken in turns, after one to warm up."""
    for _, run in contestants.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, (count, run) in contestants.items():
            began = time.perf_counter()
            run()
            times[name].append(count / (time.perf_counter() - began))
    for name, each in times.items():
        print(f"{name:28s} {statistics.median(each):7.0f} texts/s  ({min(each):.0f} to {max(each):.0f})")
    return {name: statistics.median(each) for name, each in times.items()}


def main() -> None:
    """Run all of it and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("MONITOR_SHARED", "../shared")))
    parser.add_argument("--texts", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    try:
        found = rows(given.shared)
    except FileNotFoundError as gone:
        print(f"the model's speed is left out: {gone.filename} is not here; set MONITOR_SHARED to the folder of data/")
        return
    texts = [row["text"] for row in found[: given.texts]]
    features = cpu_features()
    print(
        "CPU:", ", ".join(name for name in FEATURES if name in features) or "nothing of note", "| load", os.getloadavg()
    )

    ours = OnnxScorer(threads=given.threads, causes="travel")
    float32 = OnnxScorer(threads=given.threads, runtime="float32", causes="travel")
    rival = dynamic(OnnxScorer(threads=given.threads, runtime="float32", causes="travel"), given.threads)
    pipe = pipeline_of(given.threads)
    few, some = texts[:64], texts[:192]
    stream, share = reposts(texts)
    contestants: dict[str, tuple[int, Callable[[], Any]]] = {
        OURS: (len(texts), lambda: [ours.read(part) for part in chunks(texts)]),
        REPOSTS: (len(stream), lambda: through_cache(ours, stream)),
        "ours, float32": (len(some), lambda: [float32.read(part) for part in chunks(some)]),
        "ours, one text at a time": (len(some), lambda: [ours.read([text]) for text in some]),
        DYNAMIC: (len(texts), lambda: [rival.read(part) for part in chunks(texts)]),
    }
    if pipe is not None:
        contestants[ONE_BY_ONE] = (len(few), lambda: [pipe(text) for text in few])
        contestants[BATCHED] = (len(some), lambda: pipe(some, batch_size=32))
    else:
        print("transformers.pipeline is left out: it needs the extra `train` (pip install -e '.[train]')")
    print(f"ours: {ours.card.name}, {ours.runtime}")
    speed = in_turns(contestants, given.rounds)
    bars = BARS[bool(features & {"avx512_bf16", "amx_bf16", "amx_int8"})]
    for name, bar in zip((ONE_BY_ONE, BATCHED, DYNAMIC), bars, strict=True):
        if name in speed:
            print(f"against {name:28s} {speed[OURS] / speed[name]:5.1f} times (wanted here: {bar:g})")
    print(f"with reposts ({share:.0%} of the stream): {speed[REPOSTS] / speed[OURS]:.1f} times (wanted: 2)")
    agreement(found, (float32, ours))
    print(f"memory of a process that reads: {memory():.0f} MB")


if __name__ == "__main__":
    main()
