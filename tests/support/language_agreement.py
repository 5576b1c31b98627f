"""Converts tiny language models, and measures how far they are from transformers' own.

Run as `python -m tests.support.language_agreement FOLDER ARCHITECTURE...`, it leaves FOLDER/source,
FOLDER/converted and FOLDER/figures.json. One process for all, since importing torch takes the longest.
"""

import gc
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from rich.console import Console
from transformers import AutoModelForCausalLM

from export.conversion import convert
from export.progress import Steps
from export.request import Request
from export.sources import FolderSource
from service.manifest import FILE_NAME as MANIFEST_FILE
from service.manifest import WeightFormat
from tests.support.language_text import TEXT
from tests.support.tiny_language import ARCHITECTURES, byte_level_tokenizer, write_tiny_language_model

FORMATS: tuple[WeightFormat, ...] = ("fp16", "int8", "int4")
EXACT = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
AT_ONCE = 24  # tokens read together; those behind them come one at a time, over the cache

Logits = NDArray[np.float32]
"""float32 [tokens, vocabulary]"""


def served_name(architecture: str, weights: str) -> str:
    return f"{architecture.replace('_', '-')}-{weights}"


def convert_tiny(source: Path, output: Path, weights: WeightFormat) -> None:
    """What `python export/convert.py SOURCE --output OUTPUT --weights WEIGHTS` does."""
    request = Request(
        name=served_name(output.parent.name, weights),
        output=output,
        weights=weights,
        device="CPU",
        force=False,
        verify=False,  # INT8 and INT4 start from an exported model, which is no source to compare with
    )
    convert(FolderSource(path=source), request, Steps(Console(stderr=True)))


def convert_all(source: Path, folder: Path) -> None:
    """Convert to every format; through torch once, since the others start from the same 16-bit model."""
    convert_tiny(source, folder / "fp16", "fp16")
    exported = folder / "exported"
    shutil.copytree(folder / "fp16", exported, ignore=shutil.ignore_patterns(MANIFEST_FILE))
    for weights in FORMATS[1:]:
        convert_tiny(exported, folder / weights, weights)
    shutil.rmtree(exported)


def converted_logits(folder: Path, ids: Sequence[int]) -> Logits:
    """What a converted model computes, in float32."""
    request = (
        openvino.Core().compile_model(folder / "openvino_model.xml", "CPU", EXACT).create_infer_request()
    )
    names = {name for port in request.get_compiled_model().inputs for name in port.names}
    found = []
    edges = [0, *range(AT_ONCE, len(ids) + 1)]
    for begin, end in pairwise(edges):
        feed = {
            "input_ids": np.array([ids[begin:end]], np.int64),
            "attention_mask": np.ones((1, end), np.int64),
            "position_ids": np.arange(begin, end, dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
        outputs = request.infer({name: value for name, value in feed.items() if name in names})
        found.append(outputs["logits"][0].copy())
    return np.concatenate(found)


@torch.no_grad()
def source_logits(model: torch.nn.Module, ids: Sequence[int]) -> Logits:
    return model(torch.tensor([ids])).logits[0].float().numpy()


def compare(found: Logits, expected: Logits) -> dict[str, float]:
    """Errors in units of the logits' own deviation, and how often the likeliest next token is the same.

    `typical` is the root mean square of one token's logits, at the median token: where a router of
    experts is near a tie, a small error chooses another expert, and that token's logits are far off.
    """
    error, deviation = found - expected, float(expected.std())
    return {
        "largest": float(np.abs(error).max()) / deviation,
        "typical": float(np.median(np.sqrt(np.mean(error**2, axis=-1)))) / deviation,
        "top1": float(np.mean(found.argmax(-1) == expected.argmax(-1))),
    }


def next_token(logits: Logits) -> dict[str, Any]:
    """The token that follows greedily, and its log probability."""
    last = logits[-1].astype(np.float64)
    token = int(last.argmax())
    return {"token": token, "logprob": float(-np.log(np.exp(last - last[token]).sum()))}


@contextmanager
def exchanged_layers(model: torch.nn.Module) -> Iterator[None]:
    """The model with its two layers' weights in each other's place."""
    first, second = ([*layer.parameters()] for layer in _layers(model))
    _exchange(first, second)
    yield
    _exchange(first, second)


@contextmanager
def one_matrix_reversed(model: torch.nn.Module) -> Iterator[None]:
    """The model with the rows of one matrix of its last layer (attention's output) in reverse."""
    matrices = [
        weight
        for name, weight in _layers(model)[-1].named_parameters()
        if name.endswith(("o_proj.weight", "dense.weight", "attn.out_proj.weight"))
    ]
    kept = matrices[0].data
    matrices[0].data = kept.flip(0)
    yield
    matrices[0].data = kept


def _layers(model: torch.nn.Module) -> torch.nn.ModuleList:
    return next(module for module in model.modules() if isinstance(module, torch.nn.ModuleList))


def _exchange(first: list[torch.nn.Parameter], second: list[torch.nn.Parameter]) -> None:
    for one, other in zip(first, second, strict=True):
        one.data, other.data = other.data, one.data


def measure(source: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """The figures of every format, and of two mistakes that a conversion could make."""
    ids = byte_level_tokenizer()(TEXT).input_ids
    # eager: transformers' sdpa leaves out the cap that Gemma 2 has on attention scores.
    model = AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    expected = source_logits(model, ids)
    figures: dict[str, dict[str, Any]] = {}
    for weights in FORMATS:
        found = converted_logits(folder / weights, ids)
        figures[weights] = compare(found, expected) | next_token(found)
    with exchanged_layers(model):
        figures["layers exchanged"] = compare(source_logits(model, ids), expected)
    with one_matrix_reversed(model):
        figures["one matrix reversed"] = compare(source_logits(model, ids), expected)
    return figures


def main(root: Path, architectures: Sequence[str]) -> None:
    figures = {}
    for name in architectures:
        gc.freeze()  # the export collects garbage four times, slowly with all of torch's objects in reach
        source, folder = root / "source" / name, root / "converted" / name
        write_tiny_language_model(name, source)
        convert_all(source, folder)
        figures[name] = measure(source, folder)
        (root / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or list(ARCHITECTURES))
