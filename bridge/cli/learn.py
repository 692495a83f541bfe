"""`bluelamp policy learn`: a force's own language model, from the corpus and what people found."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
import typer

import bridge
from bridge.cli.common import ConfigOption, configuration, err, out
from bridge.cli.keys import PassphrasesOption, open_safes
from bridge.cli.meaning import ModelOption, chosen
from bridge.cli.reading import (
    CaseOption,
    Ground,
    PurposeOption,
    SharesOption,
    VaultsOption,
    asked_for,
    record_look,
    with_custodians,
)
from bridge.config import load_policies, read_text
from bridge.detect.rules import Channel
from bridge.errors import ConfigError, UsageError
from bridge.facts import Decision
from bridge.model import JUDGED, Action, RoomClass
from bridge.nodes import parse
from bridge.policy import Policy
from bridge.policy.corpus import Label
from bridge.policy.learning import (
    Ruled,
    Score,
    halves,
    label_of,
    score,
    too_few,
    why_not_better,
)
from bridge.policy.meaning import CONCERN
from bridge.records.reading import opened
from bridge.running.trial import message_of
from bridge.understand.talk import Talk, words
from bridge.verify.headers import Header, Kind
from bridge.way.understood import Chosen, asking, choose

_TOP = Path(bridge.__file__).parent.parent
#: The voice under which a force's own messages stand beside the corpus.
VOICE = "force-adjudicated"
#: Messages of this kind are never shown as examples under other people's messages.
_NEVER_SHOWN = "identifier"
_CARD = """name: "people of this force"
unit: "response"
place: "this force"
nation: "England"
age: 40
habits: "as on record"
week: "as on record"
"""
_WRONG = frozenset({Decision.FALSE_POSITIVE, Decision.RESTORED})
_SHARE = "2%"
#: Of folders in which words lie while a model is made: then the number of the process.
_PREFIX = "bluelamp-learn-"
#: What the corpus and the parts of a model take while it is made.
_NEEDED_BYTES = 256 * 2**20

TrainerOption = Annotated[
    Path,
    typer.Option(help="The Python that has what training needs ('make model' sets it up)."),
]


@dataclass(slots=True, kw_only=True)
class _Gathering:
    """Puts together what was said and what people found about it."""

    #: Rules that flag for professional standards.
    conduct: frozenset[str]
    talk: Talk = field(default_factory=Talk)
    said: dict[str, tuple[str, str, tuple[str, ...]]] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    found: dict[str, Label] = field(default_factory=dict)
    closed: int = 0

    def take(self, header: Header, body: bytes | None) -> None:
        """Take in one record: a message, a verdict on one, or what somebody found."""
        rid = str(header["rid"])
        if header["kind"] == Kind.VERDICT:
            self.about[rid] = str(header["ref"])
        elif header["kind"] == Kind.DECISION:
            self._decision(header)
        elif str(header["class"]) in JUDGED:
            if body is None:
                self.closed += 1
                return
            message = message_of(msgspec.json.decode(body))
            self.said[rid] = (message.sender, words(message), self.talk.before(message))
            self.talk.note(message)

    def _decision(self, header: Header) -> None:
        status = str(header["status"])
        decision = Decision(status) if status in set(Decision) else Decision.REFERRED
        if decision is Decision.REFERRED:
            return
        label = label_of(
            Action[str(header["action"]).upper()],
            right=decision not in _WRONG,
            concern=str(header["rule"]) in self.conduct,
        )
        message = self.about.get(str(header["ref"]), str(header["ref"]))
        if label is not None:
            self.found[message] = label  # of several about the same, the last

    def ruled(self) -> Iterable[Ruled]:
        """Every message that somebody has found something about."""
        for rid, label in self.found.items():
            if rid in self.said and self.said[rid][1].strip():
                sender, text, before = self.said[rid]
                yield Ruled(sender=sender, text=text, before=before, label=label)  # type: ignore[arg-type]


def learn(
    context: typer.Context,
    into: Annotated[Path, typer.Option(help="Where to put the model if it is better.")],
    purpose: PurposeOption,
    since: Annotated[str, typer.Option("--from", help="A day or time such as 2026-11-22.")],
    vault: VaultsOption = None,
    share: SharesOption = None,
    config: ConfigOption = None,
    until: Annotated[str, typer.Option("--to", help="The last day, or a time.")] = "",
    case: CaseOption = "",
    corpus: Annotated[
        Path, typer.Option(help="The corpus to learn from beside your own messages.")
    ] = _TOP / "corpus",
    trainer: TrainerOption = _TOP / "build" / "training" / "bin" / "python",
    passphrase_file: PassphrasesOption = None,
    model: ModelOption = None,
) -> None:
    """Train a language model on the corpus and on what people found. Exit 1 if it is no better."""
    loaded = configuration(context, config)
    _must_be_there(corpus, trainer, into)
    old = chosen(context, config, model)
    if old.model is None:
        raise UsageError("There is no language model that a new one could be held against.")
    policy = load_policies(loaded.policies)
    asked = asked_for(loaded, f"from:{since}" + (f" to:{until}" if until else ""), purpose, case)
    safes = open_safes(vault or [], share or [], passphrase_file or [])
    means = with_custodians(loaded, safes, Ground.CUSTODIANS)
    look = record_look(loaded, asked, means)
    err.print(f"This look is recorded as {look}.")
    conduct = {rule.id for rule in policy.rules if rule.channel is Channel.PROFESSIONAL_STANDARDS}
    gathering = _Gathering(conduct=frozenset({*conduct, CONCERN}))
    kinds = {Kind.MESSAGE, Kind.LATE, Kind.VERDICT, Kind.DECISION}
    for header, body in opened(
        loaded, means.reader, asked.scope, only=lambda header: header["kind"] in kinds
    ):
        gathering.take(header, body)
    own, measured = halves(gathering.ruled())
    out.print(f"people have found something about {len(own) + len(measured)} messages")
    if why := too_few(measured):
        err.print(f"Too few to learn from: {why}.", style="red")
        raise typer.Exit(1)
    if not own:
        err.print("There is nothing to learn from: all of them are by people whose messages are "
                  "kept for measuring.", style="red")  # fmt: skip
        raise typer.Exit(1)
    with _ended_as_by_hand(), _for_words() as folder:
        made = _train(Path(folder), corpus, trainer, own)
        _accept(made, old, policy, corpus, measured, into)


def _must_be_there(corpus: Path, trainer: Path, into: Path) -> None:
    if not (corpus / "messages").is_dir():
        raise UsageError(f"{corpus} is no corpus; it comes with the source of Blue Lamp.")
    if not trainer.is_file():
        raise UsageError(f"{trainer} is not there; 'make model' sets up what training needs.")
    if into.exists():
        raise UsageError(f"{into} exists; a new model gets a folder of its own.")
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=into.parent):
            pass
    except OSError as exc:
        raise UsageError(f"{into.parent}: nothing can be put there: {exc.strerror}") from None


@contextlib.contextmanager
def _ended_as_by_hand() -> Iterator[None]:
    """Have an order to end, or a session that hangs up, end as Ctrl-C does: nothing is left."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)}
    for one, handler in before.items():
        if handler is not signal.SIG_IGN:  # as `nohup` has it
            signal.signal(one, end)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextlib.contextmanager
def _for_words() -> Iterator[str]:
    """Give a folder for words, gone afterwards; what a process that was killed left goes first."""
    place = _in_memory()
    for left in Path(place or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        number = left.name.removeprefix(_PREFIX).split("-")[0]
        if number.isdigit() and not _runs(int(number)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=place) as folder:
        yield folder


def _runs(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _in_memory() -> str | None:
    """Where words may lie for an hour without being written to a disk, if there is such a place."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, for nobody else to read
    if memory.is_dir() and os.access(memory, os.W_OK):
        if shutil.disk_usage(memory).free >= _NEEDED_BYTES:
            return str(memory)
        why = f"{memory} has less than {_NEEDED_BYTES // 2**20} MB free"
    else:
        why = "There is no memory file system"
    err.print(f"{why}: your messages lie on this disk while it trains, in a folder that only you "
              "may read.", style="yellow")  # fmt: skip
    return None


def _train(folder: Path, corpus: Path, trainer: Path, own: Sequence[Ruled]) -> Path:
    """Have the trainer make a model of the corpus and of *own*; takes up to an hour."""
    both = folder / "corpus"
    shutil.copytree(corpus, both, ignore=shutil.ignore_patterns("__pycache__"))
    rows = (
        {"id": f"{VOICE}-{number:05}", "text": one.text, "before": list(one.before),
         "label": str(one.label), "hard": True, "kinds": [_NEVER_SHOWN], "why": "adjudicated"}
        for number, one in enumerate(own)
    )  # fmt: skip
    lines = b"\n".join(map(msgspec.json.encode, rows))
    (both / "messages" / f"{VOICE}.jsonl").write_bytes(lines + b"\n")
    (both / "voices" / f"{VOICE}.yaml").write_text(_CARD, encoding="utf-8")
    split = read_text(both / "split.yaml", "the halves of the corpus")
    if not own or "\ntrain:\n" not in split:
        raise ConfigError(str(both / "split.yaml"), None, "there is no list 'train' to add to")
    split = split.replace("\ntrain:\n", f"\ntrain:\n- {VOICE}\n", 1)
    (both / "split.yaml").write_text(split, encoding="utf-8")
    made = folder / "made"
    command = [str(trainer), "-m", "training", "--corpus", str(both), "--into", str(made)]
    place = {**os.environ, "TMPDIR": str(folder)}
    # What it says of how it goes comes by its standard error.
    done = subprocess.run(  # noqa: S603
        command, cwd=_TOP, env=place, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode or not made.is_dir():
        raise UsageError(f"Training ended with {done.returncode}; what it said is above.")
    return made


def _accept(
    made: Path, old: Chosen, policy: Policy, corpus: Path, measured: Sequence[Ruled], into: Path
) -> None:
    """Put the new model in its place if it is better on both samples; say how they compare."""
    new = choose(made)
    if new.model is None:
        raise UsageError(f"What training made cannot be used: {new.refused}")
    held = list(_held(corpus))
    own = [(one.label, (one.text, one.before)) for one in measured]
    worse: list[str] = []
    asked = [("held half", held, Label.OPERATIONAL), ("your sample", own, Label.OPERATIONAL)]
    if any(label is Label.CONCERN for label, _ in held):
        asked.append(("held half, concern", held, Label.CONCERN))
    for what, sample, wanted in asked:
        before, after = (_score(one, policy, sample, wanted) for one in (old, new))
        out.print(f"{what}, {len(sample)} messages: old {before}")
        out.print(f"{what}, {len(sample)} messages: new {after}")
        worse += why_not_better(after, before, what, strictly=sample is own)
    if worse:
        err.print("The new model is not taken:\n" + "\n".join(worse), style="red", markup=False)
        raise typer.Exit(1)
    beside = into.with_name(f"{into.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        shutil.copytree(made, beside)
        beside.rename(into)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    out.print(f"The new model {new.model.digest[:12]} is better on both. To use it: model: {into}")


def _score(
    chosen: Chosen,
    policy: Policy,
    sample: Sequence[tuple[Label, tuple[str, tuple[str, ...]]]],
    wanted: Label,
) -> Score:
    """Measure a model at the steps of the policy in a social room."""
    if chosen.model is None:
        raise UsageError(f"This model cannot be used: {chosen.refused}")
    beliefs = asking(chosen.model)([asked for _, asked in sample])
    sure = [getattr(belief, wanted.value) if belief else 0.0 for belief in beliefs]
    speaking = chosen.beside(policy).speaking
    least = None
    if speaking is not None:
        terms = speaking.classes[RoomClass.SOCIAL]
        least = terms.concern if wanted is Label.CONCERN else terms.nudge
    if least is None:  # the policy lets it do nothing: by its own measure
        least = getattr(chosen.model.thresholds, wanted.value)[_SHARE]
    found = [(label, one) for (label, _), one in zip(sample, sure, strict=True)]
    return score(found, least, wanted)


def _held(corpus: Path) -> Iterable[tuple[Label, tuple[str, tuple[str, ...]]]]:
    """The half of the corpus that no model has learned from."""
    path = corpus / "split.yaml"
    split = parse(read_text(path, "the halves of the corpus"), str(path))
    for voice in split.mapping(required=("train", "held"))["held"].texts():
        messages = corpus / "messages" / f"{voice}.jsonl"
        for line in read_text(messages, "the corpus").split("\n"):
            if line.strip():
                row = msgspec.json.decode(line)
                yield Label(row["label"]), (row["text"], tuple(row["before"]))
