"""Tells what transformers would leave out of a GGUF model that is read in full here."""

from export.gguf.file import GgufFile
from export.gguf.geometry import ROPE_FACTORS, read_geometry


def left_out(gguf: GgufFile) -> str | None:
    """What transformers 5.5 does not read, in words; None when it reads the whole model.

    Of a model in parts it takes the first alone and fills the rest with random numbers, without an error.
    """
    if len({tensor.path for tensor in gguf.tensors.values()}) > 1:
        return "the parts behind the first"
    if ROPE_FACTORS in gguf.tensors or read_geometry(gguf).rope_divisor != 1:
        return "its RoPE scaling"
    if gguf.architecture == "llama" and any(name.endswith(".bias") for name in gguf.tensors):
        return "its biases"
    return None
