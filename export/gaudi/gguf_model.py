"""Reads the model in a GGUF file with transformers."""

from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import ConversionError
from export.gaudi.transformers_run import quiet_loading

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def read_model(path: Path) -> "PreTrainedModel":
    """The model with its weights unpacked to f32, which holds every type's values exactly.

    Raises:
        ConversionError: when transformers does not read the file.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with quiet_loading():
            model, loaded = AutoModelForCausalLM.from_pretrained(
                str(path.parent),
                gguf_file=path.name,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except Exception as error:  # a border: what the reader raises has no common type
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConversionError(
            f"transformers can't read {path.name} ({reason}): convert the model's Hugging Face folder instead"
        ) from error
    if loaded["missing_keys"]:
        raise ConversionError(
            f"transformers finds no {min(loaded['missing_keys'])} in {path.name}: "
            "convert the model's Hugging Face folder instead"
        )
    return model.eval()
