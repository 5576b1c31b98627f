"""Compares ways to compress weights with the 16-bit model that they start from.

    python -m benchmarks.weight_methods models/NAME-fp16 TEXT

TEXT is a file that the methods have not seen. Each line tells how often the most likely next token is the
same (top-1), the Kullback-Leibler divergence of the next-token distributions (mean, 99th percentile), and
the perplexity relative to the original's.
"""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.quantise import compress
from export.quiet import native_output_hidden
from export.recipe import Recipe

if TYPE_CHECKING:
    import openvino

WINDOW_TOKENS = 192
EXACT = {
    "INFERENCE_PRECISION_HINT": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    "KV_CACHE_PRECISION": "f32",
}
"""What the runtime would lose by itself is not to be seen here."""

RECIPES = {
    "int8": Recipe(device="CPU", weights="int8", mode="int8_asym"),
    "int8-sym": Recipe(device="CPU", weights="int8-sym", mode="int8_sym"),
    "int4": Recipe(device="CPU", weights="int4", mode="int4_asym"),
    "int4 symmetric": Recipe(device="CPU", weights="int4", mode="int4_sym"),
    "int4, groups of 32": Recipe(device="CPU", weights="int4", mode="int4_asym", group_size=32),
    "int4, 80% of the layers": Recipe(device="CPU", weights="int4", mode="int4_asym", ratio=0.8),
    "int4, awq-data-free": Recipe(device="CPU", weights="int4", mode="int4_asym", method="awq-data-free"),
    "int4, awq": Recipe(device="CPU", weights="int4", mode="int4_asym", method="awq"),
    "int4, scale-estimation": Recipe(
        device="CPU", weights="int4", mode="int4_asym", method="scale-estimation"
    ),
    "int4, awq+scale-estimation": Recipe(
        device="CPU", weights="int4", mode="int4_asym", method="awq+scale-estimation"
    ),
}


def main() -> None:
    """Print one line for each way."""
    parser = argparse.ArgumentParser(description="Compares ways to compress weights.")
    parser.add_argument("folder", type=Path, help="a model converted with --weights fp16")
    parser.add_argument("text", type=Path, help="UTF-8 text to compare on")
    parser.add_argument("--windows", type=int, default=16, help=f"of {WINDOW_TOKENS} tokens each")
    options = parser.parse_args()

    import openvino
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(options.folder / "tokenizer.json"))
    ids = tokenizer.encode(options.text.read_text(encoding="utf-8")).ids
    starts = range(0, len(ids) - WINDOW_TOKENS + 1, WINDOW_TOKENS)
    windows = [ids[start : start + WINDOW_TOKENS] for start in starts][: options.windows]
    path = options.folder / "openvino_model.xml"
    original = _log_probabilities(openvino.Core().read_model(path), windows)
    print(f"{len(windows)} windows of {WINDOW_TOKENS} tokens")
    for name, recipe in RECIPES.items():
        began_s = time.monotonic()
        with native_output_hidden():
            model, _ = compress(
                openvino.Core().read_model(path), recipe, lambda text: tokenizer.encode(text).ids
            )
        took_s = time.monotonic() - began_s
        print(f"{name:28} {_compare(original, _log_probabilities(model, windows), windows)} {took_s:6.1f} s")


def _log_probabilities(model: "openvino.Model", windows: list[list[int]]) -> Any:  # noqa: ANN401 - NumPy's
    """Of every next token, f32 [windows x tokens, vocabulary]."""
    import numpy
    import openvino

    request = openvino.Core().compile_model(model, "CPU", EXACT).create_infer_request()
    parts = []
    for window in windows:
        request.reset_state()
        count = len(window)
        inputs = {
            "input_ids": numpy.array([window]),
            "attention_mask": numpy.ones((1, count), numpy.int64),
            "position_ids": numpy.arange(count)[None],
            "beam_idx": numpy.zeros(1, numpy.int32),
        }
        logits = numpy.array(next(iter(request.infer(inputs).values()))[0], numpy.float32)
        logits -= logits.max(-1, keepdims=True)
        parts.append(logits - numpy.log(numpy.exp(logits).sum(-1, keepdims=True)))
    return numpy.concatenate(parts)


def _compare(original: Any, other: Any, windows: list[list[int]]) -> str:  # noqa: ANN401 - NumPy's
    import numpy

    agreement = (original.argmax(-1) == other.argmax(-1)).mean()
    divergence = (numpy.exp(original) * (original - other)).sum(-1)
    rows = [row * WINDOW_TOKENS + place for row in range(len(windows)) for place in range(WINDOW_TOKENS - 1)]
    seen = [token for window in windows for token in window[1:]]
    worse = numpy.exp((original[rows, seen] - other[rows, seen]).mean())
    return (
        f"top-1 {agreement:6.2%}  KL {divergence.mean():.4f} (p99 {numpy.quantile(divergence, 0.99):.3f})  "
        f"perplexity x {worse:.3f}"
    )


if __name__ == "__main__":
    main()
