"""The folder of a model: what is in it, and that it is what its manifest says.

Never hands out a byte that it has not held against the manifest: what is checked is what is used,
so that nobody can change a file in between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.errors import ModelRefused
from bridge.understand.encode import FORMAT

#: The model that comes with Blue Lamp.
SHIPPED = Path(__file__).parent / "model"
MANIFEST = "model.json"
NETWORK, TOKENIZER, WORDING = "model.onnx", "tokenizer.json", "wording.npz"
EXAMPLES, VECTORS = "examples.jsonl", "examples.npy"
#: Of the manifest and the folder.
_FORMAT = 2
_NEEDED = (NETWORK, TOKENIZER, WORDING, EXAMPLES, VECTORS)
#: Longer files are no model of ours, in bytes.
_MOST = 64 * 1_048_576


class Platt(msgspec.Struct, frozen=True, kw_only=True):
    """From a logit to a probability: 1 / (1 + exp(-(a * logit + b)))."""

    a: float
    b: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """One for each of the two questions."""

    operational: Platt
    concern: Platt


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """For each question the probability at which a share of hard social messages is flagged."""

    operational: dict[str, float]
    concern: dict[str, float]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """model.json, as far as running a model needs it; it may say more."""

    format: int
    name: str
    #: File → SHA-256 (hex), for every other file.
    files: dict[str, str]
    #: How texts are encoded for it: `encode.FORMAT`.
    encoding: int
    max_tokens: int
    calibration: Calibration
    thresholds: Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of one model, checked."""

    manifest: Manifest
    #: SHA-256 (hex) of the manifest, and so of all of it: the model's name in verdicts.
    digest: str
    content: Mapping[str, bytes]


def read_model(folder: Path) -> Files:
    """Read the model in *folder*.

    Raises:
        ModelRefused: a file is missing, is not what the manifest says, or is of another format.
    """
    raw = _read(folder / MANIFEST)
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise ModelRefused(f"{folder / MANIFEST}: this is no manifest of a model: {exc}") from None
    said = (manifest.format, manifest.encoding)
    if said != (_FORMAT, FORMAT):
        raise ModelRefused(
            f"{folder / MANIFEST}: the model is of format {said}, and this version of Blue Lamp "
            f"reads {(_FORMAT, FORMAT)}"
        )
    if not 8 <= manifest.max_tokens <= 512:
        raise ModelRefused(f"{folder / MANIFEST}: max_tokens is not between 8 and 512")
    content = {name: _checked(folder / name, manifest) for name in _NEEDED}
    digest = hashlib.sha256(raw).hexdigest()
    return Files(manifest=manifest, digest=digest, content=content)


def _checked(path: Path, manifest: Manifest) -> bytes:
    content = _read(path)
    wanted = manifest.files.get(path.name, "")
    if not wanted:
        raise ModelRefused(f"{path}: the manifest {MANIFEST} does not say its digest")
    if hashlib.sha256(content).hexdigest() != wanted:
        raise ModelRefused(f"{path}: it was changed: its digest is not the one in {MANIFEST}")
    return content


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST:
            raise ModelRefused(f"{path}: it is longer than a model of ours may be")
        return path.read_bytes()
    except OSError as exc:
        raise ModelRefused(f"{path}: it cannot be read: {exc.strerror}") from None
