"""Lets the model read texts while its weights are compressed."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import ConversionError

if TYPE_CHECKING:
    import nncf
    import openvino

Encode = Callable[[str], Sequence[int]]
"""Turns a text into token ids."""

WINDOW_TOKENS = 128
MAX_WINDOWS = 64  # NNCF's own default is 128; 30 windows of our text already take a 135M model two minutes
MIN_TOKENS = 1_024


def read_windows(path: Path, encode: Encode) -> list[list[int]]:
    """The text of `path` as token ids, in windows of WINDOW_TOKENS.

    Raises:
        ConversionError: when it can't be read as text, or is too short to tell anything.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConversionError(f"--calibration {path} can't be read as UTF-8 text: {error}") from error
    ids = list(encode(text))
    if len(ids) < MIN_TOKENS:
        raise ConversionError(
            f"--calibration {path} holds {len(ids)} tokens, and {MIN_TOKENS} are the least that tell "
            "anything: give a longer text, such as the model will see"
        )
    starts = range(0, len(ids) - WINDOW_TOKENS + 1, WINDOW_TOKENS)
    windows = [ids[start : start + WINDOW_TOKENS] for start in starts]
    step = max(1, len(windows) // MAX_WINDOWS)  # from the whole text, not its beginning alone
    return windows[::step][:MAX_WINDOWS]


def calibration_sha256(path: Path) -> str | None:
    """The fingerprint of a calibration text; None where there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def input_names(model: "openvino.Model") -> set[str]:
    """What the model takes.

    Raises:
        ConversionError: when it takes something other than tokens.
    """
    names = {str(name) for port in model.inputs for name in port.get_names()}
    if "input_ids" not in names:
        raise ConversionError(
            "this model's language part reads embeddings, not tokens, so texts can't calibrate it: "
            "leave --method and --calibration out, or use --method none"
        )
    return names


def dataset(windows: list[list[int]], names: set[str]) -> "nncf.Dataset":
    """What NNCF runs a model with inputs of these names on."""
    import nncf

    return nncf.Dataset(windows, lambda window: _inputs(window, names))


def _inputs(window: list[int], names: set[str]) -> dict[str, Any]:
    """One batch of one window: int64 [1, tokens] but for beam_idx, int32 [1]."""
    import numpy

    count = len(window)
    inputs = {
        "input_ids": numpy.array([window], dtype=numpy.int64),
        "attention_mask": numpy.ones((1, count), dtype=numpy.int64),
        "position_ids": numpy.arange(count, dtype=numpy.int64)[None],
        "beam_idx": numpy.zeros(1, dtype=numpy.int32),
    }
    return {name: value for name, value in inputs.items() if name in names}
