"""From the network to the files that the bot runs: an ONNX graph in eight bits.

Never leaves anything to be fetched or worked out when the bot starts.

Word, position and type vectors are kept as one byte a number with a scale for each row; the maps of
the layers as one byte a number with a scale for each column, in seven bits (`reduce_range`), so
that processors without VNNI multiply them without overflow and give the same verdicts. What flows
between them is brought to eight bits as it comes (dynamic quantisation): static ranges, found on
the train half, were measured too (docs/accuracy.md).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from torch import Tensor, nn

from bridge.understand.encode import Row, padded
from training.network import WIDTH, Network

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUTS = ("logits", "embedding")
OPSET = 17


class ByteRows(nn.Module):
    """A table of vectors, one byte a number and a scale for each row."""

    def __init__(self, table: Tensor) -> None:
        """Take over *table*."""
        super().__init__()
        scale = table.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("bytes_", (table / scale).round().to(torch.int8))

    def forward(self, ids: Tensor) -> Tensor:
        """Give the vectors of *ids*."""
        found: Tensor = self.bytes_[ids].float() * self.scale[ids]
        return found


def as_onnx(network: Network, path: Path, *, small: bool) -> None:
    """Write *network* to *path*, as it is or *small* (in eight bits)."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.onnx"
        _write(network, whole, byte_words=small)
        if small:
            quantize_dynamic(
                whole,
                path,
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                extra_options={"MatMulConstBOnly": True},
            )
        else:
            path.write_bytes(whole.read_bytes())
    _nameless(path)


class _Calibration(CalibrationDataReader):
    """Rows by which the ranges of what flows between the layers are found."""

    def __init__(self, some: Sequence[Row]) -> None:
        """Take *some* rows."""
        self._left = iter(some)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Give the next row, as the network takes it."""
        row = next(self._left, None)
        if row is None:
            return None
        return {name: np.array(part) for name, part in zip(INPUTS, padded([row]), strict=True)}


def as_static(network: Network, path: Path, some: Sequence[Row]) -> None:
    """Write *network* in eight bits with ranges that were found on *some* rows and stay."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.onnx"
        _write(network, whole, byte_words=True)
        quantize_static(
            whole,
            path,
            _Calibration(some),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )


def _write(network: Network, path: Path, *, byte_words: bool) -> None:
    network.eval()
    words = network.words
    if byte_words:
        network.words = ByteRows(words.weight.detach())  # type: ignore[assignment]
    ids = torch.ones((2, 7), dtype=torch.int64)
    axes = {name: {0: "batch", 1: "pieces"} for name in INPUTS} | {
        name: {0: "batch"} for name in OUTPUTS
    }
    try:
        torch.onnx.export(
            network,
            (ids, ids, torch.zeros_like(ids)),
            str(path),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    finally:
        network.words = words


def _nameless(path: Path) -> None:
    """Take out of the file who made it and where."""
    graph = onnx.load(str(path))
    del graph.metadata_props[:]
    for node in graph.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


def session(path: Path) -> onnxruntime.InferenceSession:
    """Open *path* as the bot does: one thread, one order."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def runner(path: Path) -> Callable[[Sequence[Row]], tuple[np.ndarray, np.ndarray]]:
    """Give what runs rows in the file at *path*, each by itself, as the bot does.

    Rows of a batch would share the scales of what flows between the layers.
    """
    opened = session(path)

    def run(some: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
        logits = np.zeros((len(some), 2), dtype=np.float32)
        embeddings = np.zeros((len(some), WIDTH), dtype=np.float32)
        for at, row in enumerate(some):
            fed = {name: np.array(part) for name, part in zip(INPUTS, padded([row]), strict=True)}
            logits[at : at + 1], embeddings[at : at + 1] = opened.run(list(OUTPUTS), fed)
        return logits, embeddings

    return run
