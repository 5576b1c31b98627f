"""Turns a raw request into one that nothing can refuse any more."""

from collections.abc import Callable, Sequence, Set

from service.domain import GenerationRequest, PicturePrompt, RawRequest, TokenLimits
from service.errors import ValidationError
from service.prompt.grammar import check_grammar
from service.prompt.sampling import choose, resolve

# A text cut in a word begins with other tokens than the whole had there: these are cut off again.
_CUT_MARGIN_TOKENS = 64


def check_parameters(raw: RawRequest, limits: TokenLimits) -> None:
    """Check all that needs no tokenising.

    Raises:
        ValidationError: naming the parameter.
    """
    if not raw.prompt:
        raise ValidationError(f"`{raw.names.prompt}` must not be empty", param=raw.names.prompt)
    if raw.max_new_tokens is not None and raw.min_new_tokens > raw.max_new_tokens:
        raise ValidationError(
            f"`{raw.names.min_new_tokens}` must be at most `{raw.names.max_new_tokens}`, "
            f"{raw.max_new_tokens}; got {raw.min_new_tokens}",
            param=raw.names.min_new_tokens,
        )
    if raw.truncate is not None and raw.truncate > limits.max_input:
        raise ValidationError(
            f"`truncate` must be at most {limits.max_input}, this model's longest prompt; got {raw.truncate}",
            param="truncate",
        )
    choose(raw)
    check_grammar(raw)


def check_ids(ids: Sequence[int], known: Set[int], name: str, *, most: int) -> None:
    """Check token ids that a client gave in the field `name`, at most `most` of them.

    Raises:
        ValidationError: there are more, or one that the model doesn't have.
    """
    if len(ids) > most:
        raise ValidationError(f"`{name}` must have at most {most} tokens; it has {len(ids)}", param=name)
    unknown = next(iter(set(ids) - known), None)
    if unknown is not None:
        raise ValidationError(f"`{name}` has the token id {unknown}, which this model has not", param=name)


def cut_to_characters(
    raw: RawRequest, text: str, limits: TokenLimits, most_characters: Callable[[int], int]
) -> str:
    """What of the prompt is worth tokenising: all of it, or with `truncate` the end that can matter.

    Raises:
        ValidationError: no tokenising could make it short enough.
    """
    if raw.truncate is not None:
        return text[-most_characters(raw.truncate + _CUT_MARGIN_TOKENS) :]
    check_characters(raw, len(text), limits, most_characters)
    return text


def check_characters(
    raw: RawRequest, characters: int, limits: TokenLimits, most_characters: Callable[[int], int]
) -> None:
    """Check a prompt of so many characters.

    Raises:
        ValidationError: no tokenising could make it short enough.
    """
    most = most_characters(limits.max_input)
    if characters > most:
        raise ValidationError(
            f"`{raw.names.prompt}` must have at most {limits.max_input} tokens for this model; its "
            f"{characters} characters are more, since no token has over {most // limits.max_input}. "
            "Shorten it (`truncate` of /generate keeps only its last tokens)",
            param=raw.names.prompt,
        )


def validate(
    raw: RawRequest,
    prompt_ids: list[int],
    limits: TokenLimits,
    draw_seed: Callable[[], int],
    pictures: PicturePrompt | None = None,
) -> GenerationRequest:
    """Check the lengths; fill in every default.

    Raises:
        ValidationError: with the limit and the value.
    """
    if raw.truncate is not None:
        prompt_ids = prompt_ids[-raw.truncate :]
    image_tokens = pictures.image_tokens if pictures else 0
    prompt_tokens = len(prompt_ids) + image_tokens
    if not prompt_tokens:
        raise ValidationError(f"`{raw.names.prompt}` holds no token of this model", param=raw.names.prompt)
    if prompt_tokens > limits.max_input:
        of_images = f", {image_tokens} of them its images'" if image_tokens else ""
        raise ValidationError(
            f"`{raw.names.prompt}` must have at most {limits.max_input} tokens for this model; it has "
            f"{prompt_tokens}{of_images}. "
            "Shorten it (`truncate` of /generate keeps only its last tokens)",
            param=raw.names.prompt,
        )
    max_new_tokens = _max_new_tokens(raw, prompt_tokens, limits)
    if raw.min_new_tokens > max_new_tokens:
        raise ValidationError(
            f"`{raw.names.prompt}` tokens + `{raw.names.min_new_tokens}` must be at most "
            f"{limits.max_total} for this model; got {prompt_tokens} + {raw.min_new_tokens}",
            param=raw.names.min_new_tokens,
        )
    return GenerationRequest(
        prompt_ids=prompt_ids,
        pictures=pictures,
        sampling=resolve(raw, max_new_tokens, draw_seed),
        stop=raw.stop,
        keep_stop=raw.keep_stop,
    )


def _max_new_tokens(raw: RawRequest, prompt_tokens: int, limits: TokenLimits) -> int:
    """What was asked for must fit; the default is clipped to what fits."""
    room = limits.max_total - prompt_tokens
    if raw.max_new_tokens is None:
        default = raw.default_new_tokens or limits.default_new
        return min(max(default, raw.min_new_tokens), room)
    if raw.max_new_tokens > room:
        raise ValidationError(
            f"`{raw.names.prompt}` tokens + `{raw.names.max_new_tokens}` must be at most "
            f"{limits.max_total} for this model; got {prompt_tokens} + {raw.max_new_tokens}",
            param=raw.names.max_new_tokens,
        )
    return raw.max_new_tokens
