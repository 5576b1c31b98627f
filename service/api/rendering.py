"""Puts TGI's answers, events and headers together."""

from collections.abc import Sequence

from service.api.responses import frame
from service.api.wire import (
    BestOfSequence,
    Details,
    GenerateBody,
    GeneratedText,
    Parameters,
    PrefillToken,
    StreamDetails,
    StreamEvent,
    TokenPart,
    encode_event,
)
from service.domain import Answer, Finish, GenerationEvent, Start, Timings, Token

_NO_PARAMETERS = Parameters()


def to_answer(answers: Sequence[Answer], body: GenerateBody) -> GeneratedText:
    """The seed's answer object, of the likeliest answer; arrays join its details when `details` was given."""
    parameters = body.parameters or _NO_PARAMETERS
    prefix = body.inputs if parameters.return_full_text else ""
    best, *others = sorted(answers, key=_mean_logprob, reverse=True)
    details = Details(
        finish_reason=best.finish.reason,
        generated_tokens=best.finish.generated_tokens,
        seed=best.finish.seed,
    )
    if parameters.details:
        details.prefill = _prefill(best)
        details.tokens = _tokens(best)
        if parameters.top_n_tokens:
            details.top_tokens = [[token] for token in details.tokens]
        if others:
            details.best_of_sequences = [_sequence(other, prefix) for other in others]
    return GeneratedText(generated_text=prefix + best.finish.generated_text, details=details)


def _mean_logprob(answer: Answer) -> float:
    """TGI's measure of the best answer."""
    return sum(token.logprob or 0.0 for token in answer.tokens) / len(answer.tokens)


def _sequence(answer: Answer, prefix: str) -> BestOfSequence:
    return BestOfSequence(
        generated_text=prefix + answer.finish.generated_text,
        finish_reason=answer.finish.reason,
        generated_tokens=answer.finish.generated_tokens,
        seed=answer.finish.seed,
        prefill=_prefill(answer),
        tokens=_tokens(answer),
    )


def _prefill(answer: Answer) -> list[PrefillToken]:
    return [PrefillToken(id=token.id, text=token.text, logprob=token.logprob) for token in answer.prefill]


def _tokens(answer: Answer) -> list[TokenPart]:
    return [_token_part(token) for token in answer.tokens]


class GenerateStream:
    """Makes the frames of a stream; see `service.api.event_stream.Frames`."""

    def __init__(self, body: GenerateBody) -> None:
        parameters = body.parameters or _NO_PARAMETERS
        self._prefix = body.inputs if parameters.return_full_text else ""
        self._has_top_tokens = bool(parameters.top_n_tokens)
        self._tokens = 0

    def add(self, _index: int, batch: Sequence[GenerationEvent]) -> bytes:
        """One frame for each token; a Finish joins the last one."""
        events = [self._event(event) for event in batch if isinstance(event, Token)]
        if isinstance(batch[-1], Finish):
            _end(events[-1], batch[-1], self._prefix)
        return b"".join([frame(encode_event(event)) for event in events])

    def end(self) -> bytes:
        """Nothing: the last token told the end."""
        return b""

    def _event(self, token: Token) -> StreamEvent:
        self._tokens += 1
        event = StreamEvent(index=self._tokens, token=_token_part(token))
        if self._has_top_tokens:
            event.top_tokens = [event.token]
        return event


def _end(event: StreamEvent, finish: Finish, full_text_prefix: str) -> None:
    event.generated_text = full_text_prefix + finish.generated_text
    event.details = StreamDetails(
        finish_reason=finish.reason,
        generated_tokens=finish.generated_tokens,
        seed=finish.seed,
        input_length=finish.prompt_tokens,
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


def finish_headers(
    answers: Sequence[Answer], device: str, *, prompt_tokens: int | None = None
) -> dict[str, str]:
    """The headers of whole answers made side by side; times in ms.

    `prompt_tokens` is for answers to several prompts, which are of one otherwise.
    """
    finishes = [answer.finish for answer in answers]
    last: Timings = max((finish.timings for finish in finishes), key=lambda timings: timings.total_s)
    generated = sum(finish.generated_tokens for finish in finishes)
    return {
        "x-compute-type": device.lower(),
        "x-prompt-tokens": str(finishes[0].prompt_tokens if prompt_tokens is None else prompt_tokens),
        "x-generated-tokens": str(generated),
        "x-queue-time": _ms(last.queue_s),
        "x-inference-time": _ms(last.inference_s),
        "x-time-per-token": _ms(last.inference_s / generated),
        "x-total-time": _ms(last.total_s),
    }


def _ms(seconds: float) -> str:
    return str(round(1000 * seconds))
