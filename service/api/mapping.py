"""Takes TGI's requests apart."""

from service.api.wire import GenerateBody, Parameters
from service.domain import RawRequest
from service.errors import ValidationError
from service.prompt.sampling import choose

# LangChain sends this with every request; it asks for next to nothing.
_HARMLESS_TYPICAL_P = 0.95
TYPICAL_P_WARNING = '199 - "typical_p is not supported; it had no effect"'


def to_raw(body: GenerateBody, *, is_stream: bool) -> RawRequest:
    """Take the request apart.

    Raises:
        ValidationError: for a parameter that this service can't honour and that would change the answer.
    """
    parameters = body.parameters or Parameters()
    _refuse_unsupported(parameters)
    if is_stream:
        _refuse_in_stream(parameters)
    raw = RawRequest(
        prompt=body.inputs,
        max_new_tokens=parameters.max_new_tokens,
        min_new_tokens=parameters.min_new_tokens or 0,
        ignore_eos=bool(parameters.ignore_eos),
        do_sample=parameters.do_sample,
        temperature=parameters.temperature,
        top_p=parameters.top_p,
        top_k=parameters.top_k,
        repetition_penalty=parameters.repetition_penalty,
        frequency_penalty=parameters.frequency_penalty,
        presence_penalty=parameters.presence_penalty,
        seed=parameters.seed,
        stop=tuple(parameters.stop or ()),
        truncate=parameters.truncate,
        grammar=parameters.grammar.to_domain() if parameters.grammar else None,
        logprobs=bool(parameters.details) or bool(parameters.top_n_tokens) or best_of(body) > 1,
        prompt_logprobs=bool(parameters.details and parameters.decoder_input_details),
    )
    _refuse_without_sampling(parameters, raw)
    return raw


def best_of(body: GenerateBody) -> int:
    """How many answers to generate, to give the best."""
    return (body.parameters and body.parameters.best_of) or 1


def warnings_of(body: GenerateBody) -> dict[str, str]:
    """The header that names a parameter accepted without effect."""
    typical_p = body.parameters.typical_p if body.parameters else None
    return {"warning": TYPICAL_P_WARNING} if typical_p == _HARMLESS_TYPICAL_P else {}


def _refuse_unsupported(parameters: Parameters) -> None:
    refusals = {
        "typical_p": parameters.typical_p not in (None, 1.0, _HARMLESS_TYPICAL_P),
        "watermark": bool(parameters.watermark),
        "adapter_id": parameters.adapter_id is not None,
    }
    for name, is_refused in refusals.items():
        if is_refused:
            raise ValidationError(f"`parameters.{name}` is not supported by this service", param=name)
    if (parameters.top_n_tokens or 0) > 1:
        raise ValidationError(
            f"`parameters.top_n_tokens` must be 0 or 1, what the engine has; got {parameters.top_n_tokens}",
            param="top_n_tokens",
        )


def _refuse_in_stream(parameters: Parameters) -> None:
    """TGI's own rules."""
    if (parameters.best_of or 1) > 1:
        raise ValidationError("`best_of` > 1 is not possible when streaming", param="best_of")
    if parameters.decoder_input_details:
        raise ValidationError(
            "`decoder_input_details` is not possible when streaming", param="decoder_input_details"
        )


def _refuse_without_sampling(parameters: Parameters, raw: RawRequest) -> None:
    does_sample = choose(raw).do_sample
    if (parameters.best_of or 1) > 1:
        if not does_sample:
            raise ValidationError("`best_of` > 1 needs sampling: set `do_sample`", param="best_of")
        if parameters.seed is not None:
            raise ValidationError("`best_of` > 1 and `seed` exclude each other", param="seed")
    if parameters.top_n_tokens and does_sample:
        raise ValidationError(
            "`top_n_tokens` is known only without sampling, where the chosen token is the likeliest one",
            param="top_n_tokens",
        )
