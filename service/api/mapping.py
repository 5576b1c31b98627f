"""Pure mappers between the wire and the domain."""

from collections.abc import Iterable, Sequence
from typing import Any

from service.api.responses import frame
from service.api.wire import (
    GenerateBody,
    Parameters,
    StreamDetails,
    StreamEvent,
    TokenPart,
    encode_event,
)
from service.domain import Answer, Finish, GenerationEvent, RawRequest, Start, Timings, Token
from service.errors import ValidationError

# LangChain sends this with every request; it asks for next to nothing.
_HARMLESS_TYPICAL_P = 0.95
TYPICAL_P_WARNING = '199 - "typical_p is not supported; it had no effect"'


def to_raw(body: GenerateBody) -> RawRequest:
    """Take the request apart.

    Raises:
        ValidationError: for a parameter that this service can't honour and that would change the answer.
    """
    parameters = body.parameters or Parameters()
    _refuse_unsupported(parameters)
    return RawRequest(
        text=body.inputs,
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
        logprobs=bool(parameters.details),
    )


def warnings_of(body: GenerateBody) -> dict[str, str]:
    """The header that names a parameter accepted without effect."""
    typical_p = body.parameters.typical_p if body.parameters else None
    return {"warning": TYPICAL_P_WARNING} if typical_p == _HARMLESS_TYPICAL_P else {}


def _refuse_unsupported(parameters: Parameters) -> None:
    refusals = {
        "typical_p": parameters.typical_p not in (None, 1.0, _HARMLESS_TYPICAL_P),
        "watermark": bool(parameters.watermark),
        "top_n_tokens": (parameters.top_n_tokens or 0) > 0,
        "adapter_id": parameters.adapter_id is not None,
        "best_of": (parameters.best_of or 1) > 1,
        "decoder_input_details": bool(parameters.decoder_input_details),
    }
    for name, is_refused in refusals.items():
        if is_refused:
            raise ValidationError(f"`parameters.{name}` is not supported by this service", param=name)


def to_answer_body(answer: Answer, body: GenerateBody) -> dict[str, Any]:
    """The seed's answer object; `prefill` and `tokens` join its details when `details` was asked for."""
    parameters = body.parameters or Parameters()
    details: dict[str, Any] = {
        "finish_reason": answer.finish.reason,
        "generated_tokens": answer.finish.generated_tokens,
        "seed": answer.finish.seed,
    }
    if parameters.details:
        details |= {"prefill": [], "tokens": [_token_part(token) for token in answer.tokens]}
    prefix = body.inputs if parameters.return_full_text else ""
    return {"generated_text": prefix + answer.finish.generated_text, "details": details}


def to_frames(batch: Sequence[GenerationEvent], first_index: int, full_text_prefix: str) -> list[bytes]:
    """One frame for each token of a batch, counted from `first_index`; a Finish joins the last one."""
    tokens = [event for event in batch if isinstance(event, Token)]
    last = batch[-1]
    frames = [
        frame(encode_event(StreamEvent(index=first_index + offset, token=_token_part(token))))
        for offset, token in enumerate(tokens)
    ]
    if isinstance(last, Finish):
        frames[-1] = _last_frame(tokens[-1], first_index + len(tokens) - 1, last, full_text_prefix)
    return frames


def _last_frame(token: Token, index: int, finish: Finish, full_text_prefix: str) -> bytes:
    details = StreamDetails(
        finish_reason=finish.reason,
        generated_tokens=finish.generated_tokens,
        seed=finish.seed,
        input_length=finish.prompt_tokens,
    )
    return frame(
        encode_event(
            StreamEvent(
                index=index,
                token=_token_part(token),
                generated_text=full_text_prefix + finish.generated_text,
                details=details,
            )
        )
    )


def _token_part(token: Token) -> TokenPart:
    return TokenPart(id=token.id, text=token.text, logprob=token.logprob, special=token.special)


def start_headers(start: Start, device: str) -> dict[str, str]:
    """The headers known when an answer begins; times in ms."""
    return {
        "x-compute-type": device.lower(),
        "x-prompt-tokens": str(start.prompt_tokens),
        "x-queue-time": _ms(start.queue_s),
    }


def finish_headers(finish: Finish, device: str) -> dict[str, str]:
    """The headers of a whole answer; times in ms."""
    timings: Timings = finish.timings
    return {
        "x-compute-type": device.lower(),
        "x-prompt-tokens": str(finish.prompt_tokens),
        "x-generated-tokens": str(finish.generated_tokens),
        "x-queue-time": _ms(timings.queue_s),
        "x-inference-time": _ms(timings.inference_s),
        "x-time-per-token": _ms(timings.inference_s / finish.generated_tokens),
        "x-total-time": _ms(timings.total_s),
    }


def _ms(seconds: float) -> str:
    return str(round(1000 * seconds))


def describe_invalid(errors: Iterable[dict[str, Any]]) -> str:
    """Say what is wrong with a body, without echoing it: texts and images stay out of answers."""
    return "; ".join(_describe_one(error) for error in list(errors)[:5])


def _describe_one(error: dict[str, Any]) -> str:
    field = ".".join(str(part) for part in error["loc"] if part != "body")
    if error["type"] == "json_invalid":
        return "the body is not valid JSON"
    if error["type"] == "extra_forbidden":
        return f"`{field}` is not a known parameter"
    if not field:
        return "the body must be a JSON object sent with `Content-Type: application/json`"
    value = error.get("input")
    got = f", got {value}" if isinstance(value, int | float) else ""
    return f"`{field}`: {error['msg']}{got}"
