"""Opens the source model that a converted one is compared with."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from export.gguf.file import read_gguf
from export.gguf.parts import part_paths
from export.gguf.transformers_reading import left_out
from export.progress import Steps
from export.publish import MODEL_FILE
from export.quality.errors import NotVerifiableError
from export.quality.models import LanguageModel
from export.quality.openvino_model import EXACT, OpenVinoModel
from export.quality.runtime import Runtime
from service.errors import ConfigError

WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The source model: `dtype` is what it computes in, `size_bytes` what its weights take on disk."""

    model: LanguageModel
    runtime: Runtime
    dtype: str
    size_bytes: int


def open_reference(path: Path, scratch: Path, steps: Steps, *, runtime: Runtime, exact: bool) -> Reference:
    """Load the source in `path`, a GGUF file or a Hugging Face folder.

    `runtime` is what `choose_runtime` says; "openvino" writes the file's unquantised model to `scratch`
    first. Where transformers does not know a GGUF file's architecture, OpenVINO takes over.

    Raises:
        NotVerifiableError: when it can't be loaded.
    """
    size = source_bytes(path)
    if runtime == "transformers":
        from export.quality.torch_model import TorchModel

        try:
            with steps.step("Loading the source in transformers"):
                model = TorchModel(path, exact=exact)
            return Reference(model=model, runtime="transformers", dtype=model.dtype, size_bytes=size)
        except NotVerifiableError as error:
            if not path.is_file():
                raise
            steps.note(f"[yellow]{error.message}: its unquantised OpenVINO model is the reference[/yellow]")
    unquantised = unquantised_from_gguf(path, scratch, steps)
    with steps.step("Loading the source in OpenVINO"):
        exact_model = OpenVinoModel(unquantised / MODEL_FILE, "CPU", EXACT)
    return Reference(model=exact_model, runtime="openvino", dtype="float32", size_bytes=size)


def choose_runtime(
    path: Path, wanted: Runtime | None = None, find: Callable[[str], object] = importlib.util.find_spec
) -> Runtime:
    """`wanted`, else transformers where it is installed with torch: it shares no code with the conversion.

    Raises:
        ConfigError: when OpenVINO is wanted for a folder, which only transformers reads.
        NotVerifiableError: when transformers is needed and not there.
    """
    if wanted == "openvino":
        if not path.is_file():
            raise ConfigError(
                "--reference openvino is for GGUF files: leave it out for a Hugging Face folder"
            )
        return "openvino"
    unread = left_out(read_gguf(path)) if path.is_file() else None
    if unread is not None and wanted == "transformers":
        raise ConfigError(f"transformers leaves {unread} out of {path.name}: leave --reference out")
    if unread is not None:
        return "openvino"
    needed = ("torch", "transformers", *(("gguf", "accelerate") if path.is_file() else ()))
    missing = [name for name in needed if find(name) is None]
    if not missing:
        return "transformers"
    if path.is_file() and wanted is None:
        return "openvino"
    raise NotVerifiableError(
        f"comparing with {path.name} needs {', '.join(missing)}: "
        "run pip install '.[export]' in the project's folder (several GB)"
    )


def unquantised_from_gguf(path: Path, scratch: Path, steps: Steps) -> Path:
    """Write the model of a GGUF file with f16 weights into the new folder `scratch`; return that folder."""
    from export.gguf.exact import read_exact

    return read_exact(read_gguf(path), scratch, steps)


def source_bytes(path: Path) -> int:
    """What the weights take on disk."""
    if path.is_file():
        return sum(part.stat().st_size for part in part_paths(path))
    return sum(file.stat().st_size for pattern in WEIGHTS for file in path.glob(pattern))
