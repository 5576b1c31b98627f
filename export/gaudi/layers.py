"""Finds the weights of a model that can be quantised, without loading them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import ConversionError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The linear layers of a model, by the names that its checkpoint uses.

    `quantisable` maps the name of each layer to the shape of its weight: [outputs, inputs]. `kept` are those
    that stay in 16 bits: the output layer.
    """

    quantisable: dict[str, tuple[int, int]]
    kept: tuple[str, ...]


def read_layers(folder: Path) -> Layers:
    """Find the layers of the model in a Hugging Face folder from its description alone.

    Raises:
        ConversionError: when transformers does not know the model, or it can't be quantised.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # a border: what a model's code raises has no common type
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConversionError(
            f"transformers can't build {folder.name} ({reason}): check that the folder is whole"
        ) from error
    return find_layers(model, folder.name)


def find_layers(model: "PreTrainedModel", name: str) -> Layers:
    """Find the layers of `model`; its weights may be on torch's meta device.

    Raises:
        ConversionError: when it keeps weights in modules that are not linear layers, such as fused experts.
    """
    from torch import nn

    output = model.get_output_embeddings()
    quantisable: dict[str, tuple[int, int]] = {}
    kept = []
    for path, module in model.named_modules():
        if module is output:
            kept.append(path)
        elif isinstance(module, nn.Linear):
            quantisable[path] = (module.out_features, module.in_features)
        elif not isinstance(module, nn.Embedding | nn.Conv1d):
            _require_vectors(module, path, name)
    if not quantisable:
        raise ConversionError(f"{name} has no linear layers to quantise: use --weights bf16")
    return Layers(quantisable=quantisable, kept=tuple(kept))


def repeated_weights(model: "PreTrainedModel") -> frozenset[str]:
    """The names of the weights that are another's, such as a tied output layer's."""
    seen: set[int] = set()
    repeated = set()
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in seen:
            repeated.add(name)
        seen.add(id(parameter))
    return frozenset(repeated)


def _require_vectors(module: object, path: str, name: str) -> None:
    from torch import nn

    assert isinstance(module, nn.Module)  # noqa: S101 - for the type checker: torch is imported late
    for parameter, value in module.named_parameters(recurse=False):
        if value.ndim > 1:
            raise ConversionError(
                f"{name} keeps weights in {path}.{parameter}, a {type(module).__name__} and no linear layer, "
                "for which there is no 8-bit format here: use --weights bf16"
            )
