"""Compresses the weights of an OpenVINO model whose constants are f16."""

import logging
import math
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from export.errors import ConversionError
from service.manifest import WeightFormat

if TYPE_CHECKING:
    import openvino

GROUP_SIZES = (128, 64, 32, 16)
SMALL_MODEL_WEIGHTS = 500_000_000


def pick_group_size(channel_sizes: Iterable[int]) -> int:
    """The largest known group size that divides every channel.

    NNCF refuses a model with INT4 groups that leave a remainder (128 on channels of 576).

    Raises:
        ConversionError: when none does.
    """
    sizes = set(channel_sizes)
    for group_size in GROUP_SIZES:
        if all(size % group_size == 0 for size in sizes):
            return group_size
    raise ConversionError(
        f"INT4 needs channels that {GROUP_SIZES[-1]} divides, and this model's are {sorted(sizes)}: "
        "use --weights int8"
    )


def channel_sizes(model: "openvino.Model") -> set[int]:
    """The sizes along which INT4 groups run: the inner dimension of every matrix product's constant."""
    sizes = set()
    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        shape = node.input(1).get_partial_shape()
        if _is_constant(node.input_value(1).get_node()) and shape.is_static:
            inner = -1 if node.get_attributes()["transpose_b"] else -2
            sizes.add(int(shape.to_shape()[inner]))
    return sizes


def compress(model: "openvino.Model", weights: WeightFormat) -> tuple["openvino.Model", int | None]:
    """Compress `model`; return it with its INT4 group size, None for other formats.

    INT4 keeps the embedding and the last layer in INT8, as NNCF does by default: they are the
    layers that lose most.
    """
    if weights == "fp16":
        return model, None
    os.environ.setdefault("NNCF_CI", "1")  # or importing NNCF reports the use of it over the network
    with _torch_left_alone(), _numpy_when_small(model):
        import nncf

        nncf.set_log_level(logging.ERROR)
        if weights == "int8":
            return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM), None
        group_size = pick_group_size(channel_sizes(model))
        mode = nncf.CompressWeightsMode.INT4_ASYM
        return nncf.compress_weights(model, mode=mode, group_size=group_size, ratio=1.0), group_size


@contextmanager
def _torch_left_alone() -> Iterator[None]:
    """Keep NNCF from loading torch where it is installed and not in use: it costs seconds and memory."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # documented: an import of it then fails
    try:
        yield
    finally:
        del sys.modules["torch"]


@contextmanager
def _numpy_when_small(model: "openvino.Model") -> Iterator[None]:
    """Let NNCF compute with NumPy where that is faster: it compiles a model per weight otherwise.

    SmolLM2-135M, two cores, NNCF 3.4.0: 3.3 s instead of 10.2 s, with identical bytes. The compiled
    models use every core, which wins on big weights.
    """
    constants = [node for node in model.get_ops() if node.get_type_name() == "Constant"]
    weights = sum(math.prod(node.get_output_shape(0)) for node in constants)
    if weights > SMALL_MODEL_WEIGHTS:
        yield
        return
    os.environ["NNCF_DISABLE_OPTIMIZED_COMPRESSION"] = "1"
    try:
        yield
    finally:
        del os.environ["NNCF_DISABLE_OPTIMIZED_COMPRESSION"]


def _is_constant(node: "openvino.Node") -> bool:
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "Constant")
