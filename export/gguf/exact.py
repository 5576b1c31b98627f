"""Writes a GGUF model as an uncompressed OpenVINO model: the file's own numbers."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from export.gguf.file import GgufFile
from export.gguf.geometry import Geometry, check_tensors, read_geometry
from export.gguf.supported import refuse_odd_heads, refuse_unsupported
from export.progress import Advance, Steps
from export.publish import MODEL_FILE

if TYPE_CHECKING:
    import openvino

POLL_S = 0.1


def known_geometry(gguf: GgufFile) -> Geometry:
    """The model's sizes, when all of it is of a kind that is known here.

    Raises:
        ConversionError: when it is not, or the file is damaged.
    """
    refuse_unsupported(gguf)
    geometry = read_geometry(gguf)
    refuse_odd_heads(gguf, geometry)
    check_tensors(gguf, geometry)
    return geometry


def read_exact(gguf: GgufFile, scratch: Path, steps: Steps) -> Path:
    """Write the model into the new folder `scratch` with f16 weights; return that folder.

    GenAI reads GGUF files too, and is not used: 2026.4 rounds the zero points of Q4_1 (the default
    model's weights were 9% off), takes six tensor types, ignores RoPE factors and llama's biases, and
    keeps the whole model in memory several times. Here a chunk of one tensor is.

    Raises:
        ConversionError: when the model is of a kind that is not known here, or the file is damaged.
    """
    from export.gguf.graph import build_graph
    from export.gguf.weights import unpack_weights

    geometry = known_geometry(gguf)
    scratch.mkdir(parents=True)
    unpacked = scratch / "unpacked.bin"
    with steps.step("Unpacking the weights") as advance:
        weights = unpack_weights(gguf, geometry, unpacked, advance)
    with steps.step("Writing the uncompressed model") as advance:
        _save(build_graph(geometry, weights), scratch / MODEL_FILE, unpacked.stat().st_size, advance)
    unpacked.unlink()
    return scratch


def _save(model: "openvino.Model", path: Path, size_bytes: int, advance: Advance) -> None:
    import openvino

    weights = path.with_suffix(".bin")
    with ThreadPoolExecutor(1) as executor:
        saving = executor.submit(openvino.save_model, model, path, compress_to_fp16=False)
        while not saving.done():
            if weights.exists():
                advance(min(1.0, weights.stat().st_size / size_bytes))
            time.sleep(POLL_S)
        saving.result()
