"""Proves that a converted folder generates."""

from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import ConversionError
from service.manifest import ImageLimits

if TYPE_CHECKING:
    import openvino
    import openvino_genai

PROMPT = "The capital of France is"
IMAGE_PLACE = "<ov_genai_image_0>"
NEW_TOKENS = 8


def generate_few(folder: Path, device: str, images: ImageLimits | None = None) -> str:
    """Load `folder` as the service will, generate a few tokens greedily, and return their text.

    A vision model also sees a picture of the largest size, whose tokens are counted.

    Raises:
        ConversionError: when it does not load, generates nothing, or the picture takes more tokens than
            `images` says.
    """
    import openvino_genai

    scheduler = openvino_genai.SchedulerConfig()
    scheduler.cache_size = 1  # GB; 0 would let the cache grow to the machine's memory
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = NEW_TOKENS
    config.do_sample = False
    config.apply_chat_template = False
    try:
        pipeline = openvino_genai.ContinuousBatchingPipeline(folder, scheduler, device)
        text, tokens = _see(pipeline, config, images) if images else _write(pipeline, config)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ConversionError(f"the converted model does not run on {device}: {reason}") from error
    if not tokens:
        raise ConversionError(f"the converted model generates nothing on {device}: try other --weights")
    return text


def usable_device(device: str) -> str:
    """`device` where this machine has it, CPU otherwise."""
    import openvino

    available = {name.partition(".")[0] for name in openvino.Core().available_devices}
    return device if device in available else "CPU"


def _write(
    pipeline: "openvino_genai.ContinuousBatchingPipeline", config: "openvino_genai.GenerationConfig"
) -> tuple[str, int]:
    tokenizer = pipeline.get_tokenizer()
    ids = tokenizer.encode(PROMPT).input_ids
    generated = pipeline.generate([ids], [config])[0].m_generation_ids[0]
    return str(tokenizer.decode(generated)), len(generated)


def _see(
    pipeline: "openvino_genai.ContinuousBatchingPipeline",
    config: "openvino_genai.GenerationConfig",
    limits: ImageLimits,
) -> tuple[str, int]:
    picture = _picture(limits.max_width, limits.max_height)
    prompts = [PROMPT, IMAGE_PLACE + PROMPT]
    written, seen = pipeline.generate(prompts, images=[[], [picture]], generation_config=[config, config])
    tokens = seen.perf_metrics.get_num_input_tokens() - written.perf_metrics.get_num_input_tokens()
    if tokens > limits.tokens_per_image:
        raise ConversionError(
            f"a picture takes {tokens} tokens of the prompt, not {limits.tokens_per_image} at most: "
            "the rule in export/image_tokens.py does not fit this model"
        )
    return str(seen.texts[0]), int(seen.perf_metrics.get_num_generated_tokens())


def _picture(width: int, height: int) -> "openvino.Tensor":
    """Red from left to right, green from top to bottom: uint8 [height, width, 3]."""
    import numpy
    import openvino

    pixels = numpy.zeros((height, width, 3), dtype=numpy.uint8)
    pixels[..., 0] = numpy.linspace(0, 255, width, dtype=numpy.uint8)
    pixels[..., 1] = numpy.linspace(0, 255, height, dtype=numpy.uint8)[:, None]
    return openvino.Tensor(pixels)
