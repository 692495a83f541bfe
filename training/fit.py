"""Teaches the network, and asks it.

Never draws from any chance but that of its seed: the same machine gives the same weights.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from bridge.understand.encode import Frame, Row, padded, rows
from training.chance import Room
from training.data import Example
from training.network import Network, from_base

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How it is taught."""

    most_pieces: int = 96
    vocabulary: int = 10_000
    epochs: int = 6
    batch: int = 32
    rate: float = 8e-5
    rate_heads: float = 1e-3
    warm: float = 0.1
    decay: float = 0.01
    #: The weights are the mean of those of the last steps, this share of all: one model that is
    #: less sure of what single messages taught it last.
    mean_of: float = 0.4
    #: A wish of 1 is taken as 1 less this, and of 0 as this: labels have errors.
    smooth: float = 0.03
    #: So many pieces of a message are masked while it is learned.
    masked: float = 0.05
    #: Word vectors and so many lower layers stay as they are: words that our writers did not use
    #: keep their place beside those that they did, and it takes a quarter less time.
    frozen_layers: int = 2
    #: So many thirds of the hands of writers are left out in turn, to find thresholds and
    #: calibration: up to 3.
    left_out: int = 1
    #: Multiply in bfloat16: twice as fast where the processor has it, far slower where not.
    short: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """A tokenizer with its frame."""

    tokenizer: Tokenizer
    frame: Frame
    pieces: tuple[str, ...]

    def rows(self, text: str, before: Sequence[str] = ()) -> tuple[Row, ...]:
        """Encode a message as the bot does."""
        return rows(self._ids, self.frame, text, before)

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)


def reader(tokenizer: Tokenizer, most: int) -> Reader:
    """Give what reads texts with *tokenizer* in rows of at most *most* pieces."""
    numbers = tokenizer.get_vocab()
    frame = Frame(begin=numbers["[CLS]"], end=numbers["[SEP]"], most=most)
    return Reader(tokenizer, frame, tuple(sorted(numbers, key=numbers.__getitem__)))


def taught(
    some: Sequence[Example],
    read: Reader,
    recipe: Recipe,
    seed: int,
    say: Say,
) -> Network:
    """Teach a network from the base *some* examples, by chances of *seed*."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    network = from_base(list(read.pieces), read.frame.most)
    network.freeze(recipe.frozen_layers)
    steps = recipe.epochs * -(-len(some) // recipe.batch)
    optimizer, schedule = _optimizer(network, recipe, steps)
    chance, room = random.Random(seed), Room(some, seed)  # noqa: S311 - no secret
    wishes = np.array([one.wishes for one in some], dtype=np.float32)
    weights = np.array([one.weights for one in some], dtype=np.float32)
    mask_id = read.pieces.index("[MASK]")
    mean = _Mean(network, first=int(steps * (1 - recipe.mean_of)))
    network.train()
    for epoch in range(recipe.epochs):
        heard = [read.rows(*room.heard(one))[0] for one in some]
        total = 0.0
        for batch in _batches(heard, recipe.batch, chance):
            ids, mask, types = tensors([heard[at] for at in batch])
            hidden = (torch.rand(ids.shape) < recipe.masked) & (mask == 1) & (ids > 4)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.short):
                logits, _ = network(ids.masked_fill(hidden, mask_id), mask, types)
            wished = torch.from_numpy(wishes[batch]) * (1 - 2 * recipe.smooth) + recipe.smooth
            loss = functional.binary_cross_entropy_with_logits(
                logits.float(), wished.float(), weight=torch.from_numpy(weights[batch])
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            mean.step()
            total += float(loss.detach()) * len(batch)
        say(f"  epoch {epoch + 1} of {recipe.epochs}: loss {total / len(some):.4f}")
    mean.take()
    return network.eval()


class _Mean:
    """The mean of a network's weights over its last steps, every tenth of them."""

    def __init__(self, network: Network, *, first: int) -> None:
        self._learned = [one for one in network.parameters() if one.requires_grad]
        self._sums = [torch.zeros_like(one) for one in self._learned]
        self._first, self._steps, self._count = first, 0, 0

    @torch.no_grad()
    def step(self) -> None:
        """Take note of the weights after a step."""
        self._steps += 1
        if self._steps > self._first and self._steps % 10 == 0:
            self._count += 1
            for total, one in zip(self._sums, self._learned, strict=True):
                total.add_(one)

    @torch.no_grad()
    def take(self) -> None:
        """Put the mean in the place of the weights."""
        for total, one in zip(self._sums, self._learned, strict=True):
            if self._count:
                one.copy_(total / self._count)


def _optimizer(
    network: Network, recipe: Recipe, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    heads = list(network.heads.parameters())
    known = {id(one) for one in heads}
    rest = [one for one in network.parameters() if one.requires_grad and id(one) not in known]
    groups = [{"params": rest, "lr": recipe.rate}, {"params": heads, "lr": recipe.rate_heads}]
    optimizer = torch.optim.AdamW(groups, weight_decay=recipe.decay, fused=True)
    warm = max(1, int(recipe.warm * steps))

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / warm) * max(0.0, (steps - step) / max(1, steps - warm))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _batches(heard: Sequence[Row], size: int, chance: random.Random) -> Iterator[list[int]]:
    """Give batches of rows of about one length, in an order of chance."""
    order = list(range(len(heard)))
    chance.shuffle(order)
    pool = size * 20
    batches = []
    for start in range(0, len(order), pool):
        alike = sorted(order[start : start + pool], key=lambda at: len(heard[at].ids))
        batches += [alike[at : at + size] for at in range(0, len(alike), size)]
    chance.shuffle(batches)
    yield from batches


def tensors(some: Sequence[Row]) -> tuple[Tensor, Tensor, Tensor]:
    """Give ids, mask and types of *some* rows."""
    ids, mask, types = (torch.tensor(part) for part in padded(some))
    return ids, mask, types


def asked(
    network: Network, read: Reader, texts: Sequence[tuple[str, Sequence[str]]], batch: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Give logits [texts, 2] and embeddings [texts, WIDTH]; of windows, the largest logits."""

    def run(some: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            logits, embedding = network(*tensors(some))
        return logits.numpy(), embedding.numpy()

    return ask(run, read, texts, batch)


def ask(
    run: Callable[[Sequence[Row]], tuple[np.ndarray, np.ndarray]],
    read: Reader,
    texts: Sequence[tuple[str, Sequence[str]]],
    batch: int = 64,
) -> tuple[np.ndarray, np.ndarray]:
    """Ask anything that runs rows; rows of one length go together, so nothing is padded much."""
    windows = [read.rows(text, before) for text, before in texts]
    flat = [(at, row) for at, some in enumerate(windows) for row in some]
    flat.sort(key=lambda pair: len(pair[1].ids))
    logits = np.full((len(texts), 2), -np.inf, dtype=np.float32)
    embeddings: dict[int, np.ndarray] = {}
    for start in range(0, len(flat), batch):
        part = flat[start : start + batch]
        found, vectors = run([row for _, row in part])
        for (at, row), logit, vector in zip(part, found, vectors, strict=True):
            logits[at] = np.maximum(logits[at], logit)
            if row is windows[at][0]:
                embeddings[at] = vector
    return logits, np.stack([embeddings[at] for at in range(len(texts))])
