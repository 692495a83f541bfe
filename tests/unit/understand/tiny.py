"""A model of a few dozen words, made here: what runs models is tested without the one that ships.

It adds up a weight for each word it knows; words of what was said before count half.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from bridge.understand.wording import BITS, Wording

FRAME = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
#: Word → (operational, concern), as logits.
WEIGHTS = {
    "got": (1.0, 0.0), "him": (1.0, 0.0), "under": (0.5, 0.0), "the": (0.0, 0.0),
    "bed": (1.0, 0.0), "cousin": (1.0, 0.0), "left": (0.5, 0.0), "to": (0.0, 0.0),
    "find": (1.5, 0.0), "just": (0.0, 0.0), "cell": (4.0, 0.0), "milk": (-4.0, 0.0),
    "who": (0.0, 0.0), "brings": (-1.0, 0.0), "lunch": (-4.0, 0.0), "ok": (-1.0, 0.0),
    "hello": (-1.0, 0.0), "good": (-1.0, 0.0), "morning": (-1.0, 0.0), "vile": (0.0, 6.0),
    "women": (0.0, 1.0), "useless": (0.0, 3.0), "maybe": (1.2, 0.0), "i": (0.0, 0.0),
}  # fmt: skip
EXAMPLES = (
    ("t-1", "operational", "got him under the bed"),
    ("t-2", "social", "who brings the milk"),
    ("t-3", "concern", "women useless"),
)
#: Share of hard social messages → probability.
SHARES = {"0.5%": 0.99, "1%": 0.95, "2%": 0.9, "5%": 0.7, "10%": 0.5}
WIDTH = 8
BIAS = -1.0


def tiny(folder: Path, *, forgets: str = "") -> Path:
    """Write a model into *folder*, with a manifest that fits; it has no opinion of *forgets*."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [*FRAME, *WEIGHTS]
    (folder / "tokenizer.json").write_text(_tokenizer(words).to_str(), encoding="utf-8")
    (folder / "model.onnx").write_bytes(_network(words, forgets).SerializeToString())
    lines = [json.dumps({"id": i, "label": label, "text": text}) for i, label, text in EXAMPLES]
    (folder / "examples.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = io.BytesIO()
    np.save(out, np.array([_vector(words, text) for _, _, text in EXAMPLES], dtype=np.float16))
    (folder / "examples.npy").write_bytes(out.getvalue())
    (folder / "wording.npz").write_bytes(_wording().write())
    seal(folder)
    return folder


def seal(folder: Path, **said: object) -> None:
    """Write a manifest for the files that are in *folder*."""
    names = ("model.onnx", "tokenizer.json", "wording.npz", "examples.jsonl", "examples.npy")
    manifest = {
        "format": 2,
        "name": "tiny",
        "encoding": 1,
        "thresholds": {"operational": SHARES, "concern": SHARES},
        "files": {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names},
        "max_tokens": 64,
        "calibration": {"operational": {"a": 1.0, "b": BIAS}, "concern": {"a": 1.0, "b": BIAS}},
        "seed": 1,
        **said,
    }
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")


def _wording() -> Wording:
    """Give one that has no opinion."""
    tables = {name: np.zeros((2, 1 << bits), dtype=np.int8) for name, bits in BITS.items()}
    return Wording(tables, {name: np.ones(2) for name in BITS})


def _tokenizer(words: list[str]) -> Tokenizer:
    numbers = {word: at for at, word in enumerate(words)}
    found = Tokenizer(models.WordLevel(vocab=numbers, unk_token="[UNK]"))
    found.normalizer = normalizers.Lowercase()
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    return found


def _table(words: list[str], forgets: str = "") -> np.ndarray:
    chance = np.random.default_rng(1)
    table = chance.normal(size=(len(words), 2 + WIDTH)).astype(np.float32)
    for at, word in enumerate(words):
        table[at, :2] = (0.0, 0.0) if word == forgets else WEIGHTS.get(word, (0.0, 0.0))
    return table


def _vector(words: list[str], text: str) -> np.ndarray:
    rows = _table(words)[[words.index(w) for w in ("[CLS]", *text.split(), "[SEP]")], 2:]
    total: np.ndarray = rows.sum(axis=0) / np.linalg.norm(rows.sum(axis=0))
    return total


def _network(words: list[str], forgets: str) -> onnx.ModelProto:
    """Look up each word, halve what was said before, add up, and part logits from embedding."""
    constants = [
        numpy_helper.from_array(_table(words, forgets), "table"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "tokens"),
        numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
        numpy_helper.from_array(np.array([2, WIDTH], dtype=np.int64), "parts"),
        numpy_helper.from_array(np.array(0.5, dtype=np.float32), "half"),
        numpy_helper.from_array(np.array(1.0, dtype=np.float32), "one"),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["token_type_ids"], ["types"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["types", "half"], ["less"]),
        helper.make_node("Sub", ["one", "less"], ["more"]),
        helper.make_node("Mul", ["mask", "more"], ["weight"]),
        helper.make_node("Unsqueeze", ["weight", "last"], ["wide"]),
        helper.make_node("Mul", ["rows", "wide"], ["weighed"]),
        helper.make_node("ReduceSum", ["weighed", "tokens"], ["sum"], keepdims=0),
        helper.make_node("Split", ["sum", "parts"], ["logits", "raw"], axis=1),
        helper.make_node("LpNormalization", ["raw"], ["embedding"], axis=1, p=2),
    ]
    given = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens_"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    found = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2]),
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", WIDTH]),
    ]
    graph = helper.make_graph(nodes, "tiny", given, found, constants)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests"
    )
