"""Takes apart what both of OpenAI's generating endpoints say of sampling, length and logprobs."""

from typing import TypedDict

from service.api.fields import LEAST_POSITIVE
from service.api.openai.bodies import ChatBody, CompletionBody
from service.domain import SEEDS
from service.errors import ValidationError


class SamplingFields(TypedDict):
    """The fields of a RawRequest that say how tokens are chosen, and when generation ends."""

    do_sample: bool
    temperature: float | None
    top_p: float | None
    top_k: int | None
    repetition_penalty: float | None
    frequency_penalty: float | None
    presence_penalty: float | None
    seed: int | None
    min_new_tokens: int
    ignore_eos: bool
    stop: tuple[str, ...]
    keep_stop: bool


def sampling_fields(body: ChatBody | CompletionBody) -> SamplingFields:
    """OpenAI's API samples with a temperature of 1 unless told otherwise; 0 means greedy."""
    return SamplingFields(
        do_sample=body.temperature != 0,
        temperature=body.temperature,
        top_p=None if body.top_p is None else max(body.top_p, LEAST_POSITIVE),
        top_k=body.top_k if body.top_k and body.top_k > 0 else None,
        repetition_penalty=body.repetition_penalty,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        seed=None if body.seed is None or body.temperature == 0 else body.seed % SEEDS,
        min_new_tokens=body.min_tokens or 0,
        ignore_eos=bool(body.ignore_eos),
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
        keep_stop=False,
    )


def check_top_logprobs(name: str, wanted: int | None, body: ChatBody | CompletionBody) -> None:
    """Refuse what the engine doesn't know: it gives the chosen token's log-probability alone.

    Raises:
        ValidationError: more than one is wanted, or one where the chosen token need not be the likeliest.
    """
    if (wanted or 0) > 1:
        raise ValidationError(f"`{name}` must be at most 1, what the engine has; got {wanted}", param=name)
    if wanted and body.temperature != 0:
        raise ValidationError(
            f"`{name}` is known only with `temperature` 0, where the chosen token is the likeliest",
            param=name,
        )


def check_stream_options(body: ChatBody | CompletionBody) -> None:
    """Refuse options of a stream where there is none, or that change nothing.

    Raises:
        ValidationError: the first as OpenAI's API does; vLLM would ignore the second.
    """
    options = body.stream_options
    if options is None:
        return
    if not body.stream:
        raise ValidationError("`stream_options` goes with `stream` only", param="stream_options")
    if options.continuous_usage_stats and not options.include_usage:
        raise ValidationError(
            "`stream_options.continuous_usage_stats` goes with `include_usage` only", param="stream_options"
        )
