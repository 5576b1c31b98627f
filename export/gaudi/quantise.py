"""Quantises a model's linear layers, one tensor at a time."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import ConversionError
from export.gaudi.shards import ShardWriter
from export.gaudi.tensors import StoredTensor
from export.progress import Advance

if TYPE_CHECKING:
    import torch
    from compressed_tensors.quantization import QuantizationScheme

_WEIGHT = ".weight"


def write_quantised(
    tensors: Sequence[StoredTensor],
    layers: Collection[str],
    scheme: "QuantizationScheme | None",
    folder: Path,
    advance: Advance,
) -> None:
    """Write `tensors`: the weights of `layers` by `scheme`, other matrices in bf16, the rest as it is.

    Raises:
        ConversionError: when the checkpoint lacks a layer's weight, or has one that is not a number.
    """
    missing = {layer + _WEIGHT for layer in layers} - {tensor.name for tensor in tensors}
    if missing:
        raise ConversionError(
            f"the checkpoint holds no {min(missing)}: it names its weights in another way than transformers "
            "does, so save it again with save_pretrained, or use --weights bf16"
        )
    total = sum(tensor.elements for tensor in tensors)
    done = 0
    with ShardWriter(folder) as writer:
        for tensor in tensors:
            layer = tensor.name.removesuffix(_WEIGHT)
            if scheme is not None and tensor.name.endswith(_WEIGHT) and layer in layers:
                for name, value in quantise(tensor.load(), scheme, tensor.name).items():
                    writer.add(f"{layer}.{name}", value)
            else:
                writer.add(tensor.name, _half(tensor.load()))
            done += tensor.elements
            advance(done / total)


def quantise(weight: "torch.Tensor", scheme: "QuantizationScheme", name: str) -> "dict[str, torch.Tensor]":
    """What stands for `weight`, a matrix [outputs, inputs]: its numbers and their scales, by local name.

    The scales are bf16, as the loaders keep them, and the numbers are rounded to those very scales.

    Raises:
        ConversionError: when it holds something that is not a number.
    """
    import torch
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization.utils import calculate_qparams

    assert scheme.weights is not None  # noqa: S101 - a scheme without is none of ours
    assert scheme.format is not None  # noqa: S101 - likewise
    weight = weight.float()
    outputs, inputs = weight.shape
    grouped = weight.reshape(outputs, -1, scheme.weights.group_size or inputs)
    scale, _ = calculate_qparams(grouped.amin(-1), grouped.amax(-1), scheme.weights)
    if not torch.isfinite(scale).all():
        raise ConversionError(f"{name} holds infinities or NaN: get the model again")
    compressor = BaseCompressor.get_value_from_registry(str(scheme.format))
    state = {"weight": weight, "weight_scale": scale.to(torch.bfloat16)}
    compressed: dict[str, torch.Tensor] = compressor.compress(state, scheme)
    return compressed


def _half(tensor: "torch.Tensor") -> "torch.Tensor":
    """A matrix in bf16, which is what Gaudi computes in; vectors weigh nothing and may need their digits."""
    import torch

    return tensor.to(torch.bfloat16) if tensor.is_floating_point() and tensor.ndim > 1 else tensor
