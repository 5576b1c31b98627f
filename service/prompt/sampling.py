"""Decides how a request samples, from what its client gave."""

from collections.abc import Callable
from dataclasses import dataclass

from service.domain import RawRequest, Sampling
from service.errors import ValidationError

# Below it nothing changes any more, and far below it a float32 is 0, which the engine refuses.
_LOWEST_TEMPERATURE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Whether tokens are sampled, and with which temperature."""

    do_sample: bool
    temperature: float


def choose(raw: RawRequest) -> Choice:
    """Apply the rule: `do_sample` decides when given; else any sampling parameter means sampling.

    A temperature of 0 means greedy.

    Raises:
        ValidationError: `do_sample` true with a temperature of 0.
    """
    if raw.temperature == 0:
        if raw.do_sample:
            raise ValidationError(
                "`temperature` must be above 0 when `do_sample` is true; leave `do_sample` out for greedy",
                param="temperature",
            )
        return Choice(do_sample=False, temperature=1.0)
    implied = any(value is not None for value in (raw.temperature, raw.top_p, raw.top_k, raw.seed))
    do_sample = implied if raw.do_sample is None else raw.do_sample
    temperature = 1.0 if raw.temperature is None else max(raw.temperature, _LOWEST_TEMPERATURE)
    return Choice(do_sample=do_sample, temperature=temperature)


def resolve(raw: RawRequest, max_new_tokens: int, draw_seed: Callable[[], int]) -> Sampling:
    """Fill in every default. Sampling without a seed draws one, so that a caller can repeat the run."""
    choice = choose(raw)
    seed = (draw_seed() if raw.seed is None else raw.seed) if choice.do_sample else None
    return Sampling(
        max_new_tokens=max_new_tokens,
        min_new_tokens=raw.min_new_tokens,
        ignore_eos=raw.ignore_eos,
        do_sample=choice.do_sample,
        temperature=choice.temperature,
        top_p=_or(raw.top_p, 1.0),
        top_k=raw.top_k,
        repetition_penalty=_or(raw.repetition_penalty, 1.0),
        frequency_penalty=_or(raw.frequency_penalty, 0.0),
        presence_penalty=_or(raw.presence_penalty, 0.0),
        seed=seed,
        logprobs=raw.logprobs,
        prompt_logprobs=raw.prompt_logprobs,
        grammar=raw.grammar,
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
