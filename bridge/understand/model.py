"""Runs the model: from a message and what was said before it to two calibrated probabilities.

Never learns, waits, or looks at anything but the words it is asked about; the same words get the
same answer on one machine, asked singly or in a batch, for each is run by itself: rows of a batch
of whole numbers would share their scale, and so change each other's last bits.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from bridge.detect.fold import read_otherwise
from bridge.errors import ModelRefused
from bridge.understand.encode import Frame, Row, rows
from bridge.understand.shipped import (
    EXAMPLES,
    NETWORK,
    TOKENIZER,
    VECTORS,
    WORDING,
    Calibration,
    Platt,
    Thresholds,
    read_model,
)
from bridge.understand.wording import Wording

_UNKNOWN = "[UNK]"
#: With a larger share of pieces that it does not know, the model has not read a message.
_MOST_UNKNOWN = 0.5
#: From here on it is worth the time to ask what the words say without what was said before them.
_WORTH_ASKING_TWICE = 0.5
#: Below this, too: a message is not harmless for what was said before it.
_MAY_BE_DENIED = 0.2


@dataclass(frozen=True, slots=True)
class Asked:
    """A message, and what was said in its room before it, oldest first."""

    body: str
    before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """How probable it is that a message is operational, and that it is of concern: 0 to 1."""

    operational: float
    concern: float
    #: False where there was nothing in it that the model can read: such a belief says nothing.
    read: bool = True
    #: The first, of the words alone, where what was said before them had a say in it.
    alone: float | None = None
    #: The message as a vector of length 1; None where it was not read.
    embedding: Any = field(default=None, repr=False, compare=False)


_UNREAD = Belief(operational=0.0, concern=0.0, read=False)


class Example(msgspec.Struct, frozen=True):
    """A labelled message of the corpus that others can be said to read like."""

    id: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Likeness:
    """An example, and how near it is: the cosine of the angle between the two, -1 to 1."""

    example: Example
    nearness: float


class Model:
    """One model, ready to be asked. One thread at a time asks it."""

    def __init__(
        self,
        session: Any,
        tokenizer: Any,
        wording: Wording,
        *,
        most: int,
        calibration: Calibration,
    ) -> None:
        """Take the parts of a model; `load` makes them."""
        numbers = tokenizer.get_vocab()
        self.digest, self.name = "", ""
        self.thresholds: Thresholds | None = None
        self._session, self._tokenizer, self._wording = session, tokenizer, wording
        self._calibration = calibration
        self._frame = Frame(begin=numbers["[CLS]"], end=numbers["[SEP]"], most=most)
        self._unknown = numbers.get(_UNKNOWN, -1)
        self._typed = any(one.name == "token_type_ids" for one in session.get_inputs())
        self._examples: tuple[Example, ...] = ()
        self._vectors: Any = None

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read the model in *folder* and make it ready; takes a second.

        Raises:
            ModelRefused: a file is missing, is not what the manifest says, or is no model.
        """
        files = read_model(folder)
        try:
            found = cls(
                _session(files.content[NETWORK]),
                _tokenizer(files.content[TOKENIZER]),
                Wording.read(files.content[WORDING]),
                most=files.manifest.max_tokens,
                calibration=files.manifest.calibration,
            )
            found._examples = _examples(files.content[EXAMPLES])
            found._vectors = _vectors(files.content[VECTORS])
            found.judge([Asked("good morning", ("hello",))])
        except Exception as exc:  # what libraries raise about a broken file is anything at all
            raise ModelRefused(f"{folder}: it does not run: {type(exc).__name__}") from exc
        if len(found._examples) != len(found._vectors):
            raise ModelRefused(f"{folder}: {EXAMPLES} and {VECTORS} are not of one length")
        found.digest, found.name = files.digest, files.manifest.name
        found.thresholds = files.manifest.thresholds
        return found

    def judge(self, asked: Sequence[Asked], *, threads: int = 1) -> list[Belief]:
        """Say of each what the model believes, in the order in which it was asked.

        More *threads* are for work that nobody waits beside; they change no answer.
        """
        if threads == 1 or len(asked) < 2:
            return [self._judge(one) for one in asked]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(self._judge, asked))

    def _judge(self, one: Asked) -> Belief:
        """Read it as it is, and as somebody would who sees through how it is typed."""
        found = self._read(one)
        for words in read_otherwise(one.body):
            other = self._read(Asked(words, one.before))
            surer = other if other.operational > found.operational else found
            found = replace(surer, concern=max(other.concern, found.concern))
        return found

    def _read(self, one: Asked) -> Belief:
        windows = rows(self._pieces, self._frame, one.body, one.before)
        if not self._can_read(windows[0]):
            return _UNREAD
        found = [self._run(row) for row in windows]
        operational, concern = self._probabilities(found, one)
        alone = None
        if one.before and not _MAY_BE_DENIED <= operational < _WORTH_ASKING_TWICE:
            by_itself = Asked(one.body)
            windows = rows(self._pieces, self._frame, one.body)
            alone, _ = self._probabilities([self._run(row) for row in windows], by_itself)
        return Belief(operational=operational, concern=concern, alone=alone, embedding=found[0][1])

    def _probabilities(self, found: Sequence[tuple[Any, Any]], asked: Asked) -> tuple[float, float]:
        """Put what the network said of the windows and what the wording says together."""
        worded = self._wording.logits(asked.body, asked.before)
        network = [max(float(logits[at]) for logits, _ in found) for at in range(2)]
        return (
            _probability(self._calibration.operational, network[0] + worded.operational),
            _probability(self._calibration.concern, network[1] + worded.concern),
        )

    def _pieces(self, text: str) -> Sequence[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _can_read(self, row: Row) -> bool:
        said = [i for i, kind in zip(row.ids, row.types, strict=True) if kind == 0][1:-1]
        return bool(said) and said.count(self._unknown) <= _MOST_UNKNOWN * len(said)

    def _run(self, row: Row) -> tuple[Any, Any]:
        import numpy as np  # noqa: PLC0415 - only who runs a model waits for it

        ids = np.array([row.ids], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        if self._typed:
            given["token_type_ids"] = np.array([row.types], dtype=np.int64)
        logits, embedding = self._session.run(["logits", "embedding"], given)
        return logits[0], embedding[0]

    def likest(self, belief: Belief, count: int = 3) -> tuple[Likeness, ...]:
        """Give the labelled examples that a message reads most like, the nearest first."""
        if belief.embedding is None or not self._examples:
            return ()
        near = self._vectors @ belief.embedding.astype("float32")
        # By nearness, then by place: the same on every run.
        order = sorted(range(len(near)), key=lambda at: (-float(near[at]), at))
        return tuple(Likeness(self._examples[at], float(near[at])) for at in order[:count])


def _probability(platt: Platt, logit: float) -> float:
    value = max(-60.0, min(60.0, platt.a * logit + platt.b))
    return 1 / (1 + math.exp(-value))


def _session(network: bytes) -> Any:
    """Make what runs the network: one thread, or sums would depend on who finishes first."""
    import onnxruntime  # noqa: PLC0415 - only who runs a model waits for it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def _tokenizer(description: bytes) -> Any:
    from tokenizers import Tokenizer  # noqa: PLC0415 - only who runs a model waits for it

    found = Tokenizer.from_str(description.decode())
    found.no_truncation()
    found.no_padding()
    return found


def _examples(content: bytes) -> tuple[Example, ...]:
    lines = content.decode().split("\n")
    return tuple(msgspec.json.decode(line, type=Example) for line in lines if line.strip())


def _vectors(content: bytes) -> Any:
    """Give the examples' vectors, each of length 1 whatever they were stored as."""
    import numpy as np  # noqa: PLC0415 - only who runs a model waits for it

    found = np.load(io.BytesIO(content), allow_pickle=False).astype("float32")
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
