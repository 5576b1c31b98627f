"""Estimates what writing a checkpoint takes."""

from collections.abc import Sequence

from export.gaudi.layers import Layers
from export.gaudi.shards import SHARD_BYTES
from export.gaudi.tensors import StoredTensor
from export.resources import RUNTIME_BYTES, Need
from service.manifest import WeightFormat

BYTES_PER_WEIGHT: dict[WeightFormat, float] = {"int8": 1.0, "fp8": 1.0, "int4": 0.57, "bf16": 2.0}
"""Of a linear layer; INT4 with a bf16 scale for 32 weights. All other weights take 2."""
_TORCH_BYTES = 2 * RUNTIME_BYTES
_WORK_BYTES = 16
"""For each number of the tensor in work: in f32, its copies by group and as quantised."""


def writing_need(tensors: Sequence[StoredTensor], layers: Layers, weights: WeightFormat) -> Need:
    """The need of writing tensors that are read one by one: a shard, and the largest tensor in work."""
    inside = sum(outputs * inputs for outputs, inputs in layers.quantisable.values())
    outside = sum(tensor.elements for tensor in tensors) - inside
    disk = int(inside * BYTES_PER_WEIGHT[weights] + 2 * outside)
    largest = max((tensor.elements for tensor in tensors), default=0)
    return Need(disk=disk, memory=_TORCH_BYTES + min(disk, SHARD_BYTES) + _WORK_BYTES * largest)


def gguf_need(parameter_count: int) -> Need:
    """The need of a GGUF file: all its weights in f32 at once, and a checkpoint of at most 16 bits."""
    disk = 2 * parameter_count
    return Need(disk=disk, memory=_TORCH_BYTES + 5 * parameter_count + min(disk, SHARD_BYTES))


def loading_need(tensors: Sequence[StoredTensor]) -> int:
    """Bytes of memory for running a checkpoint in transformers, which unpacks it to bf16 as it runs."""
    return _TORCH_BYTES + 3 * sum(tensor.elements for tensor in tensors)
