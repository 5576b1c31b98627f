"""Names the files that a contender's weights are, by their hashes."""

from pathlib import Path

from benchmarks.peers.contender import LLAMACPP, TIBER, VLLM, Contender
from export.checksum import file_sha256
from service.manifest import FILE_NAME

_PATTERNS = {TIBER: (FILE_NAME, "openvino_*model.bin"), VLLM: ("*.safetensors",)}


def weights_sha256(contender: Contender) -> dict[str, str]:
    """The SHA-256 of each file, by name; ours with the manifest. None of a server elsewhere."""
    path = Path(contender.model)
    if contender.kind == LLAMACPP:
        return {path.name: file_sha256(path)}
    patterns = _PATTERNS.get(contender.kind, ())
    files = [file for pattern in patterns for file in sorted(path.glob(pattern))]
    return {file.name: file_sha256(file) for file in files}
