"""Turns a raw request into one that nothing can refuse any more."""

from collections.abc import Callable

from service.domain import GenerationRequest, RawRequest, TokenLimits
from service.errors import ValidationError
from service.prompt.sampling import choose, resolve

# A text cut in a word begins with other tokens than the whole had there: these are cut off again.
_CUT_MARGIN_TOKENS = 64


def check_parameters(raw: RawRequest, limits: TokenLimits) -> None:
    """Check all that needs no tokenising.

    Raises:
        ValidationError: naming the parameter.
    """
    if not raw.text:
        raise ValidationError("`inputs` must not be empty", param="inputs")
    if raw.max_new_tokens is not None and raw.min_new_tokens > raw.max_new_tokens:
        raise ValidationError(
            f"`min_new_tokens` must be at most `max_new_tokens`, {raw.max_new_tokens}; "
            f"got {raw.min_new_tokens}",
            param="min_new_tokens",
        )
    if raw.truncate is not None and raw.truncate > limits.max_input:
        raise ValidationError(
            f"`truncate` must be at most {limits.max_input}, this model's longest prompt; got {raw.truncate}",
            param="truncate",
        )
    choose(raw)


def cut_to_characters(raw: RawRequest, limits: TokenLimits, most_characters: Callable[[int], int]) -> str:
    """What of the prompt is worth tokenising: all of it, or with `truncate` the end that can matter.

    Raises:
        ValidationError: no tokenising could make it short enough.
    """
    if raw.truncate is not None:
        return raw.text[-most_characters(raw.truncate + _CUT_MARGIN_TOKENS) :]
    most = most_characters(limits.max_input)
    if len(raw.text) > most:
        raise ValidationError(
            f"`inputs` must have at most {limits.max_input} tokens for this model; its "
            f"{len(raw.text)} characters are more, since no token has over {most // limits.max_input}. "
            "Shorten it, or set `truncate` to keep only its last tokens",
            param="inputs",
        )
    return raw.text


def validate(
    raw: RawRequest, prompt_ids: list[int], limits: TokenLimits, draw_seed: Callable[[], int]
) -> GenerationRequest:
    """Check the lengths; fill in every default.

    Raises:
        ValidationError: with the limit and the value.
    """
    if raw.truncate is not None:
        prompt_ids = prompt_ids[-raw.truncate :]
    if not prompt_ids:
        raise ValidationError("`inputs` holds no token of this model", param="inputs")
    if len(prompt_ids) > limits.max_input:
        raise ValidationError(
            f"`inputs` must have at most {limits.max_input} tokens for this model; it has {len(prompt_ids)}. "
            "Shorten it, or set `truncate` to keep only its last tokens",
            param="inputs",
        )
    max_new_tokens = _max_new_tokens(raw, len(prompt_ids), limits)
    if raw.min_new_tokens > max_new_tokens:
        raise ValidationError(
            f"`inputs` tokens + `min_new_tokens` must be at most {limits.max_total} for this model; "
            f"got {len(prompt_ids)} + {raw.min_new_tokens}",
            param="min_new_tokens",
        )
    return GenerationRequest(
        prompt_ids=prompt_ids, sampling=resolve(raw, max_new_tokens, draw_seed), stop=raw.stop
    )


def _max_new_tokens(raw: RawRequest, prompt_tokens: int, limits: TokenLimits) -> int:
    """What was asked for must fit; the default is clipped to what fits."""
    room = limits.max_total - prompt_tokens
    if raw.max_new_tokens is None:
        return min(max(limits.default_new, raw.min_new_tokens), room)
    if raw.max_new_tokens > room:
        raise ValidationError(
            f"`inputs` tokens + `max_new_tokens` must be at most {limits.max_total} for this model; "
            f"got {prompt_tokens} + {raw.max_new_tokens}",
            param="max_new_tokens",
        )
    return raw.max_new_tokens
