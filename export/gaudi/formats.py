"""Says which compressed-tensors scheme stands for a weight format on Gaudi.

What vLLM's Gaudi plugin loads, and where that is written: docs/gaudi.md.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from service.errors import ConfigError
from service.manifest import WeightFormat

if TYPE_CHECKING:
    from compressed_tensors.quantization import QuantizationConfig, QuantizationScheme

# Names of compressed-tensors' presets; None leaves the weights in 16 bits. INT8 weights alone (W8A16) are
# refused by the plugin, while it keeps the activations of W8A8 in bf16: there that is weight-only INT8.
PRESETS: dict[WeightFormat, str | None] = {
    "int8": "W8A8",
    "fp8": "FP8_DYNAMIC",
    "int4": "W4A16",
    "bf16": None,
}
GROUP_SIZES = (128, 64, 32)
PACKED_INT4 = 8
"""Values in one int32: what the plugin's kernel packs along the outputs."""


def require_known(weights: WeightFormat) -> None:
    """Refuse a format that vLLM does not load on Gaudi.

    Raises:
        ConfigError: naming those it does.
    """
    if weights not in PRESETS:
        raise ConfigError(f"--weights {weights} is not for GAUDI: choose one of {', '.join(PRESETS)}")


def pick_group_size(weights: WeightFormat, shapes: Iterable[tuple[int, int]]) -> int | None:
    """The inputs that share one scale, for weights of [outputs, inputs]; None for a scale per output.

    INT4 without a group size that divides every layer's inputs gets a scale per output as well.

    Raises:
        ConfigError: when INT4 can't be packed as Gaudi reads it.
    """
    if weights != "int4":
        return None
    outputs, inputs = zip(*shapes, strict=True)
    if any(size % PACKED_INT4 for size in (*outputs, *inputs)):
        raise ConfigError(
            f"INT4 for GAUDI needs layers of sizes that {PACKED_INT4} divides: use --weights int8"
        )
    return next((size for size in GROUP_SIZES if all(width % size == 0 for width in inputs)), None)


def make_scheme(weights: WeightFormat, group_size: int | None) -> "QuantizationScheme":
    """The scheme of every linear layer, its storage included; not for unquantised formats."""
    import torch
    from compressed_tensors.compressors.format import infer_module_format
    from compressed_tensors.quantization import QuantizationScheme
    from compressed_tensors.quantization.quant_scheme import preset_name_to_scheme

    preset = preset_name_to_scheme(str(PRESETS[weights]), ["Linear"])
    settings = preset.model_dump()
    if weights == "int4":
        settings["weights"] |= {
            "strategy": "group" if group_size else "channel",
            "group_size": group_size,
        }
    scheme = QuantizationScheme.model_validate(settings)
    scheme.format = infer_module_format(torch.nn.Linear, scheme).value
    return scheme


def make_config(scheme: "QuantizationScheme", ignore: Iterable[str]) -> "QuantizationConfig":
    """What config.json says of the quantisation; `ignore` names the linear layers left as they are."""
    from compressed_tensors.quantization import QuantizationConfig, QuantizationStatus

    return QuantizationConfig(
        config_groups={"group_0": scheme},
        format=str(scheme.format),
        quantization_status=QuantizationStatus.COMPRESSED,
        ignore=list(ignore),
    )
