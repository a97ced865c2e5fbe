"""The packaged weights: what the files are, and whether they are whole.

A folder of weights holds `model.json` (this module's `Card`), `model.safetensors` (float16; data, never code),
`tokenizer.json` and, for the eight-bit form, `ranges.safetensors`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from msgspec import Struct
from safetensors import SafetensorError
from safetensors.numpy import load_file

from monitor.sentiment.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGED: Final = Path(__file__).parent / "weights"
"""Where the weights of this version of the product lie."""
FORMAT: Final = 1
RANGES: Final = "ranges.safetensors"
MEND: Final = "install the package again, or make weights with `monitor model train`"


class Shape(Struct, frozen=True):
    """The encoder's sizes."""

    layers: int = 6
    width: int = 384
    inner: int = 1536
    sights: int = 12
    positions: int = 512
    eps: float = 1e-12


class Calibration(Struct, frozen=True):
    """What turns logits into probabilities that can be believed, the same for every set and brand.

    Sentiment: softmax(logits / temperature + bias), in the order negative, neutral, positive.
    Complaint: sigmoid((logit + share * negative odds + need * ln negative) / temperature + bias), by the calibrated
    sentiment's log-odds and log-probability of negative. Few texts are labelled as complaints, many by sentiment: it
    ranks complaints to brands never seen better than the head alone. `need` says that what is not negative is no
    complaint, yet the more negative is not the more of one; `share` says that it is a little.
    """

    sentiment_temperature: float = 1.0
    sentiment_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    complaint_temperature: float = 1.0
    complaint_bias: float = 0.0
    complaint_share: float = 0.0
    complaint_need: float = 0.0

    def sentiment(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (n, 3) of logits (n, 3)."""
        scaled = self._scaled(logits)
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        out: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
        return out

    def complaint(self, logits: NDArray[np.float32], sentiment: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (n,) of logits (n,) and the sentiment's logits (n, 3)."""
        mixed = self.complaint_score(logits, sentiment)
        scaled: NDArray[np.float32] = np.clip(mixed / self.complaint_temperature + self.complaint_bias, -30, 30)
        out: NDArray[np.float32] = np.reciprocal(np.exp(-scaled) + np.float32(1))
        return out

    def complaint_score(self, logits: NDArray[np.float32], sentiment: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the complaint's temperature and bias are put to (n,)."""
        odds = self.negative_odds(sentiment)
        negative = -np.logaddexp(np.float32(0), -odds)
        out: NDArray[np.float32] = (
            logits + np.float32(self.complaint_share) * odds + np.float32(self.complaint_need) * negative
        )
        return out

    def negative_odds(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the log-odds (n,) of negative, of sentiment logits (n, 3)."""
        scaled = self._scaled(logits)
        out: NDArray[np.float32] = scaled[:, 0] - np.logaddexp(scaled[:, 1], scaled[:, 2])
        return out

    def _scaled(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = logits / np.float32(self.sentiment_temperature)
        return scaled + np.asarray(self.sentiment_bias, np.float32)


class Card(Struct, frozen=True, kw_only=True):
    """What `model.json` says: the version's name, sizes, calibration, and how to know that the files are whole."""

    format: int
    name: str
    labels: tuple[str, ...]
    longest: int
    weights_bytes: int
    weights_sha256: str
    tokenizer_sha256: str
    ranges_sha256: str = ""
    shape: Shape = Shape()
    calibration: Calibration = Calibration()
    made: dict[str, str | int | float] = {}


def version(weights_sha256: str, tokenizer_sha256: str, calibration: Calibration) -> str:
    """Return the model's version name: made from what its readings depend on, so that equal names read equally."""
    material = b"|".join([weights_sha256.encode(), tokenizer_sha256.encode(), msgspec.json.encode(calibration)])
    return f"minilm6-{hashlib.sha256(material).hexdigest()[:10]}"


def read_card(folder: Path) -> Card:
    """Return the card of a folder of weights, after a look at the sizes of its files.

    Raises:
        ModelError: a file is missing, cut short or of another format.
    """
    path = folder / "model.json"
    try:
        card = msgspec.json.decode(path.read_bytes(), type=Card)
    except FileNotFoundError as gone:
        raise ModelError(f"{path} is missing: {folder} holds no weights; {MEND}.") from gone
    except (OSError, msgspec.MsgspecError) as broken:
        raise ModelError(f"{path} cannot be read ({broken}); {MEND}.") from broken
    if card.format != FORMAT:
        raise ModelError(f"{path} is of format {card.format}, this version reads {FORMAT}; {MEND}.")
    weights = folder / "model.safetensors"
    size = weights.stat().st_size if weights.exists() else -1
    if size != card.weights_bytes:
        state = "missing" if size < 0 else f"cut short or changed ({size} bytes, not {card.weights_bytes})"
        raise ModelError(f"{weights} is {state}; {MEND}.")
    if not (folder / "tokenizer.json").exists():
        raise ModelError(f"{folder / 'tokenizer.json'} is missing; {MEND}.")
    return card


def read_tensors(folder: Path, card: Card) -> dict[str, NDArray[np.float32]]:
    """Return the weights as float32, after comparing their checksum with the card's.

    Raises:
        ModelError: the file is not what the card says.
    """
    return _read(folder / "model.safetensors", card.weights_sha256)


def read_ranges(folder: Path, card: Card) -> dict[str, NDArray[np.float32]]:
    """Return how far the inputs of the encoder's products go, (2, channels) each; see `monitor.sentiment.eight`.

    Raises:
        ModelError: the file is missing or not what the card says.
    """
    return _read(folder / RANGES, card.ranges_sha256)


def _read(path: Path, checksum: str) -> dict[str, NDArray[np.float32]]:
    try:
        found = sha256(path)
        if found != checksum:
            raise ModelError(f"{path} is damaged (its checksum is {found[:12]}, not {checksum[:12]}); {MEND}.")
        stored = load_file(path)
    except (SafetensorError, OSError) as broken:
        raise ModelError(f"{path} cannot be read ({broken}); {MEND}.") from broken
    return {name: tensor.astype(np.float32) for name, tensor in stored.items()}


def sha256(path: Path) -> str:
    """Return the checksum of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
