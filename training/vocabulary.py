"""Chooses the pieces of words that the small model knows, out of the base model's thirty thousand.

Never drops a letter, figure or sign of ASCII, alone or inside a word: any plain text has an
encoding.

Kept, in this order, until the count is reached: the special pieces; every single ASCII character,
at the start of a word and inside; every piece that the train half needs twice or more; then the
pieces of plain letters in the order of the base model's own list, which goes from frequent to rare
in a very large body of English. So words that our writers never used are known as well, if they are
common. A word whose piece was dropped is read in smaller pieces, as rare words always are.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer

from bridge.understand.encode import as_text

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
#: A piece that is needed more seldom has to be common English to be kept.
_OFTEN = 2
_PLAIN = re.compile(r"(?:##)?[a-z0-9]+")


def chosen(base: Tokenizer, texts: Iterable[str], count: int) -> list[str]:
    """Give *count* pieces of *base*, in its order; *texts* are those of the train half."""
    whole = base.get_vocab()
    kept = {piece for piece in SPECIAL if piece in whole}
    kept |= {p for p in whole if len(p.removeprefix("##")) == 1 and p.isascii()}
    needed: Counter[str] = Counter()
    for text in texts:
        needed.update(base.encode(as_text(text), add_special_tokens=False).tokens)
    kept |= {piece for piece, often in needed.items() if often >= _OFTEN}
    for piece in sorted(whole, key=lambda piece: whole[piece]):
        if len(kept) >= count:
            break
        if _PLAIN.fullmatch(piece):
            kept.add(piece)
    return sorted(kept, key=lambda piece: whole[piece])


def pruned(base: Tokenizer, pieces: Iterable[str]) -> Tokenizer:
    """Give *base* with those *pieces* only, numbered anew in their order, cutting nothing off."""
    told: dict[str, Any] = json.loads(base.to_str())
    numbers = {piece: number for number, piece in enumerate(pieces)}
    told["model"]["vocab"] = numbers
    told["added_tokens"] = [one | {"id": numbers[one["content"]]} for one in told["added_tokens"]]
    told["truncation"] = told["padding"] = told["post_processor"] = None
    return Tokenizer.from_str(json.dumps(told))
