"""Compresses the weights of an OpenVINO model whose constants are f16."""

import logging
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from export.bfloat16 import narrow_to_bfloat16
from export.calibration import Encode, calibration_sha256, dataset, input_names, read_windows
from export.errors import ConversionError
from export.groups import Layer, plan_groups
from export.join import join_matrices
from export.recipe import Recipe
from export.weights import count_precisions, matrix_layers
from service.manifest import Recipe as RecipeRecord

if TYPE_CHECKING:
    import openvino

SMALL_MODEL_WEIGHTS = 500_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """What came of a recipe.

    `group_size` is None where weights are scaled per channel. `fallback` are the layers meant for INT4
    whose channels it does not divide: they are in the backup mode. `precisions` counts the weights
    that the model really holds in each element type, before those that read the same input are joined.
    """

    recipe: Recipe
    group_size: int | None = None
    fallback: tuple[Layer, ...] = ()
    precisions: dict[str, int]

    def record(self) -> RecipeRecord:
        """What the manifest says of it."""
        recipe = self.recipe
        return RecipeRecord(
            mode=recipe.mode or recipe.weights,
            ratio=recipe.ratio,
            method=recipe.method,
            calibration_sha256=calibration_sha256(recipe.calibration) if recipe.is_calibrated else None,
            layers=self.precisions,
            fallback_layers=[layer.name for layer in self.fallback],
            hints=dict(recipe.hints),
        )


def compress(
    model: "openvino.Model", recipe: Recipe, encode: Encode | None = None
) -> tuple["openvino.Model", Compression]:
    """Compress the weights of `model`, which are 16-bit, as `recipe` says.

    `encode` turns the calibration text into tokens, for recipes that need one.

    Raises:
        ConversionError: when no group size fits the model, or it can't be calibrated.
    """
    if recipe.mode is None:
        kept = narrow_to_bfloat16(model) if recipe.weights == "bf16" else model
        return kept, Compression(recipe=recipe, precisions=count_precisions(kept))
    os.environ.setdefault("NNCF_CI", "1")  # or importing NNCF reports the use of it over the network
    with _torch_left_alone(), _numpy_when_small(model):
        import nncf

        nncf.set_log_level(logging.ERROR)
        compressed, done = (_compress_in_groups if recipe.is_int4 else _compress_channels)(
            model, recipe, encode
        )
    join_matrices(compressed)
    return compressed, done


def _compress_channels(
    model: "openvino.Model", recipe: Recipe, _encode: Encode | None
) -> tuple["openvino.Model", Compression]:
    import nncf

    compressed = nncf.compress_weights(model, mode=nncf.CompressWeightsMode(recipe.mode))
    return compressed, Compression(recipe=recipe, precisions=count_precisions(compressed))


def _compress_in_groups(
    model: "openvino.Model", recipe: Recipe, encode: Encode | None
) -> tuple["openvino.Model", Compression]:
    import nncf

    plan = plan_groups(matrix_layers(model), recipe.group_size)
    # With this minimum NNCF's "adjust" adjusts nothing: a layer takes the plan's group size or the backup.
    parameters = nncf.AdvancedCompressionParameters(
        group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST,
        min_adjusted_group_size=plan.group_size,
    )
    compressed = nncf.compress_weights(
        model,
        mode=nncf.CompressWeightsMode(recipe.mode),
        group_size=plan.group_size,
        ratio=recipe.ratio,
        backup_mode=nncf.BackupMode(recipe.backup),
        advanced_parameters=parameters,
        **_method_options(model, recipe, encode),
    )
    return compressed, Compression(
        recipe=recipe,
        group_size=plan.group_size,
        fallback=plan.fallback,
        precisions=count_precisions(compressed),
    )


def _method_options(model: "openvino.Model", recipe: Recipe, encode: Encode | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if recipe.method in ("awq-data-free", "awq", "awq+scale-estimation"):
        options["awq"] = True
    if recipe.method in ("scale-estimation", "awq+scale-estimation"):
        options["scale_estimation"] = True
    if not recipe.is_calibrated:
        return options
    names = input_names(model)
    if encode is None:
        raise ConversionError(f"--method {recipe.method} needs the model's tokenizer, and there is none")
    windows = read_windows(recipe.calibration, encode)
    return options | {"dataset": dataset(windows, names), "subset_size": len(windows)}


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
