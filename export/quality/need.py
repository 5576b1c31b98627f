"""Estimates the memory that a comparison takes before it starts."""

import json
import struct
from pathlib import Path

from export.architecture import read_json
from export.errors import ConversionError
from export.gguf.file import read_gguf
from export.quality.errors import NotVerifiableError
from export.quality.reference import source_bytes
from export.quality.runtime import Runtime
from export.quality.texts import MAX_TOKENS
from export.resources import RUNTIME_BYTES, readable
from service.manifest import TOKENIZER_FILE

TORCH_BYTES = 600_000_000  # with it the default model peaks at 2.34 GB, estimated 2.41
LOGIT_COPIES = 8  # each model's own, what is handed out, torch's float32 copy, and what compares them
STORED_BYTES = 2  # of a weight, where a checkpoint can't be asked


def parameter_count(path: Path) -> int:
    """How many numbers the weights of a GGUF file or a Hugging Face folder hold."""
    if path.is_file():
        return read_gguf(path).parameter_count
    files = sorted(path.glob("*.safetensors"))
    if not files:
        return source_bytes(path) // STORED_BYTES
    return sum(map(_safetensors_count, files))


def choose_exactness(folder: Path, path: Path, *, runtime: Runtime, parameters: int, available: int) -> bool:
    """Whether the source fits into the memory in float32; False when only as it is stored.

    Raises:
        NotVerifiableError: when it does not fit at all.
    """
    exact, stored = (
        memory_need(folder, source=parameters * size, runtime=runtime) for size in (4, STORED_BYTES)
    )
    if exact <= available:
        return True
    # What dequantises a GGUF file, and what OpenVINO computes in, is float32.
    smallest = exact if runtime == "openvino" or path.is_file() else stored
    if smallest <= available:
        return False
    raise NotVerifiableError(
        f"comparing with the source needs {readable(smallest)} of memory for both models, and "
        f"{readable(available)} are available: end other programs, or do it on a bigger machine"
    )


def memory_need(folder: Path, *, source: int, runtime: Runtime) -> int:
    """Bytes for both models at once, with the source's weights taking `source` bytes.

    The converted weights count twice: the device keeps its own arrangement of them beside the file's.
    So it does with an OpenVINO source, whose file has half the bytes of what is computed.
    """
    converted = sum(file.stat().st_size for file in folder.glob("openvino_*.bin"))
    logits = LOGIT_COPIES * MAX_TOKENS * _vocabulary(folder) * 4
    libraries = RUNTIME_BYTES + (TORCH_BYTES if runtime == "transformers" else 0)
    file = source // 2 if runtime == "openvino" else 0
    return libraries + source + file + 2 * converted + logits


def _vocabulary(folder: Path) -> int:
    config = read_json(folder / "config.json")
    size = config.get("vocab_size") or (config.get("text_config") or {}).get("vocab_size")
    if isinstance(size, int):
        return size
    return len(read_json(folder / TOKENIZER_FILE).get("model", {}).get("vocab", ()))


def _safetensors_count(path: Path) -> int:
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        try:
            head = json.loads(file.read(min(length, 100_000_000)))
        except ValueError as error:
            raise ConversionError(f"{path} is not a safetensors file ({error}): get it again") from error
    total = 0
    for name, tensor in head.items():
        if name != "__metadata__":
            count = 1
            for size in tensor["shape"]:
                count *= size
            total += count
    return total
