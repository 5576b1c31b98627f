"""Says how vLLM is to be started with a checkpoint on Gaudi.

The settings are those of the plugin's documentation; sources in docs/gaudi.md.
"""

from service.manifest import WeightFormat

HARDWARE_NOTE = (
    "Not verified on Gaudi hardware: written after the code and documentation of vllm-gaudi 0.26 and loaded "
    "on a CPU only."
)
_ON_DEVICE: dict[WeightFormat, str] = {
    "int8": "The plugin has no INT8 kernel: it unpacks these weights to bf16 as it loads them, so they take "
    "half the disk and all of the device memory.",
    "int4": "The plugin unpacks these weights to bf16 for every product: they take a quarter of the device "
    "memory.",
    "fp8": "The products run in FP8 with activations quantised per token, no calibration.",
    "bf16": "Not quantised; the start of a calibration with Intel Neural Compressor, too.",
}


def launch_settings(name: str, context_length: int) -> dict[str, str]:
    """Options of `vllm serve` (with dashes) and environment variables (without), for the manifest."""
    return {
        "--served-model-name": name,
        "--dtype": "bfloat16",
        "--max-model-len": str(context_length),
        "--block-size": "128",
        "VLLM_BUCKETING_STRATEGY": "exp",
        "VLLM_SKIP_WARMUP": "false",
    }


def hardware_note(weights: WeightFormat) -> str:
    """What was not verified, and what the weights become on the device."""
    return f"{HARDWARE_NOTE} {_ON_DEVICE[weights]}"
