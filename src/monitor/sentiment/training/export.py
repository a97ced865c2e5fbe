"""From a trained network to a folder of weights, and back."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import msgspec
import torch
from safetensors.torch import load_file, save_file

from monitor.sentiment.training.net import Net, base_name
from monitor.sentiment.training.rows import SENTIMENT
from monitor.sentiment.weights import FORMAT, RANGES, Calibration, Card, sha256, version

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED: Final = {"sentiment": 3, "complaint": 1}
"""The heads that are shipped, and their classes; the others only teach the encoder."""
LONGEST: Final = 128
"""Tokens of a text that are read."""


def save(net: Net, tokenizer: Path, folder: Path) -> None:
    """Write `model.safetensors` (float16) and `tokenizer.json` into `folder`; the card comes with `sign`."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {base_name(name): weight for name, weight in net.encoder.state_dict().items()}
    for head in (*SHIPPED, *(["sure"] if "sure" in net.heads else [])):
        tensors[f"heads.{head}.weight"] = net.heads[head].weight
        tensors[f"heads.{head}.bias"] = net.heads[head].bias
    tensors["story.weight"], tensors["story.bias"] = net.story.weight, net.story.bias
    halves = {name: weight.detach().to(torch.float16).contiguous() for name, weight in sorted(tensors.items())}
    save_file(halves, folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o644)
    if tokenizer.resolve() != (folder / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer, folder / "tokenizer.json")


def sign(folder: Path, calibration: Calibration, made: dict[str, str | int | float]) -> Card:
    """Write the card of the weights in `folder` and return it.

    Args:
        folder: with weights and tokenizer, and ranges if the eight-bit form shall be offered.
        calibration: what turns logits into probabilities.
        made: how they were made, for the record.
    """
    ranges = folder / RANGES
    weights, tokenizer = sha256(folder / "model.safetensors"), sha256(folder / "tokenizer.json")
    card = Card(
        format=FORMAT,
        name=version(weights, tokenizer, calibration),
        labels=SENTIMENT,
        longest=LONGEST,
        weights_bytes=(folder / "model.safetensors").stat().st_size,
        weights_sha256=weights,
        tokenizer_sha256=tokenizer,
        ranges_sha256=sha256(ranges) if ranges.exists() else "",
        calibration=calibration,
        made=made,
    )
    text = msgspec.json.format(msgspec.json.encode(card), indent=2)
    (folder / "model.json").write_bytes(text + b"\n")
    return card


def load(folder: Path) -> Net:
    """Return the network of the weights in `folder`, in float32: the reference for the fast runtime."""
    stored = {name: weight.to(torch.float32) for name, weight in load_file(folder / "model.safetensors").items()}
    net = Net({**SHIPPED, "sure": 1} if "heads.sure.weight" in stored else SHIPPED)
    state = {}
    for name in net.state_dict():
        state[name] = stored[base_name(name.removeprefix("encoder."))] if name.startswith("encoder.") else stored[name]
    net.load_state_dict(state)
    net.eval()
    return net
