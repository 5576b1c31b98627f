"""Proves that a converted folder generates."""

from pathlib import Path

from export.errors import ConversionError

PROMPT = "The capital of France is"
NEW_TOKENS = 8


def generate_few(folder: Path, device: str) -> str:
    """Load `folder` as the service will, generate a few tokens greedily, and return their text.

    Raises:
        ConversionError: when it does not load, or generates nothing.
    """
    import openvino_genai

    scheduler = openvino_genai.SchedulerConfig()
    scheduler.cache_size = 1  # GB; 0 would let the cache grow to the machine's memory
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = NEW_TOKENS
    config.do_sample = False
    try:
        pipeline = openvino_genai.ContinuousBatchingPipeline(folder, scheduler, device)
        tokenizer = pipeline.get_tokenizer()
        ids = tokenizer.encode(PROMPT).input_ids
        results = pipeline.generate([ids], [config])
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ConversionError(f"the converted model does not run on {device}: {reason}") from error
    generated = results[0].m_generation_ids[0]
    if not generated:
        raise ConversionError(f"the converted model generates nothing on {device}: try other --weights")
    return str(tokenizer.decode(generated))


def usable_device(device: str) -> str:
    """`device` where this machine has it, CPU otherwise."""
    import openvino

    available = {name.partition(".")[0] for name in openvino.Core().available_devices}
    return device if device in available else "CPU"
